//! A worker that sleeps is polled by its task, by one sender who waits, or by neither because another one has it: whoever comes
//! in vain must leave word. A wake-up that is lost would be a deadlock here, as no time passes.

use crate::support::*;

/// A bus whose serial `t/ask` has a listener that answers, and that lets others run before if `waits`.
fn bus_that_answers(waits: bool) -> Bus {
    let bus = bus();
    bus.create(DestinationConfig::serial("t/ask").unwrap()).unwrap();
    let listener = listener_fn("a", move |_| async move {
        if waits {
            yield_now().await;
        }
        Outcome::reply(Reply::text("pong"))
    });
    bus.register("t/ask", listener.with_deadline(FOR_EVER)).unwrap();
    bus
}

async fn ask(bus: Bus) {
    let answer = bus.request("t/ask", Outgoing::text("ping"), Some(Duration::from_secs(1))).await;
    assert_eq!(answer.unwrap().payload, "pong");
}

async fn ask_at_once(waits: bool) {
    let bus = bus_that_answers(waits);
    // Its worker is there now, and sleeps or is about to.
    ask(bus.clone()).await;
    let askers: Vec<_> = (0..2).map(|_| spawn(ask(bus.clone()))).collect();
    bus.send("t/ask", Outgoing::text("and go on")).await.unwrap();
    for asker in askers {
        asker.await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/ask").completed, 4);
}

#[test]
fn senders_who_ask_one_worker_at_once_are_all_answered() {
    explore(600, || ask_at_once(false));
}

#[test]
fn senders_who_ask_at_once_are_answered_by_a_worker_that_waits_in_a_lent_turn() {
    explore(600, || ask_at_once(true));
}

#[test]
fn a_bus_that_ends_while_a_turn_is_lent_settles_what_it_took() {
    explore(600, || async {
        let bus = bus_that_answers(true);
        ask(bus.clone()).await;
        let asking = spawn({
            let bus = bus.clone();
            async move { bus.request("t/ask", Outgoing::text("ping"), Some(Duration::from_secs(1))).await.is_ok() }
        });
        bus.close_now("t/ask").await.unwrap();
        let is_answered = asking.await.unwrap();
        settled(&bus).await;
        let figures = figures(&bus, "t/ask");
        assert!(figures.completed > u64::from(is_answered), "{figures:#?}");
    });
}
