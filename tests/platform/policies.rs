//! INST: which instance receives which message, under each policy, and when an instance is not used again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sandbus::bus::{Cause, Outgoing, RequestError};
use sandbus::harness::Harness;
use sandbus::{GuestSettings, InstancePolicy};

use crate::support::{
    Asking, Granting, harness, parallel, plugin, runtime, serial, synchronous, zoo, zoo_that,
};

fn under(policy: InstancePolicy, mut settings: GuestSettings) -> GuestSettings {
    settings.instances.policy = policy;
    settings
}

fn single(settings: GuestSettings) -> GuestSettings {
    under(InstancePolicy::Single, settings)
}

/// A plugin that listens here, under the policy `single`.
fn single_plugin(deactivate: &str, listens_to: &[&str]) -> GuestSettings {
    let mut settings = single(plugin("guest", "", deactivate));
    settings.listens_to = listens_to.iter().map(ToString::to_string).collect();
    settings
}

async fn counts(guest: GuestSettings, messages: usize) -> Vec<String> {
    let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
    let mut counts = Vec::new();
    for _ in 0..messages {
        counts.push(harness.answer("t/a", "count").await);
    }
    harness.settled().await;
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_2_per_message_each_message_has_a_fresh_instance() {
    // Nothing survives, so that no message can see what another one left.
    let guest = under(InstancePolicy::PerMessage, zoo("guest", &["t/a"]));
    assert_eq!(counts(guest, 5).await, ["1", "1", "1", "1", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_4_an_instance_is_dropped_after_as_many_calls_as_it_may_have() {
    // A guest that leaks can be lived with.
    let mut guest = zoo("guest", &["t/a"]);
    guest.instances.uses_max = Some(2);
    assert_eq!(counts(guest.clone(), 5).await, ["1", "2", "1", "2", "1"]);
    assert_eq!(counts(single(guest), 5).await, ["1", "2", "1", "2", "1"]);
}

async fn until_no_instance(harness: &Harness) {
    let began = Instant::now();
    while harness.platform().guests()[0].instances > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the idle instance is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_an_instance_that_is_idle_for_too_long_goes_without_a_message() {
    // What it held goes back by itself; the next message finds a fresh one.
    for policy in [InstancePolicy::PerWorker, InstancePolicy::Single] {
        let mut guest = under(policy, zoo("guest", &["t/a"]));
        guest.instances.idle_max = Some(Duration::from_millis(50));
        let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
        assert_eq!(harness.answer("t/a", "count").await, "1");
        until_no_instance(&harness).await;
        assert_eq!(harness.answer("t/a", "count").await, "1", "{policy:?}");
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_an_instance_that_is_used_in_time_stays() {
    // The limit is of idle time, not of age.
    let mut guest = zoo("guest", &["t/a"]);
    guest.instances.idle_max = Some(Duration::from_secs(60));
    assert_eq!(counts(guest, 3).await, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_single_all_destinations_and_workers_share_one_instance_that_takes_turns() {
    // Two destinations with up to five workers each: every count from 1 on, each once.
    let harness = harness()
        .destination(parallel("t/a"))
        .destination(parallel("t/b"))
        .destination(synchronous("t/c"))
        .guest(single(zoo_that("count", "guest", &["t/a", "t/b", "t/c"])))
        .start()
        .await
        .unwrap();
    for _ in 0..40 {
        for place in ["t/a", "t/b", "t/c"] {
            harness.tell(place, "go").await;
        }
    }
    harness.idle().await.unwrap();
    let counted = harness.lines_of("guest");
    let wanted: Vec<String> = (1..=120).map(|count| format!("count {count}")).collect();
    assert_eq!(counted, wanted);
    assert_eq!(harness.platform().guests()[0].instances, 1);
    harness.settled().await;
}

/// Has a guest receive these at one destination, shuts down, and answers all that it logged.
async fn lines_of_a_life(guest: GuestSettings, messages: &[&str]) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let config = sandbus::PlatformConfig {
        runtime: runtime(),
        destinations: vec![serial("t/a")],
        guests: vec![guest],
        log_sink: Arc::new(move |line| kept.lock().unwrap().push(line.text.clone())),
        ..sandbus::PlatformConfig::default()
    };
    let platform = sandbus::Platform::start_on(crate::support::engine(), config).await.unwrap();
    for message in messages {
        platform.bus().send("t/a", Outgoing::text(*message)).await.unwrap();
    }
    let ended = platform.shutdown().await;
    assert!(ended.not_deactivated.is_empty(), "{:?}", ended.not_deactivated);
    let lines = lines.lock().unwrap();
    lines.iter().filter(|line| !line.contains("panicked") && !line.contains("backtrace")).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_single_activate_and_deactivate_run_on_the_one_instance() {
    // What `activate` sets up is there for every message, and for `deactivate`.
    let guest = single_plugin("activations", &["t/a"]);
    let lines = lines_of_a_life(guest, &["activations", "activations"]).await;
    let called = ["activate", "receive activations", "activations 1", "receive activations", "activations 1"];
    assert_eq!(lines, [&called[..], &["deactivate", "activations 1"]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_per_worker_activate_runs_on_an_instance_of_its_own() {
    // Beside the policy `single`: those that receive have not been activated themselves.
    let mut guest = plugin("guest", "", "activations");
    guest.listens_to = vec!["t/a".to_owned()];
    let lines = lines_of_a_life(guest, &["activations"]).await;
    let called = ["activate", "receive activations", "activations 0", "deactivate", "activations 1"];
    assert_eq!(lines, called);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_single_a_fault_takes_the_instance_and_activate_does_not_run_again() {
    // It runs once for each loaded build; a guest that needs its state back makes it where it is missing.
    let guest = single_plugin("activations", &["t/a"]);
    let lines = lines_of_a_life(guest, &["activations", "panic", "activations"]).await;
    let wanted = [
        "activate",
        "receive activations",
        "activations 1",
        "receive panic",
        "receive activations",
        "activations 0",
        "deactivate",
        "activations 0",
    ];
    let own = lines.iter().filter(|line| !line.is_empty() && !line.contains("asked to"));
    assert_eq!(own.collect::<Vec<_>>(), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_single_waits_for_its_turn_and_not_past_its_deadline() {
    // The second delivery has less time than the first one takes: no instance came free for it.
    let mut guest = single(zoo("guest", &["t/a", "t/b"]));
    guest.limits.deadline = Duration::from_millis(600);
    let mut impatient = serial("t/b");
    impatient.retry.attempts_max = 1;
    let harness =
        harness().destination(serial("t/a")).destination(impatient).guest(guest).start().await.unwrap();
    harness.tell("t/a", "sleep 300").await;
    assert_eq!(harness.answer("t/b", "echo in turn").await, "in turn");
    // One that sleeps for longer than it may leaves the other one less than nothing.
    let busy = harness.platform().bus().clone();
    let holder = tokio::spawn(async move { busy.request("t/a", Outgoing::text("sleep 60000"), None).await });
    let began = Instant::now();
    while harness.figures("t/a").running == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waited =
        harness.bus().request_direct("t/b", Outgoing::text("noop"), Some(Duration::from_millis(100)));
    match waited.await {
        Err(RequestError::Timeout(_)) => {}
        Err(RequestError::ListenerFaulted(fault)) => assert_eq!(fault.cause, Cause::Instantiate),
        other => panic!("{other:?}"),
    }
    assert!(holder.await.unwrap().is_err());
    assert_eq!(harness.answer("t/b", "echo next").await, "next");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_single_a_guest_that_reaches_itself_would_deadlock_at_once() {
    // Directly, over another guest, and in direct mode; whatever type the destination has.
    let harness = harness()
        .destination(parallel("t/a"))
        .destination(parallel("t/again"))
        .destination(synchronous("t/sync"))
        .destination(parallel("t/other"))
        .guest(single(zoo("one", &["t/a", "t/again", "t/sync"]).may_send(&["t/**"])))
        .guest(zoo("other", &["t/other"]).may_send(&["t/**"]))
        .start()
        .await
        .unwrap();
    for place in ["t/a", "t/again", "t/sync"] {
        let told = harness.answer("t/a", &format!("request {place} 1500 echo me")).await;
        assert_eq!(told, "error would-deadlock", "{place}");
    }
    assert_eq!(harness.answer("t/a", "direct t/again echo me").await, "error would-deadlock");
    let over = harness.answer("t/a", "request t/other 1500 request t/again 1500 echo me").await;
    assert_eq!(over, "reply error would-deadlock");
    assert_eq!(harness.answer("t/other", "request t/a 1500 echo me").await, "reply me", "no cycle");
    // What is sent and not waited for comes in its turn; to a synchronous destination it would have to be waited for.
    assert!(harness.answer("t/a", "send t/again echo later").await.starts_with("sent "));
    let began = Instant::now();
    harness.answer("t/a", "send t/sync echo never").await;
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    harness.idle().await.unwrap();
    assert_eq!(harness.letter("t/sync").reason.name(), "refused");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_per_worker_a_guest_that_reaches_itself_gets_another_instance() {
    // Beside the policy `single`: it counts for itself there.
    let harness = harness()
        .destination(parallel("t/a"))
        .destination(synchronous("t/sync"))
        .guest(zoo("guest", &["t/a", "t/sync"]).may_send(&["t/**"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "request t/a 1500 count").await, "reply 1");
    assert_eq!(harness.answer("t/sync", "request t/sync 1500 count").await, "reply 1");
    harness.settled().await;
}
