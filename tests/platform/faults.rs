//! F10, F11, F25 to F27, F31 to F33: what fails around guests, and guests that fail, each beside a neighbour.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbus::bus::{
    Cause, CircuitBreaker, Event, EventFilter, FailureKind, Jitter, OnFailure, Outgoing, RequestError,
    RetryOn, SendError, listener_fn,
};

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, Granting, harness, parallel, serial, synchronous, zoo, zoo_that};
use crate::watch::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_host_code_that_panics_in_a_worker_is_a_failed_attempt_and_the_guest_beside_it_receives() {
    // A listener of the embedder's own: its panic ends its call, neither the worker nor the host.
    let others = harness().destination(parallel("t/both")).guest(zoo_that("note", "guest", &["t/both"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    let broken = listener_fn("broken", |_| async { panic!("host code gives up") });
    here.harness.bus().register("t/both", broken).unwrap();
    for number in 0..10 {
        here.harness.tell("t/both", &number.to_string()).await;
    }
    here.harness.idle().await.unwrap();
    let of = here.harness.figures("t/both");
    let calls: Vec<_> = of.listeners.iter().map(|each| (each.name.as_str(), each.calls, each.done)).collect();
    assert_eq!(calls, [("guest", 10, 10), ("broken", 10, 0)]);
    let letters = here.harness.dead_letters("t/both");
    assert_eq!(letters.len(), 10);
    assert!(letters.iter().all(|letter| letter.reason.name() == "trap" && letter.attempts == 1));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_a_listener_that_always_faults_is_left_alone_until_a_trial_succeeds() {
    // What comes meanwhile waits and is nobody's dead letter; at a synchronous destination the sender is told at once.
    let long = CircuitBreaker { faults: 2, cooldown: Duration::from_secs(600), ..CircuitBreaker::default() };
    let mut asked = zoo("asked", &["t/now"]);
    asked.circuit_breaker = Some(long);
    let others = harness().destination(synchronous("t/now")).guest(asked);
    let here = Neighbourhood::among(others, |hostile| {
        hostile.circuit_breaker = Some(CircuitBreaker {
            faults: 3,
            cooldown: Duration::from_millis(300),
            ..CircuitBreaker::default()
        });
    })
    .await;
    for number in 0..3 {
        here.fault(&format!("panic {number}")).await;
    }
    for number in 0..5 {
        here.harness.tell(HOSTILE, &format!("log 1 waited {number}")).await;
    }
    until("a trial call succeeds and the others follow", || here.harness.figures(HOSTILE).completed == 5)
        .await;
    let lines: Vec<_> =
        here.harness.lines_of("hostile").into_iter().filter(|line| line.starts_with("waited")).collect();
    assert_eq!(lines, (0..5).map(|number| format!("waited {number}")).collect::<Vec<_>>());
    assert_eq!(here.harness.figures(HOSTILE).dead_letters, 3);
    for _ in 0..2 {
        let faulted = here.harness.ask("t/now", "panic").await;
        assert!(matches!(faulted, Err(RequestError::ListenerFaulted(_))), "{faulted:?}");
    }
    assert_eq!(here.harness.ask("t/now", "echo").await, Err(RequestError::ListenerUnavailable));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f25_a_poison_message_does_not_stop_a_serial_destination() {
    // Three attempts, a dead letter, then the next one; with `skip` the others pass while it waits for its retries.
    for (on_failure, order) in
        [(OnFailure::Block, ["0", "0", "0", "next"]), (OnFailure::Skip, ["0", "next", "0", "0"])]
    {
        let mut place = serial("t/poison");
        place.on_failure = on_failure;
        place.retry.delay_initial = Duration::from_millis(700);
        place.retry.multiplier = 1.0;
        place.retry.jitter = Jitter::None;
        let others = harness().destination(place).guest(zoo("poisoned", &["t/poison"]));
        let here = Neighbourhood::among(others, |_| {}).await;
        here.harness.tell("t/poison", "options-then-retry").await;
        here.harness.tell("t/poison", "log 1 next").await;
        here.harness.idle().await.unwrap();
        assert_eq!(here.harness.lines_of("poisoned"), order, "{on_failure:?}");
        let letter = here.harness.letter("t/poison");
        assert_eq!((letter.reason.name(), letter.attempts), ("retry", 3));
        here.end().await;
    }
}

fn unix_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f26_while_every_call_fails_messages_wait_instead_of_becoming_dead_letters() {
    // The breaker opens, one trial at a time is spent, and the first that succeeds ends it for all that waited.
    const WAITING: u64 = 2_000;
    let mut place = parallel("t/sick");
    place.paused = true;
    place.retry.on = RetryOn::of(&[FailureKind::Faulted(Cause::Trap)]);
    place.retry.delay_initial = Duration::from_millis(5);
    let others = harness().destination(place);
    let well_at = unix_ms() + 2_500;
    let mut sick = zoo_that(&format!("panic-before {well_at}"), "sick", &["t/sick"]);
    sick.circuit_breaker = Some(CircuitBreaker {
        faults: 20,
        cooldown: Duration::from_millis(100),
        ..CircuitBreaker::default()
    });
    let here = Neighbourhood::among(others.guest(sick), |_| {}).await;
    for number in 0..WAITING {
        here.harness.tell("t/sick", &number.to_string()).await;
    }
    here.harness.bus().resume("t/sick").unwrap();
    until("all have ended", || {
        let of = here.harness.figures("t/sick");
        of.completed + of.dead_letters == WAITING
    })
    .await;
    let of = here.harness.figures("t/sick");
    // Until it was well, twenty calls and those that ran beside them opened the breaker, and then one a trial was made.
    let spent = of.failed["trap"];
    assert!((20..200).contains(&spent), "{spent} calls were spent on a guest that fails every one");
    assert!(of.dead_letters * 3 <= spent && of.completed > WAITING - 100, "{of:?}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_the_oldest_dead_letter_leaves_at_each_bound_is_counted_and_makes_no_other() {
    // By number, by bytes and by age: one event for an episode, and never a dead letter of a dead letter.
    let mut by_number = serial("t/number");
    by_number.dead_letters.letters_max = 5;
    let mut by_bytes = serial("t/bytes");
    by_bytes.dead_letters.bytes_max = 8_000;
    let mut by_age = serial("t/age");
    by_age.dead_letters.age_max = Duration::from_millis(200);
    let mut others = harness();
    for (place, name) in [(by_number, "number"), (by_bytes, "bytes"), (by_age, "age")] {
        others = others.destination(place).guest(zoo(name, &[&format!("t/{name}")]));
    }
    let here = Neighbourhood::among(others, |_| {}).await;
    let left = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&left);
    let _observation = here.harness.bus().observe(EventFilter::All, move |event: &Event| {
        if let Event::DeadLettersLeft { destination, count } = event {
            told.lock().unwrap().push((destination.to_string(), *count));
        }
    });
    for number in 0..12 {
        here.harness.tell("t/number", &format!("refuse {number}")).await;
        here.harness.tell("t/bytes", &format!("refuse {} {number}", "x".repeat(1_000))).await;
        here.harness.tell("t/age", &format!("refuse {number}")).await;
    }
    here.harness.idle().await.unwrap();
    let kept: Vec<_> =
        here.harness.dead_letters("t/number").iter().map(|letter| letter.last_error.to_string()).collect();
    assert_eq!(kept, ["7", "8", "9", "10", "11"]);
    let bytes = here.harness.figures("t/bytes");
    assert!((1..8).contains(&bytes.dead_letters_kept), "{bytes:?}");
    until("what is too old has left", || here.harness.dead_letters("t/age").is_empty()).await;
    for name in ["t/number", "t/bytes", "t/age"] {
        let of = here.harness.figures(name);
        assert_eq!((of.accepted, of.dead_letters, of.failed["refused"]), (12, 12, 12), "{name}");
        assert_eq!(of.dropped["dead-letter-bound"] + of.dead_letters_kept as u64, 12, "{name}");
        assert!(of.adds_up());
    }
    let left = left.lock().unwrap().clone();
    assert!(left.iter().any(|(name, _)| name == "t/number"), "{left:?}");
    // At most one a second: seven letters that left at once were not seven events.
    assert!(left.iter().filter(|(name, _)| name == "t/number").count() < 7, "{left:?}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f31_a_reply_after_the_senders_timeout_is_counted_and_dropped() {
    // One timeout, for a host and for a guest that asks; nobody gets the answer to an older question.
    let others = harness().destination(serial("t/slow")).guest(zoo("slow", &["t/slow"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/slow".parse().unwrap()];
    })
    .await;
    let timeout = Some(Duration::from_millis(50));
    let late = here.harness.bus().request("t/slow", Outgoing::text("sleep 300"), timeout).await;
    assert!(matches!(late, Err(RequestError::Timeout(_))), "{late:?}");
    assert_eq!(here.answer("request t/slow 50 sleep 300").await, "error timeout");
    assert_eq!(here.harness.answer("t/slow", "echo the next answer").await, "the next answer");
    here.harness.idle().await.unwrap();
    let dropped = here.harness.figures("sandbus/default-response").dropped;
    assert_eq!(dropped.get("late-reply"), Some(&2), "{dropped:?}");
    assert_eq!(here.harness.figures("t/slow").completed, 3);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f32_a_sender_learns_of_a_fault_once_every_listener_has_settled_and_not_when_the_clock_runs_out() {
    // Two listeners: one faults at once, the other is still busy and might yet answer.
    let mut place = parallel("t/asked");
    place.request_timeout = Duration::from_secs(3_600);
    place.retry.attempts_max = 1;
    let others = harness().destination(place).guest(zoo("faulting", &["t/asked"])).guest(zoo_that(
        "sleep-quietly 300",
        "busy",
        &["t/asked"],
    ));
    let here = Neighbourhood::among(others, |_| {}).await;
    let asked = here.harness.ask("t/asked", "panic at once").await;
    let Err(RequestError::ListenerFaulted(fault)) = asked else { panic!("{asked:?}") };
    assert_eq!(fault.cause, Cause::Trap);
    let busy = &here.harness.figures("t/asked").listeners[1];
    assert_eq!((busy.name.as_str(), busy.calls), ("busy", 1), "told before the other one had settled");
    // One that passes the question on, and faults: whoever has it now may answer.
    here.end().await;
    let others = harness()
        .destination(serial("t/first"))
        .destination(serial("t/second"))
        .guest(zoo("first", &["t/first"]).may_send(&["t/second"]))
        .guest(zoo_that("sleep-answer 300", "second", &["t/second"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    let answer = here.harness.ask("t/first", "pass-on-then-panic t/second").await;
    assert_eq!(answer.as_deref(), Ok("answered"));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f33_no_listener_and_no_such_destination_are_told_at_once() {
    // To the host and to a guest that asks; a timeout of an hour is not waited for.
    let others = harness().destination(synchronous("t/nobody"));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/**".parse().unwrap()];
    })
    .await;
    let hour = Some(Duration::from_secs(3_600));
    let nobody = here.harness.bus().request("t/nobody", Outgoing::text("x"), hour).await;
    assert!(matches!(nobody, Err(RequestError::NotSent(SendError::NoListener(_)))), "{nobody:?}");
    let nowhere = here.harness.bus().request("t/nowhere", Outgoing::text("x"), hour).await;
    assert!(matches!(nowhere, Err(RequestError::NotSent(SendError::NoSuchDestination(_)))), "{nowhere:?}");
    let told = here.answer("request t/nobody 3600000 x").await;
    assert!(told.starts_with("error not-sent: no-listener"), "{told}");
    let told = here.answer("request t/nowhere 3600000 x").await;
    assert!(told.starts_with("error not-sent: no-such-destination"), "{told}");
    assert_eq!(here.harness.figures("t/nobody").rejected["no-listener"], 2);
    here.end().await;
}
