//! ERR-11: a guest that faults too often is left alone for a while, and what it is owed waits.

use std::time::Duration;

use sandbus::GuestSettings;
use sandbus::bus::CircuitBreaker;
use sandbus::harness::Harness;

use crate::support::{Asking, Granting, harness, parallel, serial, synchronous, zoo};

fn breaking(mut guest: GuestSettings, faults: u32, cooldown: Duration) -> GuestSettings {
    guest.circuit_breaker = Some(CircuitBreaker { faults, cooldown, ..CircuitBreaker::default() });
    guest
}

async fn faults(harness: &Harness, count: usize) {
    for number in 0..count {
        harness.tell("t/a", &format!("panic {number}")).await;
    }
    harness.idle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_11_a_guest_with_every_default_is_not_called_after_twenty_faults() {
    // It is on unless somebody says otherwise; what comes then keeps its place and is nobody's dead letter.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    faults(&harness, 25).await;
    let of = harness.figures("t/a");
    assert_eq!((of.delivered, of.dead_letters_kept), (20, 20));
    assert_eq!((of.pending, of.aside), (5, 5));
    assert_eq!(harness.end().await.bus.dead_letters, 5, "they became dead letters when the platform ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_11_a_guest_without_a_breaker_is_called_every_time() {
    let mut guest = zoo("guest", &["t/a"]);
    guest.circuit_breaker = None;
    let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
    faults(&harness, 25).await;
    assert_eq!(harness.figures("t/a").dead_letters_kept, 25);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_11_a_guest_that_answers_its_trial_call_gets_what_waited_in_order() {
    // The trial is an ordinary delivery: the first of those that wait.
    let guest = breaking(zoo("guest", &["t/a"]), 3, Duration::from_millis(50));
    let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
    faults(&harness, 3).await;
    for text in ["log 1 first", "log 1 second"] {
        harness.tell("t/a", text).await;
    }
    let done = async {
        while harness.figures("t/a").completed < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.expect("it is called again");
    let lines = harness.lines_of("guest");
    assert!(lines.ends_with(&["first".to_owned(), "second".to_owned()]), "{lines:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_11_a_guest_that_asks_one_that_is_left_alone_gets_listener_unavailable() {
    // At a synchronous destination nothing can wait: the guest that asks learns it at once, and may go on.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(synchronous("t/b"))
        .guest(zoo("asking", &["t/a"]).may_send(&["t/b"]))
        .guest(breaking(zoo("asked", &["t/b"]), 2, Duration::from_secs(600)))
        .start()
        .await
        .unwrap();
    for command in ["direct t/b panic", "request t/b 1000 panic"] {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.starts_with("error listener-faulted"), "{answer}");
    }
    for command in ["direct t/b echo", "request t/b 1000 echo"] {
        assert_eq!(harness.answer("t/a", command).await, "error listener-unavailable", "{command}");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_11_at_a_queued_destination_only_direct_mode_says_at_once_that_a_guest_is_left_alone() {
    // A request goes the normal way, and what goes the normal way waits; direct mode has nothing to wait in.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .guest(zoo("asking", &["t/a"]).may_send(&["t/b"]))
        .guest(breaking(zoo("asked", &["t/b"]), 2, Duration::from_secs(600)))
        .start()
        .await
        .unwrap();
    for _ in 0..2 {
        let answer = harness.answer("t/a", "direct t/b panic").await;
        assert!(answer.starts_with("error listener-faulted"), "{answer}");
    }
    assert_eq!(harness.answer("t/a", "direct t/b echo").await, "error listener-unavailable");
    assert_eq!(harness.answer("t/a", "request t/b 50 echo").await, "error timeout");
    let of = harness.figures("t/b");
    assert_eq!((of.aside, of.reported, of.delivered), (1, 3, 2), "{of:?}");
    harness.end().await;
}
