//! `idle` and `shutdown` beside work that moves from destination to destination: rest is told only when there is rest.

use std::sync::Arc;

use crate::support::*;

/// A listener that asks for a retry the first time, and then sends what it received to the next destination.
fn sending_on(bus: &Bus) -> NativeListener {
    let bus = bus.clone();
    listener_fn("sends on", move |delivery| {
        let bus = bus.clone();
        async move {
            if delivery.attempt() == 1 {
                return Outcome::retry("once more");
            }
            let text = delivery.text().unwrap().to_owned();
            bus.send_as(&delivery.origin(), "t/second", Outgoing::text(text)).await.unwrap();
            Outcome::done()
        }
    })
    .with_deadline(FOR_EVER)
}

/// A bus on which what is sent to `t/first` goes to `t/second` after a retry.
fn chain() -> (Bus, Notes) {
    let (bus, notes) = (bus(), Notes::default());
    let mut first = DestinationConfig::parallel("t/first").unwrap();
    first.retry = RetryPolicy { delay_initial: secs(1), jitter: Jitter::None, ..first.retry };
    bus.create(first).unwrap();
    bus.create(DestinationConfig::serial("t/second").unwrap()).unwrap();
    bus.register("t/first", sending_on(&bus)).unwrap();
    bus.register("t/second", noting("last", &notes)).unwrap();
    (bus, notes)
}

#[test]
fn idle_waits_for_what_was_sent_before_and_for_all_that_it_causes() {
    explore(600, || async {
        let ((bus, notes), time) = (chain(), Time::passes());
        for text in ["a", "b"] {
            bus.send("t/first", Outgoing::text(text)).await.unwrap();
        }
        bus.idle().await;
        assert_eq!(notes.sorted(), ["a", "b"]);
        drop(time);
        settled(&bus).await;
    });
}

/// A listener that counts down: it sends the next number to `to`, and notes the last one.
fn counting_down(bus: &Bus, to: &'static str, notes: &Notes) -> NativeListener {
    let (bus, notes) = (bus.clone(), notes.clone());
    listener_fn("counts down", move |delivery| {
        let (bus, notes) = (bus.clone(), notes.clone());
        async move {
            match delivery.text().unwrap().parse::<u32>().unwrap() {
                0 => notes.add("0"),
                number => {
                    let next = Outgoing::text((number - 1).to_string());
                    // As the host: a message that goes round is stopped after some hops.
                    bus.send(to, next).await.unwrap();
                }
            }
            Outcome::done()
        }
    })
    .with_deadline(FOR_EVER)
}

#[test]
fn idle_sees_a_message_that_goes_round_while_it_looks_at_one_destination_after_the_other() {
    const ROUND: [&str; 6] = ["t/0", "t/1", "t/2", "t/3", "t/4", "t/5"];
    explore(100, || async {
        let (bus, notes) = (bus(), Notes::default());
        for (number, here) in ROUND.into_iter().enumerate() {
            bus.create(DestinationConfig::serial(here).unwrap()).unwrap();
            let next = ROUND[(number + 1) % ROUND.len()];
            bus.register(here, counting_down(&bus, next, &notes)).unwrap();
        }
        bus.send(ROUND[0], Outgoing::text("25")).await.unwrap();
        bus.idle().await;
        assert_eq!(notes.all(), ["0"]);
        settled(&bus).await;
    });
}

#[test]
fn idle_beside_other_senders_waits_for_what_was_sent_before() {
    explore(450, || async {
        let ((bus, notes), time) = (chain(), Time::passes());
        let other = bus.clone();
        let sending = spawn(async move {
            for text in ["x", "y"] {
                other.send("t/first", Outgoing::text(text)).await.unwrap();
                yield_now().await;
            }
        });
        bus.send("t/first", Outgoing::text("a")).await.unwrap();
        bus.idle().await;
        assert!(notes.all().contains(&"a".to_owned()));
        sending.await.unwrap();
        bus.idle().await;
        assert_eq!(notes.sorted(), ["a", "x", "y"]);
        drop(time);
        settled(&bus).await;
    });
}

#[test]
fn several_who_wait_for_rest_are_all_told() {
    // No time passes: who is not woken waits for ever.
    explore(450, || async {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(DestinationConfig::parallel("t/rest").unwrap()).unwrap();
        bus.register("t/rest", noting("all", &notes)).unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let bus = bus.clone();
                spawn(async move {
                    bus.send("t/rest", Outgoing::text(number.to_string())).await.unwrap();
                    bus.idle().await;
                })
            })
            .collect();
        for waits in waiting {
            waits.await.unwrap();
        }
        assert_eq!(notes.sorted(), ["0", "1"]);
        settled(&bus).await;
    });
}

#[test]
fn a_shutdown_beside_senders_leaves_nothing_without_an_end() {
    explore(450, || async {
        let ((bus, _), time) = (chain(), Time::passes());
        let sender = bus.clone();
        let sending = spawn(async move {
            for text in ["a", "b", "c"] {
                let _ = sender.send("t/first", Outgoing::text(text)).await;
                yield_now().await;
            }
        });
        bus.shutdown(secs(2)).await;
        sending.await.unwrap();
        drop(time);
        settled(&bus).await;
    });
}

#[test]
fn workers_end_when_the_last_clone_of_the_bus_goes() {
    explore(300, || async {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(DestinationConfig::parallel("t/rest").unwrap()).unwrap();
        let (seen, holds) = (notes.clone(), Arc::new(()));
        let held = Arc::downgrade(&holds);
        let listener = listener_fn("holding", move |delivery| {
            seen.add(delivery.text().unwrap());
            let holds = Arc::clone(&holds);
            async move {
                yield_now().await;
                drop(holds);
                Outcome::done()
            }
        });
        bus.register("t/rest", listener.with_deadline(FOR_EVER)).unwrap();
        bus.send("t/rest", Outgoing::text("a")).await.unwrap();
        drop(bus);
        // The last worker that goes drops the listener. One that stays would have this go round until shuttle ends it.
        while held.strong_count() > 0 {
            yield_now().await;
        }
        assert_eq!(notes.all(), ["a"]);
    });
}
