//! BUILD, SYNC-17 and MSG-2: the chain that builds a message and sends it, and senders that are bound to one destination.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::support::*;

/// A listener that keeps what it receives.
fn keeping(kept: &Arc<Mutex<Vec<Delivery>>>) -> NativeListener {
    let kept = Arc::clone(kept);
    listener_fn("l", move |delivery| {
        kept.lock().unwrap().push(delivery);
        async { Outcome::done() }
    })
}

fn identity() -> Identity {
    Identity::new("7", "5").unwrap()
}

#[tokio::test(start_paused = true)]
async fn build_1_the_listener_receives_exactly_the_parts_that_were_set() {
    // A part that gets lost in the chain would be found out only in production.
    let (bus, kept) = (bus(), Arc::default());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", keeping(&kept)).unwrap();
    let origin = Origin::named("shop").with_identity(identity());
    let id = bus
        .message()
        .to("t/p")
        .payload(vec![1, 2], "image/png")
        .value("t", "text")
        .value("b", true)
        .value("i", 7)
        .value("f", 0.5)
        .value("x", vec![0, 255])
        .value("gone", 1)
        .without_value("gone")
        .response_destination("t/back")
        .response_id("mine")
        .priority(9)
        .deliver_after(ms(100))
        .expires_after(secs(60))
        .ordering_key("customer 1")
        .dedup_key("order 1")
        .as_origin(&origin)
        .send()
        .await
        .unwrap();
    settled(&bus).await;
    let kept = kept.lock().unwrap();
    let [delivery] = &kept[..] else { panic!("{} deliveries", kept.len()) };
    let message = delivery.message();
    assert_eq!((message.id(), message.destination().as_str()), (id, "t/p"));
    assert_eq!((&message.payload()[..], message.content_type()), (&[1, 2][..], Some("image/png")));
    let values: Vec<_> =
        delivery.values().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let wanted: [(&str, Value); 5] = [
        ("t", "text".into()),
        ("b", true.into()),
        ("i", 7.into()),
        ("f", 0.5.into()),
        ("x", vec![0, 255].into()),
    ];
    assert_eq!(values, wanted.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(message.response_destination(), Some(&name("t/back")));
    assert_eq!(message.response_id(), Some("mine"));
    let options = message.options().unwrap();
    assert_eq!((options.priority, options.deliver_after), (Some(9), Some(ms(100))));
    assert_eq!(options.expires_after, Some(secs(60)));
    assert_eq!(options.ordering_key.as_deref(), Some("customer 1"));
    assert_eq!(options.dedup_key.as_deref(), Some("order 1"));
    assert_eq!(&*message.context().sender, "shop");
    assert_eq!(message.context().identity.as_deref(), Some(&identity()));
}

#[tokio::test(start_paused = true)]
async fn build_1_json_is_written_with_its_media_type_and_what_json_cannot_say_is_told() {
    // A map with keys that are not text exists in Rust and not in JSON.
    let (bus, kept) = (bus(), Arc::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", keeping(&kept)).unwrap();
    bus.message().to("t/s").json(&HashMap::from([("total", 7)])).send().await.unwrap();
    let bad = bus.message().to("t/s").json(&HashMap::from([((1, 2), 3)])).send().await.unwrap_err();
    let SendError::NotBuilt(BuildError::Step { step: "json", .. }) = bad else { panic!("{bad:?}") };
    settled(&bus).await;
    let kept = kept.lock().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].text(), kept[0].content_type()), (Some(r#"{"total":7}"#), Some("application/json")));
}

#[tokio::test(start_paused = true)]
async fn build_2_a_reply_goes_where_answers_go_and_has_no_other_part_of_the_request() {
    // What the request carried is its sender's business, not that of whoever reads the answer.
    let (bus, kept) = (bus(), Arc::default());
    bus.create(serial("t/ask")).unwrap();
    bus.create(serial("t/back")).unwrap();
    bus.register("t/back", keeping(&kept)).unwrap();
    let replying = bus.clone();
    let answering = listener_fn("answering", move |delivery| {
        let bus = replying.clone();
        async move {
            match bus.message().reply_to(&delivery).text("answer").send().await {
                Ok(_) => Outcome::done(),
                Err(error) => Outcome::refused(error.to_string()),
            }
        }
    });
    bus.register("t/ask", answering).unwrap();
    let origin = Origin::host().with_identity(identity());
    let ask = bus.message().to("t/ask").payload("question", "text/x-question").value("a", 1).priority(9);
    ask.response_destination("t/back").response_id("mine").as_origin(&origin).send().await.unwrap();
    settled(&bus).await;
    {
        let kept = kept.lock().unwrap();
        let [answer] = &kept[..] else { panic!("{} answers", kept.len()) };
        let message = answer.message();
        assert_eq!((answer.text(), message.response_id()), (Some("answer"), Some("mine")));
        assert_eq!(answer.content_type(), Some("text/plain; charset=utf-8"));
        assert!(answer.values().is_empty() && message.options().is_none());
        assert_eq!(message.response_destination(), None);
        // What the bus says about it follows from what it answers.
        let context = message.context();
        assert_eq!((&*context.sender, context.hop_count), ("answering", 1));
        assert_eq!(context.identity.as_deref(), Some(&identity()));
    }
    // It answers a request, too: that one draws its own id.
    let reply = bus.message().to("t/ask").text("question").request().await.unwrap();
    assert_eq!(reply.payload, "answer");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn build_3_the_chain_ends_in_the_answer_or_in_the_id() {
    // One chain, and its last word says what comes back.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    let reply = bus.message().to("t/s").text("m").timeout(secs(1)).request().await.unwrap();
    assert_eq!(reply.payload, "m");
    let direct = bus.message().to("t/s").text("d").timeout(secs(1)).request_direct().await.unwrap();
    assert_eq!(direct.unwrap().payload, "d");
    let id = bus.message().to("t/s").text("m").send().await.unwrap();
    assert_eq!(id.uuid().get_version_num(), 7);
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").completed, 3);
}

#[tokio::test(start_paused = true)]
async fn build_3_the_timeout_of_the_chain_is_the_requests() {
    // Without it, the destination's ten seconds would pass.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    let begun = Instant::now();
    let error = bus.message().to("t/s").text("m").timeout(secs(1)).request().await.unwrap_err();
    assert_eq!(error, RequestError::Timeout(1_000));
    assert!(begun.elapsed() < secs(2), "{:?}", begun.elapsed());
    gate.open();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn build_4_without_a_destination_the_error_says_so_and_nothing_is_sent() {
    // Each end of the chain looks: none may send into nowhere.
    let bus = bus();
    let missing = SendError::NotBuilt(BuildError::MissingDestination);
    let told = bus.message().text("m").send().await.unwrap_err();
    assert_eq!((&told, told.name()), (&missing, "missing-destination"));
    assert!(told.to_string().contains("no destination"), "{told}");
    let told = bus.message().text("m").request().await.unwrap_err();
    assert_eq!(told, RequestError::NotSent(missing.clone()));
    let told = bus.message().text("m").request_direct().await.unwrap_err();
    assert_eq!(told, RequestError::NotSent(missing));
    assert!(bus.all_statistics().iter().all(|figures| figures.accepted == 0));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn build_4_the_first_step_that_breaks_a_rule_is_named_and_nothing_is_sent() {
    // The chain goes on after a mistake; the message does not.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    let step = |error: SendError| match error {
        SendError::NotBuilt(BuildError::Step { step, reason }) => (step, reason),
        other => panic!("{other:?}"),
    };
    let (first, reason) = step(bus.message().to("t s").value("", 1).send().await.unwrap_err());
    assert_eq!(first, "to");
    assert!(reason.contains("t s"), "{reason}");
    assert_eq!(step(bus.message().to("t/s").value("", 1).to("t s").send().await.unwrap_err()).0, "value");
    let back = bus.message().to("t/s").response_destination("/").send().await.unwrap_err();
    assert_eq!(step(back).0, "response_destination");
    // What only the destination can judge is its word.
    assert_eq!(bus.message().to("t/s").priority(10).send().await.unwrap_err().name(), "invalid");
    assert!(bus.message().value("", 1).build().is_err());
    assert_eq!(bus.message().text("m").build().unwrap(), text("m"));
    settled(&bus).await;
    assert!(notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn build_5_a_message_without_response_destination_has_nothing_to_answer_to() {
    // The alternative is an answer that nobody ever sees.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let (replying, seen) = (bus.clone(), notes.clone());
    let listener = listener_fn("l", move |delivery| {
        let (bus, notes) = (replying.clone(), seen.clone());
        async move {
            let error = bus.message().reply_to(&delivery).text("answer").send().await.unwrap_err();
            assert_eq!(
                error,
                SendError::NotBuilt(BuildError::NothingToAnswer(delivery.message().id())),
                "{error}"
            );
            notes.add(error.name());
            Outcome::done()
        }
    });
    bus.register("t/s", listener).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["nothing-to-answer"]);
    assert_eq!(figures(&bus, "t/s").accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn msg_2_a_message_that_is_taken_over_leaves_nothing_of_what_was_there() {
    // Old values that stay behind are how one customer's order reaches another.
    let bus = bus();
    let other = text("other").response_id("theirs");
    let before = bus.message().text("mine").value("a", 1).priority(3).response_destination("t/back");
    assert_eq!(before.clone().like(&other).build().unwrap(), other);
    // What is said afterwards counts, and where it goes was not the message's to say.
    let after = before.to("t/s").like(other.clone()).value("b", 2).build().unwrap();
    assert_eq!(after, other.value("b", 2).unwrap());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn msg_2_a_received_message_is_taken_over_with_the_values_that_were_received() {
    // On a serial destination these are not those that were sent.
    let (bus, kept) = (bus(), Arc::default());
    bus.create(serial("t/s")).unwrap();
    let change = listener_fn("change", |delivery| async move {
        let mut values = delivery.values().clone();
        values.put("b", 2).unwrap();
        Outcome::Done(Answer { values: Some(values), ..Answer::default() })
    });
    bus.register("t/s", change).unwrap();
    bus.register("t/s", keeping(&kept)).unwrap();
    let sent = text("m").value("a", 1).unwrap().priority(2);
    bus.send("t/s", sent.clone()).await.unwrap();
    settled(&bus).await;
    let kept = kept.lock().unwrap();
    assert_eq!(Outgoing::from(&**kept[0].message()), sent);
    assert_eq!(bus.message().like(&kept[0]).build().unwrap(), sent.value("b", 2).unwrap());
}

#[tokio::test(start_paused = true)]
async fn sync_17_each_bound_sender_uses_its_own_mode() {
    // The mode belongs to the sender, so that nobody switches it for somebody else.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    let listener = listener_fn("l", |delivery| async move {
        Outcome::reply(Reply::text(if delivery.worker().is_some() { "queued" } else { "direct" }))
    });
    bus.register("t/s", listener).unwrap();
    let queued = bus.requester("t/s", RequestMode::Default).unwrap();
    let direct = bus.requester("t/s", RequestMode::Direct).unwrap().with_timeout(secs(1));
    for (requester, wanted) in [(&queued, "queued"), (&direct, "direct"), (&queued.clone(), "queued")] {
        assert_eq!(requester.request(text("m")).await.unwrap().unwrap().payload, wanted);
        let shop = Origin::named("shop");
        assert_eq!(requester.request_as(&shop, text("m")).await.unwrap().unwrap().payload, wanted);
    }
    bus.sender("t/s").unwrap().send(text("m")).await.unwrap();
    bus.sender("t/s").unwrap().send_as(&Origin::named("shop"), text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").completed, 8);
}

#[tokio::test(start_paused = true)]
async fn sync_17_a_bound_name_is_checked_once_and_its_destination_may_come_later() {
    // A wrong name is the program's mistake and is told where it is written; a missing destination is not.
    let bus = bus();
    assert!(bus.sender("not a name").is_err());
    assert!(bus.requester("not a name", RequestMode::Default).is_err());
    let (sender, requester) =
        (bus.sender("t/s").unwrap(), bus.requester("t/s", RequestMode::Direct).unwrap());
    assert_eq!(sender.send(text("m")).await.unwrap_err().name(), "no-such-destination");
    assert_eq!(requester.request(text("m")).await.unwrap_err().name(), "no-such-destination");
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    sender.send(text("m")).await.unwrap();
    assert_eq!(requester.request(text("m")).await.unwrap().unwrap().payload, "m");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn msg_8_no_printed_form_shows_a_secret() {
    // A secret that is masked in one place and printed in the next is no secret.
    let (bus, printed) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let secret = Reply { values: text("").value("apiToken", "x1y2").unwrap().values, ..Reply::text("x1y2") };
    let (seen, set) = (printed.clone(), secret.clone());
    let first = listener_fn("first", move |delivery| {
        seen.add(format!("{delivery:?}"));
        let outcome = Outcome::Done(Answer { response: Some(Box::new(set.clone())), ..Answer::default() });
        seen.add(format!("{outcome:?}"));
        async { outcome }
    });
    let seen = printed.clone();
    let second = listener_fn("second", move |delivery| {
        assert!(delivery.response().is_some());
        seen.add(format!("{delivery:?}"));
        async { Outcome::refused("no") }
    });
    bus.register("t/s", first).unwrap();
    bus.register("t/s", second).unwrap();
    let message = bus.message().to("t/s").json(&HashMap::from([("password", "x1y2")]));
    let message = message.value("userPassword", "x1y2").value("name", "bob").response_id("x1y2");
    printed.add(format!("{message:?}"));
    printed.add(format!("{:?}", message.clone().build().unwrap()));
    message.send().await.unwrap();
    settled(&bus).await;
    printed.add(format!("{:?}", bus.dead_letters("t/s")));
    printed.add(format!("{secret:?}"));
    assert_eq!(printed.len(), 7);
    for text in printed.all() {
        assert!(!text.contains("x1y2"), "{text}");
    }
    assert_eq!(printed.all().iter().filter(|text| text.contains("bob")).count(), 5);
}
