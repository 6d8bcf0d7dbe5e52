//! Hard corners of settlement: whom a retry calls, what it sees, and what it keeps waiting.

use crate::support::*;

fn skipping(config: DestinationConfig) -> DestinationConfig {
    with(config, |config| config.on_failure = OnFailure::Skip)
}

/// A listener that notes `name:text:attempt` and asks for a retry until attempt `done_at`.
fn done_at(listener: &str, notes: &Notes, attempt: u32) -> NativeListener {
    let notes = notes.clone();
    listener_fn(listener, move |delivery| {
        notes.add(format!("{}:{}", note_of(&delivery), delivery.attempt()));
        let outcome = if delivery.attempt() < attempt { Outcome::retry("later") } else { Outcome::done() };
        std::future::ready(outcome)
    })
}

#[tokio::test(start_paused = true)]
async fn a_blocking_retry_calls_only_the_listener_that_failed_and_the_others_first() {
    // One failing listener never takes a delivery from another, nor gives it a second one.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", done_at("a", &notes, 3)).unwrap();
    bus.register("t/s", done_at("b", &notes, 1)).unwrap();
    for n in 1..=2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    let wanted = ["a:1:1", "b:1:1", "a:1:2", "a:1:3", "a:2:1", "b:2:1", "a:2:2", "a:2:3"];
    assert_eq!(notes.all(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_steps_aside_lets_the_messages_behind_it_pass() {
    // `skip` gives up order for the failing listener only.
    let (bus, notes) = (bus(), Notes::default());
    let config = with(skipping(serial("t/s")), |config| config.retry = retries(3, ms(100)));
    bus.create(config).unwrap();
    bus.register("t/s", done_at("a", &notes, 2)).unwrap();
    bus.register("t/s", done_at("b", &notes, 1)).unwrap();
    for n in 1..=2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:1:1", "b:1:1", "a:2:1", "b:2:1", "a:1:2", "a:2:2"]);
}

#[tokio::test(start_paused = true)]
async fn two_listeners_that_fail_are_retried_each_for_itself() {
    // Their delays differ; the earlier one must not be called again when the later one is due.
    for config in [serial("t/s"), skipping(serial("t/s"))] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        for (listener, after, attempts) in [("a", 100, 2), ("b", 350, 3)] {
            let seen = notes.clone();
            bus.register(
                "t/s",
                listener_fn(listener, move |delivery| {
                    seen.add(format!("{}:{}", delivery.listener(), delivery.attempt()));
                    let again = Outcome::Retry { reason: "later".into(), after: Some(ms(after)) };
                    std::future::ready(if delivery.attempt() < attempts { again } else { Outcome::done() })
                }),
            )
            .unwrap();
        }
        let before = Instant::now();
        bus.send("t/s", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["a:1", "b:1", "a:2", "b:2", "b:3"]);
        assert!(before.elapsed() >= ms(700) && before.elapsed() < ms(750), "{:?}", before.elapsed());
        assert_eq!(figures(&bus, "t/s").completed, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_failed_call_are_discarded_and_those_of_a_done_one_are_kept() {
    // A failed call did not happen, as far as the message goes. Only a done call can hand changes over, so that the
    // listener behind a failing one sees the sender's values, and its retry sees what the others made of them.
    for config in [serial("t/s"), skipping(serial("t/s"))] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        for listener in ["a", "b"] {
            let seen = notes.clone();
            bus.register(
                "t/s",
                listener_fn(listener, move |delivery| {
                    let (seen, who) = (seen.clone(), listener);
                    async move {
                        let mut values = delivery.values().clone();
                        let known: Vec<String> = values.iter().map(|(key, _)| key.to_owned()).collect();
                        seen.add(format!("{who}{} sees {}", delivery.attempt(), known.join("+")));
                        values.put(&format!("{who}{}", delivery.attempt()), true).unwrap();
                        if who == "a" && delivery.attempt() == 1 {
                            return Outcome::retry("later");
                        }
                        Outcome::Done(Answer { values: Some(values), ..Answer::default() })
                    }
                }),
            )
            .unwrap();
        }
        bus.send("t/s", text("m").value("sent", 1).unwrap()).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["a1 sees sent", "b1 sees sent", "a2 sees sent+b1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_retry_keeps_its_place_in_the_bound() {
    // Otherwise a failing listener would let the queue grow without limit.
    let (bus, notes) = (bus(), Notes::default());
    let config = with(skipping(serial("t/s")), |config| {
        config.retry = retries(3, secs(10));
        config.queue_entries_max = 2;
    });
    bus.create(config).unwrap();
    bus.register("t/s", done_at("a", &notes, 2)).unwrap();
    for n in 1..=2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        eventually(|| figures(&bus, "t/s").retried == n && figures(&bus, "t/s").running == 0).await;
    }
    assert_eq!(figures(&bus, "t/s").pending, 2);
    assert_eq!(bus.send("t/s", text("3")).await.unwrap_err().name(), "queue-full");
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:1:1", "a:2:1", "a:1:2", "a:2:2"]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_a_listener_asks_for_is_kept_and_capped() {
    // The listener knows best when, the policy how long at most.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let listener = ending("l", &notes, |delivery| match delivery.attempt() {
        1 => Outcome::Retry { reason: "x".into(), after: Some(secs(5)) },
        2 => Outcome::Retry { reason: "x".into(), after: Some(secs(3_600)) },
        _ => Outcome::done(),
    });
    bus.register("t/s", listener).unwrap();
    let before = Instant::now();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert!(before.elapsed() >= secs(35) && before.elapsed() < secs(36), "{:?}", before.elapsed());
    assert_eq!(figures(&bus, "t/s").completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_caller_runs_goes_through_the_queue() {
    // The sender's task makes the first attempt only; the sender has its id by then.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    let config = with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 1, ..config.workers };
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::CallerRuns;
        config.retry = retries(3, ms(100));
    });
    bus.create(config).unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/p",
        listener_fn("l", move |delivery| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add(format!("{} {:?}", note_of(&delivery), delivery.worker().is_some()));
                match delivery.text() {
                    Some("2") if delivery.attempt() == 1 => {
                        // By the time it asks for the retry, the queue has room again.
                        at.open();
                        turns().await;
                        return Outcome::retry("later");
                    }
                    Some("2") => {}
                    _ => at.pass().await,
                }
                Outcome::done()
            }
        })
        .with_deadline(secs(3_600)),
    )
    .unwrap();
    for n in 0..=2 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
        turns().await;
    }
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/p").retried, 1);
    assert_eq!(notes.sorted(), ["l:0 true", "l:1 true", "l:2 false", "l:2 true"]);
}

