//! Hard corners of admission: all or nothing, bytes, and the policies for what nobody listens to or has no room for.

use crate::support::*;

/// A paused destination with listeners of these names.
fn paused(config: DestinationConfig, listeners: &[&str], notes: &Notes) -> Bus {
    let bus = bus();
    bus.create(with(config, |config| config.paused = true)).unwrap();
    for listener in listeners {
        bus.register("t/x", noting(listener, notes)).unwrap();
    }
    bus
}

#[tokio::test(start_paused = true)]
async fn a_parallel_destination_takes_a_message_for_all_listeners_or_for_none() {
    // Half a message would be received by some and refused to its sender.
    let notes = Notes::default();
    let bus = paused(with(parallel("t/x"), |config| config.queue_entries_max = 5), &["a", "b", "c"], &notes);
    bus.send("t/x", text("1")).await.unwrap();
    let error = bus.send("t/x", text("2")).await.unwrap_err();
    assert!(matches!(error, SendError::QueueFull { pending: 3, pending_max: 5, .. }), "{error}");
    assert_eq!((figures(&bus, "t/x").pending, figures(&bus, "t/x").owed), (3, 3));
    bus.resume("t/x").unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a:1", "b:1", "c:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_with_more_listeners_than_the_bound_is_queue_full_at_any_time() {
    // Also when nothing waits, and whatever the policy would throw away for it.
    for policy in [RejectedExecution::Abort, RejectedExecution::DiscardOldest] {
        let notes = Notes::default();
        let config = with(parallel("t/x"), |config| {
            config.queue_entries_max = 2;
            config.rejected_execution = policy;
        });
        let bus = paused(config, &["a", "b"], &notes);
        bus.send("t/x", text("1")).await.unwrap();
        bus.register("t/x", noting("c", &notes)).unwrap();
        assert_eq!(bus.send("t/x", text("2")).await.unwrap_err().name(), "queue-full");
        assert!(figures(&bus, "t/x").dropped.is_empty());
        bus.resume("t/x").unwrap();
        bus.idle().await;
        assert_eq!(bus.send("t/x", text("3")).await.unwrap_err().name(), "queue-full");
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["a:1", "b:1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_payload_count_once_however_many_listeners_there_are() {
    // The payload is stored once. Its bytes are free when its last entry has left.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(parallel("t/x"), |config| {
        config.queue_bytes_max = 10;
        config.workers = Workers { core: 1, max: 1, ..config.workers };
    }))
    .unwrap();
    bus.register("t/x", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/x", blocking("b", &notes, &gate)).unwrap();
    bus.send("t/x", text("12345678")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    assert_eq!((figures(&bus, "t/x").pending, figures(&bus, "t/x").pending_bytes), (1, 8));
    let error = bus.send("t/x", text("123")).await.unwrap_err();
    let wanted = SendError::QueueFull {
        destination: name("t/x"),
        pending: 8,
        pending_max: 10,
        unit: QueueUnit::Bytes,
    };
    assert_eq!(error, wanted);
    bus.send("t/x", text("12")).await.unwrap();
    gate.open();
    settled(&bus).await;
    assert_eq!((figures(&bus, "t/x").pending_bytes, notes.len()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn discarding_the_oldest_throws_nothing_away_for_a_message_that_still_has_no_room() {
    // Retries keep their place; where they leave no room, dropping others would lose messages for nothing.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/x"), |config| {
        config.queue_entries_max = 3;
        config.rejected_execution = RejectedExecution::DiscardOldest;
        config.retry = retries(2, secs(60));
    }))
    .unwrap();
    for listener in ["a", "b"] {
        bus.register("t/x", ending(listener, &notes, |_| Outcome::retry("later"))).unwrap();
    }
    bus.send("t/x", text("1")).await.unwrap();
    eventually(|| figures(&bus, "t/x").retried == 2 && figures(&bus, "t/x").running == 0).await;
    assert!(bus.unregister("t/x", "b").await);
    bus.pause("t/x").unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    bus.register("t/x", noting("c", &notes)).unwrap();
    bus.register("t/x", noting("d", &notes)).unwrap();
    // One retry and one fresh entry wait; three more fit only without the retry.
    let sent = bus.send("t/x", text("3")).await;
    let dropped = figures(&bus, "t/x").dropped.clone();
    bus.close_now("t/x").await.unwrap();
    settled(&bus).await;
    assert_eq!(sent.unwrap_err().name(), "queue-full");
    assert!(dropped.is_empty(), "refused, and yet something was thrown away for it: {dropped:?}");
}

#[tokio::test(start_paused = true)]
async fn discarding_the_oldest_reaches_held_messages_too() {
    // They wait within the same bound.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/x"), |config| {
        config.queue_entries_max = 2;
        config.rejected_execution = RejectedExecution::DiscardOldest;
    }))
    .unwrap();
    for n in 1..=4 {
        bus.send("t/x", text(n.to_string())).await.unwrap();
    }
    assert_eq!((figures(&bus, "t/x").held, figures(&bus, "t/x").dropped["queue-full"]), (2, 2));
    bus.register("t/x", noting("l", &notes)).unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:3", "l:4"]);
}

