//! A sender who waits for an answer lends its thread to a worker that sleeps: nothing but time may tell the difference.

use std::thread::ThreadId;

use crate::support::*;

fn thread() -> ThreadId {
    std::thread::current().id()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_a_worker_that_sleeps_is_answered_on_the_senders_own_thread() {
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    let listener = listener_fn("l", |_| async { Outcome::reply(Reply::text(format!("{:?}", thread()))) });
    bus.register("t/s", listener).unwrap();
    let asking = bus.clone();
    // In a task: what waits for the whole test is no thread of the runtime.
    tokio::spawn(async move {
        asking.request("t/s", text("starts the worker"), None).await.unwrap();
        for _ in 0..50 {
            asking.idle().await;
            let before = format!("{:?}", thread());
            let answer = asking.request("t/s", text("m"), None).await.unwrap();
            assert_eq!(answer.payload, before);
        }
    })
    .await
    .unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_has_its_thread_back_after_one_message_whatever_else_came_meanwhile() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let (sends, seen) = (bus.clone(), notes.clone());
    let listener = listener_fn("l", move |delivery: Delivery| {
        let (sends, seen) = (sends.clone(), seen.clone());
        async move {
            let payload = delivery.text().unwrap_or_default().to_owned();
            if payload == "ask" {
                for more in ["1", "2", "3"] {
                    sends.send("t/s", text(more)).await.unwrap();
                }
            }
            seen.add(payload);
            Outcome::reply(Reply::text("answer"))
        }
    });
    bus.register("t/s", listener).unwrap();
    bus.send("t/s", text("starts the worker")).await.unwrap();
    bus.idle().await;
    notes.take();
    bus.request("t/s", text("ask"), None).await.unwrap();
    assert_eq!(notes.all(), ["ask"], "one thread: nothing else ran before the sender went on");
    settled(&bus).await;
    assert_eq!(notes.all(), ["ask", "1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_goes_on_with_its_worker_when_the_sender_who_lent_its_thread_is_gone() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    let (passes, seen) = (gate.clone(), notes.clone());
    let listener = listener_fn("l", move |delivery: Delivery| {
        let (passes, seen) = (passes.clone(), seen.clone());
        async move {
            seen.add("began");
            if delivery.text() == Some("waits") {
                passes.pass().await;
            }
            seen.add("ended");
            Outcome::done()
        }
    });
    bus.register("t/s", listener).unwrap();
    bus.send("t/s", text("starts the worker")).await.unwrap();
    bus.idle().await;
    notes.take();
    let sender = tokio::time::timeout(ms(5), bus.request("t/s", text("waits"), None));
    assert!(sender.await.is_err(), "the sender goes away");
    assert_eq!(notes.all(), ["began"]);
    gate.open();
    settled(&bus).await;
    assert_eq!(
        (notes.all(), figures(&bus, "t/s").completed),
        (vec!["began".to_owned(), "ended".to_owned()], 2)
    );
}

#[tokio::test]
async fn a_chain_of_requests_longer_than_turns_may_nest_is_answered() {
    const LINKS: usize = 4 * limits::LENT_TURNS_NESTED_MAX as usize;
    let bus = bus();
    for link in 0..LINKS {
        let (asks, own, next) = (bus.clone(), format!("t/{link}"), format!("t/{}", link + 1));
        bus.create(serial(&own)).unwrap();
        let listener = listener_fn("l", move |_| {
            let (asks, next) = (asks.clone(), next.clone());
            async move {
                match asks.request(&next, text("on"), Some(secs(10))).await {
                    Ok(answer) => Outcome::reply(answer),
                    // The last one has nobody to ask.
                    Err(error) => Outcome::reply(Reply::text(error.name())),
                }
            }
        });
        bus.register(&own, listener).unwrap();
    }
    for _ in 0..2 {
        // The second time all workers sleep, and each could be lent to the one before.
        let answer = bus.request("t/0", text("m"), Some(secs(10))).await.unwrap();
        assert_eq!(answer.payload, "no-such-destination");
        bus.idle().await;
    }
    settled(&bus).await;
}

#[test]
fn a_sender_on_another_runtime_wakes_the_worker_instead_of_running_it_without_its_timers() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (home, elsewhere) = (runtime(), runtime());
    let bus = home.block_on(async {
        let bus = bus();
        bus.create(serial("t/s")).unwrap();
        let listener = listener_fn("l", |_| async { Outcome::reply(Reply::text(format!("{:?}", thread()))) });
        bus.register("t/s", listener).unwrap();
        bus.request("t/s", text("starts the worker"), None).await.unwrap();
        bus.idle().await;
        bus
    });
    let asking = bus.clone();
    let (own, answer) = elsewhere.block_on(async {
        let asked = async move { (thread(), asking.request("t/s", text("m"), None).await.unwrap()) };
        tokio::spawn(asked).await.unwrap()
    });
    assert_ne!(answer.payload, format!("{own:?}"));
}
