//! Expiry, delay, and which options a sender may ask for.

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn ord_1_a_message_whose_turn_comes_too_late_is_a_dead_letter_and_not_received() {
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        bus.register("t/x", noting("a", &notes)).unwrap();
        bus.register("t/x", noting("b", &notes)).unwrap();
        bus.pause("t/x").unwrap();
        bus.send("t/x", expiring("late", secs(1))).await.unwrap();
        bus.send("t/x", expiring("in time", secs(10))).await.unwrap();
        tokio::time::advance(secs(2)).await;
        bus.resume("t/x").unwrap();
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["a:in time", "b:in time"]);
        assert_eq!(reasons(&bus, "t/x"), ["expired", "expired"]);
        let letter = &bus.dead_letters("t/x")[0];
        assert_eq!((letter.attempts, letter.last_error.as_str()), (0, "its turn did not come in time"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_gives_messages_an_expiry_and_a_sender_may_name_another_one() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| {
        config.expires_in = Some(secs(1));
        config.paused = true;
    }))
    .unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.send("t/s", text("as configured")).await.unwrap();
    bus.send("t/s", expiring("longer", secs(60))).await.unwrap();
    tokio::time::advance(secs(2)).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!((notes.all(), reasons(&bus, "t/s")), (vec!["l:longer".to_owned()], vec!["expired"]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_expires_is_told_so_before_its_timeout() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/s", text("first")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    let asking = bus.clone();
    let asked =
        tokio::spawn(async move { asking.request("t/s", expiring("x", secs(1)), Some(secs(100))).await });
    eventually(|| figures(&bus, "t/s").pending == 1).await;
    tokio::time::advance(secs(2)).await;
    gate.open();
    let told = asked.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("expired"), "{told}");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_turn_comes_too_late_expires_with_its_attempts_counted() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(3, secs(5)))).unwrap();
    bus.register("t/s", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.send("t/s", expiring("m", secs(1))).await.unwrap();
    settled(&bus).await;
    let letter = &bus.dead_letters("t/s")[0];
    assert_eq!((notes.len(), letter.reason.name(), letter.attempts), (1, "expired", 1));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_first_attempt_in_the_senders_task_expires_like_any_other() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/x"), |config| {
        config.retry = retries(2, secs(5));
        config.queue_bytes_max = 8;
        config.rejected_execution = RejectedExecution::CallerRuns;
    }))
    .unwrap();
    // Nine bytes find no room; their retry does, because the bound is raised while the sender's task runs the listeners.
    bus.register("t/x", wider("w", &bus)).unwrap();
    bus.register("t/x", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.send("t/x", expiring("nine byte", secs(1))).await.unwrap();
    settled(&bus).await;
    let letter = &bus.dead_letters("t/x")[0];
    assert_eq!((notes.len(), letter.reason.name(), letter.attempts), (1, "expired", 1));
}

/// A listener that has its destination take larger queues while it runs.
fn wider(name: &str, bus: &Bus) -> NativeListener {
    let bus = bus.clone();
    listener_fn(name, move |delivery| {
        let mut config = config_of(&bus, delivery.destination().as_str());
        config.queue_bytes_max = 1_000;
        bus.reconfigure(config).unwrap();
        std::future::ready(Outcome::done())
    })
}

#[tokio::test(start_paused = true)]
async fn ord_5_a_delayed_message_is_pending_until_its_time_and_received_after() {
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes, sent_at) = (bus(), Notes::default(), Instant::now());
        bus.create(config).unwrap();
        bus.register("t/x", noting("l", &notes)).unwrap();
        bus.send("t/x", delayed("later", ms(500))).await.unwrap();
        bus.send("t/x", text("now")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        assert_eq!((notes.all(), figures(&bus, "t/x").pending), (vec!["l:now".to_owned()], 1));
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:now", "l:later"]);
        assert!(sent_at.elapsed() >= ms(500) && sent_at.elapsed() < secs(2), "{:?}", sent_at.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_that_is_held_for_a_first_listener_keeps_its_time() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.send("t/s", delayed("m", secs(60))).await.unwrap();
    tokio::time::advance(secs(20)).await;
    bus.register("t/s", noting("l", &notes)).unwrap();
    tokio::time::advance(secs(20)).await;
    turns().await;
    assert_eq!((notes.len(), figures(&bus, "t/s").pending), (0, 1));
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:m"]);
}

#[tokio::test(start_paused = true)]
async fn options_that_are_out_of_range_or_contradict_each_other_are_refused_with_both_numbers() {
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let name = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&name, noting("l", &notes)).unwrap();
    }
    let year = secs(400 * 24 * 3_600);
    let contradictory = asking("m", |options| {
        options.deliver_after = Some(secs(2));
        options.expires_after = Some(secs(1));
    });
    let long_key = "k".repeat(256);
    let wanted = [
        ("t/serial", prior("m", 10), "the priority is 10; it may be 0 to 9"),
        ("t/serial", delayed("m", year), "the delay is 34560000000 ms; it may be at most 31622400000 ms"),
        ("t/serial", expiring("m", year), "the expiry is 34560000000 ms; it may be at most 31622400000 ms"),
        (
            "t/serial",
            contradictory,
            "the message would expire after 1000 ms, before its delay of 2000 ms is over",
        ),
        (
            "t/synchronous",
            delayed("m", ms(1)),
            "a synchronous destination delivers at once; it cannot delay a message",
        ),
        ("t/parallel", keyed("m", &long_key), "the ordering key has 256 bytes; it may have 255"),
        ("t/parallel", once("m", "a\nb"), "the dedup key `a\\nb` has a control character"),
    ];
    for (destination, message, told) in wanted {
        let error = bus.send(destination, message).await.unwrap_err();
        assert_eq!((error.name(), error.to_string().as_str()), ("invalid", told));
    }
    settled(&bus).await;
    assert!(notes.is_empty());
}
