//! What can end a request races: answers, the last settlement without one, the timeout, and the sender who goes away. One
//! of them wins, the sender has that one result, and every answer is counted as what it was.

use crate::support::*;

const TIMEOUT: Duration = Duration::from_secs(1);

/// A listener that ends with `outcome` after letting others run.
fn ending(name: &str, outcome: Outcome) -> NativeListener {
    listener_fn(name, move |_| {
        let outcome = outcome.clone();
        async move {
            yield_now().await;
            outcome
        }
    })
    .with_deadline(FOR_EVER)
}

fn answering(name: &str) -> NativeListener {
    ending(name, Outcome::reply(Reply::text("pong")))
}

/// A listener that sends what it receives to `t/next`, for it to answer.
fn passing_on(bus: &Bus) -> NativeListener {
    let bus = bus.clone();
    listener_fn("passes on", move |delivery| {
        let bus = bus.clone();
        async move {
            let message = delivery.message();
            let mut further = Outgoing::text("further").response_id(message.response_id().unwrap());
            further.response_destination = message.response_destination().cloned();
            bus.send_as(&delivery.origin(), "t/next", further).await.unwrap();
            Outcome::done()
        }
    })
    .with_deadline(FOR_EVER)
}

/// A bus whose parallel `t/ask` has these listeners, and as many workers.
fn asked(listeners: Vec<NativeListener>) -> Bus {
    let (bus, mut config) = (bus(), DestinationConfig::parallel("t/ask").unwrap());
    config.workers = Workers { core: 1, max: 2, ..config.workers };
    bus.create(config).unwrap();
    for listener in listeners {
        bus.register("t/ask", listener).unwrap();
    }
    bus
}

async fn ask(bus: &Bus) -> Result<Reply, RequestError> {
    bus.request("t/ask", Outgoing::text("ping"), Some(TIMEOUT)).await
}

/// How answers counted: received, second, late; and there is no other way.
fn answers(bus: &Bus) -> [u64; 3] {
    let figures = figures(bus, DEFAULT_RESPONSE);
    let dropped = |reason: DropReason| figures.dropped.get(reason.name()).copied().unwrap_or_default();
    let counted = [figures.completed, dropped(DropReason::DuplicateReply), dropped(DropReason::LateReply)];
    assert_eq!(counted.iter().sum::<u64>(), figures.owed, "{figures:#?}");
    counted
}

async fn at_rest(bus: &Bus) {
    settled(bus).await;
    assert_eq!(bus.waiting_requests(), 0);
}

#[test]
fn one_of_two_answers_and_a_timeout_is_the_result_and_the_others_are_counted() {
    explore(750, || async {
        let (bus, time) = (asked(vec![answering("a"), answering("b")]), Time::passes());
        let result = ask(&bus).await;
        drop(time);
        at_rest(&bus).await;
        match result {
            Ok(_) => assert_eq!(answers(&bus), [1, 1, 0]),
            Err(error) => assert_eq!((error.name(), answers(&bus)), ("timeout", [0, 0, 2])),
        }
    });
}

#[test]
fn without_time_the_sender_has_the_first_answer() {
    // A wake-up of the sender that is lost would be a deadlock here.
    explore(450, || async {
        let bus = asked(vec![answering("a"), answering("b")]);
        ask(&bus).await.unwrap();
        at_rest(&bus).await;
        assert_eq!(answers(&bus), [1, 1, 0]);
    });
}

#[test]
fn without_time_the_sender_learns_that_no_answer_can_come() {
    explore(450, || async {
        let bus = asked(vec![ending("a", Outcome::done()), ending("b", Outcome::refused("no"))]);
        assert_eq!(ask(&bus).await.unwrap_err().name(), "listener-refused");
        at_rest(&bus).await;
        assert_eq!(answers(&bus), [0, 0, 0]);
    });
}

#[test]
fn the_last_settlement_and_the_timeout_give_one_result() {
    explore(750, || async {
        let bus = asked(vec![ending("a", Outcome::done()), ending("b", Outcome::done())]);
        let time = Time::passes();
        let result = ask(&bus).await.unwrap_err();
        drop(time);
        at_rest(&bus).await;
        assert!(["no-reply", "timeout"].contains(&result.name()), "{result}");
        assert_eq!(answers(&bus), [0, 0, 0]);
    });
}

#[test]
fn a_listener_that_passes_the_request_on_and_one_that_does_not_answer_do_not_end_it() {
    // What is passed on is owed before the delivery that passed it on has settled.
    explore(600, || async {
        let bus = asked(vec![ending("silent", Outcome::done())]);
        bus.create(DestinationConfig::serial("t/next").unwrap()).unwrap();
        bus.register("t/next", answering("next")).unwrap();
        bus.register("t/ask", passing_on(&bus)).unwrap();
        ask(&bus).await.unwrap();
        bus.unregister("t/ask", "passes on").await;
        at_rest(&bus).await;
        assert_eq!(answers(&bus), [1, 0, 0]);
    });
}

#[test]
fn an_answer_to_a_sender_who_goes_away_is_received_or_late() {
    explore(750, || async {
        let bus = asked(vec![answering("a")]);
        let sender = bus.clone();
        let asking = spawn(async move { ask(&sender).await });
        yield_now().await;
        asking.abort();
        let result = asking.await;
        at_rest(&bus).await;
        let [received, second, late] = answers(&bus);
        // It may go before it has sent anything; what it has received, it may not live to see.
        let sent = figures(&bus, "t/ask").accepted;
        assert_eq!((received + late, second), (sent, 0));
        if let Ok(result) = result {
            result.unwrap();
            assert_eq!(received, 1);
        }
    });
}

#[test]
fn an_answer_that_nobody_waits_for_keeps_the_books_over_a_reopening() {
    explore(1500, || async {
        let (bus, forged) = (bus(), Outgoing::text("pong").response_id("forged"));
        let sender = bus.clone();
        let sending = spawn(async move {
            for _ in 0..2 {
                let _ = sender.send(DEFAULT_RESPONSE, forged.clone()).await;
            }
        });
        bus.close(DEFAULT_RESPONSE, FOR_EVER).await.unwrap();
        bus.reopen(DEFAULT_RESPONSE).unwrap();
        sending.await.unwrap();
        at_rest(&bus).await;
    });
}
