//! EVENT: what changes is told, in order, once, to observers and to listeners at `sandbus/events`.

use std::sync::{Arc, Mutex};

use crate::support::*;

/// What an observer was told, as short texts.
pub(crate) fn observing(bus: &Bus, filter: EventFilter) -> (Notes, Observation) {
    let notes = Notes::default();
    let seen = notes.clone();
    let observation = bus.observe(filter, move |event: &Event| seen.add(short(event))).unwrap();
    (notes, observation)
}

/// An event as `name destination listener`.
pub(crate) fn short(event: &Event) -> String {
    let destination = event.destination().map(DestinationName::as_str);
    [Some(event.name()), destination, event.listener(), event.guest()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// All events about one destination.
pub(crate) fn about(destination: &str) -> EventFilter {
    EventFilter::Destination(name(destination))
}

/// A listener at `sandbus/events` that notes each event as JSON.
fn told(bus: &Bus, listener: &str) -> Notes {
    let notes = Notes::default();
    let seen = notes.clone();
    let listener = listener_fn(listener, move |delivery: Delivery| {
        seen.add(delivery.text().unwrap());
        std::future::ready(Outcome::done())
    });
    bus.register(EVENTS, listener).unwrap();
    notes
}

#[tokio::test]
async fn reg_1_a_fresh_bus_lists_its_two_built_in_destinations() {
    // They are there before anybody can ask for them, and nobody can take them away.
    let bus = bus();
    let listed: Vec<String> = bus.destinations().iter().map(ToString::to_string).collect();
    assert_eq!(listed, [DEFAULT_RESPONSE, EVENTS]);
    assert_eq!(bus.config(DEFAULT_RESPONSE).unwrap().destination_type, DestinationType::Synchronous);
    let events = bus.config(EVENTS).unwrap();
    assert_eq!(events.destination_type, DestinationType::Serial);
    assert_eq!(events.rejected_execution, RejectedExecution::DiscardOldest);
    assert_eq!(events.on_no_listener, OnNoListener::Discard);
    assert!(matches!(bus.destroy(EVENTS).await, Err(DestinationError::BuiltIn(_))));
    let mut mine = serial("t/x");
    mine.name = name(EVENTS);
    assert!(matches!(bus.create_ranked(mine, 7), Err(DestinationError::Config(_))));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_1_reg_11_a_listener_that_comes_and_goes_is_told_once_each() {
    // What changes nothing is no event: registering twice, taking away what is not there.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/x")).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    bus.register("t/x", noting("l", &notes)).unwrap();
    assert_eq!(bus.register("t/x", noting("l", &notes)), Ok(Registered::Already));
    assert!(bus.unregister("t/x", "l").await);
    assert!(!bus.unregister("t/x", "l").await);
    assert!(!bus.unregister("t/unknown", "l").await);
    assert_eq!(
        seen.all(),
        ["destination-added t/x", "listener-registered t/x l", "listener-unregistered t/x l"]
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_2_a_destination_that_comes_and_goes_is_told() {
    // With its type and ranking, which a reader of the event cannot ask for any more when it is gone.
    let bus = bus();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let _observation =
        bus.observe(about("t/x"), move |event: &Event| seen.lock().unwrap().push(event.clone())).unwrap();
    bus.create(synchronous("t/x")).unwrap();
    bus.create(serial("t/other")).unwrap();
    bus.destroy("t/x").await.unwrap();
    let (destination, destination_type) = (name("t/x"), DestinationType::Synchronous);
    assert_eq!(
        *events.lock().unwrap(),
        [
            Event::DestinationAdded { destination: destination.clone(), destination_type, ranking: 0 },
            Event::DestinationRemoved { destination, destination_type, ranking: 0 },
        ]
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_3_a_late_observer_is_told_what_exists_and_then_what_happens() {
    // Nothing twice: who asks and observes must not have to compare the two.
    let (bus, notes) = (bus(), Notes::default());
    for destination in ["t/c", "t/a", "t/b"] {
        bus.create(serial(destination)).unwrap();
        bus.register(destination, noting("l", &notes)).unwrap();
    }
    bus.register("t/b", noting("m", &notes)).unwrap();
    bus.announce(Event::GuestLoaded { guest: "g".into(), build: None });
    bus.announce(Event::GuestLoaded { guest: "gone".into(), build: None });
    bus.announce(Event::GuestUnloaded { guest: "gone".into() });
    let (seen, observation) = observing(&bus, EventFilter::All);
    assert!(bus.unregister("t/b", "l").await);
    bus.announce(Event::GuestUnloaded { guest: "g".into() });
    assert_eq!(
        seen.all(),
        [
            "destination-added sandbus/default-response",
            "destination-added t/a",
            "listener-registered t/a l",
            "destination-added t/b",
            "listener-registered t/b l",
            "listener-registered t/b m",
            "destination-added t/c",
            "listener-registered t/c l",
            "guest-loaded g",
            "listener-unregistered t/b l",
            "guest-unloaded g",
        ]
    );
    observation.unobserve();
    bus.destroy("t/a").await.unwrap();
    assert_eq!(seen.len(), 11);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_4_an_observer_may_come_before_its_destination() {
    // Start order does not matter; and what it did not ask for, it is not told.
    let (bus, notes) = (bus(), Notes::default());
    let (seen, _observation) = observing(&bus, about("t/x"));
    bus.register("t/x", noting("early", &notes)).unwrap();
    bus.announce(Event::GuestLoaded { guest: "g".into(), build: None });
    bus.create(serial("t/y")).unwrap();
    assert!(seen.is_empty());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    assert_eq!(
        seen.all(),
        ["destination-added t/x", "listener-registered t/x early", "listener-registered t/x l"]
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn ex_12_an_observer_sees_a_whole_life_in_order() {
    // S3Z9: added, registered, unregistered, removed, each with the name.
    let (bus, notes) = (bus(), Notes::default());
    let (seen, _observation) = observing(&bus, about("acme/s3z9_baker"));
    bus.create(serial("acme/s3z9_baker")).unwrap();
    bus.register("acme/s3z9_baker", noting("charlie", &notes)).unwrap();
    bus.unregister("acme/s3z9_baker", "charlie").await;
    bus.destroy("acme/s3z9_baker").await.unwrap();
    assert_eq!(
        seen.all(),
        [
            "destination-added acme/s3z9_baker",
            "listener-registered acme/s3z9_baker charlie",
            "listener-unregistered acme/s3z9_baker charlie",
            "destination-removed acme/s3z9_baker",
        ]
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_5_a_listener_at_sandbus_events_receives_messages_that_name_event_and_destination() {
    // First what exists, to it alone, then what happens: as observers, in JSON and in values.
    let bus = bus();
    let first = told(&bus, "first");
    bus.create(serial("t/x")).unwrap();
    bus.idle().await;
    let values = Notes::default();
    let seen = values.clone();
    let second = listener_fn("second", move |delivery: Delivery| {
        let text = |key| delivery.values().text(key).unwrap().unwrap_or("-").to_owned();
        seen.add(format!("{} {} {}", text("event"), text("destination"), text("listener")));
        assert_eq!(delivery.content_type(), Some("application/json"));
        let context = delivery.message().context();
        assert_eq!((&*context.sender, context.hop_count), ("host", 0));
        std::future::ready(Outcome::done())
    });
    bus.register(EVENTS, second).unwrap();
    bus.register("t/x", echo("l")).unwrap();
    settled(&bus).await;
    assert_eq!(
        first.all(),
        [
            r#"{"destination":"sandbus/default-response","destination_type":"synchronous","event":"destination-added","ranking":0}"#,
            r#"{"destination":"t/x","destination_type":"serial","event":"destination-added","ranking":0}"#,
            r#"{"destination":"t/x","event":"listener-registered","listener":"l"}"#,
        ]
    );
    assert_eq!(
        values.all(),
        [
            "destination-added sandbus/default-response -",
            "destination-added t/x -",
            "listener-registered t/x l",
        ]
    );
    assert!(bus.unregister(EVENTS, "first").await && bus.unregister(EVENTS, "second").await);
    bus.create(serial("t/y")).unwrap();
    settled(&bus).await;
    assert_eq!((first.len(), values.len()), (3, 3));
    assert_eq!(figures(&bus, EVENTS).dropped.values().sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn event_5_nobody_but_the_bus_sends_to_sandbus_events() {
    // What is told there must have happened.
    let bus = bus();
    let seen = told(&bus, "l");
    bus.idle().await;
    let before = seen.len();
    assert_eq!(bus.send(EVENTS, text("m")).await.unwrap_err().name(), "invalid");
    assert_eq!(bus.request(EVENTS, text("m"), None).await.unwrap_err().name(), "invalid");
    assert_eq!(bus.request_direct(EVENTS, text("m"), None).await.unwrap_err().name(), "invalid");
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", echo("e")).unwrap();
    bus.send("t/x", text("m").response_destination(name(EVENTS))).await.unwrap();
    settled(&bus).await;
    assert_eq!(reasons(&bus, "t/x"), ["invalid"]);
    assert_eq!(seen.len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn events_about_sandbus_events_are_sent_to_nobody() {
    // A listener there that faults would otherwise be told of its own fault, and fault again, for ever.
    let bus = bus();
    let (seen, _observation) = observing(&bus, EventFilter::All);
    let faulting = listener_fn("f", |_| std::future::ready(Outcome::faulted(Cause::Trap, "again")));
    bus.register(EVENTS, faulting).unwrap();
    bus.create(serial("t/x")).unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, EVENTS).failed["trap"], 2);
    bus.unregister(EVENTS, "f").await;
    assert_eq!(seen.all(), ["destination-added sandbus/default-response", "destination-added t/x"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_its_own_event_brings_about_again_ends_after_sixteen_hops() {
    // A guest that sends an alarm for each fault to a destination whose listener faults must not loop for ever.
    let bus = bus();
    bus.create(serial("t/alarms")).unwrap();
    let faulting = listener_fn("f", |_| std::future::ready(Outcome::faulted(Cause::Trap, "again")));
    bus.register("t/alarms", faulting).unwrap();
    let alarmed = bus.clone();
    let alarm = listener_fn("alarm", move |delivery: Delivery| {
        let bus = alarmed.clone();
        async move {
            if delivery.values().text("event").unwrap() == Some("listener-faulted") {
                let _ = bus.send_as(&delivery.origin(), "t/alarms", text("fault")).await;
            }
            Outcome::done()
        }
    });
    bus.register(EVENTS, alarm).unwrap();
    bus.send("t/alarms", text("first")).await.unwrap();
    settled(&bus).await;
    let faults = figures(&bus, "t/alarms").failed["trap"];
    assert!((2..=17).contains(&faults), "{faults}");
    bus.unregister(EVENTS, "alarm").await;
}

#[tokio::test(start_paused = true)]
async fn event_6_a_fault_is_told_with_its_cause_and_an_interrupt_is_not() {
    // The part of it that the bus sees: loaded and unloaded are announced by the host.
    let (bus, notes) = (bus(), Notes::default());
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", ending("l", &notes, |_| Outcome::faulted(Cause::OutOfFuel, "spent"))).unwrap();
    let _observation =
        bus.observe(about("t/x"), move |event: &Event| seen.lock().unwrap().push(event.clone())).unwrap();
    let id = bus.send("t/x", text("m")).await.unwrap();
    bus.idle().await;
    assert_eq!(
        events.lock().unwrap().last().unwrap(),
        &Event::ListenerFaulted {
            listener: "l".into(),
            destination: name("t/x"),
            message_id: id,
            attempt: 1,
            cause: Cause::OutOfFuel,
            text: "spent".into(),
        }
    );
    bus.unregister("t/x", "l").await;
    bus.register("t/x", blocking("b", &notes, &Gate::closed())).unwrap();
    bus.send("t/x", text("m")).await.unwrap();
    eventually(|| notes.count("b:m") == 1).await;
    bus.close_now("t/x").await.unwrap();
    assert_eq!(events.lock().unwrap().last().unwrap().name(), "listener-registered");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_7_a_queue_that_is_full_and_empties_is_told_once_each() {
    // Once per episode, however many messages were turned away in it.
    for config in [serial("t/x"), with(parallel("t/x"), |config| config.workers.max = 2)] {
        let busy = config.workers.max;
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        bus.create(with(config, |config| config.queue_entries_max = 2)).unwrap();
        bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
        let (seen, _observation) = observing(&bus, about("t/x"));
        for episode in 1..=2 {
            for _ in 0..busy {
                bus.send("t/x", text("m")).await.unwrap();
                let running = figures(&bus, "t/x").running + 1;
                eventually(|| figures(&bus, "t/x").running >= running.min(busy as u64)).await;
            }
            eventually(|| figures(&bus, "t/x").pending == 0).await;
            for _ in 0..2 {
                bus.send("t/x", text("m")).await.unwrap();
            }
            assert_eq!(seen.len(), 2 * episode, "{:?}", seen.all());
            for _ in 0..3 {
                assert_eq!(bus.send("t/x", text("m")).await.unwrap_err().name(), "queue-full");
            }
            assert_eq!(seen.all().last().unwrap(), "queue-full t/x");
            for _ in 0..busy + 2 {
                gate.let_one_pass();
            }
            bus.idle().await;
            assert_eq!(seen.all().last().unwrap(), "queue-recovered t/x");
        }
        assert_eq!(seen.len(), 6, "{:?}", seen.all());
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn event_7_a_queue_that_stays_nearly_full_is_one_episode() {
    // With an event for each message that found no room, the events would be the load.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 8)).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    let mut refused = 0;
    for n in 0..60 {
        refused += u32::from(bus.send("t/x", text("m")).await.is_err());
        turns().await;
        if n > 12 {
            gate.let_one_pass();
            turns().await;
        }
    }
    assert!(refused > 3, "{refused}");
    assert_eq!(seen.all()[2..], ["queue-full t/x"]);
    gate.open();
    settled(&bus).await;
    assert_eq!(seen.all()[2..], ["queue-full t/x", "queue-recovered t/x"]);
}

#[tokio::test(start_paused = true)]
async fn event_7_an_episode_ends_when_what_waits_is_taken_away() {
    // By whatever way there is room again: closing, a listener that goes.
    for close in [true, false] {
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        bus.create(with(serial("t/x"), |config| config.queue_entries_max = 1)).unwrap();
        bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        bus.send("t/x", text("m")).await.unwrap();
        bus.send("t/x", text("m")).await.unwrap_err();
        let (seen, _observation) = observing(&bus, about("t/x"));
        if close {
            bus.close_now("t/x").await.unwrap();
        } else {
            gate.let_one_pass();
            bus.unregister("t/x", "l").await;
        }
        assert_eq!(seen.all().iter().filter(|event| event.starts_with("queue-recovered")).count(), 1);
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn event_7_a_message_too_large_for_an_empty_queue_does_not_begin_an_endless_episode() {
    // Nothing leaves an empty queue; the next message that enters shows that there is room.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/x"), |config| config.queue_bytes_max = 100)).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    bus.send("t/x", text("m".repeat(101))).await.unwrap_err();
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(seen.all()[2..], ["queue-full t/x", "queue-recovered t/x"]);
}

#[tokio::test(start_paused = true)]
async fn event_8_a_pool_that_is_resized_is_one_event_with_both_settings() {
    // What changes nothing about the workers, and what is refused, is none.
    let bus = bus();
    bus.create(parallel("t/x")).unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let _observation =
        bus.observe(about("t/x"), move |event: &Event| seen.lock().unwrap().push(event.clone())).unwrap();
    let before = parallel("t/x").workers;
    let after = Workers { core: 3, max: 6, ..before };
    bus.reconfigure(with(parallel("t/x"), |config| config.workers = after)).unwrap();
    bus.reconfigure(with(parallel("t/x"), |config| {
        config.workers = after;
        config.queue_entries_max = 50;
    }))
    .unwrap();
    bus.reconfigure(with(parallel("t/x"), |config| config.workers.core = 0)).unwrap_err();
    let resized = Event::WorkerPoolResized { destination: name("t/x"), before, after };
    assert_eq!(events.lock().unwrap()[1..], std::slice::from_ref(&resized)[..]);
    assert_eq!(resized.to_json()["before"]["workers_core"], 2);
    assert_eq!(resized.to_json()["after"]["workers_max"], 6);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn event_7_purging_and_tuning_end_an_episode_too() {
    // There is room again, whoever made it.
    for purge in [true, false] {
        let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
        let config = with(serial("t/x"), |config| config.queue_entries_max = 1);
        bus.create(config.clone()).unwrap();
        bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        eventually(|| notes.len() == 1).await;
        bus.send("t/x", text("m")).await.unwrap();
        bus.send("t/x", text("m")).await.unwrap_err();
        let (seen, _observation) = observing(&bus, about("t/x"));
        if purge {
            bus.purge("t/x").unwrap();
        } else {
            bus.reconfigure(with(config, |config| config.queue_entries_max = 8)).unwrap();
        }
        assert_eq!(seen.all()[2..], ["queue-recovered t/x"]);
        gate.open();
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_dedup_key_tells_its_events_under_no_lock() {
    // An observer that sends under the same key would else wait for itself for ever.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 1)).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    let keyed = |text: &str| {
        let mut message = Outgoing::text(text);
        message.options =
            Some(Box::new(SendOptions { dedup_key: Some("k".into()), ..SendOptions::default() }));
        message
    };
    bus.send("t/x", text("1")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.send("t/x", text("2")).await.unwrap();
    let (inside, ended) = (bus.clone(), Notes::default());
    let seen = ended.clone();
    let _observation = bus
        .observe(about("t/x"), move |event: &Event| {
            if event.name() == "queue-full" {
                let mut sending = std::pin::pin!(inside.send("t/x", keyed("3")));
                let polled =
                    sending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
                seen.add(format!(
                    "{:?}",
                    matches!(polled, std::task::Poll::Ready(Err(SendError::QueueFull { .. })))
                ));
            }
        })
        .unwrap();
    bus.send("t/x", keyed("3")).await.unwrap_err();
    assert_eq!(ended.all(), ["true"]);
    gate.open();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_left_are_told_once_a_second_at_most() {
    // Under a storm of failures each one would be an event.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/x"), |config| config.dead_letters.letters_max = 1)).unwrap();
    bus.register("t/x", refusing("l", &notes, "no")).unwrap();
    let counts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&counts);
    let _observation = bus
        .observe(about("t/x"), move |event: &Event| {
            if let Event::DeadLettersLeft { count, .. } = event {
                seen.lock().unwrap().push(*count);
            }
        })
        .unwrap();
    for _ in 0..6 {
        bus.send("t/x", text("m")).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(*counts.lock().unwrap(), [1]);
    tokio::time::sleep(secs(1)).await;
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(*counts.lock().unwrap(), [1, 5]);
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_call_the_bus_and_its_events_come_behind() {
    // It is called under no lock; what it changes is told after what it is being told.
    let bus = bus();
    let first = Notes::default();
    let (seen, inside) = (first.clone(), bus.clone());
    let _observation = bus
        .observe(EventFilter::All, move |event: &Event| {
            seen.add(format!("begin {}", short(event)));
            if event.destination() == Some(&name("t/a")) && event.name() == "destination-added" {
                inside.create(serial("t/b")).unwrap();
                inside.register("t/a", echo("l")).unwrap();
                assert_eq!(inside.dead_letters("t/a").len(), 0);
                drop(inside.observe(EventFilter::All, |_: &Event| {}).unwrap());
            }
            seen.add("end");
        })
        .unwrap();
    let (second, _second) = observing(&bus, EventFilter::All);
    bus.create(serial("t/a")).unwrap();
    assert!(first.all().chunks(2).all(|pair| pair[0].starts_with("begin") && pair[1] == "end"));
    let told = ["destination-added t/a", "destination-added t/b", "listener-registered t/a l"];
    assert_eq!(second.all()[1..], told);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_is_told_of_the_next_event_all_the_same() {
    // One observer must not cost the others their events, or a sender its message.
    let bus = bus();
    let panics = Notes::default();
    let seen = panics.clone();
    let _panicking = bus
        .observe(about("t/x"), move |event: &Event| {
            seen.add(short(event));
            panic!("an observer");
        })
        .unwrap();
    let (calm, _observation) = observing(&bus, about("t/x"));
    bus.create(serial("t/x")).unwrap();
    bus.destroy("t/x").await.unwrap();
    assert_eq!(panics.all(), calm.all());
    assert_eq!(calm.len(), 2);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_find_no_room_are_counted_and_told() {
    // An observer that does not come back must not take the memory of the host.
    let bus = bus();
    let missed = Arc::new(Mutex::new((0_u64, 0_u64)));
    let (seen, inside) = (Arc::clone(&missed), bus.clone());
    let more = limits::EVENTS_WAITING_MAX as u64 + 25;
    let _observation = bus
        .observe(EventFilter::All, move |event: &Event| match event {
            Event::GuestRecovered { guest } if &**guest == "first" => {
                for _ in 0..more {
                    inside.announce(Event::GuestRecovered { guest: "g".into() });
                }
            }
            Event::GuestRecovered { .. } => seen.lock().unwrap().0 += 1,
            Event::EventsMissed { count } => seen.lock().unwrap().1 += count,
            _ => {}
        })
        .unwrap();
    bus.announce(Event::GuestRecovered { guest: "first".into() });
    assert_eq!(*missed.lock().unwrap(), (limits::EVENTS_WAITING_MAX as u64, 25));
    bus.announce(Event::GuestRecovered { guest: "g".into() });
    assert_eq!(*missed.lock().unwrap(), (limits::EVENTS_WAITING_MAX as u64 + 1, 25));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sandbus_events_keeps_the_newest_when_its_listener_is_slow() {
    // The bound holds, what gave way is counted, and the host is never kept waiting.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.register(EVENTS, blocking("slow", &notes, &gate)).unwrap();
    eventually(|| notes.len() == 1).await;
    let bound = limits::QUEUE_ENTRIES_MAX as u64;
    for _ in 0..bound + 5 {
        bus.announce(Event::GuestRecovered { guest: "g".into() });
    }
    bus.announce(Event::GuestRecovered { guest: "last".into() });
    let then = figures(&bus, EVENTS);
    assert_eq!((then.pending as u64, then.dropped["queue-full"]), (bound, 6));
    gate.open();
    settled(&bus).await;
    assert!(notes.all().last().unwrap().contains("last"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_observer_that_comes_in_the_middle_can_tell_exactly_what_there_is() {
    // Nothing twice, nothing missed, in the order of the changes, also when many change things at once.
    let bus = bus();
    let mut tasks = Vec::new();
    for task in 0..4 {
        let bus = bus.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..50 {
                let destination = format!("t/{}", (task + n) % 3);
                if n % 2 == 0 {
                    let _ = bus.create_ranked(serial(&destination), task);
                } else {
                    let _ = bus.destroy(&destination).await;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut observers = Vec::new();
    for _ in 0..8 {
        let model = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
        let known = Arc::clone(&model);
        let observation = bus
            .observe(EventFilter::All, move |event: &Event| {
                let mut known = known.lock().unwrap();
                match event {
                    Event::DestinationAdded { destination, ranking, .. } => {
                        assert_eq!(known.insert(destination.clone(), *ranking), None, "{event:?}");
                    }
                    Event::DestinationRemoved { destination, ranking, .. } => {
                        assert_eq!(known.remove(destination), Some(*ranking), "{event:?}");
                    }
                    _ => {}
                }
            })
            .unwrap();
        observers.push((model, observation));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut there = bus.destinations();
    there.retain(|known| known.as_str() != EVENTS);
    for (model, observation) in observers {
        drop(observation);
        let model = model.lock().unwrap();
        assert_eq!(model.keys().cloned().collect::<Vec<_>>(), there);
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn observers_have_a_bound_and_one_that_ends_leaves_its_place() {
    // Each is told of every event, in the task that caused it.
    let bus = bus();
    let ignore = || |_: &Event| {};
    let mut all: Vec<Observation> =
        (0..limits::OBSERVERS_MAX).map(|_| bus.observe(EventFilter::All, ignore()).unwrap()).collect();
    let error = bus.observe(about("t/x"), ignore()).unwrap_err();
    assert_eq!(error, TooManyObservers { observers: limits::OBSERVERS_MAX });
    assert!(error.to_string().starts_with("the bus has 1024 observers, and no more may come"), "{error}");
    all.pop().unwrap().unobserve();
    assert!(bus.observe(about("t/x"), ignore()).is_ok());
}
