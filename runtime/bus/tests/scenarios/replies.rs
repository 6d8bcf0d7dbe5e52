//! Hard corners of replies: where they go, what becomes of those that nobody takes, and of those that come too late.

use crate::support::*;

/// A bus whose serial `t/s` has the listener `l`, which answers `pong`.
fn answering_bus() -> Bus {
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", listener_fn("l", |_| async { Outcome::reply(Reply::text("pong")) })).unwrap();
    bus
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_a_message_that_asks_for_none_is_dropped_and_counted() {
    // A listener need not look whether anybody wants its answer. The delivery is owed once and ends once.
    for config in each_type() {
        let (bus, destination) = (bus(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, echo("l")).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        bus.idle().await;
        let then = figures(&bus, &destination);
        assert_eq!((then.dropped["no-response-destination"], then.completed), (1, 1));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_not_accepted_becomes_a_dead_letter_of_the_requests_destination() {
    // The listener did its work; its answer must not vanish because nobody is at home.
    let (bus, notes) = (answering_bus(), Notes::default());
    bus.create(serial("t/closed")).unwrap();
    bus.create(with(serial("t/none"), |config| config.on_no_listener = OnNoListener::Reject)).unwrap();
    bus.create(with(serial("t/small"), |config| config.message_bytes_max = 2)).unwrap();
    bus.create(with(serial("t/full"), |config| config.queue_entries_max = 1)).unwrap();
    bus.send("t/full", text("held")).await.unwrap();
    bus.register("t/closed", noting("n", &notes)).unwrap();
    bus.close("t/closed", secs(1)).await.unwrap();
    for back in ["t/unknown", "t/closed", "t/none", "t/small", "t/full"] {
        bus.send("t/s", text("m").response_destination(name(back)).response_id(back)).await.unwrap();
    }
    settled(&bus).await;
    let wanted = ["no-such-destination", "closed", "no-listener", "too-large", "queue-full"];
    assert_eq!(reasons(&bus, "t/s"), wanted);
    for letter in bus.dead_letters("t/s") {
        assert!(matches!(letter.reason, DeadLetterReason::ReplyNotAccepted(_)));
        assert_eq!(letter.message.payload(), "pong");
        assert_eq!(letter.message.response_id(), Some(letter.message.destination().as_str()));
    }
    assert_eq!(figures(&bus, "t/s").completed, 5);
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_to_the_response_destination_under_the_id_of_the_message_where_none_was_set() {
    // "Call-back" is a send with a listener at the response destination.
    let (bus, notes) = (answering_bus(), Notes::default());
    bus.create(serial("t/back")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/back",
        listener_fn("back", move |delivery| {
            seen.add(delivery.message().response_id().unwrap());
            async { Outcome::done() }
        }),
    )
    .unwrap();
    let id = bus.send("t/s", text("m").response_destination(name("t/back"))).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), [id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn a_message_to_the_built_in_response_destination_is_no_request() {
    // Nobody listens there; whoever waits is found by id.
    let bus = bus();
    assert_eq!(bus.request(DEFAULT_RESPONSE, text("m"), None).await.unwrap_err().name(), "no-listener");
    bus.send(DEFAULT_RESPONSE, text("m").response_id("nobody's")).await.unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, DEFAULT_RESPONSE).dropped["forged-reply"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_dropped_as_late() {
    // The sender has its timeout; the listener cannot know.
    let (bus, gate) = (bus(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    let at = gate.clone();
    let listener = listener_fn("l", move |_| {
        let at = at.clone();
        async move {
            at.pass().await;
            Outcome::reply(Reply::text("late"))
        }
    });
    bus.register("t/s", listener).unwrap();
    assert_eq!(bus.request("t/s", text("m"), Some(ms(100))).await, Err(RequestError::Timeout(100)));
    gate.open();
    settled(&bus).await;
    assert_eq!(figures(&bus, DEFAULT_RESPONSE).dropped["late-reply"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_reply_is_dropped_as_a_duplicate() {
    // The first message with the id wakes the sender; the rest has nobody.
    for config in [parallel("t/x"), serial("t/x")] {
        let bus = bus();
        bus.create(config).unwrap();
        for listener in ["a", "b", "c"] {
            bus.register("t/x", echo(listener)).unwrap();
        }
        bus.request("t/x", text("m"), None).await.unwrap();
        settled(&bus).await;
        let then = figures(&bus, DEFAULT_RESPONSE);
        assert_eq!((then.completed, then.dropped["duplicate-reply"], then.owed), (1, 2, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_an_own_response_destination_wakes_the_sender_and_reaches_its_listeners() {
    // M4Q7: both the sender and the listener there receive it; without a listener it is not held.
    let (bus, notes) = (answering_bus(), Notes::default());
    bus.create(serial("t/back")).unwrap();
    let asks = || text("m").response_destination(name("t/back"));
    assert_eq!(bus.request("t/s", asks(), None).await.unwrap().payload, "pong");
    assert_eq!((figures(&bus, "t/back").held, figures(&bus, "t/back").completed), (0, 1));
    bus.register("t/back", noting("back", &notes)).unwrap();
    assert_eq!(bus.request("t/s", asks(), None).await.unwrap().payload, "pong");
    settled(&bus).await;
    assert_eq!(notes.all(), ["back:pong"]);
    bus.send("t/back", text("ordinary").response_id("nobody's")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.count("back:ordinary"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_response_destination_is_its_own_is_not_its_own_answer() {
    // The request carries the response id and is accepted at the response destination, and is a question all the same.
    for config in [parallel("t/x"), serial("t/x")] {
        let bus = bus();
        bus.create(config).unwrap();
        bus.register(
            "t/x",
            listener_fn("l", |delivery| async move {
                match delivery.text() {
                    Some("ping") => Outcome::reply(Reply::text("pong")),
                    _ => Outcome::done(),
                }
            }),
        )
        .unwrap();
        let reply = bus.request("t/x", text("ping").response_destination(name("t/x")), None).await;
        settled(&bus).await;
        assert_eq!(reply.unwrap().payload, "pong");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_full_response_destination_discards_is_counted_once() {
    // Accepted, so that the sender is woken; dropped, so that it is not completed as well.
    let wanted = [(RejectedExecution::Discard, 1, 0), (RejectedExecution::DeadLetter, 0, 1)];
    for (policy, dropped, letters) in wanted {
        let (bus, notes, gate) = (answering_bus(), Notes::default(), Gate::closed());
        bus.create(with(serial("t/back"), |config| {
            config.queue_entries_max = 1;
            config.rejected_execution = policy.clone();
        }))
        .unwrap();
        bus.register("t/back", blocking("back", &notes, &gate)).unwrap();
        for n in 0..2 {
            bus.send("t/back", text(n.to_string())).await.unwrap();
            turns().await;
        }
        let asks = text("m").response_destination(name("t/back"));
        assert_eq!(bus.request("t/s", asks, None).await.unwrap().payload, "pong");
        let then = figures(&bus, "t/back");
        assert_eq!(then.dropped.get("queue-full").copied().unwrap_or(0), dropped);
        assert_eq!((then.dead_letters, then.completed), (letters, 0), "{policy:?}");
        gate.open();
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_id_keeps_the_sender_waiting_until_the_forwarded_message_settles() {
    // Every listener of the request is done, and the answer can still come from whom it forwarded the id to.
    let (bus, gate) = (bus(), Gate::closed());
    bus.create(serial("t/front")).unwrap();
    bus.create(serial("t/behind")).unwrap();
    let sender = bus.clone();
    bus.register(
        "t/front",
        listener_fn("front", move |delivery| {
            let bus = sender.clone();
            async move {
                let message = delivery.message();
                let on = text(delivery.text().unwrap())
                    .response_destination(message.response_destination().unwrap().clone())
                    .response_id(message.response_id().unwrap());
                bus.send_as(&delivery.origin(), "t/behind", on).await.unwrap();
                Outcome::done()
            }
        }),
    )
    .unwrap();
    let at = gate.clone();
    bus.register(
        "t/behind",
        listener_fn("behind", move |delivery| {
            let at = at.clone();
            async move {
                at.pass().await;
                match delivery.text() {
                    Some("answer") => Outcome::reply(Reply::text("pong")),
                    Some("refuse") => Outcome::refused("no"),
                    _ => Outcome::done(),
                }
            }
        }),
    )
    .unwrap();
    gate.open();
    assert_eq!(bus.request("t/front", text("answer"), None).await, Ok(Reply::text("pong")));
    assert_eq!(
        bus.request("t/front", text("refuse"), None).await,
        Err(RequestError::ListenerRefused("no".into()))
    );
    assert_eq!(bus.request("t/front", text("nothing"), None).await, Err(RequestError::NoReply));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_discarded_dead_lettered_or_unregistered_is_told_at_once() {
    // "The same when the request was dropped, expired or dead-lettered."
    for policy in
        [RejectedExecution::Discard, RejectedExecution::DeadLetter, RejectedExecution::DiscardOldest]
    {
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        bus.create(with(serial("t/s"), |config| {
            config.queue_entries_max = 1;
            config.rejected_execution = policy.clone();
        }))
        .unwrap();
        bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
        bus.send("t/s", text("0")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        let before = Instant::now();
        let requests = async {
            tokio::join!(
                bus.request("t/s", text("1"), Some(secs(5))),
                bus.request("t/s", text("2"), Some(secs(5)))
            )
        };
        let open = async {
            tokio::time::sleep(secs(1)).await;
            gate.open();
        };
        let ((first, second), ()) = tokio::join!(requests, open);
        let (lost, kept) = match policy {
            RejectedExecution::DiscardOldest => (first, second),
            _ => (second, first),
        };
        assert_eq!(lost.unwrap_err().name(), "listener-faulted");
        assert_eq!(kept.unwrap_err(), RequestError::NoReply);
        assert!(before.elapsed() < secs(2));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_wait_at_once_than_may() {
    // Each holds a slot and a task.
    let bus = Bus::new(BusConfig { waiting_requests_max: 2, ..BusConfig::default() });
    let (notes, gate) = (Notes::default(), Gate::closed());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", blocking("l", &notes, &gate)).unwrap();
    let requests: Vec<_> = (0..2)
        .map(|n| {
            let bus = bus.clone();
            tokio::spawn(async move { bus.request("t/p", text(n.to_string()), None).await })
        })
        .collect();
    eventually(|| bus.waiting_requests() == 2).await;
    let error = bus.request("t/p", text("m"), None).await.unwrap_err();
    assert_eq!(error, RequestError::NotSent(SendError::Busy { waiting: 2 }));
    gate.open();
    for request in requests {
        assert_eq!(request.await.unwrap(), Err(RequestError::NoReply));
    }
    settled(&bus).await;
    assert_eq!((bus.waiting_requests(), notes.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_the_answers_to_running_requests_arrive() {
    // A drain finishes what waits, and an answer is part of the request. The host's own response destination must not be
    // closed before those that answer to it.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |_| {
            seen.add("called");
            async {
                tokio::time::sleep(ms(100)).await;
                Outcome::reply(Reply::text("pong"))
            }
        }),
    )
    .unwrap();
    let asking = bus.clone();
    let request = tokio::spawn(async move { asking.request("t/s", text("m"), None).await });
    eventually(|| notes.len() == 1).await;
    let report = bus.shutdown(secs(5)).await;
    let answer = request.await.unwrap();
    settled(&bus).await;
    assert_eq!((answer, report), (Ok(Reply::text("pong")), ShutdownReport::default()));
}

#[tokio::test(start_paused = true)]
async fn closing_now_does_not_wait_for_a_reply_that_waits_for_room() {
    // The listener's call is over, and the worker still has to come free promptly.
    let (bus, notes, gate) = (answering_bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/back"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(600));
    }))
    .unwrap();
    bus.register("t/back", blocking("back", &notes, &gate)).unwrap();
    for n in 0..2 {
        bus.send("t/back", text(n.to_string())).await.unwrap();
        turns().await;
    }
    bus.send("t/s", text("m").response_destination(name("t/back"))).await.unwrap();
    turns().await;
    assert_eq!(figures(&bus, "t/s").running, 1);
    let before = Instant::now();
    bus.close_now("t/s").await.unwrap();
    let took = before.elapsed();
    gate.open();
    settled(&bus).await;
    assert!(took < secs(1), "close now took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_sent_to_the_wrong_destination_does_not_keep_the_sender_waiting() {
    // Nobody waits for it there, so that it is dropped at once; and then no answer can come any more.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(serial("t/back")).unwrap();
    bus.register("t/back", noting("back", &notes)).unwrap();
    let sender = bus.clone();
    let astray = listener_fn("astray", move |delivery| {
        let sender = sender.clone();
        async move {
            let id = delivery.message().response_id().unwrap().to_owned();
            sender.send(DEFAULT_RESPONSE, text("pong").response_id(&id)).await.unwrap();
            Outcome::done()
        }
    });
    bus.register("t/s", astray).unwrap();
    let before = Instant::now();
    let asked = bus.request("t/s", text("ping").response_destination(name("t/back")), None).await;
    assert!(asked.unwrap_err().to_string().contains("nobody waits for this answer"));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(figures(&bus, DEFAULT_RESPONSE).dropped[DropReason::ForgedReply.name()], 1);
    settled(&bus).await;
}
