//! EX: the examples of Liferay's documentation, as guests.

use crate::support::{Granting, harness, sample, serial};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_1_what_baker_sends_on_activation_reaches_charlie() {
    let mut charlie = sample("n8k5_charlie", "charlie");
    charlie.listens_to = vec!["acme/n8k5_able".to_owned()];
    let baker = sample("n8k5_baker", "baker").may_send(&["acme/n8k5_able"]);
    let harness =
        harness().destination(serial("acme/n8k5_able")).guest(charlie).guest(baker).start().await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("baker"), ["Sent message to acme/n8k5_able"]);
    let logs = harness.logs();
    let received = logs.iter().find(|line| &*line.guest == "charlie").expect("charlie logs");
    assert_eq!(received.text, "Received message payload N8K5Baker#_activate");
    let message = received.message.as_ref().expect("the line belongs to a message");
    assert_eq!(message.destination().as_str(), "acme/n8k5_able");
    assert_eq!(&*message.context().sender, "baker");
    let ended = harness.end().await;
    assert!(ended.statistics.iter().all(sandbus::bus::DestinationStatistics::adds_up));
}
