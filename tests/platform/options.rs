//! ORD, TYPE: what a guest asks of the bus besides: delays, expiry, priority, keys, and destinations of an embedder's types.

use std::sync::Arc;
use std::time::Duration;

use sandbus::bus::{CustomType, DestinationConfig, DestinationType, Jitter, Outcome, Outgoing, listener_fn};
use sandbus::harness::Harness;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use crate::support::{Asking, Granting, harness, parallel, serial, synchronous, zoo, zoo_that};

/// A guest at `t/a` that may send to `to`, what is received there being noted.
async fn sending_to(to: DestinationConfig) -> Harness {
    let name = to.name.to_string();
    let guest = zoo("guest", &["t/a"]).may_send(&[&name]);
    let harness = harness().destination(serial("t/a")).destination(to).guest(guest).start().await.unwrap();
    harness.note(&name).unwrap();
    harness
}

/// Has the guest do this; it must be accepted. The id.
async fn sent(harness: &Harness, command: &str) -> String {
    let answer = harness.answer("t/a", command).await;
    answer.strip_prefix("sent ").unwrap_or_else(|| panic!("{command}: {answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_5_what_a_guest_sends_with_a_delay_is_received_after_what_it_sent_later() {
    // First in, first out holds for what is ready; a delayed message is not.
    let harness = sending_to(serial("t/b")).await;
    sent(&harness, "send-with t/b deliver=150 later").await;
    sent(&harness, "send t/b at once").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["at once", "later"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_1_what_a_guest_sends_with_an_expiry_is_a_dead_letter_when_its_turn_comes_too_late() {
    // Too late is worse than never: nobody receives it, and it is said.
    let harness = sending_to(serial("t/b")).await;
    harness.bus().pause("t/b").unwrap();
    sent(&harness, "send-with t/b expires=1 stale").await;
    sent(&harness, "send-with t/b expires=600000 fresh").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    harness.bus().resume("t/b").unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["fresh"]);
    assert_eq!(harness.letter("t/b").reason.name(), "expired");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_2_what_a_guest_sends_with_a_priority_is_received_by_priority() {
    // Where the destination enables it; equal ones stay in order, and without one it is 4.
    let mut by_priority = serial("t/b");
    by_priority.priority = true;
    let harness = sending_to(by_priority).await;
    harness.bus().pause("t/b").unwrap();
    for command in ["priority=0 0", "priority=9 9", "priority=5 5", "order=k 4", "priority=5 5, too"] {
        sent(&harness, &format!("send-with t/b {command}")).await;
    }
    harness.bus().resume("t/b").unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["9", "5", "5, too", "4", "0"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_3_what_a_guest_sends_with_one_ordering_key_is_received_one_at_a_time() {
    // Five workers are free, and the second message waits for the first all the same.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("ordered", &["t/b"]))
        .start()
        .await
        .unwrap();
    sent(&harness, "send-with t/b order=k put-sleep-get x 50 first").await;
    sent(&harness, "send-with t/b order=k log 1 second").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("ordered"), ["saw first", "second"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_3_what_a_guest_sends_with_another_ordering_key_does_not_wait() {
    // Each key has an order of its own: one that is stuck holds up only its like.
    let mut ordered = zoo("ordered", &["t/b"]).may_send(&["t/gate"]);
    ordered.limits.deadline = Duration::from_secs(60);
    let harness = harness()
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .destination(serial("t/gate"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/b"]))
        .guest(ordered)
        .start()
        .await
        .unwrap();
    let gate = Arc::new(Notify::new());
    let keeper = {
        let gate = Arc::clone(&gate);
        listener_fn("keeper", move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Outcome::done()
            }
        })
    };
    harness.bus().register("t/gate", keeper.with_deadline(Duration::from_secs(60))).unwrap();
    sent(&harness, "send-with t/b order=stuck request t/gate 60000 open").await;
    sent(&harness, "send-with t/b order=stuck log 1 behind it").await;
    sent(&harness, "send-with t/b order=free log 1 beside it").await;
    let beside = async {
        while harness.lines_of("ordered").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), beside).await.expect("the other key goes on");
    assert_eq!(harness.lines_of("ordered"), ["beside it"]);
    gate.notify_one();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("ordered"), ["beside it", "behind it"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_4_a_guest_that_sends_a_duplicate_gets_the_first_id() {
    // A sender that is not sure sends again: it learns the same, and nobody receives it twice.
    let harness = sending_to(parallel("t/b")).await;
    let first = sent(&harness, "send-with t/b dedup=order-7 once").await;
    let again = sent(&harness, "send-with t/b dedup=order-7 twice").await;
    let other = sent(&harness, "send-with t/b dedup=order-8 other").await;
    assert_eq!(first, again);
    assert_ne!(first, other);
    harness.idle().await.unwrap();
    let of = harness.figures("t/b");
    assert_eq!((of.accepted, of.duplicates), (2, 1));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ord_4_a_guest_that_asks_twice_with_one_key_gets_no_reply_the_second_time() {
    // Nobody was asked again, so nobody can answer; it is told at once and not after its timeout.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .destination(synchronous("t/y"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/*"]))
        .guest(zoo_that("echo answer", "asked", &["t/b", "t/y"]))
        .start()
        .await
        .unwrap();
    for destination in ["t/b", "t/y"] {
        let command = format!("request-with {destination} dedup=order-7 x");
        assert_eq!(harness.answer("t/a", &command).await, "reply answer");
        assert_eq!(harness.answer("t/a", &command).await, "error no-reply");
        let of = harness.figures(destination);
        assert_eq!((of.accepted, of.duplicates, of.delivered), (1, 1, 1), "{destination}");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_names_no_timeout_waits_as_long_as_the_destination_says() {
    // Its listener answers in a second: too late for this destination's own bound, in time for one that the guest names.
    let mut hasty = serial("t/b");
    hasty.request_timeout = Duration::from_millis(20);
    let harness = harness()
        .destination(serial("t/a"))
        .destination(hasty)
        .guest(zoo("guest", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("slow", &["t/b"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "request-with t/b - sleep 1000").await, "error timeout");
    harness.idle().await.unwrap();
    assert_eq!(harness.answer("t/a", "request t/b 1900 sleep 200").await, "reply slept");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_sends_on_asks_for_nothing_by_itself() {
    // A copy with the dedup key of the first would be a duplicate wherever the first came from.
    let harness = harness()
        .destination(parallel("t/a"))
        .destination(serial("t/b"))
        .guest(zoo_that("forward t/b", "guest", &["t/a"]).may_send(&["t/b"]))
        .start()
        .await
        .unwrap();
    harness.note("t/b").unwrap();
    let asked = Outgoing::text("x").expires_after(Duration::from_secs(60)).ordering_key("k").dedup_key("d");
    harness.send("t/a", asked).await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["x"]);
    assert!(harness.received()[0].message().options().is_none(), "{:?}", harness.received()[0].message());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_tried_again_reads_less_of_its_time() {
    // What is left counts from the first acceptance, not from the attempt.
    let mut retrying = serial("t/a");
    retrying.retry.delay_initial = Duration::from_millis(20);
    retrying.retry.jitter = Jitter::None;
    let guest = zoo_that("options-then-retry", "guest", &["t/a"]);
    let harness = harness().destination(retrying).guest(guest).start().await.unwrap();
    harness.send("t/a", Outgoing::text("x").expires_after(Duration::from_secs(60))).await.unwrap();
    harness.idle().await.unwrap();
    let left: Vec<u64> = harness.lines_of("guest").iter().map(|line| line.parse().unwrap()).collect();
    let [first, second, third] = left[..] else { panic!("{left:?}") };
    assert!(first <= 60_000 && second <= first - 20 && third <= second - 20, "{left:?}");
    assert_eq!(harness.letter("t/a").reason.name(), "retry");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_reads_what_its_sender_asked_for_and_what_is_left_of_it() {
    // A delay that is over is none; an expiry is what is left, so that what is sent on can say the same.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo_that("options", "reader", &["t/b"]))
        .start()
        .await
        .unwrap();
    let asked = "deliver=20,expires=60000,priority=7,order=k,dedup=d";
    let answer = harness.answer("t/a", &format!("request-with t/b {asked} x")).await;
    let options: Json = serde_json::from_str(answer.strip_prefix("reply ").expect(&answer)).unwrap();
    let left = options["expires_after_ms"].as_u64().expect("some is left");
    assert!((1..=59_980).contains(&left), "{left} of 60,000 after a delay of 20");
    let wanted = json!({
        "priority": 7, "deliver_after_ms": null, "expires_after_ms": left, "ordering_key": "k", "dedup_key": "d",
    });
    assert_eq!(options, wanted);
    let none = harness.answer("t/a", "request t/b 1000 x").await;
    let none: Json = serde_json::from_str(none.strip_prefix("reply ").expect(&none)).unwrap();
    assert!(none.as_object().unwrap().values().all(Json::is_null), "{none}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_asks_for_and_cannot_have_is_invalid_and_nobody_receives_it() {
    // Each is told with its rule, before anything is accepted.
    let harness = sending_to(serial("t/b")).await;
    let immediate = sending_to(synchronous("t/y")).await;
    let cases = [
        (&immediate, "send-with t/y deliver=5 x", "synchronous"),
        (&harness, "send-with t/b priority=10 x", "priority"),
        (&harness, "send-with t/b deliver=50,expires=10 x", "expire"),
        (&harness, "send-with t/b deliver=99999999999999 x", "31622400000 ms"),
    ];
    for (harness, command, rule) in cases {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.starts_with("error invalid: ") && answer.contains(rule), "{command}: {answer}");
    }
    assert_eq!((harness.figures("t/b").accepted, immediate.figures("t/y").accepted), (0, 0));
    harness.settled().await;
    immediate.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn type_11_a_guest_makes_a_destination_of_an_embedders_type() {
    // The name of the type is all that the guest knows of it; one that is not there is told with those that are.
    let first_only = CustomType::new("first-only", DestinationType::Serial, |_, _| vec![0]).unwrap();
    let mut guest = zoo("guest", &["t/a"]).may_send(&["tmp/**"]);
    guest.grants.create = vec!["tmp/".to_owned()];
    let harness =
        harness().destination_type(first_only).destination(serial("t/a")).guest(guest).start().await.unwrap();
    assert_eq!(harness.answer("t/a", "create tmp/x first-only").await, "ok");
    harness.note("tmp/x").unwrap();
    harness.bus().register("tmp/x", listener_fn("second", |_| async { Outcome::refused("not me") })).unwrap();
    sent(&harness, "send tmp/x hello").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["hello"]);
    assert_eq!(harness.figures("tmp/x").dead_letters, 0);
    let unknown = harness.answer("t/a", "create tmp/y nope").await;
    assert!(unknown.starts_with("error invalid: "), "{unknown}");
    for text in ["`nope`", "parallel, serial, synchronous, first-only"] {
        assert!(unknown.contains(text), "{unknown}");
    }
    assert!(!harness.bus().has_destination("tmp/y"));
    harness.settled().await;
}
