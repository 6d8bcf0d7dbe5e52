//! REG: bus, registry, listeners.

use std::sync::Arc;

use crate::events::observing;
use crate::support::*;

#[tokio::test]
async fn reg_2_destinations_are_listed_sorted_and_found_by_name() {
    // Asking for a name that is not there is a question, not an error.
    let (bus, notes) = (bus(), Notes::default());
    for config in [synchronous("t/c"), serial("t/a"), parallel("t/b")] {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
    }
    let listed: Vec<String> = bus.destinations().iter().map(ToString::to_string).collect();
    assert!(bus.destinations().is_sorted());
    for known in ["t/a", "t/b", "t/c"] {
        assert!(listed.iter().any(|name| name == known));
        assert!(bus.has_destination(known) && bus.has_listener(known));
        assert_eq!(bus.config(known).unwrap().name.as_str(), known);
    }
    assert!(!bus.has_destination("t/x") && !bus.has_listener("t/x"));
    assert!(bus.config("t/x").is_none() && bus.statistics("t/x").is_none());
    assert!(bus.dead_letters("t/x").is_empty());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn reg_3_each_type_delivers_a_message_and_a_bare_payload() {
    // The plain case; everything else builds on it.
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        let listener = ending("l", &notes, |delivery| {
            assert_eq!(delivery.values().is_empty(), delivery.text() == Some("bare"));
            Outcome::done()
        });
        bus.register(&destination, listener).unwrap();
        bus.send(&destination, text("full").value("a", 1).unwrap()).await.unwrap();
        bus.send(&destination, Outgoing::bytes("bare")).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!((notes.count("l:full"), notes.count("l:bare")), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn reg_4_an_unknown_destination_is_told_and_nothing_is_kept_for_later() {
    // Silence would be a message that vanishes.
    let (bus, notes) = (bus(), Notes::default());
    let error = bus.send("t/x", text("m")).await.unwrap_err();
    assert_eq!(error, SendError::NoSuchDestination("t/x".to_owned()));
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    settled(&bus).await;
    assert!(notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn reg_5_a_message_without_listeners_waits_for_the_first_one() {
    // Start order must not decide whether a message is received.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        assert_eq!((figures(&bus, "t/x").pending, figures(&bus, "t/x").held), (1, 1));
        bus.register("t/x", noting("l", &notes)).unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["l:m"]);
        assert_eq!(figures(&bus, "t/x").held, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn reg_6_a_destination_that_holds_nothing_says_no_listener() {
    // The sender is the only one who can do something about it.
    let bus = bus();
    bus.create(synchronous("t/y")).unwrap();
    for (destination, config) in [("t/p", parallel("t/p")), ("t/s", serial("t/s"))] {
        bus.create(with(config, |config| config.on_no_listener = OnNoListener::Reject)).unwrap();
        assert!(figures(&bus, destination).rejected.is_empty());
    }
    for destination in ["t/p", "t/s", "t/y"] {
        let error = bus.send(destination, text("m")).await.unwrap_err();
        assert_eq!(error, SendError::NoListener(name(destination)));
        assert_eq!(figures(&bus, destination).rejected["no-listener"], 1);
        assert_eq!(figures(&bus, destination).accepted, 0);
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn reg_7_discarding_without_listeners_is_counted() {
    // Dropped under a policy is allowed; dropped unseen is not.
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(with(config, |config| config.on_no_listener = OnNoListener::Discard)).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        assert_eq!(figures(&bus, &destination).dropped["no-listener"], 1);
        assert_eq!(figures(&bus, &destination).accepted, 1);
    }
    settled(&bus).await;
    assert!(notes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn reg_8_what_is_removed_is_not_known_any_more() {
    // A name must be free again after its destination went.
    let (bus, received) = (bus(), Arc::<std::sync::Mutex<Vec<Outgoing>>>::default());
    bus.create(serial("t/x")).unwrap();
    let keeps = Arc::clone(&received);
    let listener = listener_fn("l", move |delivery: Delivery| {
        keeps.lock().unwrap().push(Outgoing::from(&**delivery.message()));
        async { Outcome::done() }
    });
    bus.register("t/x", listener).unwrap();
    let sent = text("m").value("a", 1).unwrap().priority(3);
    bus.send("t/x", sent.clone()).await.unwrap();
    settled(&bus).await;
    assert!(bus.unregister("t/x", "l").await);
    assert!(!bus.has_listener("t/x"));
    bus.destroy("t/x").await.unwrap();
    assert!(!bus.has_destination("t/x"));
    assert_eq!(*received.lock().unwrap(), [sent]);
    bus.create(serial("t/x")).unwrap();
    assert!(!bus.has_listener("t/x"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn reg_9_registering_twice_changes_nothing_and_says_so() {
    // A second delivery of the same message would be the worse surprise.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    assert_eq!(bus.register("t/x", noting("l", &notes)), Ok(Registered::Now));
    assert_eq!(bus.register("t/x", noting("l", &notes)), Ok(Registered::Already));
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:m"]);
}

#[tokio::test(start_paused = true)]
async fn reg_10_11_listeners_are_counted_and_an_unknown_one_is_no_error() {
    // Unregistering answers whether there was anything to take away.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/x")).unwrap();
    bus.register("t/x", noting("a", &notes)).unwrap();
    bus.register("t/x", noting("b", &notes)).unwrap();
    assert_eq!(figures(&bus, "t/x").listeners.len(), 2);
    assert!(bus.unregister("t/x", "a").await);
    assert_eq!(figures(&bus, "t/x").listeners.len(), 1);
    let (seen, _observation) = observing(&bus, EventFilter::All);
    let before = seen.len();
    assert!(!bus.unregister("t/x", "a").await);
    assert!(!bus.unregister("t/unknown", "a").await);
    assert_eq!(seen.len(), before, "nothing has happened: {:?}", seen.all());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn reg_12_a_listener_that_came_first_attaches_when_its_destination_appears() {
    // Start order does not matter, and early listeners keep theirs.
    let (bus, notes) = (bus(), Notes::default());
    for listener in ["a", "b"] {
        assert_eq!(bus.register("t/x", noting(listener, &notes)), Ok(Registered::WhenItAppears));
    }
    assert_eq!(bus.register("t/x", noting("a", &notes)), Ok(Registered::Already));
    assert_eq!(bus.register("t/x", noting("gone", &notes)), Ok(Registered::WhenItAppears));
    assert!(bus.unregister("t/x", "gone").await);
    bus.create(serial("t/x")).unwrap();
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["a:m", "b:m"]);
}

#[tokio::test(start_paused = true)]
async fn reg_13_one_listener_receives_from_two_destinations() {
    // The registration is per destination; leaving one must not leave the other.
    let (bus, notes) = (bus(), Notes::default());
    let shared: Arc<dyn MessageListener> = Arc::new(noting("l", &notes));
    for destination in ["t/a", "t/b"] {
        bus.create(serial(destination)).unwrap();
        bus.register_shared(destination, Arc::clone(&shared)).unwrap();
        bus.send(destination, text(destination)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(notes.sorted(), ["l:t/a", "l:t/b"]);
    assert!(bus.unregister("t/a", "l").await);
    bus.send("t/b", text("again")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.count("l:again"), 1);
}

#[tokio::test]
async fn reg_14_names_are_checked_and_the_error_shows_name_and_rule() {
    // A name that slips through becomes a pattern, a path or a log line somewhere.
    let bus = bus();
    for good in ["acme/n8k5_able", "a.b-c/1"] {
        bus.create(serial(good)).unwrap();
        assert!(bus.has_destination(good));
    }
    let long = "a".repeat(256);
    let rules =
        [("", "empty"), ("a b", "a space"), ("a/*", "`*`"), (&long, "256 bytes; a name may have 255 bytes")];
    for (bad, rule) in rules {
        let error = DestinationConfig::serial(bad).unwrap_err().to_string();
        let shown = bad.chars().take(32).collect::<String>();
        assert!(error.contains("destination") && error.contains(&shown) && error.contains(rule), "{error}");
        assert_eq!(bus.send(bad, text("m")).await.unwrap_err().name(), "invalid");
    }
    assert!(
        DestinationConfig::serial("a b").unwrap_err().to_string().contains("`a b` has a space at byte 1")
    );
    assert!(DestinationConfig::serial("sandbus/mine").unwrap_err().to_string().contains("reserved"));
    assert!(matches!(bus.destroy(DEFAULT_RESPONSE).await, Err(DestinationError::BuiltIn(_))));
    assert!(matches!(bus.create(serial("a.b-c/1")), Err(DestinationError::AlreadyExists { .. })));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn each_of_thousands_of_destinations_is_found_and_gone_when_it_is_destroyed() {
    // The table stands in parts, and each has many of these.
    let (bus, count) = (bus(), 5_000);
    for n in 0..count {
        bus.create(synchronous(&format!("t/{n}"))).unwrap();
    }
    assert!((0..count).all(|n| bus.has_destination(&format!("t/{n}"))));
    let names = bus.destinations();
    assert!(names.len() == count + 2 && names.is_sorted());
    for n in (0..count).step_by(2) {
        bus.destroy(&format!("t/{n}")).await.unwrap();
    }
    assert!((0..count).all(|n| bus.has_destination(&format!("t/{n}")) == (n % 2 == 1)));
    assert_eq!(bus.destinations().len(), count / 2 + 2);
    bus.create(serial("t/0")).unwrap();
    assert_eq!(bus.send("t/0", text("m")).await.map(drop), Ok(()));
}
