//! Figures that are read while messages flow on other threads: no settlement shows before its acceptance.

use crate::support::*;

/// What a reader may rely on at any moment. `running` is not part of it: a call that ends counts as completed just before
/// it counts as running no more.
fn check(then: &DestinationStatistics) {
    let dropped: u64 = then.dropped.values().sum();
    let ended =
        then.completed + then.reported + then.listener_removed + then.dead_letters_kept as u64 + dropped;
    assert!(ended + then.waiting <= then.owed, "ended or waiting, and not owed: {then:#?}");
    assert!(then.accepted <= then.owed, "{then:#?}");
    assert!(then.finished <= then.owed, "{then:#?}");
    assert!(then.completed <= then.delivered, "completed without a call: {then:#?}");
    assert!(then.delivered <= then.owed + then.retried, "called without being owed: {then:#?}");
    assert!(then.dead_letters_kept as u64 <= then.dead_letters, "{then:#?}");
    let calls: u64 = then.listeners.iter().map(|listener| listener.calls).sum();
    assert!(calls <= then.owed + then.retried, "{then:#?}");
    assert!(then.call.map_or(0, |call| call.count) <= then.delivered, "{then:#?}");
    assert!(then.end_to_end.map_or(0, |whole| whole.count) <= then.owed, "{then:#?}");
    if let Some(whole) = then.end_to_end {
        assert!(whole.p50 <= whole.p90 && whole.p90 <= whole.p99 && whole.p99 <= whole.max, "{whole:?}");
    }
}

/// Most calls end done; some are refused, some succeed at their second attempt.
fn mixed(name: &str) -> NativeListener {
    listener_fn(name, |delivery| {
        let number: u64 = delivery.text().unwrap().parse().unwrap();
        std::future::ready(match (number % 16, delivery.attempt()) {
            (3, _) => Outcome::refused("no"),
            (7, 1) => Outcome::retry("later"),
            _ => Outcome::done(),
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_settlement_shows_before_its_acceptance_while_200_000_messages_flow() {
    // Two listeners behind each of two destinations; dead letters leave at their bound all the time.
    const MESSAGES: u64 = 200_000;
    let bus = bus();
    for config in [parallel("t/p"), with(serial("t/s"), |config| config.on_failure = OnFailure::Skip)] {
        let name = config.name.to_string();
        bus.create(with(config, |config| {
            config.retry = retries(2, Duration::ZERO);
            config.dead_letters.letters_max = 10;
            config.rejected_execution = RejectedExecution::Block(secs(60));
        }))
        .unwrap();
        bus.register(&name, mixed("a")).unwrap();
        bus.register(&name, mixed("b")).unwrap();
    }
    let sender = |name: &'static str| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..MESSAGES / 2 {
                bus.send(name, text(n.to_string())).await.unwrap();
            }
        })
    };
    let senders = [sender("t/p"), sender("t/s")];
    let reader = std::thread::spawn({
        let bus = bus.clone();
        move || {
            let mut read = 0;
            while ["t/p", "t/s"].iter().any(|name| figures(&bus, name).completed < MESSAGES * 15 / 16) {
                bus.all_statistics().iter().for_each(check);
                read += 1;
            }
            read
        }
    });
    for sender in senders {
        sender.await.unwrap();
    }
    bus.idle().await;
    assert!(reader.join().unwrap() > 10, "the reader saw next to nothing");
    for name in ["t/p", "t/s"] {
        // Exact when nothing runs.
        let then = figures(&bus, name);
        check(&then);
        assert!(then.adds_up(), "{then:#?}");
        assert_eq!((then.accepted, then.owed, then.running), (MESSAGES / 2, MESSAGES, 0));
        assert_eq!((then.completed, then.dead_letters), (MESSAGES * 15 / 16, MESSAGES / 16));
        assert_eq!((then.retried, then.delivered), (MESSAGES / 16, MESSAGES * 17 / 16));
        assert_eq!(then.call.unwrap().count, then.delivered);
        assert_eq!(then.end_to_end.unwrap().count, then.owed);
    }
}
