//! Hard corners of unregistering: what runs, what waits, and who still gets it.

use std::sync::Arc;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn unregistering_waits_for_the_running_call_and_none_begins_afterwards() {
    // Whoever unregisters may free what the listener uses.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        bus.create(with(config, |config| {
            if config.destination_type == DestinationType::Parallel {
                config.workers = Workers { core: 1, max: 1, ..config.workers };
            }
        }))
        .unwrap();
        bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
        for n in 0..3 {
            bus.send("t/x", text(n.to_string())).await.unwrap();
        }
        eventually(|| notes.len() == 1).await;
        let remover = bus.clone();
        let removing = tokio::spawn(async move { remover.unregister("t/x", "l").await });
        turns().await;
        assert!(!removing.is_finished());
        assert!(!bus.has_listener("t/x"));
        gate.open();
        assert!(removing.await.unwrap());
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:0"]);
        assert_eq!(reasons(&bus, "t/x"), ["listener-removed", "listener-removed"]);
        assert_eq!(figures(&bus, "t/x").completed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn unregistering_waits_no_longer_than_the_calls_deadline() {
    // A listener that never returns must not hold whoever takes it away.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &Gate::closed()).with_deadline(ms(500))).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    let before = Instant::now();
    assert!(bus.unregister("t/s", "l").await);
    assert!(before.elapsed() <= ms(510));
    settled(&bus).await;
    assert_eq!(notes.len(), 1, "a removed listener is not tried again");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_removed_listener_is_counted_where_others_receive_it() {
    // The message is not lost: others were meant to have it, and have it.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        for listener in ["a", "b", "c"] {
            bus.register("t/x", noting(listener, &notes)).unwrap();
        }
        bus.pause("t/x").unwrap();
        for n in 0..2 {
            bus.send("t/x", text(n.to_string())).await.unwrap();
        }
        assert!(bus.unregister("t/x", "b").await);
        let then = figures(&bus, "t/x");
        assert_eq!((then.listener_removed, then.dead_letters, then.waiting), (2, 0, 4));
        bus.resume("t/x").unwrap();
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["a:0", "a:1", "c:0", "c:1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_only_listener_becomes_a_dead_letter() {
    // Nobody else will see it; an operator can redrive it.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        bus.register("t/x", noting("l", &notes)).unwrap();
        bus.pause("t/x").unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        assert!(bus.unregister("t/x", "l").await);
        let letters = bus.dead_letters("t/x");
        assert_eq!((letters.len(), letters[0].reason.name()), (1, "listener-removed"));
        assert_eq!((letters[0].listener.as_deref(), letters[0].attempts), (Some("l"), 0));
        bus.register("t/x", noting("l", &notes)).unwrap();
        bus.resume("t/x").unwrap();
        settled(&bus).await;
        assert!(notes.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_loses_its_only_listener_still_says_how_often_it_was_tried() {
    // `DeadLetter::attempts` is how often it was tried, not how often since.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(with(config, |config| config.retry = retries(5, secs(10)))).unwrap();
        bus.register("t/x", ending("l", &notes, |_| Outcome::retry("not yet"))).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        eventually(|| figures(&bus, "t/x").retried == 1 && figures(&bus, "t/x").running == 0).await;
        assert!(bus.unregister("t/x", "l").await);
        settled(&bus).await;
        assert_eq!((notes.len(), bus.dead_letters("t/x")[0].attempts), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_serial_message_goes_on_to_the_others_when_a_listener_leaves_in_the_middle() {
    // The set was fixed at acceptance; who left is skipped and counted, the rest is called in order.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/s", noting("b", &notes)).unwrap();
    bus.register("t/s", noting("c", &notes)).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    assert!(bus.unregister("t/s", "b").await);
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:m", "c:m"]);
    let then = figures(&bus, "t/s");
    assert_eq!((then.listener_removed, then.completed, then.dead_letters), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_retry_of_a_removed_listener_lets_the_messages_behind_it_go_on() {
    // Otherwise its delay would hold a queue for nobody.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(3, secs(3_600)))).unwrap();
    bus.register("t/s", ending("a", &notes, |_| Outcome::retry("never"))).unwrap();
    bus.register("t/s", noting("b", &notes)).unwrap();
    for n in 1..=2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    eventually(|| notes.count("b:1") == 1).await;
    assert_eq!(notes.count("b:2"), 0);
    let before = Instant::now();
    assert!(bus.unregister("t/s", "a").await);
    settled(&bus).await;
    assert_eq!((notes.count("b:2"), before.elapsed() < secs(1)), (1, true));
}

#[tokio::test(start_paused = true)]
async fn held_messages_go_to_the_first_listener_only_and_a_second_one_starts_afresh() {
    // The set of listeners of a held message is fixed when the first one registers.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        for n in 1..=3 {
            bus.send("t/x", text(n.to_string())).await.unwrap();
        }
        bus.register("t/x", noting("a", &notes)).unwrap();
        bus.register("t/x", noting("b", &notes)).unwrap();
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["a:1", "a:2", "a:3"]);
        assert_eq!(figures(&bus, "t/x").owed, 3);
        bus.send("t/x", text("4")).await.unwrap();
        settled(&bus).await;
        assert_eq!((notes.count("a:4"), notes.count("b:4")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_message_whose_first_listener_leaves_is_a_dead_letter() {
    // From the first registration on it is that listener's.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.paused = true)).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    bus.register("t/s", noting("a", &notes)).unwrap();
    assert_eq!(figures(&bus, "t/s").held, 0);
    assert!(bus.unregister("t/s", "a").await);
    assert_eq!(reasons(&bus, "t/s"), ["listener-removed"]);
    bus.resume("t/s").unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn the_room_that_unregistering_makes_is_told_to_whoever_waits_for_it() {
    // The queue is empty now; letting the sender run into its bound would refuse it for nothing.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(5));
        config.paused = true;
    }))
    .unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/s", text("2")).await });
    turns().await;
    assert!(!sending.is_finished());
    assert!(bus.unregister("t/s", "l").await);
    let sent = sending.await.unwrap();
    assert!(sent.is_ok(), "{sent:?} with {} waiting", figures(&bus, "t/s").pending);
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").held, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_only_listener_leaves_is_told_at_once() {
    // No answer can come any more.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.paused = true)).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    let asking = bus.clone();
    let request = tokio::spawn(async move { asking.request("t/s", text("m"), None).await });
    turns().await;
    let before = Instant::now();
    assert!(bus.unregister("t/s", "l").await);
    assert_eq!(request.await.unwrap().unwrap_err().name(), "listener-faulted");
    assert!(before.elapsed() < secs(1));
    settled(&bus).await;
}

/// A listener that never becomes ready, as a guest whose `activate` hangs.
struct NeverReady;

impl MessageListener for NeverReady {
    fn name(&self) -> &str {
        "never"
    }
    fn is_ready(&self) -> bool {
        false
    }
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        Box::pin(std::future::ready(Err(Fault::new(Cause::Instantiate, "never called"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_never_becomes_ready_can_be_taken_away() {
    // Its call has not begun and has no deadline yet; waiting for it would be a wait without a limit.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register_shared("t/s", Arc::new(NeverReady)).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    eventually(|| figures(&bus, "t/s").running == 1).await;
    let removed = tokio::time::timeout(secs(3_600), bus.unregister("t/s", "never")).await;
    bus.close_now("t/s").await.unwrap();
    settled(&bus).await;
    assert_eq!(removed, Ok(true));
}
