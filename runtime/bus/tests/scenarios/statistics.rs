//! STAT: the figures.

use crate::support::*;

/// Sends ten messages to a destination whose listener blocks, and answers the figures before, meanwhile and after.
async fn ten_blocked(config: DestinationConfig, active: usize) -> [DestinationStatistics; 3] {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(config).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    let before = figures(&bus, "t/x");
    for n in 0..10 {
        bus.send("t/x", text(n.to_string())).await.unwrap();
    }
    eventually(|| notes.len() == active).await;
    let blocked = figures(&bus, "t/x");
    assert!(blocked.adds_up());
    gate.open();
    settled(&bus).await;
    [before, blocked, figures(&bus, "t/x")]
}

#[tokio::test(start_paused = true)]
async fn stat_1_a_parallel_destination_counts_its_workers_and_its_queue() {
    // Five of ten run at once, the rest waits.
    let [before, blocked, after] = ten_blocked(parallel("t/x"), 5).await;
    assert_eq!((before.workers_max, before.workers_core, before.workers_current), (5, 2, 0));
    assert_eq!((before.pending, before.completed, before.accepted), (0, 0, 0));
    assert_eq!((blocked.pending, blocked.completed), (5, 0));
    assert_eq!((blocked.workers_active, blocked.workers_current, blocked.workers_largest), (5, 5, 5));
    assert_eq!((after.pending, after.completed), (0, 10));
    assert_eq!((after.workers_active, after.workers_current, after.workers_largest), (0, 5, 5));
}

#[tokio::test(start_paused = true)]
async fn stat_2_a_serial_destination_has_one_worker() {
    // One runs, nine wait.
    let [before, blocked, after] = ten_blocked(serial("t/x"), 1).await;
    assert_eq!((before.workers_max, before.workers_core), (1, 1));
    assert_eq!((blocked.pending, blocked.workers_active), (9, 1));
    assert_eq!((blocked.workers_current, blocked.workers_largest), (1, 1));
    assert_eq!((after.pending, after.completed), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn stat_3_a_synchronous_destination_has_neither_workers_nor_a_queue() {
    // The sender's task is not a worker.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", noting("l", &notes)).unwrap();
    for n in 0..10 {
        bus.send("t/y", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    let then = figures(&bus, "t/y");
    assert_eq!((then.completed, then.pending, then.pending_bytes), (10, 0, 0));
    assert_eq!((then.workers_active, then.workers_current, then.workers_largest), (0, 0, 0));
    assert_eq!((then.workers_core, then.workers_max), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn stat_4_rejections_are_counted_and_reopening_starts_from_zero() {
    // Reopened is a new beginning for whoever watches.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 1)).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/x", text("0")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.send("t/x", text("1")).await.unwrap();
    for _ in 0..7 {
        bus.send("t/x", text("no")).await.unwrap_err();
    }
    assert_eq!(figures(&bus, "t/x").rejected.values().sum::<u64>(), 7);
    gate.open();
    bus.close("t/x", secs(1)).await.unwrap();
    bus.reopen("t/x").unwrap();
    let then = figures(&bus, "t/x");
    assert!(then.rejected.is_empty() && then.failed.is_empty() && then.dropped.is_empty());
    assert_eq!((then.accepted, then.owed, then.completed, then.delivered, then.finished), (0, 0, 0, 0, 0));
    assert_eq!(then.workers_largest, 0);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn stat_4_the_figures_of_the_listeners_start_from_zero_too() {
    // Otherwise the calls of the listeners and those of their destination tell two stories.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    bus.send("t/x", text("m")).await.unwrap();
    bus.close("t/x", secs(1)).await.unwrap();
    bus.reopen("t/x").unwrap();
    settled(&bus).await;
    assert_eq!((figures(&bus, "t/x").delivered, figures(&bus, "t/x").listeners[0].calls), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn stat_5_sent_counts_finished_entries_as_liferay_does() {
    // Parallel: one per message and listener; serial and synchronous: one per message.
    for (config, sent) in each_type().into_iter().zip([20, 10, 10]) {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, noting("a", &notes)).unwrap();
        bus.register(&destination, noting("b", &notes)).unwrap();
        for n in 0..10 {
            bus.send(&destination, text(n.to_string())).await.unwrap();
        }
        settled(&bus).await;
        let then = figures(&bus, &destination);
        assert_eq!((then.finished, then.accepted, then.completed), (sent, 10, 20), "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn stat_6_a_listeners_calls_and_outcomes_are_counted_by_kind() {
    // Fuel and memory come from guests; native listeners have outcomes only.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let listener = ending("l", &notes, |delivery| match delivery.text() {
        Some("bad") => Outcome::refused("no"),
        _ => Outcome::done(),
    });
    bus.register("t/s", listener).unwrap();
    for payload in ["good", "bad", "good"] {
        bus.send("t/s", text(payload)).await.unwrap();
    }
    settled(&bus).await;
    let listener = figures(&bus, "t/s").listeners.remove(0);
    assert_eq!((listener.calls, listener.done, listener.failed["refused"]), (3, 2, 1));
    assert_eq!(listener.instances_made, 1);
}

#[tokio::test(start_paused = true)]
async fn stat_7_the_oldest_waiting_age_is_that_of_the_oldest() {
    // The first sign of a stuck listener.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/s", text("0")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    for pause in [secs(5), secs(4), secs(1)] {
        bus.send("t/s", text("waits")).await.unwrap();
        tokio::time::sleep(pause).await;
    }
    let age = figures(&bus, "t/s").oldest_waiting.unwrap();
    assert!(age >= secs(10) && age < secs(11), "{age:?}");
    gate.open();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").oldest_waiting, None);
}

#[tokio::test(start_paused = true)]
async fn stat_8_a_retry_that_succeeds_is_retried_once_and_completed_once() {
    // Not a failure for the message, yet one for the attempt.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/p")).unwrap();
    let listener = ending("l", &notes, |delivery| match delivery.attempt() {
        1 => Outcome::retry("later"),
        _ => Outcome::done(),
    });
    bus.register("t/p", listener).unwrap();
    bus.send("t/p", text("m")).await.unwrap();
    settled(&bus).await;
    let then = figures(&bus, "t/p");
    assert_eq!((then.retried, then.completed, then.dead_letters, then.failed_total()), (1, 1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_books_balance_while_something_waits_runs_retries_and_is_held() {
    // "At every step", not only at the end.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/s"), |config| config.on_failure = OnFailure::Skip)).unwrap();
    bus.create(serial("t/held")).unwrap();
    bus.register("t/s", ending("a", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.register("t/s", blocking("b", &notes, &gate)).unwrap();
    for n in 0..5 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        bus.send("t/held", text(n.to_string())).await.unwrap();
    }
    for step in 0..40 {
        turns().await;
        gate.let_one_pass();
        tokio::time::sleep(ms(37)).await;
        for figures in bus.all_statistics() {
            assert!(figures.adds_up(), "step {step}: {figures:#?}");
        }
    }
    gate.open();
    settled(&bus).await;
    assert_eq!((figures(&bus, "t/s").dead_letters, figures(&bus, "t/held").held), (5, 5));
}
