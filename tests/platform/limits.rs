//! LIMIT: what one call may use; each limit beside a neighbour that does not notice.

use std::time::{Duration, Instant};

use sandbus::GuestLimits;
use sandbus::bus::{Cause, DestinationConfig, FailureKind, Outgoing, RejectedExecution, RequestError};

use crate::support::{Asking, Granting, harness, parallel, serial, zoo, zoo_that};

/// Fuel that no deadline of a test lets a guest use up.
const MUCH_FUEL: u64 = 1_000_000_000_000;

fn cause(ended: Result<String, RequestError>) -> Cause {
    match ended {
        Err(RequestError::ListenerFaulted(fault)) => fault.cause,
        other => panic!("not faulted: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_1_h1_an_endless_loop_is_out_of_fuel_once_while_the_neighbour_works() {
    // The same message uses the same fuel again: it is not tried a second time.
    let harness = harness()
        .destination(serial("t/loop"))
        .destination(parallel("t/good"))
        .guest(zoo("loop", &["t/loop"]))
        .guest(zoo_that("count", "good", &["t/good"]))
        .start()
        .await
        .unwrap();
    for _ in 0..5 {
        harness.tell("t/loop", "loop").await;
        harness.tell("t/good", "work").await;
    }
    harness.idle().await.unwrap();
    let letters = harness.dead_letters("t/loop");
    assert_eq!(letters.len(), 5);
    for letter in letters {
        assert_eq!((letter.reason.name(), letter.attempts), ("out-of-fuel", 1));
        assert_eq!(letter.fuel, Some(50_000_000));
        assert!(letter.last_error.as_str().starts_with("used all of its 50000000 fuel"));
    }
    assert_eq!(harness.figures("t/good").completed, 5);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_2_a_loop_with_much_fuel_ends_at_its_deadline() {
    // Fuel bounds work, the deadline bounds time; whichever comes first ends the call.
    let mut settings = zoo("loop", &["t/a"]);
    settings.limits.fuel = MUCH_FUEL;
    settings.limits.deadline = Duration::from_millis(200);
    let mut config = serial("t/a");
    config.retry.attempts_max = 1;
    let harness = harness().destination(config).guest(settings).start().await.unwrap();
    let began = Instant::now();
    assert_eq!(cause(harness.ask("t/a", "loop").await), Cause::Deadline);
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(harness.letter("t/a").last_error.as_str(), "deadline of 200 ms passed");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_3_h6_a_guest_that_sleeps_for_an_hour_ends_at_its_deadline() {
    // Waiting uses no fuel; only the deadline outside of the guest ends it.
    let mut settings = zoo("sleeper", &["t/a"]);
    settings.limits.deadline = Duration::from_millis(200);
    let mut config = serial("t/a");
    config.retry.attempts_max = 1;
    let harness = harness().destination(config).guest(settings).start().await.unwrap();
    let began = Instant::now();
    assert_eq!(cause(harness.ask("t/a", "sleep 3600000").await), Cause::Deadline);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    harness.settled().await;
}

fn full_and_blocking(name: &str) -> DestinationConfig {
    let mut config = serial(name);
    config.queue_entries_max = 1;
    config.rejected_execution = RejectedExecution::Block(Duration::from_secs(3_600));
    config.paused = true;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_3_a_guest_that_waits_for_room_in_a_full_queue_ends_in_time() {
    // `block` waits without a thread, and never past the sender's own deadline.
    let mut settings = zoo("sender", &["t/a"]).may_send(&["t/full"]);
    settings.limits.deadline = Duration::from_millis(200);
    let mut config = serial("t/a");
    config.retry.attempts_max = 1;
    let harness = harness()
        .destination(config)
        .destination(full_and_blocking("t/full"))
        .guest(settings)
        .guest(zoo_that("noop", "receiver", &["t/full"]))
        .start()
        .await
        .unwrap();
    harness.tell("t/full", "fills it").await;
    let began = Instant::now();
    // Sending ends shortly before the deadline, so that a guest sees `queue-full` and can still act.
    let answer = harness.ask("t/a", "send t/full one too many").await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    match answer {
        Ok(text) => assert!(text.starts_with("error queue-full"), "{text}"),
        Err(RequestError::ListenerFaulted(fault)) => assert_eq!(fault.cause, Cause::Deadline),
        Err(other) => panic!("{other:?}"),
    }
    harness.bus().resume("t/full").unwrap();
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_4_a_guest_never_holds_more_memory_than_it_may() {
    // A refused growth is an answer that the guest can handle; dying of it is the cause memory.
    let mut settings = zoo("hungry", &["t/a"]);
    settings.limits.fuel = MUCH_FUEL;
    let harness = harness().destination(serial("t/a")).guest(settings).start().await.unwrap();
    let handled: usize = harness.answer("t/a", "grow").await.parse().unwrap();
    assert!((32 << 20..=64 << 20).contains(&handled), "{handled}");
    assert_eq!(cause(harness.ask("t/a", "abort-memory").await), Cause::Memory);
    let letter = harness.letter("t/a");
    assert_eq!((letter.reason.name(), letter.attempts), ("memory", 1));
    assert!(letter.last_error.as_str().contains("67108864"), "{}", letter.last_error);
    let high = harness.figures("t/a").listeners[0].memory_bytes_max;
    assert!(high <= 64 << 20, "{high}");
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_5_the_send_beyond_the_limit_is_an_error_and_the_others_stay_accepted() {
    // Exceeding sends is told to the guest and the call goes on: ten were accepted and are owed.
    let mut settings = zoo("sender", &["t/a"]).may_send(&["t/b"]);
    settings.limits.sends_max = 10;
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(settings)
        .start()
        .await
        .unwrap();
    harness.note("t/b").unwrap();
    let answer = harness.answer("t/a", "send-many t/b 11").await;
    assert!(answer.starts_with("10 accepted, then limit-reached"), "{answer}");
    assert!(answer.contains("10 messages (`limits.sends`)"), "{answer}");
    assert_eq!(
        harness.answer("t/a", "send-many t/b 10").await,
        "10 accepted",
        "each call has its own budget"
    );
    harness.idle().await.unwrap();
    assert_eq!(harness.received().len(), 20);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_5_bytes_sent_in_one_call_are_bounded_the_same() {
    // The second of two messages no longer fits; a smaller one still would.
    let mut settings = zoo("sender", &["t/a"]).may_send(&["t/b"]);
    settings.limits.send_bytes_max = 1_000;
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(settings)
        .start()
        .await
        .unwrap();
    harness.note("t/b").unwrap();
    let answer = harness.answer("t/a", "send-big t/b 1001").await;
    assert!(answer.starts_with("error limit-reached") && answer.contains("1000 bytes"), "{answer}");
    assert!(harness.answer("t/a", "send-big t/b 1000").await.starts_with("sent "));
    harness.idle().await.unwrap();
    assert_eq!(harness.received().len(), 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_8_the_limits_in_force_are_those_of_the_semantics() {
    // Nothing configured is not nothing in force.
    let limits = GuestLimits::default();
    assert_eq!((limits.fuel, limits.deadline), (50_000_000, Duration::from_secs(2)));
    assert_eq!(limits.memory_bytes_max, 64 << 20);
    assert_eq!((limits.sends_max, limits.send_bytes_max, limits.log_bytes_max), (64, 1 << 20, 64 << 10));
    assert_eq!((limits.tables_max, limits.table_elements_max), (100, 100_000));
    assert_eq!((limits.activate_fuel, limits.activate_deadline), (100_000_000, Duration::from_secs(5)));
    assert_eq!((limits.host_memory_bytes_max, limits.instances_max), (8 << 20, 32));
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let left: u64 = harness.answer("t/a", "time-left").await.parse().unwrap();
    assert!((1_000..=2_000).contains(&left), "{left}");
    assert_eq!(cause(harness.ask("t/a", "loop").await), Cause::OutOfFuel);
    assert_eq!(harness.letter("t/a").fuel, Some(limits.fuel));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_2_a_deadline_is_tried_again_as_often_as_the_policy_says() {
    // A slow moment may pass, so that a deadline is retried where a trap is not.
    let mut settings = zoo("slow", &["t/a"]);
    settings.limits.deadline = Duration::from_millis(100);
    let mut config = serial("t/a");
    config.retry.delay_initial = Duration::from_millis(1);
    let harness = harness().destination(config).guest(settings).start().await.unwrap();
    assert_eq!(harness.answer("t/a", "sleep-once 60000").await, "awake");
    harness.send("t/a", Outgoing::text("sleep 60000")).await.unwrap();
    harness.idle().await.unwrap();
    let letter = harness.letter("t/a");
    assert_eq!((letter.reason.name(), letter.attempts), ("deadline", 3));
    assert_eq!(harness.figures("t/a").failed[FailureKind::Faulted(Cause::Deadline).name()], 4);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_6_figures_of_a_listener_come_from_its_calls() {
    // A hundred calls of different cost, and some that fail: what each used is in the percentiles, and nothing else.
    let mut place = serial("t/a");
    place.retry.attempts_max = 1;
    let harness = harness().destination(place).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    for turn in 0..98_u32 {
        harness.tell("t/a", &format!("work {}", turn * 1_000)).await;
    }
    harness.tell("t/a", "refuse no").await;
    harness.tell("t/a", "panic yes").await;
    harness.idle().await.unwrap();
    let of = harness.figures("t/a").listeners.remove(0);
    assert_eq!((of.calls, of.done), (100, 98));
    assert_eq!((of.failed["refused"], of.failed["trap"]), (1, 1));
    let fuel = of.fuel.expect("fuel was counted");
    assert!(fuel.p50 > 0 && fuel.p50 < fuel.p99 && fuel.p99 <= fuel.max, "{fuel:?}");
    assert_eq!((fuel.count, fuel.max), (100, of.fuel_max));
    assert!(of.fuel_total >= fuel.max && of.fuel_total <= 100 * fuel.max);
    assert!(of.memory_bytes_max >= 64 << 10, "{}", of.memory_bytes_max);
    assert_eq!(of.instances_made, 1);
    assert!(of.instance_age.is_some());
    harness.settled().await;
}
