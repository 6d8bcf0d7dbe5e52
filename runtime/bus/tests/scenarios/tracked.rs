//! Sends whose sender learns how they ended: counted once for each listener, told once, whatever became of the message.

use std::task::{Context, Waker};

use crate::support::*;

/// How a message ended, as text: completed, failed, and the failure that settled last.
fn shown(end: &SendEnd) -> String {
    let failure = end.failure.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    format!("{} done, {} failed: {failure}", end.completed, end.failed)
}

fn is_open(tracked: &mut TrackedSend) -> bool {
    let tracked = std::pin::Pin::new(tracked);
    tracked.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test(start_paused = true)]
async fn a_tracked_send_resolves_once_every_listener_has_settled_and_not_before() {
    for config in [parallel("t/d"), serial("t/d")] {
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        bus.create(config).unwrap();
        bus.register("t/d", noting("quick", &notes)).unwrap();
        bus.register("t/d", blocking("slow", &notes, &gate)).unwrap();
        let mut tracked = bus.send_tracked("t/d", text("m")).await.unwrap();
        eventually(|| figures(&bus, "t/d").completed == 1).await;
        assert!(is_open(&mut tracked), "one of two has settled");
        gate.open();
        assert_eq!(shown(&tracked.await), "2 done, 0 failed: none");
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tracked_send_waits_for_retries_and_tells_the_failure_that_settled_last() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| config.retry = retries(3, secs(10)))).unwrap();
    bus.register("t/p", refusing("first", &notes, "bad at once")).unwrap();
    bus.register("t/p", ending("last", &notes, |_| Outcome::retry("not yet"))).unwrap();
    bus.register("t/p", noting("good", &notes)).unwrap();
    let begin = Instant::now();
    let end = bus.send_tracked("t/p", text("m")).await.unwrap().await;
    assert_eq!(shown(&end), "1 done, 2 failed: the listener refused: not yet");
    assert!(begin.elapsed() >= secs(20), "it was told before the third attempt");
    assert_eq!(notes.count("last:m"), 3);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_not_accepted_has_nothing_to_follow() {
    let bus = bus();
    bus.create(synchronous("t/y")).unwrap();
    assert_eq!(bus.send_tracked("t/none", text("m")).await.unwrap_err().name(), "no-such-destination");
    assert_eq!(bus.send_tracked("t/y", text("m")).await.unwrap_err().name(), "no-listener");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_synchronous_destination_it_has_ended_when_it_is_accepted() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", noting("a", &notes)).unwrap();
    bus.register("t/y", refusing("b", &notes, "no")).unwrap();
    let mut tracked = bus.send_tracked("t/y", text("m")).await.unwrap();
    assert!(!is_open(&mut tracked));
    assert_eq!(shown(&tracked.await), "1 done, 1 failed: the listener refused: no");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_purged_closed_or_loses_its_listener_is_told_as_failed() {
    // Each of these ends a message without a call; none may leave its sender waiting.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    let discarding = |config: &mut DestinationConfig| config.on_no_listener = OnNoListener::Discard;
    bus.create(with(parallel("t/discard"), discarding)).unwrap();
    let discarded = bus.send_tracked("t/discard", text("m")).await.unwrap().await;
    for destination in ["t/purged", "t/closed", "t/left"] {
        bus.create(with(serial(destination), |config| config.paused = true)).unwrap();
        bus.register(destination, blocking("l", &notes, &gate)).unwrap();
    }
    let purged = bus.send_tracked("t/purged", text("m")).await.unwrap();
    let closed = bus.send_tracked("t/closed", text("m")).await.unwrap();
    let left = bus.send_tracked("t/left", text("m")).await.unwrap();
    bus.purge("t/purged").unwrap();
    bus.close_now("t/closed").await.unwrap();
    bus.unregister("t/left", "l").await;
    for end in [discarded, purged.await, closed.await, left.await] {
        assert_eq!((end.completed, end.failed), (0, 1), "{}", shown(&end));
        assert!(end.failure.is_some(), "{}", shown(&end));
    }
    assert!(notes.is_empty());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_has_the_first_ones_id_and_owes_nothing() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    let keyed = || {
        let options = SendOptions { dedup_key: Some("k".into()), ..SendOptions::default() };
        Outgoing { options: Some(Box::new(options)), ..text("m") }
    };
    let first = bus.send_tracked("t/s", keyed()).await.unwrap();
    let second = bus.send_tracked("t/s", keyed()).await.unwrap();
    assert_eq!(first.id(), second.id());
    assert_eq!(second.await, SendEnd::default());
    assert_eq!(shown(&first.await), "1 done, 0 failed: none");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_goes_leaves_nobody_waiting_for_what_it_held() {
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    let tracked = bus.send_tracked("t/s", text("held")).await.unwrap();
    drop(bus);
    let end = tokio::time::timeout(secs(60), tracked).await.unwrap();
    assert_eq!((end.completed, end.failed), (0, 1), "{}", shown(&end));
}

#[tokio::test(start_paused = true)]
async fn who_stops_following_changes_nothing() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    drop(bus.send_tracked("t/s", text("m")).await.unwrap());
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:m"]);
}

#[tokio::test(start_paused = true)]
async fn a_tracked_message_that_carries_a_requests_id_is_followed_by_both() {
    // The listener of the request passes it on; whoever it passed it to answers, and the request must wait for that.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/ask")).unwrap();
    bus.create(parallel("t/work")).unwrap();
    let (sender, seen) = (bus.clone(), notes.clone());
    let forwarder = listener_fn("f", move |delivery| {
        let (bus, seen) = (sender.clone(), seen.clone());
        async move {
            let message = delivery.message();
            let on = text(delivery.text().unwrap())
                .response_id(message.response_id().unwrap())
                .response_destination(message.response_destination().unwrap().clone());
            let tracked = bus.send_tracked_as(&delivery.origin(), "t/work", on).await.unwrap();
            tokio::spawn(async move { seen.add(shown(&tracked.await)) });
            Outcome::done()
        }
    });
    bus.register("t/ask", forwarder).unwrap();
    bus.register("t/work", echo("w")).unwrap();
    let answer = bus.request("t/ask", text("m"), None).await;
    assert_eq!(answer.unwrap().payload, "m");
    eventually(|| notes.len() == 1).await;
    assert_eq!(notes.all(), ["1 done, 0 failed: none"]);
    bus.unregister("t/work", "w").await;
    bus.register("t/work", refusing("w", &Notes::default(), "not today")).unwrap();
    let refused = bus.request("t/ask", text("m"), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "the listener refused: not today");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_ends_a_tracked_send_and_a_request_that_waits_elsewhere() {
    // At the built-in destination it is dropped; it owes nothing any more then, and whoever counts on it must learn so.
    let (bus, notes) = (bus(), Notes::default());
    let end = bus.send_tracked(DEFAULT_RESPONSE, text("m").response_id("unknown")).await.unwrap().await;
    assert_eq!((end.completed, end.failed), (0, 1), "{}", shown(&end));
    bus.create(parallel("t/p")).unwrap();
    bus.create(parallel("t/back")).unwrap();
    bus.register("t/back", noting("back", &notes)).unwrap();
    let sender = bus.clone();
    let astray = listener_fn("l", move |delivery| {
        let bus = sender.clone();
        async move {
            let id = delivery.message().response_id().unwrap().to_owned();
            bus.send_as(&delivery.origin(), DEFAULT_RESPONSE, text("x").response_id(&id)).await.unwrap();
            Outcome::done()
        }
    });
    bus.register("t/p", astray).unwrap();
    let asked = text("m").response_destination(name("t/back"));
    let begin = Instant::now();
    bus.request("t/p", asked, Some(secs(60))).await.unwrap_err();
    assert!(begin.elapsed() < secs(1), "the request waited out its clock");
    settled(&bus).await;
}

/// An interceptor that keeps what goes to `t/kept`.
struct Keeping;

impl Interceptor for Keeping {
    fn intercept(&self, sending: Sending) -> Interception {
        if sending.destination() == "t/kept" { Interception::Consumed } else { Interception::Pass(sending) }
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_interceptor_takes_over_owes_nothing_and_what_it_passes_is_followed() {
    let (bus, notes) = (bus(), Notes::default());
    for destination in ["t/kept", "t/passed"] {
        bus.create(serial(destination)).unwrap();
        bus.register(destination, noting("l", &notes)).unwrap();
    }
    bus.add_interceptor(Keeping).unwrap();
    assert_eq!(bus.send_tracked("t/kept", text("m")).await.unwrap().await, SendEnd::default());
    let passed = bus.send_tracked("t/passed", text("m")).await.unwrap();
    assert_eq!(shown(&passed.await), "1 done, 0 failed: none");
    assert_eq!(notes.all(), ["l:m"]);
    settled(&bus).await;
}
