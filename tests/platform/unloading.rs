//! GUEST-1, GUEST-5, EVENT-6, H3: guests are loaded, unloaded, disabled and enabled while the platform runs, and nothing of
//! them is left behind.

use std::time::Duration;

use sandbus::bus::DeadLetterReason;
use sandbus::{GuestError, GuestState, SandboxEngine};

use crate::support::{
    Asking, Told, eventually, guest, harness, parallel, plugin, runtime, serial, zoo, zoo_that,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_5_a_guest_with_two_listeners_is_unloaded_and_nothing_of_it_is_left() {
    // Both are gone, observers saw it, no instance lives; what is sent then is held for whoever comes next.
    let own = SandboxEngine::new(&runtime()).unwrap();
    let harness = harness()
        .engine(own.clone())
        .destination(serial("t/a"))
        .destination(parallel("t/b"))
        .start()
        .await
        .unwrap();
    let told = Told::by(harness.bus());
    harness.platform().load_guest(zoo("guest", &["t/a", "t/b"])).await.unwrap();
    for place in ["t/a", "t/b"] {
        assert_eq!(harness.answer(place, "echo here").await, "here");
    }
    assert_eq!((harness.platform().guest("guest").unwrap().instances, own.instances()), (2, 2));
    harness.platform().unload_guest("guest", None).await.unwrap();
    assert_eq!(
        told.take(),
        [
            "guest-loaded guest",
            "guest-activated guest",
            "unregistered guest t/a",
            "unregistered guest t/b",
            "guest-unloaded guest"
        ]
    );
    assert_eq!((own.instances(), harness.platform().guests().len()), (0, 0));
    assert!(harness.bus().registrations("guest").is_empty());
    harness.tell("t/a", "echo later").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.figures("t/a").pending, 1, "held: nobody listens");
    let error = harness.platform().unload_guest("guest", None).await.unwrap_err();
    assert_eq!(error.to_string(), "no guest is called `guest`");
    harness.platform().load_guest(zoo("guest", &["t/a"])).await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.figures("t/a").completed, 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_6_observers_see_loaded_then_faulted_with_the_cause_then_unloaded() {
    // In this order, and as messages at `sandbus/events` too.
    let harness = harness().destination(serial("t/a")).start().await.unwrap();
    let told = Told::by(harness.bus());
    harness.note("sandbus/events").unwrap();
    harness.platform().load_guest(zoo("guest", &["t/a"])).await.unwrap();
    harness.tell("t/a", "panic now").await;
    harness.idle().await.unwrap();
    harness.platform().unload_guest("guest", None).await.unwrap();
    assert_eq!(
        told.take(),
        [
            "guest-loaded guest",
            "guest-activated guest",
            "faulted guest trap",
            "unregistered guest t/a",
            "guest-unloaded guest"
        ]
    );
    harness.idle().await.unwrap();
    let received: Vec<serde_json::Value> =
        harness.received_texts().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let named = |name: &str| received.iter().position(|event| event["event"] == name);
    let order = ["guest-loaded", "guest-activated", "listener-faulted", "guest-unloaded"].map(named);
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{order:?} in {received:#?}");
    assert_eq!(received[order[0].unwrap()]["build"].as_str().map(str::len), Some(8));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_1_unloading_waits_for_the_running_call_and_then_deactivates() {
    // The last call ends first.
    let mut settings = plugin("guest", "", "");
    settings.listens_to = vec!["t/a".to_owned()];
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(settings)
        .guest(zoo_that("sleep 200", "sleeper", &["t/b"]))
        .start()
        .await
        .unwrap();
    harness.tell("t/b", "x").await;
    assert_eq!(harness.answer("t/a", "last").await, "last");
    eventually("it is being received", || harness.figures("t/b").running == 1).await;
    harness.platform().unload_guest("sleeper", None).await.unwrap();
    assert_eq!(harness.figures("t/b").completed, 1);
    harness.platform().unload_guest("guest", None).await.unwrap();
    assert_eq!(harness.lines_of("guest"), ["activate", "receive last", "deactivate"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_5_a_call_that_outlasts_the_drain_of_an_unload_is_interrupted() {
    // What waits behind it follows the rule for a removed listener; nothing is tried again on a guest that is gone.
    let own = SandboxEngine::new(&runtime()).unwrap();
    let mut slow = zoo_that("sleep 600000", "guest", &["t/a"]);
    slow.limits.deadline = Duration::from_secs(1_800);
    let harness = harness().engine(own.clone()).destination(serial("t/a")).guest(slow).start().await.unwrap();
    harness.tell("t/a", "runs").await;
    harness.tell("t/a", "waits").await;
    eventually("it is being received", || harness.figures("t/a").running == 1).await;
    harness.platform().unload_guest("guest", Some(Duration::from_millis(50))).await.unwrap();
    let letters = harness.dead_letters("t/a");
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.clone()).collect();
    assert_eq!(reasons, [DeadLetterReason::ListenerRemoved, DeadLetterReason::Closed]);
    assert_eq!(letters[1].last_error.as_str(), "its guest was unloaded, and it did not end within 50 ms");
    assert_eq!(harness.figures("t/a").failed.get("interrupted"), Some(&1));
    assert_eq!(own.instances(), 0);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_a_deactivate_that_loops_ends_at_its_limit_and_the_unload_completes() {
    // So does a replacement: the old build's end is not the new one's business.
    let own = SandboxEngine::new(&runtime()).unwrap();
    let mut looping = plugin("guest", "", "loop");
    looping.listens_to = vec!["t/a".to_owned()];
    looping.limits.activate_fuel = 10_000_000;
    let harness = harness()
        .engine(own.clone())
        .destination(serial("t/a"))
        .guest(looping.clone())
        .start()
        .await
        .unwrap();
    let replaced = harness.platform().replace_guest("guest", looping).await.unwrap();
    let error = replaced.not_deactivated.expect("the old build loops").to_string();
    assert!(error.contains("out-of-fuel"), "{error}");
    assert_eq!(harness.answer("t/a", "on").await, "on");
    harness.platform().unload_guest("guest", None).await.unwrap();
    assert_eq!((own.instances(), harness.platform().guests().len()), (0, 0));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_5_a_guest_that_is_disabled_stays_known_and_is_enabled_again() {
    // Its settings stay; its messages follow the policy for no listener until it is back.
    let mut off = zoo("off", &["t/a"]);
    off.enabled = false;
    let harness =
        harness().destination(serial("t/a")).guest(off).guest(zoo("on", &["t/a"])).start().await.unwrap();
    let states = || -> Vec<(String, GuestState)> {
        let guests = harness.platform().guests().into_iter();
        guests.map(|guest| (guest.name.to_string(), guest.state)).collect()
    };
    assert_eq!(states(), [("off".to_owned(), GuestState::Disabled), ("on".to_owned(), GuestState::Active)]);
    assert_eq!(harness.answer("t/a", "echo on").await, "on");
    harness.platform().disable_guest("on").await.unwrap();
    harness.platform().disable_guest("on").await.unwrap();
    harness.tell("t/a", "echo held").await;
    harness.idle().await.unwrap();
    assert_eq!((harness.figures("t/a").pending, states()[1].1.clone()), (1, GuestState::Disabled));
    let error = harness.platform().reload_guest("on").await.unwrap_err();
    assert_eq!(error.to_string(), "guest `on` is disabled; enable it first");
    for name in ["off", "off", "on"] {
        harness.platform().enable_guest(name).await.unwrap();
    }
    harness.idle().await.unwrap();
    assert_eq!(states().into_iter().filter(|(_, state)| *state == GuestState::Active).count(), 2);
    assert_eq!(harness.figures("t/a").completed, 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_2_a_guest_that_cannot_be_loaded_is_not_there() {
    // Neither a bad component nor a second guest of a name leaves anything behind.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let bad = guest("missing_import", "bad", &["t/a"]);
    let error = harness.platform().load_guest(bad).await.unwrap_err();
    assert!(matches!(error, GuestError::Load { .. }), "{error}");
    let error = harness.platform().load_guest(zoo("guest", &["t/a"])).await.unwrap_err();
    assert_eq!(error.to_string(), "a guest is called `guest` already; replace it, or unload it first");
    let mut nowhere = zoo("bad", &["t/a"]);
    nowhere.listens_to.push("not a name".to_owned());
    let error = harness.platform().load_guest(nowhere).await.unwrap_err();
    assert!(matches!(error, GuestError::Listen { .. }), "{error}");
    assert!(harness.bus().registrations("bad").is_empty());
    assert_eq!(harness.platform().guests().len(), 1);
    assert_eq!(harness.answer("t/a", "echo on").await, "on");
    harness.settled().await;
}
