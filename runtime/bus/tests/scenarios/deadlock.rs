//! Cycles of requests, and deadlines that are nested in one another.

use crate::support::*;

/// A listener that requests from `to` and replies with what it gets, or with the name of the error.
fn asking(listener: &str, to: &'static str, bus: &Bus) -> NativeListener {
    let bus = bus.clone();
    listener_fn(listener, move |delivery| {
        let bus = bus.clone();
        async move {
            if delivery.text() != Some("ask") {
                return Outcome::reply(Reply::text("plain"));
            }
            match bus.request_as(&delivery.origin(), to, text("inner"), Some(secs(1))).await {
                Ok(reply) => Outcome::reply(reply),
                Err(error) => Outcome::reply(Reply::text(error.name())),
            }
        }
    })
}

async fn answer(bus: &Bus, to: &str) -> String {
    let reply = bus.request(to, text("ask"), Some(secs(5))).await.unwrap();
    String::from_utf8(reply.payload.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sync_13_a_serial_listener_that_requests_from_its_own_destination_is_told_at_once() {
    // Its worker waits for an answer that only its worker could give.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", asking("l", "t/s", &bus)).unwrap();
    let before = Instant::now();
    assert_eq!(answer(&bus, "t/s").await, "would-deadlock");
    assert_eq!(before.elapsed(), secs(0));
    let plain = bus.request("t/s", text("x"), None).await.unwrap();
    assert_eq!(plain.payload, "plain");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_over_a_second_destination_is_seen_whatever_its_type() {
    // The chain of those who wait is carried through requests and through synchronous sends.
    for between in [serial("t/between"), parallel("t/between"), synchronous("t/between")] {
        let bus = bus();
        bus.create(serial("t/s")).unwrap();
        bus.create(between).unwrap();
        let (to_between, to_start) = (bus.clone(), bus.clone());
        bus.register(
            "t/s",
            listener_fn("first", move |delivery| {
                let bus = to_between.clone();
                async move {
                    let reply = bus.request_as(&delivery.origin(), "t/between", text("ask"), None).await;
                    Outcome::reply(reply.unwrap_or_else(|error| Reply::text(error.to_string())))
                }
            }),
        )
        .unwrap();
        bus.register("t/between", asking("second", "t/s", &to_start)).unwrap();
        let before = Instant::now();
        assert_eq!(answer(&bus, "t/s").await, "would-deadlock");
        assert_eq!(before.elapsed(), secs(0));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_parallel_destination_a_request_to_itself_is_answered_by_another_worker() {
    // Where another worker can answer, there is no deadlock to refuse; with one worker it ends in `timeout`.
    let bus = bus();
    bus.create(parallel("t/two")).unwrap();
    bus.register("t/two", asking("l", "t/two", &bus)).unwrap();
    assert_eq!(answer(&bus, "t/two").await, "plain");
    bus.create(with(parallel("t/one"), |config| {
        config.workers = Workers { core: 1, max: 1, ..config.workers }
    }))
    .unwrap();
    bus.register("t/one", asking("l", "t/one", &bus)).unwrap();
    assert_eq!(answer(&bus, "t/one").await, "timeout");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn direct_mode_passes_the_queue_by_so_that_it_cannot_wait_for_its_own_worker() {
    // It runs in the task of the caller; hops bound the recursion.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    let inner = bus.clone();
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            let bus = inner.clone();
            async move {
                if delivery.text() != Some("ask") {
                    return Outcome::reply(Reply::text("plain"));
                }
                let reply = bus.request_direct_as(&delivery.origin(), "t/s", text("inner"), None).await;
                Outcome::reply(reply.unwrap().unwrap())
            }
        }),
    )
    .unwrap();
    assert_eq!(answer(&bus, "t/s").await, "plain");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_only_sent_makes_nobody_wait_for_it() {
    // The first listener has returned by the time that the second one asks: no cycle.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(serial("t/later")).unwrap();
    let (first, second) = (bus.clone(), bus.clone());
    bus.register(
        "t/s",
        listener_fn("first", move |delivery| {
            let bus = first.clone();
            async move {
                if delivery.text() == Some("inner") {
                    return Outcome::reply(Reply::text("plain"));
                }
                bus.send_as(&delivery.origin(), "t/later", text("go")).await.unwrap();
                Outcome::done()
            }
        }),
    )
    .unwrap();
    let seen = notes.clone();
    bus.register(
        "t/later",
        listener_fn("second", move |delivery| {
            let (bus, seen) = (second.clone(), seen.clone());
            async move {
                let reply = bus.request_as(&delivery.origin(), "t/s", text("inner"), None).await;
                seen.add(reply.map_or_else(|error| error.name().to_owned(), |_| "answered".to_owned()));
                Outcome::done()
            }
        }),
    )
    .unwrap();
    bus.send("t/s", text("start")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["answered"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_forwarded_the_id_does_not_wait_either() {
    // The host waits for the answer, the forwarding listener does not: its worker is free to answer the second one.
    let bus = bus();
    bus.create(serial("t/front")).unwrap();
    bus.create(serial("t/behind")).unwrap();
    let (front, behind) = (bus.clone(), bus.clone());
    bus.register(
        "t/front",
        listener_fn("front", move |delivery| {
            let bus = front.clone();
            async move {
                if delivery.text() == Some("inner") {
                    return Outcome::reply(Reply::text("plain"));
                }
                let message = delivery.message();
                let on = text("go")
                    .response_destination(message.response_destination().unwrap().clone())
                    .response_id(message.response_id().unwrap());
                bus.send_as(&delivery.origin(), "t/behind", on).await.unwrap();
                Outcome::done()
            }
        }),
    )
    .unwrap();
    bus.register(
        "t/behind",
        listener_fn("behind", move |delivery| {
            let bus = behind.clone();
            async move {
                let reply = bus.request_as(&delivery.origin(), "t/front", text("inner"), None).await;
                Outcome::reply(reply.unwrap_or_else(|error| Reply::text(error.name())))
            }
        }),
    )
    .unwrap();
    let reply = answer(&bus, "t/front").await;
    settled(&bus).await;
    assert_eq!(reply, "plain");
}

#[tokio::test(start_paused = true)]
async fn a_listeners_request_times_out_shortly_before_its_own_deadline() {
    // It gets `timeout` 50 ms before, so that it can still act; the inner one is not told of it.
    for inner in [serial("t/inner"), parallel("t/inner"), synchronous("t/inner")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(serial("t/outer")).unwrap();
        bus.create(inner).unwrap();
        bus.register("t/inner", blocking("l", &Notes::default(), &Gate::closed())).unwrap();
        let (asks, seen) = (bus.clone(), notes.clone());
        bus.register(
            "t/outer",
            listener_fn("outer", move |delivery| {
                let (bus, seen) = (asks.clone(), seen.clone());
                async move {
                    let before = Instant::now();
                    let error =
                        bus.request_as(&delivery.origin(), "t/inner", text("m"), None).await.unwrap_err();
                    seen.add(format!("{} after {} ms", error.name(), before.elapsed().as_millis()));
                    Outcome::done()
                }
            }),
        )
        .unwrap();
        bus.send("t/outer", text("m")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        bus.close_now("t/inner").await.unwrap();
        settled(&bus).await;
        let ended = notes.all().remove(0);
        assert!(["timeout after 1950 ms", "timeout after 1951 ms"].contains(&&*ended), "{ended}");
        assert_eq!(figures(&bus, "t/outer").completed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_how_long_was_really_waited() {
    // "no answer within 10000 ms" after two seconds sends whoever reads it the wrong way.
    let bus = bus();
    bus.create(serial("t/inner")).unwrap();
    bus.register("t/inner", blocking("l", &Notes::default(), &Gate::closed())).unwrap();
    let origin = Origin::named("guest").with_deadline(Instant::now() + secs(2));
    let error = bus.request_as(&origin, "t/inner", text("m"), Some(secs(10))).await.unwrap_err();
    bus.close_now("t/inner").await.unwrap();
    settled(&bus).await;
    assert_eq!(error, RequestError::Timeout(1_950));
}

#[tokio::test(start_paused = true)]
async fn a_send_to_a_synchronous_destination_cannot_fault_its_caller() {
    // The callee is faulted 50 ms before the caller's deadline, and settled; the caller ends done.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/outer")).unwrap();
    bus.create(synchronous("t/inner")).unwrap();
    bus.register("t/inner", blocking("l", &notes, &Gate::closed())).unwrap();
    let sends = bus.clone();
    bus.register(
        "t/outer",
        listener_fn("outer", move |delivery| {
            let bus = sends.clone();
            async move {
                let _ = bus.send_as(&delivery.origin(), "t/inner", text("m")).await;
                Outcome::done()
            }
        }),
    )
    .unwrap();
    bus.send("t/outer", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((figures(&bus, "t/outer").completed, figures(&bus, "t/outer").failed_total()), (1, 0));
    assert_eq!(reasons(&bus, "t/inner"), ["deadline"]);
}
