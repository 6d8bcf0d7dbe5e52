//! Hard corners of rest and of ends: `idle`, listeners that panic outside of their future, a bus that goes.

use std::sync::Arc;

use crate::support::*;

/// Waits for rest, with a bound of an hour of the paused clock.
async fn rests(bus: &Bus) -> bool {
    tokio::time::timeout(secs(3_600), bus.idle()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn idle_waits_for_a_message_that_moves_from_destination_to_destination() {
    // At no instant is it nowhere.
    let (bus, notes) = (bus(), Notes::default());
    let chain = ["t/d", "t/b", "t/e", "t/a", "t/c"];
    for (place, destination) in chain.into_iter().enumerate() {
        let config = if place % 2 == 0 { serial(destination) } else { parallel(destination) };
        bus.create(config).unwrap();
        let (sender, seen, next) = (bus.clone(), notes.clone(), chain.get(place + 1).copied());
        bus.register(
            destination,
            listener_fn("l", move |delivery| {
                let (bus, seen) = (sender.clone(), seen.clone());
                async move {
                    tokio::time::sleep(ms(10)).await;
                    if let Some(next) = next {
                        bus.send_as(&delivery.origin(), next, text("m")).await.unwrap();
                    }
                    seen.add(delivery.destination().as_str());
                    Outcome::done()
                }
            }),
        )
        .unwrap();
    }
    for round in 1..=20 {
        bus.send("t/d", text("m")).await.unwrap();
        assert!(rests(&bus).await);
        assert_eq!(notes.len(), 5 * round);
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn idle_waits_for_retries_and_for_replies_and_not_for_what_is_held_or_paused() {
    // What can only go on with something new from outside does not count.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/held")).unwrap();
    bus.create(with(serial("t/paused"), |config| config.paused = true)).unwrap();
    bus.create(with(serial("t/s"), |config| config.retry = retries(3, secs(100)))).unwrap();
    bus.create(serial("t/back")).unwrap();
    bus.register("t/paused", noting("l", &notes)).unwrap();
    bus.register("t/back", noting("back", &notes)).unwrap();
    bus.register(
        "t/s",
        ending("l", &notes, |delivery| match delivery.attempt() {
            3 => Outcome::reply(Reply::text("answer")),
            _ => Outcome::retry("later"),
        }),
    )
    .unwrap();
    bus.send("t/held", text("h")).await.unwrap();
    bus.send("t/paused", text("p")).await.unwrap();
    bus.send("t/s", text("m").response_destination(name("t/back"))).await.unwrap();
    let before = Instant::now();
    assert!(rests(&bus).await);
    assert!(before.elapsed() >= secs(200));
    assert_eq!(notes.all(), ["l:m", "l:m", "l:m", "back:answer"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn idle_does_not_hang_when_what_it_waits_for_is_paused_unregistered_closed_or_destroyed() {
    // Each of these ends a waiting retry for the time being, and nobody sends afterwards.
    for act in ["pause", "unregister", "close", "close now", "destroy"] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(with(serial("t/s"), |config| config.retry = retries(3, secs(1_000_000)))).unwrap();
        bus.register("t/s", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
        bus.send("t/s", text("m")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        let waiter = bus.clone();
        let idle = tokio::spawn(async move { rests(&waiter).await });
        turns().await;
        assert!(!idle.is_finished(), "{act}");
        match act {
            "pause" => bus.pause("t/s").unwrap(),
            "unregister" => assert!(bus.unregister("t/s", "l").await),
            "close" => assert_eq!(bus.close("t/s", secs(1)).await.unwrap().dead_letters, 1),
            "close now" => assert_eq!(bus.close_now("t/s").await.unwrap().dead_letters, 1),
            _ => assert_eq!(bus.destroy("t/s").await.unwrap().dead_letters.len(), 1),
        }
        assert!(idle.await.unwrap(), "{act}");
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn idle_waits_for_calls_in_a_senders_own_task() {
    // Not only workers work.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", blocking("l", &notes, &gate)).unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/y", text("m")).await });
    eventually(|| notes.len() == 1).await;
    let waiter = bus.clone();
    let idle = tokio::spawn(async move { waiter.idle().await });
    turns().await;
    assert!(!idle.is_finished());
    gate.open();
    idle.await.unwrap();
    sending.await.unwrap().unwrap();
    settled(&bus).await;
}

/// Panics where its name says, before there is a future to guard.
struct PanicsIn(&'static str);

struct PanickingInstance(bool);

impl MessageListener for PanicsIn {
    fn name(&self) -> &str {
        self.0
    }
    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        assert_ne!(self.0, "instantiate", "boom");
        let instance = Box::new(PanickingInstance(self.0 == "receive")) as Box<dyn ListenerInstance>;
        Box::pin(std::future::ready(Ok(instance)))
    }
}

impl ListenerInstance for PanickingInstance {
    fn receive<'a>(self: Box<Self>, _: &'a Delivery) -> BoxFuture<'a, Ended> {
        assert!(!self.0, "boom");
        Box::pin(std::future::ready(Ended::spent(Outcome::done())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_poll_of_a_listener_is_a_trap_as_any_other() {
    // "A panic of a native listener is a `trap`": it must not take the worker, nor the messages behind it.
    for listener in ["instantiate", "receive"] {
        for config in [serial("t/x"), parallel("t/x")] {
            let bus = bus();
            bus.create(with(config, |config| {
                config.workers = Workers { core: 1, max: 1, ..config.workers };
                config.paused = true;
            }))
            .unwrap();
            bus.register("t/x", PanicsIn(listener)).unwrap();
            for n in 0..3 {
                bus.send("t/x", text(n.to_string())).await.unwrap();
            }
            bus.resume("t/x").unwrap();
            let rested = rests(&bus).await;
            let (found, waiting) = (reasons(&bus, "t/x"), figures(&bus, "t/x").waiting);
            assert!(rested, "{listener}: {waiting} wait for a worker that is gone; dead letters {found:?}");
            assert_eq!(found, ["trap", "trap", "trap"], "{listener}");
            settled(&bus).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_of_a_bus_ends_its_workers() {
    // `Bus` promises it. A worker that stays keeps its listeners, their instances and all that they hold.
    for config in each_type() {
        let (bus, destination, token) = (bus(), config.name.to_string(), Arc::new(()));
        let held = Arc::clone(&token);
        bus.create(config).unwrap();
        bus.register(
            &destination,
            listener_fn("l", move |_| {
                let _held = Arc::clone(&held);
                async { Outcome::done() }
            }),
        )
        .unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        settled(&bus).await;
        drop(bus);
        turns().await;
        assert_eq!(Arc::strong_count(&token), 1, "{destination}: a worker still holds the listener");
    }
}
