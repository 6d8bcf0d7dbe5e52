//! Messages with keys race: those of one ordering key stay in order and never run side by side, and of those of one dedup
//! key the destination accepts one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;

/// A bus whose parallel `t/keys` has three workers, and a listener there.
fn with_listener(listener: NativeListener) -> Bus {
    let (bus, config) = (bus(), DestinationConfig::parallel("t/keys").unwrap());
    let workers = Workers { core: 3, max: 3, ..config.workers };
    bus.create(DestinationConfig { workers, ..config }).unwrap();
    bus.register("t/keys", listener).unwrap();
    bus
}

#[test]
fn messages_of_one_ordering_key_are_received_in_order_and_one_at_a_time() {
    // No time passes: a key whose next message finds no worker is a deadlock.
    explore(600, || async {
        let (notes, running, side_by_side) =
            (Notes::default(), [0, 1].map(|_| Arc::new(AtomicUsize::new(0))), Arc::new(AtomicUsize::new(0)));
        let (seen, overlaps) = (notes.clone(), Arc::clone(&side_by_side));
        let listener = listener_fn("orderly", move |delivery| {
            let text = delivery.text().unwrap().to_owned();
            let of_key = Arc::clone(&running[usize::from(text.starts_with('b'))]);
            let (seen, overlaps) = (seen.clone(), Arc::clone(&overlaps));
            async move {
                overlaps.fetch_add(of_key.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                yield_now().await;
                of_key.fetch_sub(1, Ordering::SeqCst);
                seen.add(text);
                Outcome::done()
            }
        });
        let bus = with_listener(listener.with_deadline(FOR_EVER));
        let senders = ["a", "b"].map(|key| {
            let bus = bus.clone();
            spawn(async move {
                for number in 0..3 {
                    let message = Outgoing::text(format!("{key}{number}")).ordering_key(key);
                    bus.send("t/keys", message).await.unwrap();
                }
            })
        });
        for sender in senders {
            sender.await.unwrap();
        }
        settled(&bus).await;
        assert_eq!(side_by_side.load(Ordering::SeqCst), 0, "two of one key ran side by side");
        for key in ["a", "b"] {
            let all = notes.all();
            let received: Vec<&String> = all.iter().filter(|text| text.starts_with(key)).collect();
            assert_eq!(received, [&format!("{key}0"), &format!("{key}1"), &format!("{key}2")]);
        }
    });
}

#[test]
fn of_messages_of_one_dedup_key_that_come_at_once_one_is_accepted() {
    explore(600, || async {
        let notes = Notes::default();
        let bus = with_listener(noting("all", &notes));
        let senders = ["a", "b", "c"].map(|text| {
            let bus = bus.clone();
            spawn(async move { bus.send("t/keys", Outgoing::text(text).dedup_key("one")).await.unwrap() })
        });
        let mut ids = Vec::new();
        for sender in senders {
            ids.push(sender.await.unwrap());
        }
        settled(&bus).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "each sender has the id of the one that was accepted");
        assert_eq!(notes.all().len(), 1);
    });
}
