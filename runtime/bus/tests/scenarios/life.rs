//! LIFE: open, paused, draining, closed, gone.

use crate::support::*;

/// A serial destination whose listener is blocked with message `0`, and ten more behind it.
async fn ten_waiting() -> (Bus, Notes, Gate) {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    for n in 0..=10 {
        bus.send("t/x", text(n.to_string())).await.unwrap();
    }
    eventually(|| notes.len() == 1).await;
    (bus, notes, gate)
}

#[tokio::test(start_paused = true)]
async fn life_1_a_closed_destination_says_closed_in_every_mode() {
    // Not `no-such-destination`: it is there, and may open again.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        bus.close(&destination, secs(1)).await.unwrap();
        assert_eq!(figures(&bus, &destination).state, "closed");
        assert_eq!(bus.send(&destination, text("m")).await, Err(SendError::Closed(name(&destination))));
        assert_eq!(bus.request(&destination, text("m"), None).await.unwrap_err().name(), "closed");
        assert_eq!(bus.request_direct(&destination, text("m"), None).await.unwrap_err().name(), "closed");
        settled(&bus).await;
        assert!(notes.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn life_2_closing_drains_what_waits_and_refuses_what_comes() {
    // Accepted is owed; the drain pays it.
    let (bus, notes, gate) = ten_waiting().await;
    let closer = bus.clone();
    let closing = tokio::spawn(async move { closer.close("t/x", secs(60)).await.unwrap() });
    eventually(|| figures(&bus, "t/x").state == "draining").await;
    assert_eq!(bus.send("t/x", text("late")).await.unwrap_err().name(), "closed");
    gate.open();
    assert_eq!(closing.await.unwrap(), Closed { dead_letters: 0, interrupted: false });
    assert_eq!(notes.len(), 11);
    assert_eq!((figures(&bus, "t/x").workers_current, figures(&bus, "t/x").state), (0, "closed"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_2_a_drain_ends_at_its_deadline_and_says_what_is_left() {
    // A listener that never returns must not keep a host from stopping.
    let (bus, notes, _gate) = ten_waiting().await;
    let before = Instant::now();
    let closed = bus.close("t/x", secs(3)).await.unwrap();
    assert_eq!(closed, Closed { dead_letters: 11, interrupted: true });
    assert!(before.elapsed() >= secs(3) && before.elapsed() < secs(4));
    assert_eq!(notes.len(), 1);
    assert!(reasons(&bus, "t/x").iter().all(|reason| *reason == "closed"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_3_closing_now_interrupts_the_call_and_keeps_the_rest_as_dead_letters() {
    // Nothing vanishes, and nothing is waited for.
    let (bus, _notes, _gate) = ten_waiting().await;
    let before = Instant::now();
    let closed = bus.close_now("t/x").await.unwrap();
    assert_eq!(closed, Closed { dead_letters: 11, interrupted: true });
    assert!(before.elapsed() < ms(100));
    let letters = bus.dead_letters("t/x");
    assert!(letters.iter().all(|letter| letter.reason == DeadLetterReason::Closed));
    let attempts: Vec<u32> = letters.iter().map(|letter| letter.attempts).collect();
    assert_eq!((attempts.iter().sum::<u32>(), attempts.len()), (1, 11));
    let then = figures(&bus, "t/x");
    assert_eq!((then.workers_current, then.failed["interrupted"], then.pending), (0, 1, 0));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_4_a_reopened_destination_keeps_its_listeners() {
    // And opening what is open changes nothing.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.close("t/x", secs(1)).await.unwrap();
    bus.reopen("t/x").unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    bus.idle().await;
    assert_eq!((notes.all(), figures(&bus, "t/x").completed), (vec!["l:1".into(), "l:2".into()], 1));
    bus.reopen("t/x").unwrap();
    assert_eq!((figures(&bus, "t/x").completed, figures(&bus, "t/x").state), (1, "open"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_4_dead_letters_survive_reopening_and_the_books_still_balance() {
    // What is kept is still owed an end.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", refusing("l", &notes, "no")).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.close("t/x", secs(1)).await.unwrap();
    bus.reopen("t/x").unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    settled(&bus).await;
    assert_eq!(bus.dead_letters("t/x").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn life_5_a_destroyed_destination_is_unknown_and_leaves_no_worker() {
    // Destroy is close now, then gone.
    let (bus, notes, _gate) = ten_waiting().await;
    bus.destroy("t/x").await.unwrap();
    assert_eq!(bus.send("t/x", text("m")).await.unwrap_err().name(), "no-such-destination");
    assert!(matches!(bus.destroy("t/x").await, Err(DestinationError::NoSuchDestination(_))));
    assert_eq!(notes.len(), 1);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_10_a_paused_destination_accepts_and_delivers_in_order_when_resumed() {
    // Pausing is for maintenance; senders must not notice.
    for config in [serial("t/x"), with(parallel("t/x"), one_worker)] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        bus.register("t/x", noting("l", &notes)).unwrap();
        bus.pause("t/x").unwrap();
        for n in 1..=3 {
            bus.send("t/x", text(n.to_string())).await.unwrap();
        }
        tokio::time::sleep(secs(5)).await;
        assert!(notes.is_empty());
        assert_eq!((figures(&bus, "t/x").state, figures(&bus, "t/x").pending), ("paused", 3));
        bus.resume("t/x").unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:1", "l:2", "l:3"]);
    }
}

fn one_worker(config: &mut DestinationConfig) {
    config.workers = Workers { core: 1, max: 1, ..config.workers };
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_what_waits_behind_the_call_that_runs_and_its_retry() {
    // The running call ends; nothing else begins, not even a retry that is due.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.retry = retries(3, ms(10)))).unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/x",
        listener_fn("l", move |delivery| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add(note_of(&delivery));
                at.pass().await;
                if delivery.attempt() == 1 { Outcome::retry("later") } else { Outcome::done() }
            }
        }),
    )
    .unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.pause("t/x").unwrap();
    gate.open();
    tokio::time::sleep(secs(60)).await;
    assert_eq!((notes.all(), figures(&bus, "t/x").running), (vec!["l:1".to_owned()], 0));
    bus.resume("t/x").unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:1", "l:2", "l:2"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_synchronous_destination_says_paused() {
    // It has no queue to hold the message.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", noting("l", &notes)).unwrap();
    bus.pause("t/y").unwrap();
    assert_eq!(bus.send("t/y", text("m")).await, Err(SendError::Paused(name("t/y"))));
    assert_eq!(bus.request("t/y", text("m"), None).await.unwrap_err().name(), "paused");
    assert_eq!(bus.request_direct("t/y", text("m"), None).await.unwrap_err().name(), "paused");
    bus.resume("t/y").unwrap();
    bus.send("t/y", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_that_wait_at_close_become_dead_letters_at_once() {
    // Nothing will come for them, so that waiting for their time would only lengthen the drain.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(with(config, |config| config.retry = retries(3, secs(30)))).unwrap();
        bus.register("t/x", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        eventually(|| figures(&bus, "t/x").retried == 1 && figures(&bus, "t/x").running == 0).await;
        let before = Instant::now();
        let closed = bus.close("t/x", secs(60)).await.unwrap();
        assert_eq!(closed, Closed { dead_letters: 1, interrupted: false });
        assert!(before.elapsed() < secs(1));
        let letters = bus.dead_letters("t/x");
        assert_eq!((letters[0].reason.name(), letters[0].attempts), ("closed", 1));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_decided_while_draining_becomes_a_dead_letter_closed() {
    // The destination takes nothing on any more, not even its own.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/x", ending("b", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.send("t/x", text("m")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    let closer = bus.clone();
    let closing = tokio::spawn(async move { closer.close("t/x", secs(60)).await.unwrap() });
    eventually(|| figures(&bus, "t/x").state == "draining").await;
    gate.open();
    assert_eq!(closing.await.unwrap().dead_letters, 1);
    assert_eq!((reasons(&bus, "t/x"), bus.dead_letters("t/x")[0].attempts), (vec!["closed"], 1));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_11_a_shutdown_drains_every_destination_and_leaves_no_worker() {
    // The same deadline for all, not one after the other.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
    }
    bus.create(serial("t/stuck")).unwrap();
    bus.register("t/stuck", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/stuck", text("stuck")).await.unwrap();
    bus.send("t/stuck", text("behind")).await.unwrap();
    let report = bus.shutdown(secs(5)).await;
    assert_eq!(report, ShutdownReport { interrupted: vec![name("t/stuck")], dead_letters: 2 });
    assert_eq!(notes.sorted(), ["l:m", "l:m", "l:m", "l:stuck"]);
    assert!(bus.all_statistics().iter().all(|f| f.workers_current == 0 && f.state == "closed"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_reopened_destination_is_not_closed_again_by_an_older_close() {
    // The older close has what it asked for when the destination was closed; what is open now is somebody else's wish.
    let (bus, notes, _gate) = ten_waiting().await;
    let closer = bus.clone();
    let draining = tokio::spawn(async move { closer.close("t/x", secs(600)).await.unwrap() });
    eventually(|| figures(&bus, "t/x").state == "draining").await;
    bus.close_now("t/x").await.unwrap();
    bus.reopen("t/x").unwrap();
    draining.await.unwrap();
    assert_eq!(figures(&bus, "t/x").state, "open");
    assert!(bus.send("t/x", text("new")).await.is_ok());
    eventually(|| notes.count("l:new") == 1).await;
    bus.close_now("t/x").await.unwrap();
    settled(&bus).await;
}
