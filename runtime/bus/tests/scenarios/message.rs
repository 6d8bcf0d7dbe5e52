//! MSG: the message.

use crate::support::*;

#[test]
fn msg_1_a_copy_equals_its_original_and_changes_alone() {
    // A sender that varies one message must not change what it has sent already.
    let mut original =
        text("body").value("a", 1).unwrap().response_destination(name("t/back")).response_id("r");
    original.options.get_or_insert_default().priority = Some(9);
    let mut copy = original.clone();
    assert_eq!(copy, original);
    copy.values.put("b", 2).unwrap();
    assert!(!original.values.contains("b"));
    assert_eq!(copy.payload, original.payload);
}

#[test]
fn msg_3_a_message_contains_keys_and_not_values() {
    // Looking for a key must not find the text of a value.
    let mut message = text("x").value("abc", "123").unwrap();
    assert!(message.values.contains("abc"));
    assert!(!message.values.contains("123") && !message.values.contains("def"));
    message.values.put("extra", 1).unwrap();
    message.values.remove("extra");
    assert!(!message.values.contains("extra"));
}

#[tokio::test(start_paused = true)]
async fn msg_4_each_typed_getter_reads_at_the_listener_what_the_sender_put() {
    // Types and order must survive the way through the bus, not only the container.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            let values = delivery.values();
            let keys: Vec<&str> = values.iter().map(|(key, _)| key).collect();
            assert_eq!(keys, ["t", "b", "i", "f", "x"]);
            assert_eq!(values.text("t"), Ok(Some("text")));
            assert_eq!(values.boolean("b"), Ok(Some(true)));
            assert_eq!(values.integer("i"), Ok(Some(i64::MIN)));
            assert_eq!(values.float("f"), Ok(Some(0.5)));
            assert_eq!(values.bytes("x").unwrap().unwrap().as_ref(), [0, 255]);
            seen.add("read");
            async { Outcome::done() }
        }),
    )
    .unwrap();
    let message = text("m").value("t", "text").unwrap().value("b", true).unwrap();
    let message =
        message.value("i", i64::MIN).unwrap().value("f", 0.5).unwrap().value("x", vec![0, 255]).unwrap();
    bus.send("t/s", message).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["read"]);
}

#[test]
fn msg_5_text_read_as_an_integer_is_an_error_that_names_both_types() {
    // A silent conversion would hide a sender's mistake.
    let message = text("x").value("n", "12").unwrap();
    let error = message.values.integer("n").unwrap_err().to_string();
    assert!(error.contains("text") && error.contains("integer"), "{error}");
}

#[test]
fn msg_6_removing_what_is_not_there_is_no_error() {
    // "Nothing" is a state, not an operation that can fail.
    let mut message = text("x").value("a", 1).unwrap();
    message.values.remove("a");
    message.values.remove("b");
    assert!(!message.values.contains("a") && !message.values.contains("b"));
}

#[tokio::test(start_paused = true)]
async fn msg_8_printing_a_message_masks_what_is_secret() {
    // Messages end up in logs.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            seen.add(format!("{:?}", delivery.message()));
            async { Outcome::done() }
        }),
    )
    .unwrap();
    let message = text("m").value("userPassword", "x1y2").unwrap().value("name", "bob").unwrap();
    let outgoing = format!("{message:?}");
    bus.send("t/s", message).await.unwrap();
    settled(&bus).await;
    for printed in [outgoing, notes.all().remove(0)] {
        assert!(printed.contains("bob") && !printed.contains("x1y2"), "{printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn msg_9_each_send_returns_a_version_7_id_that_the_listener_reads_too() {
    // The id is what a sender and an operator find the message by.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            seen.add(delivery.message().id().to_string());
            async { Outcome::done() }
        }),
    )
    .unwrap();
    let first = bus.send("t/s", text("1")).await.unwrap();
    let second = bus.send("t/s", text("2")).await.unwrap();
    settled(&bus).await;
    assert_ne!(first, second);
    assert_eq!((first.uuid().get_version_num(), second.uuid().get_version_num()), (7, 7));
    assert_eq!(notes.all(), [first.to_string(), second.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn msg_10_a_delivery_shows_the_destination_that_it_was_sent_to() {
    // One listener on several destinations tells them apart by nothing else.
    let (bus, notes) = (bus(), Notes::default());
    let seen = notes.clone();
    let listener = listener_fn("l", move |delivery| {
        seen.add(delivery.destination().as_str());
        async { Outcome::done() }
    });
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, listener.clone()).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        bus.idle().await;
    }
    settled(&bus).await;
    assert_eq!(notes.all(), ["t/parallel", "t/serial", "t/synchronous"]);
}

#[tokio::test(start_paused = true)]
async fn msg_11_a_message_without_payload_is_received_with_zero_bytes() {
    // There is no null message; an empty one is a signal like any other.
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        bus.send(&destination, Outgoing::default()).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:", "l:", "l:"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_size_limit_and_a_bad_content_type_are_refused_with_the_reason() {
    // The edge checks once; what is behind it relies on it.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.message_bytes_max = 4)).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    let large = bus.send("t/s", text("12345")).await.unwrap_err();
    assert!(matches!(large, SendError::TooLarge { bytes: 5, bytes_max: 4, .. }), "{large}");
    let counted_with_values = text("1").value("key", 1).unwrap();
    assert_eq!(bus.send("t/s", counted_with_values).await.unwrap_err().name(), "too-large");
    let odd = bus.send("t/s", Outgoing::typed("1", "text/\nplain")).await.unwrap_err();
    assert_eq!(odd.name(), "invalid");
    bus.send("t/s", text("1234")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1234"]);
    assert_eq!(figures(&bus, "t/s").rejected["too-large"], 2);
}
