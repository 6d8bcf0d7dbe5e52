//! TYPE: the destination types.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Barrier;

use crate::support::*;

#[test]
fn type_1_the_constructors_keep_name_and_type_and_have_the_documented_workers() {
    // Operators tune against these numbers.
    let mut config = parallel("t/p");
    assert_eq!((config.name.as_str(), config.destination_type), ("t/p", DestinationType::Parallel));
    assert_eq!((config.workers.core, config.workers.max, config.workers.keep_alive), (2, 5, secs(60)));
    assert_eq!((serial("t/s").workers.core, serial("t/s").workers.max), (1, 1));
    assert_eq!(synchronous("t/y").destination_type, DestinationType::Synchronous);
    config.queue_entries_max = 20;
    config.workers = Workers { core: 3, max: 6, ..config.workers };
    config.check().unwrap();
    assert_eq!((config.queue_entries_max, config.workers.core, config.workers.max), (20, 3, 6));
}

#[tokio::test(start_paused = true)]
async fn type_2_a_serial_destination_keeps_the_order_of_a_sender() {
    // First in, first out is what serial means.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    for n in 0..1_000 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    let wanted: Vec<String> = (0..1_000).map(|n| format!("l:{n}")).collect();
    assert_eq!(notes.all(), wanted);
}

#[tokio::test(start_paused = true)]
async fn type_3_on_a_parallel_destination_a_blocked_listener_holds_nobody_up() {
    // Each listener's delivery is an entry of its own.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/p", noting("b", &notes)).unwrap();
    bus.send("t/p", text("m")).await.unwrap();
    eventually(|| notes.count("b:m") == 1 && figures(&bus, "t/p").running == 1).await;
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a:m", "b:m"]);
}

#[tokio::test(start_paused = true)]
async fn type_4_on_a_serial_destination_the_next_listener_waits_for_the_one_before() {
    // Listener n+1 sees what listener n changed, so it cannot start earlier.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/s", noting("b", &notes)).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    turns().await;
    assert_eq!(notes.all(), ["a:m"]);
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:m", "b:m"]);
}

#[tokio::test(start_paused = true)]
async fn type_5_a_synchronous_send_returns_after_its_listeners() {
    // The sender's own task runs them.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    for listener in ["a", "b"] {
        bus.register(
            "t/y",
            ending(listener, &notes, |delivery| {
                assert_eq!(delivery.worker(), None);
                Outcome::done()
            }),
        )
        .unwrap();
    }
    bus.send("t/y", text("m")).await.unwrap();
    assert_eq!(notes.all(), ["a:m", "b:m"]);
    assert_eq!(figures(&bus, "t/y").workers_largest, 0);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn type_6_with_one_worker_no_two_calls_overlap() {
    // Workers max bounds concurrency, whatever the number of listeners.
    let bus = bus();
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 1, ..config.workers }
    }))
    .unwrap();
    let (inside, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for listener in ["a", "b"] {
        let (inside, calls) = (Arc::clone(&inside), Arc::clone(&calls));
        let call = move |_| {
            let (inside, calls) = (Arc::clone(&inside), Arc::clone(&calls));
            async move {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two calls overlap");
                tokio::time::sleep(ms(1)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                calls.fetch_add(1, Ordering::SeqCst);
                Outcome::done()
            }
        };
        bus.register("t/p", listener_fn(listener, call)).unwrap();
    }
    for n in 0..10 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(calls.load(Ordering::SeqCst), 20);
    assert_eq!(figures(&bus, "t/p").failed_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn type_7_listeners_are_called_in_the_order_of_registration() {
    // The order is promised on serial and synchronous destinations.
    for config in [serial("t/x"), synchronous("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        for listener in ["c", "a", "b"] {
            bus.register("t/x", noting(listener, &notes)).unwrap();
        }
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["c:m", "a:m", "b:m"]);
    }
}

#[tokio::test(start_paused = true)]
async fn type_8_the_listeners_of_a_message_are_fixed_when_it_is_accepted() {
    // Otherwise a late listener would receive what was said before it came.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("a", &notes, &gate)).unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    bus.send("t/s", text("2")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.register("t/s", noting("b", &notes)).unwrap();
    gate.open();
    bus.send("t/s", text("3")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:1", "a:2", "a:3", "b:3"]);
}

#[tokio::test(start_paused = true)]
async fn type_9_a_serial_or_synchronous_listener_sees_what_the_one_before_it_changed() {
    // A chain of listeners enriches a message; the sender's own copy stays as it was.
    for config in [serial("t/x"), synchronous("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        bus.register("t/x", putting("a", "x", "1")).unwrap();
        let seen = notes.clone();
        bus.register(
            "t/x",
            listener_fn("b", move |delivery| {
                seen.add(format!(
                    "{:?} {:?}",
                    delivery.values().text("x"),
                    delivery.message().values().text("x")
                ));
                async { Outcome::done() }
            }),
        )
        .unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["Ok(Some(\"1\")) Ok(None)"]);
    }
}

/// A listener that puts one value and ends done.
fn putting(listener: &str, key: &'static str, value: &'static str) -> NativeListener {
    listener_fn(listener, move |delivery| {
        let mut values = delivery.values().clone();
        values.put(key, value).unwrap();
        async move { Outcome::Done(Answer { values: Some(values), ..Answer::default() }) }
    })
}

#[tokio::test(start_paused = true)]
async fn type_10_parallel_listeners_each_have_their_own_snapshot() {
    // What one changes must not leak into a call that runs beside it, or after it.
    let (bus, notes, both) = (bus(), Notes::default(), Arc::new(Barrier::new(2)));
    bus.create(parallel("t/p")).unwrap();
    for listener in ["a", "b"] {
        let (notes, both) = (notes.clone(), Arc::clone(&both));
        let call = move |delivery: Delivery| {
            let (notes, both) = (notes.clone(), Arc::clone(&both));
            async move {
                let mut values = delivery.values().clone();
                values.put("x", delivery.listener()).unwrap();
                both.wait().await;
                notes.add(format!("{}:{}", delivery.listener(), values.text("x").unwrap().unwrap()));
                assert!(!delivery.message().values().contains("x"));
                Outcome::Done(Answer { values: Some(values), ..Answer::default() })
            }
        };
        bus.register("t/p", listener_fn(listener, call)).unwrap();
    }
    bus.send("t/p", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a:a", "b:b"]);
    assert_eq!(figures(&bus, "t/p").failed_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn type_12_what_a_listener_sends_on_arrives_with_payload_and_values() {
    // Pipelines are built so.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/a")).unwrap();
    bus.create(serial("t/b")).unwrap();
    let sender = bus.clone();
    bus.register(
        "t/a",
        listener_fn("forward", move |delivery| {
            let bus = sender.clone();
            async move {
                let mut on = Outgoing::bytes(delivery.payload().clone());
                on.values = delivery.values().clone();
                bus.send_as(&delivery.origin(), "t/b", on).await.unwrap();
                Outcome::done()
            }
        }),
    )
    .unwrap();
    let end = ending("end", &notes, |delivery| {
        assert_eq!(delivery.values().integer("n"), Ok(Some(7)));
        Outcome::done()
    });
    bus.register("t/b", end).unwrap();
    bus.send("t/a", text("m").value("n", 7).unwrap()).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["end:m"]);
    assert_eq!(figures(&bus, "t/b").failed_total(), 0);
}
