//! SCHED: schedules of a platform, from the last `activate` to the beginning of the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sandbus::bus::{Outgoing, ScheduleConfig};
use sandbus::{LogLine, Platform, PlatformConfig, StartError};

use crate::support::{engine, harness, plugin, runtime, serial, zoo_that};

fn every(name: &str, destination: &str, interval: Duration) -> ScheduleConfig {
    let message = Outgoing::text("tick").value("by", name).unwrap();
    ScheduleConfig::every(name, destination.parse().unwrap(), interval, message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sched_1_a_guest_receives_what_a_schedule_sends_from_the_host() {
    // The same message each time; its sender is the host, and nothing caused it.
    let harness = harness()
        .destination(serial("t/a"))
        .guest(zoo_that("note", "guest", &["t/a"]))
        .schedule(every("s", "t/a", Duration::from_millis(20)))
        .start()
        .await
        .unwrap();
    harness.note("t/a").unwrap();
    let third = async {
        while harness.received().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), third).await.expect("it fires");
    let received = harness.received();
    for delivery in &received {
        let context = delivery.message().context();
        assert_eq!((&*context.sender, context.hop_count, delivery.text()), ("host", 0, Some("tick")));
    }
    assert!(harness.lines_of("guest").len() >= 3);
    let bus = harness.bus().clone();
    harness.end().await;
    let of = &bus.schedules()[0];
    assert_eq!(
        (of.state.name(), of.errors.len()),
        ("completed", 0),
        "it ended before its destination did: {of:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_begins_when_every_guest_is_active() {
    // What it sends meets a platform that is ready; an interval counts from there.
    let began = SystemTime::now();
    let harness = harness()
        .destination(serial("t/a"))
        .guest(plugin("slow", "sleep 200", ""))
        .schedule(every("s", "t/a", Duration::from_millis(1)))
        .start()
        .await
        .unwrap();
    harness.note("t/a").unwrap();
    let first = async {
        while harness.received().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), first).await.expect("it fires");
    let sent_at = harness.received()[0].message().context().sent_at;
    assert!(sent_at >= began + Duration::from_millis(200), "it fired while `activate` slept");
    harness.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sched_2_a_schedule_that_is_not_legal_stops_the_start_before_any_guest_is_active() {
    // An error of configuration comes before the first line of a guest.
    let lines = Arc::new(Mutex::new(Vec::new()));
    let start = |schedules: Vec<ScheduleConfig>| {
        let kept = Arc::clone(&lines);
        let config = PlatformConfig {
            runtime: runtime(),
            destinations: vec![serial("t/a")],
            guests: vec![plugin("guest", "", "")],
            schedules,
            save_left: false,
            log_sink: Arc::new(move |line: &LogLine| kept.lock().unwrap().push(line.text.clone())),
            ..PlatformConfig::default()
        };
        Platform::start_on(engine(), config)
    };
    let error = start(vec![every("s", "t/a", Duration::ZERO)]).await.err().expect("it must not start");
    assert!(matches!(error, StartError::Schedule(_)), "{error}");
    assert!(error.to_string().contains("`s`") && error.to_string().contains("0ns"), "{error}");
    assert!(lines.lock().unwrap().is_empty(), "{lines:?}");
    // What only the bus can tell comes later; whoever was activated by then is deactivated.
    let twice = vec![every("s", "t/a", Duration::from_secs(60)); 2];
    let error = start(twice).await.err().expect("it must not start");
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(*lines.lock().unwrap(), ["activate", "deactivate"]);
}
