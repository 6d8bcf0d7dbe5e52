//! ERR, SYNC: how a guest's call ends, what becomes of the message, and what a waiting sender is told.

use std::time::{Duration, Instant};

use sandbus::bus::{Cause, DeadLetterReason, FailureKind, RequestError};

use crate::support::{Asking, Granting, harness, parallel, serial, zoo};

const TRAP: DeadLetterReason = DeadLetterReason::Failed(FailureKind::Faulted(Cause::Trap));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_5_a_panic_a_division_by_zero_and_a_wild_read_are_traps_with_their_text() {
    // Three ways to stop oneself, one cause; the text tells them apart, and the next message gets a new instance.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let cases = [
        ("panic no such order", "no such order"),
        ("divide", "divide by zero"),
        ("oob", "out of bounds"),
        ("unreachable", "unreachable"),
        ("exit", "exit"),
    ];
    for (command, text) in cases {
        harness.tell("t/a", command).await;
        harness.idle().await.unwrap();
        let letter = harness.dead_letters("t/a").pop().expect(command);
        assert_eq!((&letter.reason, letter.attempts), (&TRAP, 1), "{command}");
        assert!(letter.last_error.as_str().contains(text), "{command}: {}", letter.last_error);
        assert_eq!(harness.answer("t/a", "echo on").await, "on", "after {command}");
    }
    harness.idle().await.unwrap();
    let of = harness.figures("t/a");
    assert_eq!((of.completed, of.dead_letters, of.failed["trap"]), (5, 5, 5));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_5_a_trap_names_the_function_in_which_it_happened() {
    // Names are all that a component without debug information has, and enough to find the place.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    for (command, function) in
        [("oob", "read_outside_memory"), ("divide", "divide"), ("loop", "loop_for_ever")]
    {
        harness.tell("t/a", command).await;
        harness.idle().await.unwrap();
        let letter = harness.dead_letters("t/a").pop().expect(command);
        assert!(letter.last_error.as_str().contains(function), "{command}: {}", letter.last_error);
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_6_a_refusal_is_one_attempt_and_names_guest_build_and_text() {
    // The listener says that the message is bad and stays bad: trying again would only cost.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let id = harness.tell("t/a", "refuse bad total").await;
    harness.idle().await.unwrap();
    let letter = harness.letter("t/a");
    assert_eq!(letter.reason, DeadLetterReason::Failed(FailureKind::Refused));
    assert_eq!((letter.attempts, letter.last_error.as_str()), (1, "bad total"));
    assert_eq!((letter.message.id(), letter.message.destination().as_str()), (id, "t/a"));
    assert_eq!(letter.listener.as_deref(), Some("guest"));
    let build = harness.platform().guests()[0].build.clone();
    assert!(build.is_some());
    assert_eq!(letter.build, build);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_7_a_listener_that_asks_for_a_retry_is_called_three_times() {
    // The default policy: three attempts in all, the attempt in the context each time.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    harness.tell("t/a", "retry 1").await;
    assert_eq!(harness.answer("t/a", "retry-until 3").await, "3");
    harness.idle().await.unwrap();
    let letter = harness.letter("t/a");
    assert_eq!((letter.reason.name(), letter.attempts), ("retry", 3));
    assert_eq!(harness.figures("t/a").retried, 4);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn err_8_a_trap_on_one_payload_costs_one_call_and_the_next_message_completes() {
    // A trap is not tried again: the same bytes would trap again.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    harness.tell("t/a", "panic poison").await;
    harness.tell("t/a", "count").await;
    harness.idle().await.unwrap();
    let letter = harness.letter("t/a");
    assert_eq!((&letter.reason, letter.attempts), (&TRAP, 1));
    let listener = &harness.figures("t/a").listeners[0];
    assert_eq!((listener.calls, listener.done, listener.instances_made), (2, 1, 2));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_8_a_sender_learns_of_a_trap_at_once_and_with_its_cause() {
    // Once every listener has settled there is nothing to wait for.
    let harness = harness().destination(parallel("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let began = Instant::now();
    let Err(RequestError::ListenerFaulted(fault)) = harness.ask("t/a", "panic at the disco").await else {
        panic!("a panic answers nobody");
    };
    assert_eq!(fault.cause, Cause::Trap);
    assert!(fault.text.as_str().contains("at the disco"), "{}", fault.text);
    assert!(began.elapsed() < Duration::from_secs(5), "far below the timeout of 10 s");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_7_a_guest_that_asks_another_is_told_why_it_was_refused() {
    // The failure crosses the sandbox as a typed error with the other guest's text.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("a", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("b", &["t/b"]))
        .start()
        .await
        .unwrap();
    let refused = harness.answer("t/a", "request t/b 1000 refuse bad total").await;
    assert_eq!(refused, "error listener-refused: bad total");
    let faulted = harness.answer("t/a", "request t/b 1000 panic oh").await;
    assert!(faulted.starts_with("error listener-faulted: trap: ") && faulted.contains("oh"), "{faulted}");
    assert_eq!(harness.answer("t/a", "request t/b 1000 noop").await, "error no-reply");
    assert_eq!(harness.answer("t/a", "request t/b 100 sleep 1000").await, "error timeout");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_13_h26_a_guest_that_requests_from_its_own_serial_destination_is_told_at_once() {
    // The only worker that could answer is the one that waits: the bus sees the cycle.
    let harness = harness()
        .destination(serial("t/a"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/a"]))
        .start()
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(harness.answer("t/a", "request t/a 1000 echo me").await, "error would-deadlock");
    assert!(began.elapsed() < Duration::from_millis(900), "before the request's own timeout");
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_13_a_cycle_over_two_serial_destinations_is_seen_too() {
    // A waits for B, whose listener asks A: the chain of those who wait travels with the message.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("a", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("b", &["t/b"]).may_send(&["t/a"]))
        .start()
        .await
        .unwrap();
    let inner = "request t/b 1500 request t/a 1000 echo me";
    assert_eq!(harness.answer("t/a", inner).await, "reply error would-deadlock");
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    harness.settled().await;
}
