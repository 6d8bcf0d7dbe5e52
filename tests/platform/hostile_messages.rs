//! H22 to H28, HOP: guests that send without end, to each other, to themselves, or under ids that are not theirs.

use std::time::Duration;

use sandbus::bus::{Outgoing, RequestError};
use sandbus::harness::Harness;
use serde_json::Value as Json;

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, Granting, beside_a_neighbour, harness, parallel, serial, zoo, zoo_that};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h22_a_million_sends_in_one_call_end_at_the_limit_of_a_call() {
    // What was accepted before stays accepted; the guest goes on with an error in its hand.
    let others = harness().destination(serial("t/sink")).guest(zoo_that("noop", "sink", &["t/sink"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/sink".parse().unwrap()];
    })
    .await;
    let answer = here.answer("send-many t/sink 1000000").await;
    assert!(answer.starts_with("64 accepted, then limit-reached"), "{answer}");
    here.harness.idle().await.unwrap();
    assert_eq!(here.harness.figures("t/sink").completed, 64);
    let fault = here.fault_within("send-endless t/sink", Duration::from_secs(20)).await;
    assert!(["out-of-fuel", "deadline"].contains(&fault.cause.name()), "{fault:?}");
    assert_eq!(here.harness.figures("t/sink").accepted, 128);
    here.end().await;
}

/// Two guests that send every message to each other.
async fn ring() -> Harness {
    harness()
        .destination(serial("t/ping"))
        .destination(serial("t/pong"))
        .guest(zoo_that("forward t/pong", "ping", &["t/ping"]).may_send(&["t/pong"]))
        .guest(zoo_that("forward t/ping", "pong", &["t/pong"]).may_send(&["t/ping"]))
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hop_1_h23_two_guests_that_send_to_each_other_end_by_themselves() {
    // Sixteen hops are allowed: messages of hop 0 to 16 are received, the send after that is refused.
    let harness = ring().await;
    harness.tell("t/ping", "round and round").await;
    harness.idle().await.unwrap();
    let (ping, pong) = (harness.figures("t/ping"), harness.figures("t/pong"));
    assert_eq!((ping.accepted, pong.accepted), (9, 8), "hops 0, 2, … 16 and 1, 3, … 15");
    let letter = harness.letter("t/ping");
    assert_eq!(letter.message.context().hop_count, 16);
    assert!(
        letter.last_error.as_str().contains("too many messages caused one another"),
        "{}",
        letter.last_error
    );
    assert_eq!((ping.pending, pong.pending), (0, 0));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hop_2_a_new_message_of_the_host_begins_at_hop_0_again() {
    // The count belongs to what caused what, not to the guests.
    let harness = ring().await;
    for round in 1..=2_u64 {
        harness.tell("t/ping", "again").await;
        harness.idle().await.unwrap();
        assert_eq!(harness.figures("t/ping").accepted, 9 * round);
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h25_a_message_that_sends_two_ends_in_hops_and_full_queues() {
    // Doubling meets the bound of the queue first; what was accepted is settled all the same.
    let mut place = serial("t/fork");
    place.queue_entries_max = 100;
    place.retry.attempts_max = 1;
    let others = harness()
        .destination(place)
        .guest(zoo_that("fork t/fork", "fork", &["t/fork"]).may_send(&["t/fork"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    here.harness.tell("t/fork", "two").await;
    here.harness.idle().await.unwrap();
    let of = here.harness.figures("t/fork");
    assert!(of.rejected["queue-full"] > 0 && of.pending == 0, "{of:?}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h26_a_request_to_the_own_serial_destination_is_told_at_once() {
    // The bus sees the cycle: no clock runs, and the worker takes the next message.
    let here = Neighbourhood::with(|hostile| {
        hostile.grants.send = vec![HOSTILE.parse().unwrap()];
    })
    .await;
    assert_eq!(here.answer("request t/hostile 1500 echo me").await, "error would-deadlock");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h27_sync_12_forged_response_ids_are_counted_and_wake_nobody() {
    // Ids are fresh and unguessable, so that only a listener that got the request can answer it.
    let others =
        harness().destination(parallel("t/asked")).guest(zoo_that("sleep 300", "asked", &["t/asked"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["sandbus/default-response".parse().unwrap()];
        hostile.limits.sends_max = 1_000;
    })
    .await;
    let request = here.harness.ask("t/asked", "slow question");
    let forging = here.harness.ask(HOSTILE, "forge sandbus/default-response 1000");
    let (real, forged) = tokio::join!(request, forging);
    assert_eq!(forged.as_deref(), Ok("1000 accepted"));
    assert_eq!(real.as_deref(), Ok("slept"));
    let of = here.harness.figures("sandbus/default-response");
    assert_eq!(of.dropped.get("forged-reply"), Some(&1_000));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h28_an_answer_after_the_timeout_and_a_second_one_are_counted_apart() {
    // Neither wakes anybody; the operator can tell a slow listener from one that answers twice.
    let harness =
        beside_a_neighbour().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let timeout = Some(Duration::from_millis(50));
    let late = harness.bus().request("t/a", Outgoing::text("sleep 200"), timeout).await;
    assert!(matches!(late, Err(RequestError::Timeout(_))), "{late:?}");
    assert_eq!(harness.answer("t/a", "answer-twice once").await, "once");
    harness.idle().await.unwrap();
    let dropped = harness.figures("sandbus/default-response").dropped;
    assert_eq!(dropped.get("late-reply"), Some(&1), "{dropped:?}");
    assert_eq!(dropped.get("duplicate-reply"), Some(&1), "{dropped:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h24_a_guest_cannot_strip_the_hop_count() {
    // It goes with every message that is sent while this one is handled, whatever the guest writes.
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("a", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("b", &["t/b"]))
        .start()
        .await
        .unwrap();
    let answer = harness.answer("t/a", "request t/b 1000 context").await;
    let context: Json = serde_json::from_str(answer.strip_prefix("reply ").expect(&answer)).unwrap();
    assert_eq!(context["hop_count"], 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h61_what_a_call_sent_before_it_trapped_stays_and_what_it_changed_is_discarded() {
    // In memory a send is accepted when it returns; a trap takes back changes, not messages.
    let others = harness().destination(serial("t/sink"));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/sink".parse().unwrap()];
    })
    .await;
    here.harness.note("t/sink").unwrap();
    let (_, letter) = here.fault("send-then-trap t/sink sent").await;
    assert_eq!(letter.values.get("changed"), None, "{:?}", letter.values);
    here.harness.idle().await.unwrap();
    assert_eq!(here.harness.received_texts(), ["sent"]);
    here.end().await;
}
