//! QUEUE: the queue and its overflow; the destination of each scenario is filled by a listener that blocks.

use crate::support::*;

/// A destination whose only worker is blocked with message `0`, so that the queue alone decides.
async fn blocked(config: DestinationConfig) -> (Bus, Notes, Gate) {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    let one_worker = config.destination_type == DestinationType::Parallel;
    let config = with(config, |config| {
        if one_worker {
            config.workers = Workers { core: 1, max: 1, ..config.workers };
        }
    });
    bus.create(config).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/x", text("0")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    (bus, notes, gate)
}

fn bounded(config: DestinationConfig, entries: usize, policy: RejectedExecution) -> DestinationConfig {
    with(config, |config| {
        config.queue_entries_max = entries;
        config.rejected_execution = policy;
    })
}

#[tokio::test(start_paused = true)]
async fn queue_1_a_full_queue_refuses_with_both_numbers_and_keeps_what_it_has() {
    // The sender must know, and what was accepted stays accepted.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes, gate) = blocked(bounded(config, 1, RejectedExecution::Abort)).await;
        bus.send("t/x", text("1")).await.unwrap();
        let error = bus.send("t/x", text("2")).await.unwrap_err();
        let wanted = SendError::QueueFull {
            destination: name("t/x"),
            pending: 1,
            pending_max: 1,
            unit: QueueUnit::Messages,
        };
        assert_eq!(error, wanted);
        assert_eq!(figures(&bus, "t/x").rejected["queue-full"], 1);
        gate.open();
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:0", "l:1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn queue_2_with_caller_runs_the_senders_task_runs_the_listener() {
    // Backpressure by work instead of by waiting.
    let (bus, notes, gate) = blocked(bounded(parallel("t/x"), 1, RejectedExecution::CallerRuns)).await;
    bus.send("t/x", text("1")).await.unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/x", text("2")).await });
    eventually(|| notes.count("l:2") == 1).await;
    turns().await;
    assert!(!sending.is_finished());
    let then = figures(&bus, "t/x");
    assert_eq!((then.pending, then.running, then.workers_active), (1, 2, 1));
    gate.open();
    sending.await.unwrap().unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:0", "l:2", "l:1"]);
}

#[tokio::test(start_paused = true)]
async fn queue_3_a_discarded_message_has_an_id_and_is_counted_as_accepted_and_dropped() {
    // The policy asked for it, so the sender is not told; the figures are.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes, gate) = blocked(bounded(config, 1, RejectedExecution::Discard)).await;
        bus.send("t/x", text("1")).await.unwrap();
        bus.send("t/x", text("2")).await.unwrap();
        let then = figures(&bus, "t/x");
        assert_eq!((then.accepted, then.dropped["queue-full"]), (3, 1));
        gate.open();
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:0", "l:1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn queue_4_discard_oldest_drops_what_has_waited_longest() {
    // For readings, the newest counts.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes, gate) = blocked(bounded(config, 2, RejectedExecution::DiscardOldest)).await;
        for n in 1..=3 {
            bus.send("t/x", text(n.to_string())).await.unwrap();
        }
        assert_eq!(figures(&bus, "t/x").dropped["queue-full"], 1);
        gate.open();
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:0", "l:2", "l:3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn queue_5_a_blocked_send_returns_when_there_is_room() {
    // It waits without a thread, and no longer than there is no room.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes, gate) = blocked(bounded(config, 1, RejectedExecution::Block(secs(5)))).await;
        bus.send("t/x", text("1")).await.unwrap();
        let (before, sender) = (Instant::now(), bus.clone());
        let waiting = tokio::spawn(async move { sender.send("t/x", text("2")).await });
        tokio::time::sleep(ms(100)).await;
        assert!(!waiting.is_finished());
        gate.open();
        waiting.await.unwrap().unwrap();
        assert!(before.elapsed() >= ms(100) && before.elapsed() < secs(1));
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:0", "l:1", "l:2"]);
        assert!(figures(&bus, "t/x").rejected.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_send_ends_at_its_bound_and_was_never_received() {
    // Every wait has a limit; afterwards the sender knows that nobody received it.
    let (bus, notes, gate) = blocked(bounded(serial("t/x"), 1, RejectedExecution::Block(ms(300)))).await;
    bus.send("t/x", text("1")).await.unwrap();
    let before = Instant::now();
    let error = bus.send("t/x", text("2")).await.unwrap_err();
    assert_eq!((error.name(), before.elapsed() / 10), ("queue-full", ms(300) / 10));
    assert_eq!(figures(&bus, "t/x").rejected["queue-full"], 1);
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:0", "l:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_send_that_is_given_up_was_not_accepted() {
    // Cancel safe: dropping the future leaves nothing behind.
    let (bus, notes, gate) = blocked(bounded(serial("t/x"), 1, RejectedExecution::Block(secs(60)))).await;
    bus.send("t/x", text("1")).await.unwrap();
    let sender = bus.clone();
    let waiting = tokio::spawn(async move { sender.send("t/x", text("2")).await });
    turns().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:0", "l:1"]);
    assert_eq!(figures(&bus, "t/x").accepted, 2);
}

#[tokio::test(start_paused = true)]
async fn queue_7_a_hundred_thousand_messages_wait_and_arrive_in_order() {
    // The bound is a number, not a feeling.
    let (bus, notes, gate) = blocked(bounded(serial("t/x"), 200_000, RejectedExecution::Abort)).await;
    for n in 1..100_000 {
        bus.send("t/x", text(n.to_string())).await.unwrap();
    }
    let then = figures(&bus, "t/x");
    assert_eq!((then.pending, then.workers_active, then.accepted), (99_999, 1, 100_000));
    assert!(then.rejected.is_empty());
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), (0..100_000).map(|n| format!("l:{n}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn queue_9_illegal_workers_and_bounds_are_refused_with_the_reason_and_change_nothing() {
    // Whether a destination is to be made or runs already.
    let bus = bus();
    bus.create(parallel("t/p")).unwrap();
    let workers = [(0, 1), (1, 0), (3, 2)].map(|(core, max)| {
        with(parallel("t/p"), |config| config.workers = Workers { core, max, ..config.workers })
    });
    let bound = with(parallel("t/p"), |config| config.queue_entries_max = 0);
    for (config, setting) in workers.into_iter().zip(["workers"; 3]).chain([(bound, "max-queue-size")]) {
        let reason = config.check().unwrap_err();
        assert!(reason.to_string().contains(setting), "{reason}");
        assert_eq!(bus.reconfigure(config.clone()), Err(DestinationError::Config(reason)));
        assert_eq!(config_of(&bus, "t/p"), parallel("t/p"));
        let other = with(config, |config| config.name = name("t/other"));
        assert!(bus.create(other).is_err() && !bus.has_destination("t/other"));
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn queue_11_spare_workers_leave_after_the_keep_alive_and_the_core_stays() {
    // A burst must not cost its workers for ever.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", blocking("l", &notes, &gate)).unwrap();
    for n in 0..10 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
    }
    eventually(|| figures(&bus, "t/p").workers_active == 5).await;
    gate.open();
    bus.idle().await;
    assert_eq!(figures(&bus, "t/p").workers_current, 5);
    tokio::time::sleep(secs(59)).await;
    assert_eq!(figures(&bus, "t/p").workers_current, 5);
    tokio::time::sleep(secs(2)).await;
    assert_eq!(figures(&bus, "t/p").workers_current, 2);
    tokio::time::sleep(secs(600)).await;
    assert_eq!(figures(&bus, "t/p").workers_current, 2);
    bus.send("t/p", text("again")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.count("l:again"), 1);
}

#[test]
fn queue_12_a_destination_without_queue_settings_has_bounds_in_messages_and_bytes() {
    // Bounded by default: nobody has to remember it.
    for config in each_type() {
        assert_eq!((config.queue_entries_max, config.queue_bytes_max), (10_000, 64 << 20));
    }
}
