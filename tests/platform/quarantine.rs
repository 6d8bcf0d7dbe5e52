//! F37: a guest that faults too often is called nowhere for a while, what it is owed waits, and others do not notice.

use std::time::Duration;

use sandbus::bus::{Outgoing, RequestError};
use sandbus::harness::Harness;
use sandbus::{GuestSettings, GuestState, OnStartupError, Quarantine};

use crate::support::{
    Asking, Told, beside_a_neighbour, eventually, parallel, plugin, runtime, serial, synchronous, zoo,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// The zoo that is quarantined after so many faults, first for so long; its breakers are off.
fn fragile(name: &str, listens_to: &[&str], faults: u32, initial: Duration) -> GuestSettings {
    let mut settings = zoo(name, listens_to);
    settings.circuit_breaker = None;
    settings.quarantine = Some(Quarantine { faults, initial, max: HOUR, ..Quarantine::default() });
    settings
}

fn state(harness: &Harness, guest: &str) -> GuestState {
    harness.platform().guest(guest).expect("it is there").state
}

fn is_quarantined(harness: &Harness, guest: &str) -> bool {
    matches!(state(harness, guest), GuestState::Quarantined { .. })
}

async fn panics(harness: &Harness, destination: &str, count: usize) {
    for _ in 0..count {
        harness.tell(destination, "panic now").await;
    }
    harness.idle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_guest_that_faults_too_often_is_called_nowhere_until_somebody_says_so() {
    // Faults of all its destinations count together; what is sent then waits, and whoever cannot wait is told.
    let harness = beside_a_neighbour()
        .destination(parallel("t/a"))
        .destination(serial("t/b"))
        .destination(synchronous("t/c"))
        .guest(fragile("guest", &["t/a", "t/b", "t/c"], 4, HOUR))
        .start()
        .await
        .unwrap();
    let told = Told::by(harness.bus());
    told.take();
    panics(&harness, "t/a", 2).await;
    panics(&harness, "t/b", 1).await;
    assert_eq!(state(&harness, "guest"), GuestState::Active, "three are not four");
    panics(&harness, "t/b", 1).await;
    let GuestState::Quarantined { why, retry_in, .. } = state(&harness, "guest") else { panic!("four are") };
    assert!(why.as_str().starts_with("4 faults; the last one: trap: panicked at"), "{why}");
    assert!(retry_in > Duration::from_secs(3_000), "{retry_in:?}");
    assert!(told.has("guest-quarantined guest"));
    harness.tell("t/a", "echo a").await;
    harness.tell("t/b", "echo b").await;
    harness.idle().await.unwrap();
    assert_eq!((harness.figures("t/a").aside, harness.figures("t/b").aside), (1, 1));
    let direct = harness.bus().request_direct("t/c", Outgoing::text("echo"), None).await;
    assert!(matches!(direct, Err(RequestError::ListenerUnavailable)), "{direct:?}");
    let asked = harness.request("t/c", Outgoing::text("echo")).await;
    assert!(matches!(asked, Err(RequestError::ListenerUnavailable)), "{asked:?}");
    told.take();
    harness.platform().release_guest("guest").await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!((harness.figures("t/a").completed, harness.figures("t/b").completed), (1, 1));
    assert_eq!(harness.answer("t/c", "echo c").await, "c");
    assert_eq!(state(&harness, "guest"), GuestState::Active);
    assert!(told.has("guest-recovered guest"));
    let status = harness.platform().guest("guest").unwrap();
    assert_eq!((status.calls, status.faults.get("trap")), (7, Some(&4)));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_quarantine_ends_by_itself_and_the_next_one_takes_longer() {
    // The guest gets its chance on a fresh instance; one that was not calm since gets the next one later.
    let first = Duration::from_secs(2);
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .guest(fragile("guest", &["t/a"], 3, first))
        .start()
        .await
        .unwrap();
    let told = Told::by(harness.bus());
    panics(&harness, "t/a", 3).await;
    assert!(told.has("guest-quarantined guest"));
    harness.tell("t/a", "echo waits").await;
    eventually("it is called again", || harness.figures("t/a").completed == 1).await;
    assert_eq!(state(&harness, "guest"), GuestState::Active);
    panics(&harness, "t/a", 3).await;
    let GuestState::Quarantined { since, retry_in, .. } = state(&harness, "guest") else { panic!("again") };
    assert!(since + retry_in > first * 3 / 2, "{since:?} {retry_in:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_guest_of_which_no_instance_can_be_made_stays_in_quarantine_until_it_is_mended() {
    // Being tried in vain is no reason to give its messages up.
    let mut small = fragile("guest", &["t/a"], 3, Duration::from_millis(20));
    small.limits.memory_bytes_max = 64 << 10;
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(small).start().await.unwrap();
    let told = Told::by(harness.bus());
    for text in ["echo one", "echo two"] {
        harness.tell("t/a", text).await;
    }
    eventually("it is in quarantine", || is_quarantined(&harness, "guest")).await;
    let waits = |least: u64| {
        let GuestState::Quarantined { since, retry_in, .. } = state(&harness, "guest") else { return false };
        since + retry_in > Duration::from_millis(least)
    };
    eventually("it is tried in vain, later each time", || waits(20 + 40 + 80)).await;
    assert!(!told.has("guest-recovered guest"));
    assert!(harness.platform().release_guest("guest").await.is_err());
    assert!(is_quarantined(&harness, "guest"));
    harness.platform().replace_guest("guest", zoo("guest", &["t/a"])).await.unwrap();
    eventually("what waited is received", || {
        let figures = harness.figures("t/a");
        figures.completed + figures.dead_letters == 2 && figures.completed > 0
    })
    .await;
    assert!(told.has("guest-recovered guest"));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_storm_of_faults_leaves_a_neighbour_alone() {
    // Beside it, on the same destination even, everything is received.
    let harness = beside_a_neighbour()
        .destination(parallel("t/a"))
        .guest(fragile("stormy", &["t/a"], 10, HOUR))
        .guest(crate::support::zoo_that("noop", "calm", &["t/a"]))
        .start()
        .await
        .unwrap();
    panics(&harness, "t/a", 200).await;
    assert!(is_quarantined(&harness, "stormy"));
    assert_eq!(state(&harness, "calm"), GuestState::Active);
    let calm = harness.platform().guest("calm").unwrap();
    assert_eq!((calm.calls, calm.faults.len()), (200, 0));
    let stormy = harness.platform().guest("stormy").unwrap();
    assert!(stormy.calls < 50, "it is left alone after ten faults and what ran then: {stormy:?}");
    let figures = harness.figures("t/a");
    assert_eq!(figures.aside as u64 + stormy.calls, 200);
    let ended = harness.end().await;
    assert!(ended.statistics.iter().all(sandbus::bus::DestinationStatistics::adds_up));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_few_faults_among_many_calls_and_a_guest_without_a_quarantine_go_on() {
    // The share counts as well as the number, and an operator may switch it off.
    let mut never = fragile("never", &["t/b"], 3, HOUR);
    never.quarantine = None;
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(fragile("seldom", &["t/a"], 3, HOUR))
        .guest(never)
        .start()
        .await
        .unwrap();
    for _ in 0..6 {
        for text in ["echo 1", "echo 2", "panic now"] {
            harness.tell("t/a", text).await;
        }
    }
    panics(&harness, "t/b", 20).await;
    for guest in ["seldom", "never"] {
        assert_eq!(state(&harness, guest), GuestState::Active, "{guest}");
    }
    assert_eq!(harness.figures("t/b").dead_letters, 20);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_guest_that_cannot_be_activated_at_the_start_is_tried_again() {
    // With `on-startup-error = "continue"` the others start, and its messages wait for it.
    let mut bad = plugin("bad", "panic at start", "");
    bad.listens_to = vec!["t/bad".to_owned()];
    bad.quarantine =
        Some(Quarantine { initial: Duration::from_millis(20), max: HOUR, ..Quarantine::default() });
    let settings = sandbus::RuntimeSettings { on_startup_error: OnStartupError::Continue, ..runtime() };
    let harness = beside_a_neighbour()
        .runtime(settings)
        .destination(parallel("t/bad"))
        .destination(serial("t/good"))
        .guest(bad)
        .guest(zoo("good", &["t/good", "t/bad"]))
        .start()
        .await
        .unwrap();
    harness.tell("t/bad", "echo waits").await;
    assert_eq!(harness.answer("t/good", "echo on").await, "on");
    eventually("it is tried again", || {
        harness.lines_of("bad").iter().filter(|line| *line == "activate").count() > 2
    })
    .await;
    harness.idle().await.unwrap();
    assert_eq!((harness.figures("t/bad").aside, harness.figures("t/bad").completed), (1, 1));
    let ended = tokio::time::timeout(Duration::from_secs(60), harness.end()).await.expect("it ends");
    assert_eq!((ended.bus.dead_letters, ended.not_deactivated.len()), (1, 0));
}
