//! SYNC: requests in default mode and in direct mode.

use crate::support::*;

fn pong() -> Reply {
    Reply::text("pong")
}

#[tokio::test(start_paused = true)]
async fn sync_1_a_returned_reply_answers_the_request_on_each_type() {
    // The listener need not know who asks.
    for config in each_type() {
        let (bus, destination) = (bus(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, echo("l")).unwrap();
        let reply = bus.request(&destination, text("ping"), None).await.unwrap();
        assert_eq!((reply.payload.as_ref(), bus.waiting_requests()), (b"ping".as_ref(), 0));
        settled(&bus).await;
    }
}

/// A listener that sends its answer itself, to where and under which id it is asked for.
fn answering(listener: &str, bus: &Bus) -> NativeListener {
    let bus = bus.clone();
    listener_fn(listener, move |delivery| {
        let bus = bus.clone();
        async move {
            let to = delivery.message().response_destination().unwrap().clone();
            let answer =
                text(delivery.text().unwrap()).response_id(delivery.message().response_id().unwrap());
            bus.send_as(&delivery.origin(), to.as_str(), answer).await.unwrap();
            Outcome::done()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn sync_1_an_answer_that_the_listener_sends_itself_counts_as_well() {
    // Replies are messages; the response id is all that makes them answers.
    for config in each_type() {
        let (bus, destination) = (bus(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, answering("l", &bus)).unwrap();
        let reply = bus.request(&destination, text("ping"), None).await.unwrap();
        assert_eq!(reply.payload, "ping");
        settled(&bus).await;
        assert_eq!(figures(&bus, DEFAULT_RESPONSE).completed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn sync_2_3_nobody_there_is_told_at_once_and_nothing_is_held() {
    // Waiting out the clock for an answer that cannot come helps nobody.
    let bus = bus();
    let before = Instant::now();
    assert_eq!(bus.request("t/x", text("m"), None).await.unwrap_err().name(), "no-such-destination");
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        assert_eq!(bus.request(&destination, text("m"), None).await.unwrap_err().name(), "no-listener");
        assert_eq!(
            bus.request_direct(&destination, text("m"), None).await.unwrap_err().name(),
            "no-listener"
        );
        assert_eq!(figures(&bus, &destination).pending, 0);
    }
    assert_eq!(before.elapsed(), secs(0));
    assert_eq!(bus.waiting_requests(), 0);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sync_4_an_absent_or_unknown_response_destination_becomes_the_built_in_one() {
    // The answer must arrive somewhere that exists.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            seen.add(delivery.message().response_destination().unwrap().as_str());
            async { Outcome::reply(pong()) }
        }),
    )
    .unwrap();
    for body in [text("m"), text("m").response_destination(name("t/unknown"))] {
        assert_eq!(bus.request("t/s", body, None).await.unwrap(), pong());
    }
    settled(&bus).await;
    assert_eq!(notes.all(), [DEFAULT_RESPONSE, DEFAULT_RESPONSE]);
}

#[tokio::test(start_paused = true)]
async fn sync_5_a_response_id_that_the_sender_sets_is_replaced_by_a_fresh_one() {
    // Only an id that nobody can guess tells an answer from a forgery.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            seen.add(delivery.message().response_id().unwrap());
            async { Outcome::reply(pong()) }
        }),
    )
    .unwrap();
    for _ in 0..2 {
        bus.request("t/s", text("m").response_id("mine"), None).await.unwrap();
    }
    settled(&bus).await;
    let ids = notes.all();
    assert!(ids[0] != ids[1] && !ids.contains(&"mine".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn sync_6_answers_in_reverse_order_each_reach_their_own_request() {
    // The id decides, not the order.
    let bus = bus();
    bus.create(parallel("t/p")).unwrap();
    bus.register(
        "t/p",
        listener_fn("l", |delivery| async move {
            let delay: u64 = delivery.text().unwrap().parse().unwrap();
            tokio::time::sleep(ms(delay)).await;
            Outcome::reply(Reply::text(delay.to_string()))
        }),
    )
    .unwrap();
    let (slow, quick) =
        tokio::join!(bus.request("t/p", text("200"), None), bus.request("t/p", text("100"), None));
    assert_eq!((slow.unwrap().payload, quick.unwrap().payload), ("200".into(), "100".into()));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sync_7_8_a_failure_is_told_at_once_with_its_cause_and_its_text() {
    // The sender can act on a failure; on a timeout it can only guess.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        let listener = ending("l", &notes, |delivery| match delivery.text() {
            Some("refuse") => Outcome::refused("bad total"),
            _ => Outcome::faulted(Cause::Trap, "unreachable"),
        });
        bus.register(&destination, listener).unwrap();
        let before = Instant::now();
        let refused = bus.request(&destination, text("refuse"), None).await.unwrap_err();
        assert_eq!(refused, RequestError::ListenerRefused("bad total".into()));
        let trapped = bus.request(&destination, text("trap"), None).await.unwrap_err();
        assert_eq!(trapped, RequestError::ListenerFaulted(Fault::new(Cause::Trap, "unreachable")));
        assert_eq!(before.elapsed(), secs(0));
        settled(&bus).await;
        assert_eq!(bus.dead_letters(&destination).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn sync_7_a_listener_that_asks_for_retries_until_none_is_left_has_refused() {
    // Only the last settlement ends the request; the retries before it might still have answered.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(3, ms(100)))).unwrap();
    let listener = ending("l", &notes, |delivery| match (delivery.text(), delivery.attempt()) {
        (Some("third time"), 3) => Outcome::reply(pong()),
        _ => Outcome::retry("not yet"),
    });
    bus.register("t/s", listener).unwrap();
    let before = Instant::now();
    let error = bus.request("t/s", text("never"), None).await.unwrap_err();
    assert_eq!(error, RequestError::ListenerRefused("not yet".into()));
    assert!(before.elapsed() >= ms(200) && before.elapsed() < ms(300));
    assert_eq!(bus.request("t/s", text("third time"), None).await, Ok(pong()));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sync_9_no_reply_is_told_as_soon_as_the_last_listener_returned() {
    // Not when the first one did, and not when the clock runs out.
    let bus = bus();
    bus.create(parallel("t/p")).unwrap();
    for (listener, delay) in [("a", 10), ("b", 300), ("c", 20)] {
        let call = move |_| async move {
            tokio::time::sleep(ms(delay)).await;
            Outcome::done()
        };
        bus.register("t/p", listener_fn(listener, call)).unwrap();
    }
    let before = Instant::now();
    let error = bus.request("t/p", text("m"), Some(secs(10))).await.unwrap_err();
    assert_eq!(error, RequestError::NoReply);
    assert!(before.elapsed() >= ms(300) && before.elapsed() < ms(400));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sync_10_11_a_request_ends_at_its_timeout_on_each_type() {
    // 10 s where the host does not say; on a synchronous destination the callee is faulted and the sender gets `timeout`.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, blocking("l", &notes, &Gate::closed())).unwrap();
        for (timeout, wanted) in [(Some(ms(200)), ms(200)), (None, secs(10))] {
            let before = Instant::now();
            let error = bus.request(&destination, text("m"), timeout).await.unwrap_err();
            assert_eq!(error.name(), "timeout", "{destination}: {error}");
            assert!(before.elapsed() >= wanted && before.elapsed() < wanted + ms(20), "{destination}");
        }
        assert_eq!(bus.waiting_requests(), 0);
        bus.close_now(&destination).await.unwrap();
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sync_12_forged_answers_do_not_wake_the_sender_and_are_counted() {
    // Whoever does not know the id is not part of the conversation.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/s",
        listener_fn("l", move |_| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add("called");
                at.pass().await;
                Outcome::reply(pong())
            }
        }),
    )
    .unwrap();
    let asking = bus.clone();
    let request = tokio::spawn(async move { asking.request("t/s", text("m"), None).await });
    eventually(|| notes.len() == 1).await;
    for n in 0..1_000 {
        let forged = text("forged").response_id(&format!("{n:032x}"));
        bus.send(DEFAULT_RESPONSE, forged).await.unwrap();
    }
    bus.send(DEFAULT_RESPONSE, text("without an id")).await.unwrap();
    assert!(!request.is_finished());
    gate.open();
    assert_eq!(request.await.unwrap(), Ok(pong()));
    settled(&bus).await;
    assert_eq!(figures(&bus, DEFAULT_RESPONSE).dropped["forged-reply"], 1_001);
}

#[tokio::test(start_paused = true)]
async fn sync_14_direct_mode_runs_in_the_senders_task_and_touches_no_pool() {
    // No queue, no worker, in order.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    for listener in ["a", "b"] {
        bus.register(
            "t/s",
            ending(listener, &notes, |delivery| {
                assert_eq!(delivery.worker(), None);
                assert!(delivery.reply_expected());
                Outcome::done()
            }),
        )
        .unwrap();
    }
    assert_eq!(bus.request_direct("t/s", text("m"), None).await, Ok(None));
    assert_eq!(notes.all(), ["a:m", "b:m"]);
    let then = figures(&bus, "t/s");
    assert_eq!((then.workers_largest, then.workers_current, then.pending), (0, 0, 0));
    settled(&bus).await;
}

/// A listener that sets a response and ends done.
fn responding(listener: &str, response: &'static str) -> NativeListener {
    listener_fn(listener, move |_| async move {
        Outcome::Done(Answer { response: Some(Reply::text(response).into()), ..Answer::default() })
    })
}

#[tokio::test(start_paused = true)]
async fn sync_15_in_direct_mode_a_failing_listener_does_not_stop_the_rest() {
    // A response is an answer, whoever failed beside it; without one the failure is told, and no dead letter kept.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, refusing("a", &notes, "no")).unwrap();
        bus.register(&destination, responding("b", "from b")).unwrap();
        let answer = bus.request_direct(&destination, text("m"), None).await.unwrap();
        assert_eq!(answer, Some(Reply::text("from b")));
        assert!(bus.unregister(&destination, "b").await);
        bus.register(&destination, noting("c", &notes)).unwrap();
        let error = bus.request_direct(&destination, text("m"), None).await.unwrap_err();
        assert_eq!(error, RequestError::ListenerRefused("no".into()));
        settled(&bus).await;
        assert_eq!(notes.all(), ["a:m", "a:m", "c:m"]);
        let then = figures(&bus, &destination);
        assert_eq!((then.reported, then.dead_letters, then.failed["refused"]), (2, 0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn sync_16_the_last_response_counts_and_a_returned_reply_before_a_set_one() {
    // None at all is an answer too: there was nothing to say.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", noting("a", &notes)).unwrap();
    assert_eq!(bus.request_direct("t/y", text("m"), None).await, Ok(None));
    bus.register("t/y", responding("b", "first")).unwrap();
    bus.register("t/y", responding("c", "second")).unwrap();
    assert_eq!(bus.request_direct("t/y", text("m"), None).await, Ok(Some(Reply::text("second"))));
    bus.register(
        "t/y",
        listener_fn("d", |_| async {
            let (reply, response) = (Some(Reply::text("returned")), Some(Reply::text("set").into()));
            Outcome::Done(Answer { reply, response, values: None })
        }),
    )
    .unwrap();
    assert_eq!(bus.request_direct("t/y", text("m"), None).await, Ok(Some(Reply::text("returned"))));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn in_direct_mode_the_timeout_holds_and_a_retry_is_a_failure() {
    // One attempt, told to the caller; a caller in direct mode must come back as any other.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, ending("a", &notes, |_| Outcome::retry("later"))).unwrap();
        let error = bus.request_direct(&destination, text("m"), None).await.unwrap_err();
        assert_eq!((error, notes.len()), (RequestError::ListenerRefused("later".into()), 1));
        bus.register(&destination, blocking("b", &notes, &Gate::closed())).unwrap();
        let before = Instant::now();
        let error = bus.request_direct(&destination, text("m"), Some(ms(200))).await.unwrap_err();
        assert_eq!(error, RequestError::Timeout(200));
        assert!(before.elapsed() >= ms(200) && before.elapsed() < ms(220));
        settled(&bus).await;
        assert_eq!(figures(&bus, &destination).dead_letters, 0);
    }
}
