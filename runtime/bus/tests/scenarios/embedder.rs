//! What an embedder adds: destination types, handlers of rejected messages, the inline mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;

type Choice = fn() -> Vec<usize>;

#[tokio::test(start_paused = true)]
async fn type_11_an_embedders_type_chooses_among_the_listeners_and_an_unknown_one_is_named() {
    for base in DestinationType::ALL {
        let (bus, notes) = (bus(), Notes::default());
        bus.register_type(CustomType::new("first-only", base, |_, _| vec![0]).unwrap()).unwrap();
        bus.create(bus.configuration("first-only", "t/x").unwrap()).unwrap();
        for listener in ["a", "b", "c"] {
            bus.register("t/x", noting(listener, &notes)).unwrap();
        }
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["a:m"], "{base}");
        assert_eq!(config_of(&bus, "t/x").type_name(), "first-only");
        assert!(bus.unregister("t/x", "a").await);
        bus.send("t/x", text("n")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["a:m", "b:n"], "{base}");
    }
    let error = bus().configuration("nope", "t/y").unwrap_err().to_string();
    assert_eq!(error, "no destination type is called `nope`; there are parallel, serial, synchronous");
}

#[tokio::test(start_paused = true)]
async fn an_embedders_type_chooses_in_direct_mode_too() {
    for base in DestinationType::ALL {
        let (bus, notes) = (bus(), Notes::default());
        let choose =
            |message: &Message, _: &[&str]| if message.payload() == "nobody" { vec![] } else { vec![1] };
        bus.register_type(CustomType::new("second-only", base, choose).unwrap()).unwrap();
        bus.create(bus.configuration("second-only", "t/x").unwrap()).unwrap();
        bus.register("t/x", noting("a", &notes)).unwrap();
        bus.register("t/x", echo("b")).unwrap();
        let reply = bus.request_direct("t/x", text("m"), None).await.unwrap().unwrap();
        assert_eq!((reply.payload, notes.len()), ("m".into(), 0), "{base}");
        let error = bus.request_direct("t/x", text("nobody"), None).await.unwrap_err();
        assert!(matches!(error, RequestError::NotSent(SendError::NoListener(_))), "{base}: {error}");
        assert_eq!(figures(&bus, "t/x").rejected["no-listener"], 1);
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_that_chooses_nobody_panics_or_points_beyond_the_end_turns_the_message_away() {
    let bus = bus();
    let types: [(&str, Choice); 3] =
        [("nobody", Vec::new), ("beyond", || vec![7]), ("panics", || panic!("on purpose"))];
    for (name, choose) in types {
        let custom = CustomType::new(name, DestinationType::Parallel, move |_, _| choose()).unwrap();
        bus.register_type(custom).unwrap();
        let destination = format!("t/{name}");
        bus.create(bus.configuration(name, &destination).unwrap()).unwrap();
        bus.register(&destination, echo("l")).unwrap();
        assert_eq!(bus.send(&destination, text("m")).await.unwrap_err().name(), "no-listener");
        assert_eq!(figures(&bus, &destination).rejected["no-listener"], 1);
    }
    settled(&bus).await;
}

#[test]
fn a_type_needs_a_name_of_its_own() {
    for bad in ["", "serial", "a b", "x/y"] {
        let error = CustomType::new(bad, DestinationType::Serial, |_, _| vec![0]).unwrap_err().to_string();
        assert!(error.contains(&format!("`{bad}`")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_of_one_name_is_registered_once() {
    let bus = bus();
    let custom = CustomType::new("mine", DestinationType::Serial, |_, _| vec![0]).unwrap();
    bus.register_type(custom.clone()).unwrap();
    let told = bus.register_type(custom).unwrap_err().to_string();
    assert_eq!(told, "destination type `mine` is registered already");
    assert_eq!(bus.types(), ["parallel", "serial", "synchronous", "mine"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_6_an_embedders_handler_gets_each_message_that_was_not_accepted() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    let handled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handled);
    bus.create(with(serial("t/s"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution =
            RejectedExecution::Handler(RejectionHandler::new(move |message, full| {
                assert_eq!((message.destination().as_str(), full.name()), ("t/s", "queue-full"));
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }));
    }))
    .unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    let sending = (0..10).map(|_| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..1_000 {
                bus.send("t/s", text(n.to_string())).await.unwrap();
            }
        })
    });
    for sender in sending.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    gate.open();
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    assert_eq!(then.accepted + handled.load(Ordering::SeqCst) as u64, 10_000);
    assert_eq!(then.rejected["queue-full"], handled.load(Ordering::SeqCst) as u64);
    assert_eq!(then.completed, then.accepted);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_returns_reaches_the_sender_and_so_does_its_panic() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    let handler = RejectionHandler::new(|message, full| match &message.payload()[..] {
        b"told" => Err(full),
        b"panic" => panic!("on purpose"),
        _ => Ok(()),
    });
    bus.create(with(serial("t/s"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Handler(handler);
    }))
    .unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    for n in 0..2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    assert_eq!(bus.send("t/s", text("told")).await.unwrap_err().name(), "queue-full");
    let panicked = bus.send("t/s", text("panic")).await.unwrap_err();
    assert_eq!(panicked.to_string(), "the handler of rejected messages panicked");
    let asked = bus.request("t/s", text("quiet"), Some(secs(60))).await.unwrap_err();
    assert!(asked.to_string().contains("turned away"), "{asked}");
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn inline_a_send_returns_after_every_listener_settled_retries_included() {
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes, sent_at) = (bus(), Notes::default(), Instant::now());
        bus.create(config).unwrap();
        bus.register(
            "t/x",
            ending("a", &notes, |delivery| match delivery.attempt() {
                3 => Outcome::done(),
                _ => Outcome::retry("later"),
            }),
        )
        .unwrap();
        bus.register("t/x", noting("b", &notes)).unwrap();
        bus.run_inline("t/x", true).unwrap();
        let mut message = text("m");
        message.options =
            Some(Box::new(SendOptions { deliver_after: Some(secs(60)), ..SendOptions::default() }));
        bus.send("t/x", message).await.unwrap();
        assert_eq!(notes.all(), ["a:m", "a:m", "a:m", "b:m"]);
        assert_eq!((sent_at.elapsed(), figures(&bus, "t/x").retried), (ms(0), 2));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_a_destination_is_switched_to_inline_and_back() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    let (noted, waits) = (notes.clone(), gate.clone());
    let listener = listener_fn("l", move |delivery| {
        let (notes, gate) = (noted.clone(), waits.clone());
        async move {
            if delivery.text() == Some("0") {
                gate.pass().await;
            }
            notes.add(note_of(&delivery));
            Outcome::done()
        }
    });
    bus.register("t/s", listener.with_deadline(secs(3_600))).unwrap();
    for n in ["0", "1"] {
        bus.send("t/s", text(n)).await.unwrap();
        turns().await;
    }
    bus.run_inline("t/s", true).unwrap();
    bus.send("t/s", text("inline")).await.unwrap();
    assert_eq!(notes.all(), ["l:inline"]);
    bus.run_inline("t/s", false).unwrap();
    bus.send("t/s", text("2")).await.unwrap();
    assert_eq!(notes.all(), ["l:inline"], "the queue is back");
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:inline", "l:0", "l:1", "l:2"]);
}

#[tokio::test(start_paused = true)]
async fn inline_a_paused_destination_queues_and_a_missing_listener_is_met_as_ever() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.paused = true)).unwrap();
    bus.run_inline("t/s", true).unwrap();
    bus.send("t/s", text("held")).await.unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.send("t/s", text("waits")).await.unwrap();
    assert_eq!((notes.len(), figures(&bus, "t/s").pending), (0, 2));
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:held", "l:waits"]);
}

/// What a send of `message` to `t/x` says at once, in the middle of whatever calls this.
fn sent_at_once(bus: &Bus, message: Outgoing) -> Result<MessageId, SendError> {
    let mut sending = std::pin::pin!(bus.send("t/x", message));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match sending.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(sent) => sent,
        std::task::Poll::Pending => panic!("nothing is to be waited for"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_and_a_choice_may_use_the_bus_also_for_a_message_with_a_dedup_key() {
    // They are called under no lock: what an embedder does in them cannot stop the destination.
    let (bus, notes) = (bus(), Notes::default());
    let (inside, noted) = (bus.clone(), notes.clone());
    let choosing = CustomType::new("some", DestinationType::Serial, move |message, _| {
        if message.payload() == "chooses" {
            noted.add(format!("chooses {:?}", sent_at_once(&inside, once("x", "other")).is_ok()));
        }
        vec![0]
    });
    bus.register_type(choosing.unwrap()).unwrap();
    let (inside, noted) = (bus.clone(), notes.clone());
    let handler = RejectionHandler::new(move |message, full| {
        if message.payload() == "turned away" {
            // Nothing of it is known: it is not accepted.
            let again = sent_at_once(&inside, once("again", "key"));
            noted.add(format!("handles {}", again.unwrap_err().name()));
        }
        Err(full)
    });
    bus.create(with(bus.configuration("some", "t/x").unwrap(), |config| {
        config.queue_entries_max = 2;
        config.paused = true;
        config.rejected_execution = RejectedExecution::Handler(handler);
    }))
    .unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    bus.send("t/x", once("chooses", "first")).await.unwrap();
    assert_eq!(bus.send("t/x", once("turned away", "key")).await.unwrap_err().name(), "queue-full");
    assert_eq!(notes.take(), ["chooses true", "handles queue-full"]);
    bus.resume("t/x").unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:x", "l:chooses"]);
}
