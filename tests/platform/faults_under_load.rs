//! F23, F24, F28, in their short form: many messages, full queues, many destinations.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sandbus::GuestSettings;
use sandbus::bus::{Event, EventFilter, Outgoing, QueueUnit, RejectedExecution, SendError};

use crate::neighbourhood::Neighbourhood;
use crate::support::{Asking, harness, parallel, serial, zoo_that};
use crate::watch::host_lines;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_delayed_messages_that_are_due_together_come_in_order_of_due_time_and_within_the_workers() {
    // At a serial destination the order is seen; at a parallel one, that no more than its workers run.
    const MESSAGES: u64 = 1_000;
    let mut pool = parallel("t/pool");
    pool.workers.max = 3;
    let others =
        harness().destination(serial("t/due")).destination(pool).guest(zoo_that("noop", "pool", &["t/pool"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    here.harness.note("t/due").unwrap();
    let mut due = Vec::new();
    for number in 0..MESSAGES {
        // Five groups, the last one first; within a group one after the other.
        let after = Duration::from_millis(1_500 - 250 * (number % 5));
        let message = || Outgoing::text(number.to_string()).deliver_after(after);
        let before = Instant::now();
        here.harness.send("t/due", message()).await.unwrap();
        due.push((before + after, Instant::now() + after));
        here.harness.send("t/pool", message()).await.unwrap();
    }
    here.harness.idle().await.unwrap();
    let received: Vec<usize> =
        here.harness.received_texts().iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(received.len() as u64, MESSAGES);
    let mut latest = due[received[0]].0;
    for number in &received {
        assert!(due[*number].1 >= latest, "{number} came after one that was due later");
        latest = latest.max(due[*number].0);
    }
    let of = here.harness.figures("t/pool");
    assert_eq!(of.completed, MESSAGES);
    assert!(of.workers_largest <= 3 && of.listeners[0].instances_made <= 3, "{of:?}");
    here.end().await;
}

/// What a flood of messages came to.
struct Flood {
    accepted: u64,
    full: u64,
    events: (usize, usize),
    warnings: usize,
}

const FLOOD: u64 = 500;
const ROOM: usize = 20;

/// Sends far faster than a guest works off, under this policy.
async fn flood(here: &Neighbourhood, place: &str) -> Flood {
    let told = Arc::new(Mutex::new((0, 0)));
    let kept = Arc::clone(&told);
    let name = place.parse().unwrap();
    let observation =
        here.harness.bus().observe(EventFilter::Destination(name), move |event: &Event| match event {
            Event::QueueFull { .. } => kept.lock().unwrap().0 += 1,
            Event::QueueRecovered { .. } => kept.lock().unwrap().1 += 1,
            _ => {}
        });
    let mut flood = Flood { accepted: 0, full: 0, events: (0, 0), warnings: 0 };
    for number in 0..FLOOD {
        match here.harness.send(place, Outgoing::text(number.to_string())).await {
            Ok(_) => flood.accepted += 1,
            Err(SendError::QueueFull { pending, pending_max, unit, .. }) => {
                assert_eq!((pending, pending_max, unit), (ROOM as u64, ROOM as u64, QueueUnit::Messages));
                flood.full += 1;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(here.harness.figures(place).pending <= ROOM);
    }
    here.harness.idle().await.unwrap();
    drop(observation);
    flood.events = *told.lock().unwrap();
    let lines = host_lines(&format!("destination={place} "));
    flood.warnings = lines.iter().filter(|line| line.level == tracing::Level::WARN).count();
    flood
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f24_senders_that_are_faster_than_a_guest_meet_exactly_the_policy() {
    // Nothing but the policy decides: what was turned away, waited, dropped or called is counted as just that.
    let policies = [
        RejectedExecution::Abort,
        RejectedExecution::Block(Duration::from_secs(3_600)),
        RejectedExecution::CallerRuns,
        RejectedExecution::Discard,
        RejectedExecution::DiscardOldest,
        RejectedExecution::DeadLetter,
    ];
    let mut others = harness();
    for policy in &policies {
        let name = format!("t/f24/{}", policy.name());
        let mut place = parallel(&name);
        place.queue_entries_max = ROOM;
        place.rejected_execution = policy.clone();
        others = others.destination(place).guest(zoo_that("sleep-quietly 1", policy.name(), &[&name]));
    }
    let here = Neighbourhood::among(others, |_| {}).await;
    for policy in &policies {
        let name = format!("t/f24/{}", policy.name());
        let flood = flood(&here, &name).await;
        let of = here.harness.figures(&name);
        let count = |counts: &std::collections::BTreeMap<&'static str, u64>| {
            counts.get("queue-full").copied().unwrap_or_default()
        };
        let (rejected, dropped) = (count(&of.rejected), count(&of.dropped));
        let ends = (flood.full, rejected, dropped, of.dead_letters);
        match policy {
            RejectedExecution::Abort => assert_eq!(ends, (rejected, rejected, 0, 0)),
            RejectedExecution::Block(_) | RejectedExecution::CallerRuns => assert_eq!(ends, (0, 0, 0, 0)),
            RejectedExecution::Discard | RejectedExecution::DiscardOldest => {
                assert_eq!(ends, (0, 0, dropped, 0))
            }
            _ => assert_eq!(ends, (0, 0, 0, of.dead_letters)),
        }
        assert_eq!(of.completed + rejected + dropped + of.dead_letters, FLOOD, "{}: {of:?}", policy.name());
        assert_eq!(
            of.completed < FLOOD,
            !matches!(policy, RejectedExecution::Block(_) | RejectedExecution::CallerRuns)
        );
        let (full, recovered) = flood.events;
        assert!(full > 0 && full == recovered, "{}: {full} times full, {recovered} recovered", policy.name());
        assert_eq!(flood.warnings, full, "{}: one warning for an episode", policy.name());
        assert_eq!(flood.accepted + flood.full, FLOOD);
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_ten_thousand_destinations_and_listeners_are_idle_and_each_of_them_works() {
    // A hundred guests at a hundred destinations each; none has an instance until something comes.
    const GUESTS: usize = 100;
    const PLACES: usize = 100;
    let place = |guest: usize, place: usize| format!("f28/{guest}/{place}");
    let mut others = harness();
    for guest in 0..GUESTS {
        let places: Vec<String> = (0..PLACES).map(|number| place(guest, number)).collect();
        for name in &places {
            others = others.destination(serial(name));
        }
        let mut settings =
            GuestSettings::new(format!("f28-{guest}"), crate::support::guest("noop", "noop", &[]).path);
        settings.listens_to = places;
        others = others.guest(settings);
    }
    let here = Neighbourhood::among(others, |_| {}).await;
    let bus = here.harness.bus();
    assert!(bus.destinations().len() >= GUESTS * PLACES);
    let of_idle: u64 =
        bus.all_statistics().iter().flat_map(|of| &of.listeners).map(|each| each.instances_made).sum();
    assert!(of_idle <= 2, "{of_idle} instances where nothing happened");
    for guest in 0..GUESTS {
        here.harness.tell(&place(guest, guest), "here").await;
    }
    here.harness.idle().await.unwrap();
    for guest in 0..GUESTS {
        assert_eq!(here.harness.figures(&place(guest, guest)).completed, 1);
    }
    here.end().await;
}
