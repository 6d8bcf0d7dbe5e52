//! MSG, TYPE: what crosses from one guest to another.

use sandbus::bus::{Outgoing, RequestError, Value};
use serde_json::{Value as Json, json};

use crate::support::{
    Asking, Granting, beside_a_neighbour, harness, parallel, sample, serial, zoo, zoo_that,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msg_7_a_value_of_each_type_crosses_between_guests_unchanged() {
    // A value that could not cross does not exist: the five types are those of the contract.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("a", &["t/a"]).may_send(&["t/b"]))
        .start()
        .await
        .unwrap();
    harness.note("t/b").unwrap();
    assert!(harness.answer("t/a", "send-all-types t/b").await.starts_with("sent "));
    harness.idle().await.unwrap();
    let received = harness.received();
    let values: Vec<(String, Value)> =
        received[0].values().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let wanted = [
        ("text", Value::from("twelve")),
        ("boolean", Value::from(true)),
        ("integer", Value::from(i64::MIN)),
        ("float", Value::from(0.5)),
        ("bytes", Value::from(vec![0, 255])),
    ];
    assert_eq!(values, wanted.map(|(key, value)| (key.to_owned(), value)));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msg_7_the_listener_in_the_other_guest_reads_the_same_types() {
    // The same from the other side: types are read, never guessed.
    let harness =
        harness().destination(serial("t/b")).guest(zoo_that("values", "b", &["t/b"])).start().await.unwrap();
    let message = Outgoing::text("")
        .value("text", "12")
        .and_then(|message| message.value("boolean", false))
        .and_then(|message| message.value("integer", i64::MAX))
        .and_then(|message| message.value("float", -0.25))
        .and_then(|message| message.value("bytes", vec![1, 2]))
        .unwrap();
    let reply = harness.request("t/b", message).await.unwrap();
    let seen: Json = serde_json::from_slice(&reply.payload).unwrap();
    let wanted = json!([
        ["text", "text", "12"],
        ["boolean", "boolean", false],
        ["integer", "integer", i64::MAX],
        ["float", "float", -0.25],
        ["bytes", "bytes", [1, 2]],
    ]);
    assert_eq!(seen, wanted);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msg_5_a_text_is_not_silently_a_number_to_a_guest() {
    // Typed getters never surprise: the error names both types.
    let harness = harness()
        .destination(serial("t/b"))
        .guest(zoo_that("get-integer n", "b", &["t/b"]))
        .start()
        .await
        .unwrap();
    let message = Outgoing::text("").value("n", "12").unwrap();
    let reply = harness.request("t/b", message).await.unwrap();
    let text = String::from_utf8_lossy(&reply.payload).into_owned();
    assert!(text.starts_with("error ") && text.contains("text") && text.contains("integer"), "{text}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msg_12_json_is_read_and_what_is_not_json_is_an_error_of_the_listener_not_a_fault() {
    // The host never parses a payload; the SDK's view answers the guest's own code.
    let mut transform = sample("transform", "transform").may_send(&["orders/priced"]);
    transform.listens_to = vec!["orders".to_owned()];
    let harness = harness()
        .destination(parallel("orders"))
        .destination(serial("orders/priced"))
        .guest(transform)
        .start()
        .await
        .unwrap();
    harness.note("orders/priced").unwrap();
    let order = r#"{"id":1,"lines":[{"price":5,"count":2}]}"#;
    let reply = harness.request("orders", Outgoing::typed(order, "application/json")).await.unwrap();
    assert_eq!(reply.payload, r#"{"id":1,"total":10}"#);
    assert_eq!(reply.content_type.as_deref(), Some("application/json"));
    let refused = harness.request("orders", Outgoing::typed("{", "application/json")).await;
    assert!(matches!(refused, Err(RequestError::ListenerRefused(_))), "{refused:?}");
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), [r#"{"id":1,"total":10}"#]);
    assert_eq!(harness.letter("orders").reason.name(), "refused");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h20_a_payload_nested_100_000_deep_is_an_error_of_the_view() {
    // Only the guest's own parser meets it, inside the guest's own limits.
    let mut transform = sample("transform", "transform").may_send(&["orders/priced"]);
    transform.listens_to = vec!["orders".to_owned()];
    let harness = beside_a_neighbour()
        .destination(parallel("orders"))
        .destination(serial("orders/priced"))
        .guest(transform)
        .start()
        .await
        .unwrap();
    let ended = harness.ask("orders", &"[".repeat(100_000)).await;
    assert!(matches!(ended, Err(RequestError::ListenerRefused(_))), "{ended:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn type_12_a_guest_sends_every_message_on_with_payload_and_values() {
    // What is sent on is a new message with an id of its own; the parts are the same.
    let mut forward = sample("forward", "forward").may_send(&["t/b"]);
    forward.listens_to = vec!["t/a".to_owned()];
    let harness =
        harness().destination(serial("t/a")).destination(serial("t/b")).guest(forward).start().await.unwrap();
    harness.note("t/b").unwrap();
    let mut ids = Vec::new();
    for number in 0..3 {
        let message = Outgoing::typed(format!("payload {number}"), "text/x-test").value("n", number).unwrap();
        ids.push(harness.send("t/a", message).await.unwrap());
    }
    harness.idle().await.unwrap();
    let received = harness.received();
    assert_eq!(harness.received_texts(), ["payload 0", "payload 1", "payload 2"]);
    for (number, delivery) in (0..3).zip(&received) {
        assert_eq!(delivery.content_type(), Some("text/x-test"));
        assert_eq!(delivery.values().get("n"), Some(&Value::from(number)));
        assert!(!ids.contains(&delivery.message().id()));
    }
    harness.settled().await;
}
