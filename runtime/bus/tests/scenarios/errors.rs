//! ERR: outcomes, settlement, dead letters.

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn err_1_2_3_a_refusing_listener_takes_nothing_from_another() {
    // The failure is the first listener's; the second one has done nothing wrong.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, refusing("a", &notes, "bad")).unwrap();
        bus.register(&destination, noting("b", &notes)).unwrap();
        for n in 1..=2 {
            bus.send(&destination, text(n.to_string())).await.unwrap();
        }
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["a:1", "a:2", "b:1", "b:2"], "{destination}");
        let letters = bus.dead_letters(&destination);
        assert_eq!(letters.len(), 2);
        assert!(letters.iter().all(|letter| letter.listener.as_deref() == Some("a")));
        assert_eq!(figures(&bus, &destination).completed, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn err_4_a_panic_is_a_trap_and_stays_with_its_listener() {
    // Contained: a native listener that panics must not take its worker with it.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        let panicking = listener_fn("a", |delivery| async move {
            assert_eq!(delivery.text(), Some("never"), "boom");
            Outcome::done()
        });
        bus.register(&destination, panicking).unwrap();
        bus.register(&destination, noting("b", &notes)).unwrap();
        for n in 1..=2 {
            bus.send(&destination, text(n.to_string())).await.unwrap();
        }
        settled(&bus).await;
        assert_eq!(notes.sorted(), ["b:1", "b:2"]);
        assert_eq!(reasons(&bus, &destination), ["trap", "trap"]);
        assert!(bus.dead_letters(&destination)[0].last_error.as_str().contains("boom"));
    }
}

#[tokio::test(start_paused = true)]
async fn err_6_a_refusal_is_one_attempt_and_its_dead_letter_says_everything() {
    // An operator must be able to judge from the letter alone.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", refusing("l", &notes, "bad total")).unwrap();
    let id = bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    let letters = bus.dead_letters("t/s");
    assert_eq!((letters.len(), notes.len()), (1, 1));
    let letter = &letters[0];
    assert_eq!((letter.reason.name(), letter.attempts), ("refused", 1));
    assert_eq!((letter.last_error.as_str(), letter.listener.as_deref()), ("bad total", Some("l")));
    assert_eq!((letter.message.id(), letter.message.destination().as_str()), (id, "t/s"));
}

#[tokio::test(start_paused = true)]
async fn err_7_a_retry_is_tried_three_times_and_then_a_dead_letter() {
    // The default policy; the attempt is told to the listener.
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(config).unwrap();
        let seen = notes.clone();
        bus.register(
            "t/x",
            listener_fn("l", move |delivery| {
                seen.add(delivery.attempt().to_string());
                async { Outcome::retry("not yet") }
            }),
        )
        .unwrap();
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["1", "2", "3"]);
        let letters = bus.dead_letters("t/x");
        assert_eq!((letters.len(), letters[0].attempts, letters[0].reason.name()), (1, 3, "retry"));
        assert_eq!(letters[0].last_error.as_str(), "not yet");
        let figures = figures(&bus, "t/x");
        assert_eq!((figures.retried, figures.failed["retry"], figures.delivered), (2, 3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn err_8_a_trap_is_not_tried_again_and_the_next_message_completes() {
    // What trapped on these bytes will trap on them again.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let listener = ending("l", &notes, |delivery| match delivery.text() {
        Some("bomb") => Outcome::faulted(Cause::Trap, "unreachable"),
        _ => Outcome::done(),
    });
    bus.register("t/s", listener).unwrap();
    bus.send("t/s", text("bomb")).await.unwrap();
    bus.send("t/s", text("fine")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:bomb", "l:fine"]);
    let letters = bus.dead_letters("t/s");
    assert_eq!((letters.len(), letters[0].attempts, letters[0].reason.name()), (1, 1, "trap"));
}

#[tokio::test(start_paused = true)]
async fn err_10_a_blocking_retry_keeps_the_order() {
    // `on-failure = block` is the default because serial promises order.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let listener = ending("l", &notes, |delivery| match (delivery.text(), delivery.attempt()) {
        (Some("1"), 1) => Outcome::retry("once"),
        _ => Outcome::done(),
    });
    bus.register("t/s", listener).unwrap();
    for n in 1..=3 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:1", "l:2", "l:3"]);
}

