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
async fn stat_5_each_of_the_seven_names_of_liferay_is_a_figure() {
    // The mapping that the documentation of the figures gives, with the values of STAT-1.
    let [before, blocked, after] = ten_blocked(parallel("t/x"), 5).await;
    let seven = |now: &DestinationStatistics| {
        [
            ("active thread count", now.workers_active as u64),
            ("current thread count", now.workers_current as u64),
            ("largest thread count", now.workers_largest as u64),
            ("maximum pool size", now.workers_max as u64),
            ("minimum pool size", now.workers_core as u64),
            ("pending message count", now.pending as u64),
            ("sent message count", now.finished),
        ]
        .map(|(_, figure)| figure)
    };
    assert_eq!(seven(&before), [0, 0, 0, 5, 2, 0, 0]);
    assert_eq!(seven(&blocked), [5, 5, 5, 5, 2, 5, 0]);
    assert_eq!(seven(&after), [0, 5, 5, 5, 2, 0, 10]);
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

/// A listener whose instances use as much fuel as the message says, and whose memory grows by a page per call.
struct Burning;

struct BurningInstance(u64);

impl MessageListener for Burning {
    fn name(&self) -> &'static str {
        "burning"
    }
    fn instantiate(&self, _deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        Box::pin(std::future::ready(Ok(Box::new(BurningInstance(0)) as Box<dyn ListenerInstance>)))
    }
}

impl ListenerInstance for BurningInstance {
    fn receive<'a>(mut self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        let fuel = delivery.text().unwrap().parse().ok();
        self.0 += 65_536;
        let usage = Usage { fuel, memory_bytes: Some(self.0) };
        let ended = match fuel {
            // Out of fuel: the instance is spent.
            Some(1_000) => {
                Ended { outcome: Outcome::faulted(Cause::OutOfFuel, "out of fuel"), usage, instance: None }
            }
            _ => Ended { outcome: Outcome::done(), usage, instance: Some(self) },
        };
        Box::pin(std::future::ready(ended))
    }
}

#[tokio::test(start_paused = true)]
async fn stat_6_fuel_memory_and_the_age_of_the_instance_are_told() {
    // 100 calls of 10 to 1,000 fuel; the last one ends its instance, and one more call makes another.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", Burning).unwrap();
    let unused = figures(&bus, "t/s").listeners.remove(0);
    assert_eq!((unused.fuel, unused.instance_age, unused.instances_made), (None, None, 0));
    for n in 1..=100 {
        bus.send("t/s", text((n * 10).to_string())).await.unwrap();
    }
    settled(&bus).await;
    tokio::time::sleep(secs(7)).await;
    let listener = figures(&bus, "t/s").listeners.remove(0);
    let fuel = listener.fuel.unwrap();
    assert_eq!((fuel.count, fuel.max, listener.fuel_max, listener.fuel_total), (100, 1_000, 1_000, 50_500));
    assert!((500..=562).contains(&fuel.p50) && (990..=1_000).contains(&fuel.p99), "{fuel:?}");
    assert!(fuel.p50 <= fuel.p90 && fuel.p90 <= fuel.p99);
    assert_eq!(listener.memory_bytes_max, 100 * 65_536);
    assert_eq!((listener.calls, listener.done, listener.failed["out-of-fuel"]), (100, 99, 1));
    assert_eq!(listener.instances_made, 1);
    assert_eq!(listener.instance_age.unwrap().as_secs(), 7);
    bus.send("t/s", text("20")).await.unwrap();
    settled(&bus).await;
    let listener = figures(&bus, "t/s").listeners.remove(0);
    assert_eq!((listener.instances_made, listener.instance_age.unwrap().as_secs()), (2, 0));
}

/// A listener whose calls take `millis`.
fn taking(name: &str, millis: u64) -> NativeListener {
    listener_fn(name, move |_| async move {
        tokio::time::sleep(ms(millis)).await;
        Outcome::done()
    })
}

/// Whether `told` is `exact`, as far as a histogram and a clock of milliseconds can tell.
#[track_caller]
fn about(told: Duration, exact: Duration) {
    assert!(told >= exact && told <= exact + exact / 8 + ms(5), "{told:?} is not {exact:?}");
}

#[tokio::test(start_paused = true)]
async fn queue_wait_call_and_end_to_end_are_told_apart() {
    // Four messages at once, calls of 100 ms one after the other: they wait 0, 100, 200 and 300 ms.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", taking("l", 100)).unwrap();
    let unused = figures(&bus, "t/s");
    assert_eq!((unused.queue_wait, unused.call, unused.end_to_end), (None, None, None));
    for n in 0..4 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    let (wait, call, whole) = (then.queue_wait.unwrap(), then.call.unwrap(), then.end_to_end.unwrap());
    assert_eq!((wait.count, call.count, whole.count), (4, 4, 4));
    about(wait.p50, ms(100));
    about(wait.max, ms(300));
    about(call.p50, ms(100));
    about(call.max, ms(100));
    about(whole.p50, ms(200));
    about(whole.p99, ms(400));
    bus.close("t/s", secs(1)).await.unwrap();
    bus.reopen("t/s").unwrap();
    let reopened = figures(&bus, "t/s");
    assert_eq!((reopened.queue_wait, reopened.call, reopened.end_to_end), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_second_listener_waits_for_the_first_one_and_a_retry_is_no_wait_in_the_queue() {
    // Each of the two began once for the first time; only the retry's end is an end.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, secs(5)))).unwrap();
    bus.register("t/s", taking("first", 100)).unwrap();
    let second = ending("second", &notes, |delivery| match delivery.attempt() {
        1 => Outcome::retry("later"),
        _ => Outcome::done(),
    });
    bus.register("t/s", second).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    let (wait, call, whole) = (then.queue_wait.unwrap(), then.call.unwrap(), then.end_to_end.unwrap());
    assert_eq!((wait.count, call.count, whole.count), (2, 3, 2));
    about(wait.max, ms(100));
    about(call.max, ms(100));
    about(whole.max, secs(5) + ms(100));
}

#[tokio::test(start_paused = true)]
async fn calls_in_the_senders_own_task_wait_in_no_queue() {
    // A synchronous destination has none, and direct mode passes by that of any other.
    let bus = bus();
    for config in [synchronous("t/y"), serial("t/s")] {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, taking("l", 100)).unwrap();
        bus.request_direct(&destination, text("m"), Some(secs(1))).await.unwrap();
        let then = figures(&bus, &destination);
        assert_eq!(then.queue_wait, None);
        about(then.call.unwrap().max, ms(100));
        about(then.end_to_end.unwrap().max, ms(100));
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_reply_to_find_room_is_no_part_of_the_next_call() {
    // The end of a call is the beginning of the next one only where nothing was waited for between them.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.create(with(serial("t/full"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(60));
    }))
    .unwrap();
    bus.register("t/full", blocking("b", &notes, &gate)).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    for n in 0..4 {
        let asking = text(n.to_string()).response_destination(name("t/full"));
        bus.send("t/s", asking).await.unwrap();
    }
    eventually(|| figures(&bus, "t/full").pending == 1).await;
    tokio::time::sleep(secs(3)).await;
    gate.open();
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    assert!(then.call.unwrap().max < secs(1), "{then:#?}");
    about(then.end_to_end.unwrap().max, secs(3));
}
