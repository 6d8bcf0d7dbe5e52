//! GUEST-1, GUEST-8, H2, H3, H37: `activate` before the first message, `deactivate` after the last, each within limits.

use std::sync::Arc;
use std::time::Duration;

use sandbus::bus::Cause;
use sandbus::{GuestState, LifecycleError, OnStartupError, RuntimeSettings, SandboxEngine, StartError};

use crate::support::{
    Asking, Granting, beside_a_neighbour, guest, harness, plugin, runtime, serial, zoo, zoo_that,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_1_activate_comes_before_the_first_message_and_deactivate_after_the_last() {
    // A guest's deliveries wait until its own `activate` returned, even when another guest sends from its own.
    let slow = {
        let mut slow = plugin("slow", "sleep 200", "");
        slow.listens_to = vec!["t/a".to_owned()];
        slow
    };
    let eager = plugin("eager", "send t/a early", "").may_send(&["t/a"]);
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let config = sandbus::PlatformConfig {
        types: Vec::new(),
        schedules: Vec::new(),
        runtime: runtime(),
        destinations: vec![serial("t/a")],
        guests: vec![slow, eager],
        save_left: false,
        log_sink: Arc::new(move |line| kept.lock().unwrap().push(format!("{} {}", line.guest, line.text))),
        ..sandbus::PlatformConfig::default()
    };
    let platform = sandbus::Platform::start_on(crate::support::engine(), config).await.unwrap();
    platform.bus().send("t/a", sandbus::bus::Outgoing::text("late")).await.unwrap();
    let ended = platform.shutdown().await;
    assert!(ended.statistics.iter().all(sandbus::bus::DestinationStatistics::adds_up));
    let lines = lines.lock().unwrap();
    let of_slow: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("slow ")).collect();
    assert_eq!(of_slow, ["activate", "receive early", "receive late", "deactivate"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_8_a_sender_with_lifecycle_only_is_the_sender_of_what_it_sends() {
    // It has no listener and needs none; its name is what the host knows it by.
    let harness = harness()
        .destination(serial("t/a"))
        .guest(crate::support::sample("n8k5_baker", "sender").may_send(&["acme/n8k5_able"]))
        .destination(serial("acme/n8k5_able"))
        .start()
        .await
        .unwrap();
    harness.note("acme/n8k5_able").unwrap();
    harness.idle().await.unwrap();
    let received = harness.received();
    assert_eq!((received.len(), &*received[0].message().context().sender), (1, "sender"));
    assert_eq!(received[0].message().context().hop_count, 0);
    harness.settled().await;
}

async fn failed_start(guest: sandbus::GuestSettings) -> LifecycleError {
    let started = harness().destination(serial("t/a")).guest(guest).start().await;
    match started.err().expect("it must not start") {
        StartError::Activate { guest, source } => {
            assert_eq!(guest, "bad");
            source
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_an_activate_that_loops_or_sleeps_ends_at_its_limit_and_the_error_names_it() {
    // Start-up has limits of its own, and a guest that does not start keeps the host from starting, not from ending.
    let mut looping = plugin("bad", "loop", "");
    looping.limits.activate_fuel = 10_000_000;
    let LifecycleError::Faulted(fault) = failed_start(looping).await else { panic!("it loops") };
    assert_eq!(fault.cause, Cause::OutOfFuel);
    assert!(fault.text.as_str().contains("10000000"), "{}", fault.text);
    let mut sleeping = plugin("bad", "sleep 3600000", "");
    sleeping.limits.activate_deadline = Duration::from_millis(100);
    let LifecycleError::Faulted(fault) = failed_start(sleeping).await else { panic!("it sleeps") };
    assert_eq!((fault.cause, fault.text.as_str()), (Cause::Deadline, "deadline of 100 ms passed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_an_activate_that_says_no_or_panics_keeps_its_text() {
    // The reason is the guest's own; whoever starts it must read it.
    let LifecycleError::Answered(text) = failed_start(plugin("bad", "error no licence", "")).await else {
        panic!("it answers")
    };
    assert_eq!(text.as_str(), "no licence");
    let LifecycleError::Faulted(fault) = failed_start(plugin("bad", "panic no engine", "")).await else {
        panic!("it panics")
    };
    assert_eq!(fault.cause, Cause::Trap);
    assert!(fault.text.as_str().contains("no engine"), "{}", fault.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_beside_a_guest_that_fails_to_activate_the_others_start_when_told_to() {
    // `on-startup-error = continue` without a quarantine: the failed one listens no more, its neighbour does not notice.
    let mut bad = plugin("bad", "panic at start", "");
    bad.listens_to = vec!["t/bad".to_owned()];
    bad.quarantine = None;
    let settings = sandbus::RuntimeSettings { on_startup_error: OnStartupError::Continue, ..runtime() };
    let harness = beside_a_neighbour()
        .runtime(settings)
        .destination(serial("t/bad"))
        .destination(serial("t/good"))
        .guest(bad)
        .guest(zoo("good", &["t/good"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/good", "echo on").await, "on");
    assert!(!harness.bus().has_listener("t/bad"));
    let GuestState::Failed { why } = harness.platform().guest("bad").unwrap().state else {
        panic!("it failed")
    };
    assert!(why.as_str().contains("panicked at"), "{why}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_a_deactivate_that_loops_ends_at_its_limit_and_the_others_still_end_well() {
    // The end of a host does not depend on the good will of one guest.
    let mut bad = plugin("bad", "", "loop");
    bad.limits.activate_fuel = 10_000_000;
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .guest(plugin("first", "", ""))
        .guest(bad)
        .guest(zoo_that("noop", "last", &["t/a"]))
        .start()
        .await
        .unwrap();
    let ended = harness.settled().await;
    assert_eq!(ended.not_deactivated.len(), 1);
    let (guest, reason) = &ended.not_deactivated[0];
    assert_eq!(guest, "bad");
    assert!(reason.contains("out-of-fuel"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h37_start_and_stop_do_not_wait_for_what_a_guest_sends() {
    // `send` means accepted: a guest that sends to a slow listener is active before that one has answered.
    let harness = beside_a_neighbour()
        .destination(serial("t/slow"))
        .guest(zoo_that("sleep 500", "slow", &["t/slow"]))
        .guest(plugin("sender", "send t/slow hello", "send t/slow bye").may_send(&["t/slow"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.figures("t/slow").completed, 0);
    let ended = harness.settled().await;
    assert_eq!(
        ended.statistics.iter().filter(|each| each.name == "t/slow").map(|each| each.completed).sum::<u64>(),
        1
    );
    assert_eq!(ended.not_deactivated, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_1_there_is_no_message_in_hand_outside_of_receive() {
    // Reading one there is a fault of the guest: whatever was in hand before belongs to another call.
    let LifecycleError::Faulted(fault) = failed_start(plugin("bad", "stale", "")).await else {
        panic!("there is no message")
    };
    assert_eq!(fault.cause, Cause::Trap);
    assert!(fault.text.as_str().contains("outside of `receive`"), "{}", fault.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_1_a_guest_that_is_to_listen_but_exports_no_listener_does_not_start() {
    // The manifest asks for what the component does not have; nothing runs yet when that is found.
    let mut baker = crate::support::sample("n8k5_baker", "baker");
    baker.listens_to = vec!["t/a".to_owned()];
    let started = harness().destination(serial("t/a")).guest(baker).start().await;
    let text = started.err().expect("it must not start").to_string();
    assert_eq!(text, "guest `baker` listens to `t/a`, but exports no `message-listener`");
    let noop = harness().destination(serial("t/a")).guest(guest("noop", "noop", &["t/a"])).start().await;
    noop.unwrap().settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_platforms_that_have_ended_leave_no_engine_behind() {
    // Each has a pool of some terabytes of address space: sixty of them at once are more than a process has.
    for _ in 0..60 {
        let settings = RuntimeSettings { total_instances_max: 1_000, ..runtime() };
        let engine = SandboxEngine::new(&settings).unwrap_or_else(|error| panic!("{error}"));
        let harness = harness()
            .engine(engine)
            .destination(serial("t/a"))
            .guest(zoo("guest", &["t/a"]))
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(harness.answer("t/a", "echo here").await, "here");
        harness.settled().await;
    }
}