#[tokio::test(start_paused = true)]
async fn err_12_dead_letters_are_kept_per_destination_the_oldest_first() {
    // What a listener did at one destination is no concern of another one.
    let (bus, notes) = (bus(), Notes::default());
    for destination in ["t/a", "t/b"] {
        bus.create(serial(destination)).unwrap();
        bus.register(destination, refusing("l", &notes, "no")).unwrap();
        for n in 1..=2 {
            bus.send(destination, text(format!("{destination} {n}"))).await.unwrap();
        }
    }
    settled(&bus).await;
    for destination in ["t/a", "t/b"] {
        let payloads: Vec<_> =
            bus.dead_letters(destination).iter().map(|letter| letter.message.payload().clone()).collect();
        assert_eq!(payloads, [format!("{destination} 1"), format!("{destination} 2")]);
    }
}

#[tokio::test(start_paused = true)]
async fn err_13_the_bound_of_the_dead_letters_drops_the_oldest_and_counts_them() {
    // A full disk of letters nobody reads must not become the next failure.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.dead_letters.letters_max = 10)).unwrap();
    bus.register("t/s", refusing("l", &notes, "no")).unwrap();
    for n in 0..15 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    let letters = bus.dead_letters("t/s");
    assert_eq!(letters.len(), 10);
    assert_eq!(letters[0].message.payload(), "5");
    let figures = figures(&bus, "t/s");
    assert_eq!((figures.dead_letters, figures.dropped["dead-letter-bound"]), (15, 5));
}

#[tokio::test(start_paused = true)]
async fn the_bytes_and_the_age_of_dead_letters_are_bounded_too() {
    // Ten large letters are as bad as ten thousand small ones.
    let (bus, notes) = (bus(), Notes::default());
    let bounds = DeadLetterBounds { bytes_max: 10, age_max: secs(60), ..DeadLetterBounds::default() };
    bus.create(with(serial("t/s"), |config| config.dead_letters = bounds)).unwrap();
    bus.register("t/s", refusing("l", &notes, "no")).unwrap();
    for payload in ["aaaa", "bbbb", "cccc"] {
        bus.send("t/s", text(payload)).await.unwrap();
    }
    bus.idle().await;
    assert_eq!(bus.dead_letters("t/s").len(), 2);
    tokio::time::advance(secs(61)).await;
    bus.send("t/s", text("d")).await.unwrap();
    settled(&bus).await;
    let kept = bus.dead_letters("t/s");
    assert_eq!((kept.len(), kept[0].message.payload().as_ref()), (1, b"d".as_ref()));
    assert_eq!(figures(&bus, "t/s").dropped["dead-letter-bound"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_overstays_its_deadline_is_faulted_and_tried_again() {
    // A deadline may well be met next time; a worker must come free either way.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &Gate::closed()).with_deadline(ms(100))).unwrap();
    let before = Instant::now();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.len(), reasons(&bus, "t/s")), (3, vec!["deadline"]));
    assert_eq!(figures(&bus, "t/s").failed["deadline"], 3);
    assert!(before.elapsed() >= ms(300));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_keeps_the_values_as_they_were_when_the_last_attempt_began() {
    // That is what `DeadLetter::values` promises, and what the listener that failed has seen.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register(
        "t/s",
        listener_fn("a", |delivery| async move {
            let mut values = delivery.values().clone();
            values.put("x", 1).unwrap();
            Outcome::Done(Answer { values: Some(values), ..Answer::default() })
        }),
    )
    .unwrap();
    bus.register("t/s", refusing("b", &notes, "no")).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(bus.dead_letters("t/s")[0].values.integer("x"), Ok(Some(1)));
}