#[tokio::test(start_paused = true)]
async fn a_due_retry_is_not_held_up_by_a_long_call_while_workers_are_free() {
    // A worker starts when something waits and all are busy; what waits for its time counts once the time has come.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(parallel("t/p"), |config| config.retry = retries(3, ms(100)))).unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/p",
        listener_fn("l", move |delivery| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add(format!("{}:{}", delivery.text().unwrap(), delivery.attempt()));
                if delivery.attempt() == 1 {
                    return Outcome::retry("later");
                }
                at.pass().await;
                Outcome::done()
            }
        })
        .with_deadline(secs(3_600)),
    )
    .unwrap();
    for n in 1..=2 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
        eventually(|| figures(&bus, "t/p").retried == n && figures(&bus, "t/p").running == 0).await;
    }
    tokio::time::sleep(secs(10)).await;
    let begun = notes.sorted();
    gate.open();
    settled(&bus).await;
    assert_eq!(begun, ["1:1", "1:2", "2:1", "2:2"], "both retries were due ten seconds ago");
}

#[tokio::test(start_paused = true)]
async fn retries_of_caller_runs_do_not_grow_the_queue_beyond_its_bound() {
    // These messages never had a place in the queue; letting each of them in afterwards makes a queue without a limit.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 1, ..config.workers };
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::CallerRuns;
        config.retry = retries(2, secs(60));
    }))
    .unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/p",
        listener_fn("l", move |delivery| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add(note_of(&delivery));
                if delivery.text() == Some("0") {
                    at.pass().await;
                    return Outcome::done();
                }
                Outcome::retry("later")
            }
        })
        .with_deadline(secs(3_600)),
    )
    .unwrap();
    for n in 0..50 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
        turns().await;
    }
    let pending = figures(&bus, "t/p").pending;
    gate.open();
    settled(&bus).await;
    assert!(pending <= 2, "{pending} wait where 1 may, and one more that a worker put back");
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_caller_runs_neither_waits_for_the_next_listener_nor_is_lost_with_the_sender_who_goes_away_there()
 {
    // What a listener is owed is its own, whoever calls it: a slow one after it takes nothing from it.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(parallel("t/p"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::CallerRuns;
        config.retry = retries(2, secs(1));
    }))
    .unwrap();
    let retries_once = ending("a", &notes, |delivery| match delivery.attempt() {
        1 => Outcome::retry("later"),
        _ => Outcome::done(),
    });
    bus.register("t/p", retries_once).unwrap();
    bus.register("t/p", blocking("b", &notes, &gate)).unwrap();
    for sender_goes in [false, true] {
        let sender = bus.clone();
        // It has two entries, and one is the bound.
        let sending = tokio::spawn(async move { sender.send("t/p", text("m")).await });
        eventually(|| notes.len() == 2).await;
        match sender_goes {
            true => sending.abort(),
            false => eventually(|| notes.len() == 3).await,
        }
        gate.let_one_pass();
        assert_eq!(sending.await.is_err(), sender_goes);
        settled(&bus).await;
        assert_eq!(notes.take(), ["a:m", "b:m", "a:m"]);
    }
    let then = figures(&bus, "t/p");
    assert_eq!((then.completed, then.retried, reasons(&bus, "t/p")), (3, 2, vec!["closed"]));
}