#[tokio::test(start_paused = true)]
async fn held_messages_are_bounded_and_the_policy_for_a_full_queue_applies() {
    // Nobody listens, so that nobody would notice a queue without a limit.
    let bus = bus();
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 1)).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    assert_eq!(bus.send("t/x", text("2")).await.unwrap_err().name(), "queue-full");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_under_the_policy_dead_letter_keeps_the_message_alone() {
    // It never got in, so that no listener is named: redriven, it is sent anew.
    let notes = Notes::default();
    let config = with(parallel("t/x"), |config| {
        config.queue_entries_max = 2;
        config.rejected_execution = RejectedExecution::DeadLetter;
    });
    let bus = paused(config, &["a", "b"], &notes);
    bus.send("t/x", text("1")).await.unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    let letters = bus.dead_letters("t/x");
    assert_eq!((letters.len(), letters[0].reason.name(), letters[0].attempts), (1, "queue-full", 0));
    assert_eq!((letters[0].listener.as_deref(), figures(&bus, "t/x").accepted), (None, 2));
    bus.resume("t/x").unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a:1", "b:1"]);
}

#[tokio::test(start_paused = true)]
async fn without_listeners_the_policy_dead_letter_keeps_the_message_and_tells_nobody() {
    // For destinations whose listeners come and go, and whose messages matter.
    for config in [parallel("t/x"), serial("t/x")] {
        let bus = bus();
        bus.create(with(config, |config| config.on_no_listener = OnNoListener::DeadLetter)).unwrap();
        let id = bus.send("t/x", text("m")).await.unwrap();
        let letters = bus.dead_letters("t/x");
        assert_eq!(
            (letters.len(), letters[0].message.id(), letters[0].reason.name()),
            (1, id, "no-listener")
        );
        settled(&bus).await;
    }
    for policy in [OnNoListener::Hold, OnNoListener::DeadLetter] {
        assert!(with(synchronous("t/y"), |config| config.on_no_listener = policy).check().is_err());
    }
    assert!(
        with(serial("t/s"), |config| config.rejected_execution = RejectedExecution::CallerRuns)
            .check()
            .is_err()
    );
    assert!(with(serial("t/s"), |config| config.workers.max = 2).check().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_paused_destination_delivers_nothing_not_even_in_the_senders_task() {
    // Pause means that no listener is called; `caller-runs` is about a full queue, not a way around it.
    let notes = Notes::default();
    let config = with(parallel("t/x"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::CallerRuns;
    });
    let bus = paused(config, &["l"], &notes);
    bus.send("t/x", text("1")).await.unwrap();
    let _ = bus.send("t/x", text("2")).await;
    let while_paused = notes.all();
    bus.resume("t/x").unwrap();
    settled(&bus).await;
    assert!(while_paused.is_empty(), "{while_paused:?} was delivered during the pause");
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_for_room_learn_that_the_destination_closes() {
    // There will be no room any more.
    let notes = Notes::default();
    let config = with(serial("t/x"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(600));
    });
    let bus = paused(config, &["l"], &notes);
    bus.send("t/x", text("1")).await.unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/x", text("2")).await });
    turns().await;
    let before = Instant::now();
    bus.close_now("t/x").await.unwrap();
    assert_eq!(sending.await.unwrap(), Err(SendError::Closed(name("t/x"))));
    assert!(before.elapsed() < secs(1));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_room_ends_shortly_before_the_senders_own_deadline() {
    // LIMIT-3: a call must not be held by a full queue beyond its deadline.
    let notes = Notes::default();
    let config = with(serial("t/x"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(600));
    });
    let bus = paused(config, &["l"], &notes);
    bus.send("t/x", text("1")).await.unwrap();
    let before = Instant::now();
    let origin = Origin::named("guest").with_deadline(before + ms(200));
    assert_eq!(bus.send_as(&origin, "t/x", text("2")).await.unwrap_err().name(), "queue-full");
    assert!(before.elapsed() >= ms(150) && before.elapsed() < ms(200), "{:?}", before.elapsed());
    bus.resume("t/x").unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn giving_up_a_synchronous_send_settles_what_is_left_of_it() {
    // The future is dropped in the middle of a call: interrupted, not vanished.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", noting("a", &notes)).unwrap();
    bus.register("t/y", blocking("b", &notes, &Gate::closed())).unwrap();
    bus.register("t/y", noting("c", &notes)).unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/y", text("m")).await });
    eventually(|| notes.len() == 2).await;
    sending.abort();
    assert!(sending.await.is_err());
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:m", "b:m"]);
    assert_eq!((figures(&bus, "t/y").completed, reasons(&bus, "t/y")), (1, vec!["closed", "closed"]));
}
