//! Real concurrency, on two threads: what must hold whatever the order. Each test ends with the accounting law.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;

/// A listener that counts its calls and gives its thread away in the middle.
fn counting(listener: &str, calls: &Arc<AtomicU64>) -> NativeListener {
    let calls = Arc::clone(calls);
    listener_fn(listener, move |_| {
        let calls = Arc::clone(&calls);
        async move {
            tokio::task::yield_now().await;
            calls.fetch_add(1, Ordering::SeqCst);
            Outcome::done()
        }
    })
}

/// Has `senders` tasks send `each` messages to `t/x`; answers how many were accepted.
async fn race(bus: &Bus, senders: usize, each: usize) -> u64 {
    let tasks: Vec<_> = (0..senders)
        .map(|sender| {
            let bus = bus.clone();
            tokio::spawn(async move {
                let mut accepted = 0;
                for n in 0..each {
                    accepted += u64::from(bus.send("t/x", text(format!("{sender}/{n}"))).await.is_ok());
                    tokio::task::yield_now().await;
                }
                accepted
            })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        accepted += task.await.unwrap();
    }
    accepted
}

fn policies() -> [RejectedExecution; 6] {
    [
        RejectedExecution::Abort,
        RejectedExecution::Block(secs(30)),
        RejectedExecution::CallerRuns,
        RejectedExecution::Discard,
        RejectedExecution::DiscardOldest,
        RejectedExecution::DeadLetter,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_senders_on_a_full_queue_lose_nothing_under_any_policy() {
    // accepted = received + dropped + dead letters, and what was refused was never received.
    for config in [parallel("t/x"), serial("t/x")] {
        for policy in policies() {
            let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
            let config = with(config.clone(), |config| {
                config.queue_entries_max = 3;
                config.rejected_execution = policy.clone();
            });
            if config.check().is_err() {
                continue;
            }
            bus.create(config).unwrap();
            bus.register("t/x", counting("l", &calls)).unwrap();
            let accepted = race(&bus, 10, 200).await;
            settled(&bus).await;
            let then = figures(&bus, "t/x");
            let dropped: u64 = then.dropped.values().sum();
            assert_eq!(then.accepted, accepted, "{policy:?}");
            assert_eq!(calls.load(Ordering::SeqCst) + dropped + then.dead_letters, accepted, "{policy:?}");
            let refused: u64 = then.rejected.values().sum();
            assert_eq!(accepted + refused, 2_000, "{policy:?}");
            if matches!(policy, RejectedExecution::Block(_)) {
                assert_eq!(accepted, 2_000);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_senders_order_survives_a_race_on_a_serial_destination() {
    // Strict first in, first out holds for every sender by itself.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 100_000)).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    assert_eq!(race(&bus, 10, 500).await, 5_000);
    settled(&bus).await;
    let all = notes.all();
    assert_eq!(all.len(), 5_000);
    for sender in 0..10 {
        let begins = format!("l:{sender}/");
        let own: Vec<usize> =
            all.iter().filter_map(|note| note.strip_prefix(&begins)).map(|n| n.parse().unwrap()).collect();
        assert!(own.is_sorted() && own.len() == 500, "sender {sender}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_7_a_hundred_thousand_messages_are_received_once_by_racing_workers() {
    // Two threads, five workers, no loss and no double.
    let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
    bus.create(with(parallel("t/x"), |config| config.queue_entries_max = 200_000)).unwrap();
    bus.register("t/x", counting("l", &calls)).unwrap();
    assert_eq!(race(&bus, 10, 10_000).await, 100_000);
    settled(&bus).await;
    assert_eq!((calls.load(Ordering::SeqCst), figures(&bus, "t/x").completed), (100_000, 100_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unregistering_while_calls_run_is_the_end_of_calls() {
    // After `unregister` returned the count must stand still, and the other listener misses nothing.
    for config in [parallel("t/x"), serial("t/x"), synchronous("t/x")] {
        let bus = bus();
        let (leaves, stays) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        bus.create(with(config, |config| config.queue_entries_max = 100_000)).unwrap();
        bus.register("t/x", counting("leaves", &leaves)).unwrap();
        bus.register("t/x", counting("stays", &stays)).unwrap();
        let sender = bus.clone();
        let sending = tokio::spawn(async move { race(&sender, 4, 500).await });
        eventually(|| leaves.load(Ordering::SeqCst) > 50).await;
        assert!(bus.unregister("t/x", "leaves").await);
        let at_the_end = leaves.load(Ordering::SeqCst);
        let accepted = sending.await.unwrap();
        settled(&bus).await;
        assert_eq!(leaves.load(Ordering::SeqCst), at_the_end);
        assert_eq!((stays.load(Ordering::SeqCst), accepted), (2_000, 2_000));
        let then = figures(&bus, "t/x");
        assert_eq!(then.owed, then.completed + then.listener_removed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_with_a_drain_while_sends_go_on_delivers_exactly_what_was_accepted() {
    // The door closes at one instant: before it, accepted and delivered; after it, `closed`.
    for config in [parallel("t/x"), serial("t/x"), synchronous("t/x")] {
        let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
        bus.create(with(config, |config| config.queue_entries_max = 100_000)).unwrap();
        bus.register("t/x", counting("l", &calls)).unwrap();
        let sender = bus.clone();
        let sending = tokio::spawn(async move { race(&sender, 4, 500).await });
        eventually(|| calls.load(Ordering::SeqCst) > 50).await;
        let closed = bus.close("t/x", secs(60)).await.unwrap();
        assert_eq!(closed, Closed::default());
        let accepted = sending.await.unwrap();
        settled(&bus).await;
        assert_eq!(calls.load(Ordering::SeqCst), accepted);
        assert_eq!(figures(&bus, "t/x").accepted, accepted);
        assert_eq!(figures(&bus, "t/x").workers_current, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_now_with_a_listener_that_waits_for_ever_ends_at_once_and_loses_nothing() {
    // Again and again, with sends going on: the interrupt must reach every call, whatever it was doing.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/x")).unwrap();
    bus.register("t/x", blocking("l", &notes, &Gate::closed())).unwrap();
    for _ in 0..50 {
        let sender = bus.clone();
        let sending = tokio::spawn(async move { race(&sender, 4, 10).await });
        eventually(|| figures(&bus, "t/x").running > 0).await;
        tokio::time::timeout(secs(30), bus.close_now("t/x")).await.expect("close now hangs").unwrap();
        let accepted = sending.await.unwrap();
        settled(&bus).await;
        let then = figures(&bus, "t/x");
        assert_eq!((then.accepted, then.dead_letters), (accepted, accepted));
        bus.destroy("t/x").await.unwrap();
        bus.create(parallel("t/x")).unwrap();
        bus.register("t/x", blocking("l", &notes, &Gate::closed())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_panics_costs_nobody_else_a_message() {
    // One in three calls panics, on two threads, beside a good listener.
    let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
    bus.create(parallel("t/x")).unwrap();
    bus.register(
        "t/x",
        listener_fn("bad", |delivery| async move {
            let n: u64 = delivery.text().unwrap().split('/').nth(1).unwrap().parse().unwrap();
            tokio::task::yield_now().await;
            assert_ne!(n % 3, 0, "boom");
            Outcome::done()
        }),
    )
    .unwrap();
    bus.register("t/x", counting("good", &calls)).unwrap();
    assert_eq!(race(&bus, 4, 300).await, 1_200);
    settled(&bus).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1_200);
    assert_eq!(reasons(&bus, "t/x"), vec!["trap"; 400]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_race_with_timeouts_are_answers_or_late_and_nothing_else() {
    // Each request resolves once, and each reply is counted once.
    let bus = bus();
    bus.create(with(parallel("t/x"), |config| {
        config.workers = Workers { core: 8, max: 64, ..config.workers };
    }))
    .unwrap();
    bus.register(
        "t/x",
        listener_fn("l", |_| async {
            for _ in 0..spread() {
                tokio::task::yield_now().await;
            }
            Outcome::reply(Reply::text("pong"))
        }),
    )
    .unwrap();
    let requests: Vec<_> = (0..600)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move { bus.request("t/x", text("m"), Some(ms(3))).await })
        })
        .collect();
    let mut answered = 0;
    for request in requests {
        match request.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error, RequestError::Timeout(3)),
        }
    }
    settled(&bus).await;
    let then = figures(&bus, DEFAULT_RESPONSE);
    let late = then.dropped.get("late-reply").copied().unwrap_or(0);
    assert_eq!((bus.waiting_requests(), then.owed, then.dropped.values().sum::<u64>()), (0, 600, late));
    // A reply can reach its request in the very moment in which the sender gives up.
    assert!(then.completed >= answered && then.completed + late == 600, "{then:#?}");
}

/// 0 to 999 turns, around what fits into the timeout of the requests; no random crate is needed to spread calls.
fn spread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(707, Ordering::Relaxed) % 1_000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_is_never_early_while_messages_hop_between_threads() {
    // Synchronous, serial and parallel hops; each round must have arrived when `idle` returns.
    let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
    for (config, next) in
        [(serial("t/x"), Some("t/b")), (synchronous("t/b"), Some("t/a")), (parallel("t/a"), None)]
    {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        let (sender, calls) = (bus.clone(), Arc::clone(&calls));
        bus.register(
            &destination,
            listener_fn("l", move |delivery| {
                let (bus, calls) = (sender.clone(), Arc::clone(&calls));
                async move {
                    if let Some(next) = next {
                        bus.send_as(&delivery.origin(), next, text("m")).await.unwrap();
                    }
                    calls.fetch_add(1, Ordering::SeqCst);
                    Outcome::done()
                }
            }),
        )
        .unwrap();
    }
    for round in 1..=500 {
        bus.send("t/x", text("m")).await.unwrap();
        bus.idle().await;
        assert_eq!(calls.load(Ordering::SeqCst), 3 * round);
    }
    settled(&bus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_resuming_and_registering_in_a_race_lose_no_message() {
    // Whatever is done to a destination, a message that waits is found again by a worker.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, calls) = (bus(), Arc::new(AtomicU64::new(0)));
        bus.create(with(config, |config| config.queue_entries_max = 100_000)).unwrap();
        let sender = bus.clone();
        let sending = tokio::spawn(async move { race(&sender, 4, 500).await });
        bus.register("t/x", counting("l", &calls)).unwrap();
        for _ in 0..200 {
            bus.pause("t/x").unwrap();
            tokio::task::yield_now().await;
            bus.resume("t/x").unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(sending.await.unwrap(), 2_000);
        settled(&bus).await;
        assert_eq!((calls.load(Ordering::SeqCst), figures(&bus, "t/x").completed), (2_000, 2_000));
    }
}
