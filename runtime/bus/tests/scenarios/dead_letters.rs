//! ERR-12, ERR-13: dead letters listed, shown, redriven, dropped, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;

/// A listener that refuses what it receives until it is healed.
#[derive(Clone, Default)]
struct Health(Arc<AtomicBool>);

impl Health {
    fn heal(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn listener(&self, name: &str, notes: &Notes) -> NativeListener {
        let healthy = Arc::clone(&self.0);
        ending(name, notes, move |_| match healthy.load(Ordering::SeqCst) {
            true => Outcome::done(),
            false => Outcome::refused("ill"),
        })
    }
}

fn all() -> DeadLetterFilter {
    DeadLetterFilter::default()
}

fn only(letter: &DeadLetter) -> DeadLetterFilter {
    all().ids([letter.id])
}

fn fast() -> RedriveOptions {
    RedriveOptions { per_second: 1_000.0, ..RedriveOptions::default() }
}

fn to(destination: &str) -> RedriveOptions {
    RedriveOptions { to: Some(name(destination)), ..fast() }
}

fn payloads(letters: &[(DestinationName, DeadLetter)]) -> Vec<String> {
    let text = |letter: &DeadLetter| String::from_utf8(letter.message.payload().to_vec()).unwrap();
    letters.iter().map(|(_, letter)| text(letter)).collect()
}

fn dropped(bus: &Bus, destination: &str, reason: &str) -> u64 {
    figures(bus, destination).dropped.get(reason).copied().unwrap_or(0)
}

/// A destination of which `count` messages, `0` and so on, were refused by listener `l`.
async fn refused(bus: &Bus, config: DestinationConfig, count: usize) -> (Notes, Health) {
    let (notes, health, destination) = (Notes::default(), Health::default(), config.name.to_string());
    bus.create(config).unwrap();
    bus.register(&destination, health.listener("l", &notes)).unwrap();
    for n in 0..count {
        bus.send(&destination, text(n.to_string())).await.unwrap();
    }
    bus.idle().await;
    (notes, health)
}

#[tokio::test(start_paused = true)]
async fn err_12_letters_are_listed_shown_redriven_and_dropped_and_the_figures_say_so() {
    // Each step is the operator's, and none of them touches what was not meant.
    let bus = bus();
    let (_, _) = refused(&bus, serial("t/a"), 1).await;
    let (notes, health) = refused(&bus, serial("t/b"), 3).await;
    let of_b = bus.dead_letters_matching(Some("t/b"), &all()).unwrap();
    assert_eq!(payloads(&of_b), ["0", "1", "2"]);
    let (keeper, shown) = bus.dead_letter(of_b[1].1.id).unwrap();
    assert_eq!((keeper.as_str(), shown.last_error.as_str(), shown.attempts), ("t/b", "ill", 1));
    assert_eq!(bus.dead_letters_matching(None, &all()).unwrap().len(), 4);

    health.heal();
    let end = bus.redrive(Some("t/b"), &only(&of_b[0].1), fast()).await.unwrap();
    assert_eq!((end.counted, end.redriven, end.not_redriven.len()), (1, 1, 0));
    bus.idle().await;
    assert_eq!(notes.all(), ["l:0", "l:1", "l:2", "l:0"]);
    let gone = bus.drop_dead_letters(Some("t/b"), &only(&of_b[2].1)).unwrap();
    assert_eq!((payloads(&gone), gone[0].0.as_str()), (vec!["2".to_owned()], "t/b"));

    assert!(bus.dead_letter(of_b[0].1.id).is_none() && bus.dead_letter(of_b[2].1.id).is_none());
    assert_eq!(payloads(&bus.dead_letters_matching(Some("t/b"), &all()).unwrap()), ["1"]);
    let b = figures(&bus, "t/b");
    assert_eq!((b.redriven, b.completed, b.dead_letters, b.dead_letters_kept), (1, 1, 3, 1));
    assert_eq!((b.accepted, b.owed, dropped(&bus, "t/b", "dead-letter-dropped")), (3, 3, 1));
    assert_eq!((figures(&bus, "t/a").redriven, figures(&bus, "t/a").dead_letters_kept), (0, 1));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn err_12_a_redriven_letter_reaches_its_listener_only_from_the_first_attempt_on() {
    // The other listener has had its turn; id, hop count, sender and time are the message's own.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        let attempts = if config.destination_type == DestinationType::Synchronous { 1 } else { 3 };
        bus.create(with(config, |config| config.retry = retries(3, ms(10)))).unwrap();
        bus.register(&destination, noting("a", &notes)).unwrap();
        let seen = notes.clone();
        let failing = listener_fn("b", move |delivery| {
            let context = delivery.message().context().clone();
            seen.add(format!("{} {} {}", delivery.message().id(), delivery.attempt(), context.hop_count));
            async { Outcome::retry("not yet") }
        });
        bus.register(&destination, failing).unwrap();
        let id = bus.send(&destination, text("m")).await.unwrap();
        bus.idle().await;
        let first = bus.dead_letters(&destination).remove(0);
        let calls: Vec<_> = (1..=attempts).map(|attempt| format!("{id} {attempt} 0")).collect();
        let before = notes.len();
        assert_eq!(before, attempts + 1, "{destination}");

        let end = bus.redrive(Some(&destination), &all(), fast()).await.unwrap();
        bus.idle().await;
        assert_eq!((end.counted, end.redriven), (1, 1), "{destination}: {end:?}");
        assert_eq!(notes.all()[before..], calls[..], "{destination}");
        let again = bus.dead_letters(&destination);
        assert_eq!((again.len(), again[0].attempts as usize), (1, attempts), "{destination}");
        assert_ne!(again[0].id, first.id);
        assert_eq!(again[0].message.context(), first.message.context());
        let then = figures(&bus, &destination);
        assert_eq!((then.owed, then.redriven, then.dead_letters), (2, 1, 2), "{destination}");
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_begins_with_the_values_that_its_last_attempt_began_with() {
    // What the listeners before it made of them is a part of what this one was to receive.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let setting = listener_fn("a", |delivery| async move {
        let mut values = delivery.values().clone();
        values.put("x", 1).unwrap();
        Outcome::Done(Answer { values: Some(values), ..Answer::default() })
    });
    bus.register("t/s", setting).unwrap();
    let seen = notes.clone();
    let reading = listener_fn("b", move |delivery| {
        seen.add(format!("{:?}", delivery.values().integer("x")));
        async { Outcome::refused("no") }
    });
    bus.register("t/s", reading).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    bus.idle().await;
    bus.redrive(None, &all(), fast()).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["Ok(Some(1))", "Ok(Some(1))"]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_of_a_delivery_that_never_began_again_keeps_the_values_too() {
    // Closed, removed, or its task gone, while it waited: what the listener before it did is done, and is not lost.
    for end in ["close", "unregister", "abandon"] {
        let (bus, notes) = (bus(), Notes::default());
        let config = if end == "abandon" { synchronous("t/x") } else { serial("t/x") };
        bus.create(with(config, |config| config.retry = retries(3, secs(60)))).unwrap();
        let setting = listener_fn("a", |delivery| async move {
            let mut values = delivery.values().clone();
            values.put("x", 1).unwrap();
            Outcome::Done(Answer { values: Some(values), ..Answer::default() })
        });
        bus.register("t/x", setting).unwrap();
        let failing = ending("b", &notes, |_| Outcome::retry("later"));
        let sending = {
            let bus = bus.clone();
            async move { bus.send("t/x", text("m")).await }
        };
        match end {
            "abandon" => {
                bus.register("t/x", blocking("b", &notes, &Gate::closed())).unwrap();
                tokio::time::timeout(ms(100), sending).await.unwrap_err();
            }
            _ => {
                bus.register("t/x", failing).unwrap();
                sending.await.unwrap();
                eventually(|| figures(&bus, "t/x").retried == 1).await;
            }
        }
        match end {
            "close" => drop(bus.close("t/x", secs(1)).await.unwrap()),
            // The message had two; the redriven one has one alone, and is a dead letter again.
            "unregister" => {
                bus.close("t/x", secs(1)).await.unwrap();
                bus.reopen("t/x").unwrap();
                bus.pause("t/x").unwrap();
                assert_eq!(bus.redrive(None, &all(), fast()).await.unwrap().redriven, 1);
                bus.unregister("t/x", "b").await;
                assert_eq!(reasons(&bus, "t/x"), ["listener-removed"]);
                bus.resume("t/x").unwrap();
            }
            _ => {}
        }
        let letter = bus.dead_letters("t/x").pop().unwrap();
        assert_eq!(
            (letter.listener.as_deref(), letter.values.integer("x")),
            (Some("b"), Ok(Some(1))),
            "{end}"
        );
        assert_eq!(letter.message.values().integer("x"), Ok(None));
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_five_letters_at_ten_per_second_take_2_4_s_and_a_dry_run_none() {
    // A listener that has just recovered is not flooded; and who only looks changes nothing.
    let bus = bus();
    let (notes, health) = refused(&bus, parallel("t/p"), 25).await;
    health.heal();
    let before = (Instant::now(), figures(&bus, "t/p"));
    let dry = RedriveOptions { dry_run: true, ..RedriveOptions::default() };
    let end = bus.redrive(Some("t/p"), &all(), dry).await.unwrap();
    assert_eq!(end, Redriven { counted: 25, ..Redriven::default() });
    assert_eq!((before.0.elapsed(), figures(&bus, "t/p")), (Duration::ZERO, before.1));
    let end = bus.redrive(Some("t/p"), &all(), RedriveOptions::default()).await.unwrap();
    let took = before.0.elapsed();
    assert!(took >= ms(2_400) && took < ms(2_450), "{took:?}");
    assert_eq!((end.counted, end.redriven), (25, 25));
    settled(&bus).await;
    assert_eq!((notes.len(), figures(&bus, "t/p").completed), (50, 25));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_none_is_refused_with_its_bounds() {
    // At zero per second nothing would ever end.
    let bus = bus();
    let (_, _) = refused(&bus, serial("t/s"), 1).await;
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_001.0, 1e-300] {
        let options = RedriveOptions { per_second, ..RedriveOptions::default() };
        let error = bus.redrive(None, &all(), options).await.unwrap_err();
        assert!(error.to_string().contains("at most 1000"), "{error}");
    }
    assert_eq!(figures(&bus, "t/s").dead_letters_kept, 1);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_redrive_touches_what_it_counted_and_nothing_that_failed_since() {
    // A listener that still fails would otherwise be redriven in circles; here new failures come all the time.
    let bus = bus();
    let config = with(parallel("t/p"), |config| config.retry = retries(2, ms(20)));
    bus.create(config).unwrap();
    let notes = Notes::default();
    bus.register("t/p", ending("l", &notes, |_| Outcome::retry("still ill"))).unwrap();
    for n in 0..20 {
        bus.send("t/p", text(format!("old {n}"))).await.unwrap();
    }
    bus.idle().await;
    let counted: Vec<_> = bus.dead_letters("t/p").iter().map(|letter| letter.id).collect();
    let sending = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                bus.send("t/p", text(format!("new {n}"))).await.unwrap();
                tokio::time::sleep(ms(50)).await;
                assert!(figures(&bus, "t/p").adds_up());
            }
        })
    };
    let end = bus.redrive(Some("t/p"), &all(), RedriveOptions::default()).await.unwrap();
    sending.await.unwrap();
    assert_eq!((end.counted, end.redriven, end.not_redriven.len()), (20, 20, 0));
    settled(&bus).await;
    let kept = bus.dead_letters("t/p");
    // Twice two attempts of the old ones, once two of the new ones.
    assert_eq!((kept.len(), notes.len()), (60, 160));
    assert!(kept.iter().all(|letter| !counted.contains(&letter.id)));
    assert!((0..20).all(|n| notes.count(&format!("l:old {n}")) == 4));
    assert!((0..40).all(|n| notes.count(&format!("l:new {n}")) == 2));
    let then = figures(&bus, "t/p");
    assert_eq!((then.redriven, then.owed, then.dead_letters), (20, 60, 80));
}

#[tokio::test(start_paused = true)]
async fn a_drop_takes_what_it_counted_of_all_destinations_and_gives_it_to_the_caller() {
    // Who drops may save; nothing is dropped that was not given.
    let bus = bus();
    refused(&bus, serial("t/a"), 2).await;
    refused(&bus, synchronous("t/b"), 3).await;
    let gone = bus.drop_dead_letters(None, &all()).unwrap();
    assert_eq!(payloads(&gone), ["0", "1", "0", "1", "2"]);
    assert!(bus.dead_letters_matching(None, &all()).unwrap().is_empty());
    assert_eq!(
        (dropped(&bus, "t/a", "dead-letter-dropped"), dropped(&bus, "t/b", "dead-letter-dropped")),
        (2, 3)
    );
    assert!(bus.drop_dead_letters(None, &all()).unwrap().is_empty());
    let unknown = bus.drop_dead_letters(Some("t/none"), &all()).unwrap_err();
    assert_eq!(unknown, DestinationError::NoSuchDestination("t/none".to_owned()));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_chooses_by_reason_listener_age_and_id_and_all_of_them_together() {
    // One mistake in a filter redrives, or drops, what nobody meant.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", refusing("a", &notes, "no")).unwrap();
    bus.register("t/p", ending("b", &notes, |_| Outcome::faulted(Cause::Trap, "boom"))).unwrap();
    bus.send("t/p", text("old")).await.unwrap();
    bus.idle().await;
    tokio::time::advance(secs(60)).await;
    let noon = std::time::SystemTime::now();
    bus.send("t/p", text("new")).await.unwrap();
    bus.idle().await;
    let found = |filter: DeadLetterFilter| {
        let found = bus.dead_letters_matching(Some("t/p"), &filter).unwrap().into_iter();
        let mut found: Vec<_> = found
            .map(|(_, letter)| {
                format!("{}:{}", letter.listener.unwrap(), String::from_utf8_lossy(letter.message.payload()))
            })
            .collect();
        found.sort();
        found
    };
    assert_eq!(found(all()), ["a:new", "a:old", "b:new", "b:old"]);
    assert_eq!(found(all().reason("trap").unwrap()), ["b:new", "b:old"]);
    assert_eq!(found(all().reason("trap").unwrap().reason("refused").unwrap()).len(), 4);
    assert_eq!(found(all().listener("a")), ["a:new", "a:old"]);
    assert_eq!(found(all().age_max(secs(30))), ["a:new", "b:new"]);
    assert_eq!(found(all().since(noon)), ["a:new", "b:new"]);
    assert_eq!(found(all().listener("a").age_max(secs(30)).reason("refused").unwrap()), ["a:new"]);
    assert!(found(all().listener("a").reason("trap").unwrap()).is_empty());
    let one = bus.dead_letters("t/p").remove(0);
    assert_eq!(found(only(&one)).len(), 1);
    assert!(found(all().ids([])).is_empty(), "no ids are none, not all");
    let error = all().reason("out-of-luck").unwrap_err().to_string();
    assert!(error.contains("`out-of-luck`") && error.contains("`out-of-fuel`, `deadline`"), "{error}");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_redriven_stays_a_dead_letter_and_is_reported_by_reason() {
    // Closed, without its listener, without room, dropped meanwhile: nothing is lost, and the operator is told why.
    let bus = bus();
    let (notes, health) = refused(&bus, with(serial("t/s"), |config| config.queue_entries_max = 3), 3).await;
    bus.pause("t/s").unwrap();
    bus.send("t/s", text("waits")).await.unwrap();
    let end = bus.redrive(Some("t/s"), &all(), fast()).await.unwrap();
    assert_eq!((end.counted, end.redriven), (3, 2));
    let full = &end.not_redriven["queue-full"];
    assert_eq!(full.ids, [bus.dead_letters("t/s")[0].id]);
    assert_eq!(full.text, "destination `t/s` is full: 3 of 3 messages wait");
    assert!(figures(&bus, "t/s").adds_up());

    health.heal();
    bus.resume("t/s").unwrap();
    bus.idle().await;
    assert_eq!(notes.all()[3..], ["l:waits", "l:0", "l:1"]);
    bus.unregister("t/s", "l").await;
    let end = bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["listener-removed"].ids.len()), (0, 1));
    assert!(end.not_redriven["listener-removed"].text.contains("`l` does not listen at `t/s`"));

    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.close("t/s", secs(1)).await.unwrap();
    let end = bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!(end.not_redriven["closed"].text, "destination `t/s` is closed");
    bus.reopen("t/s").unwrap();
    let end = bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!((end.counted, end.redriven), (1, 1));
    settled(&bus).await;
    assert_eq!((notes.count("l:2"), figures(&bus, "t/s").dead_letters_kept), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_left_before_its_turn_is_told_as_not_kept() {
    // Somebody else dropped it while the redriver kept its pace.
    let bus = bus();
    let (notes, health) = refused(&bus, serial("t/s"), 2).await;
    health.heal();
    let letters = bus.dead_letters("t/s");
    let redriving = {
        let bus = bus.clone();
        tokio::spawn(async move { bus.redrive(None, &all(), RedriveOptions::default()).await.unwrap() })
    };
    eventually(|| notes.len() == 3).await;
    assert_eq!(bus.drop_dead_letters(None, &only(&letters[1])).unwrap().len(), 1);
    let end = redriving.await.unwrap();
    assert_eq!((end.counted, end.redriven), (2, 1));
    assert_eq!(end.not_redriven["not-kept"].ids, [letters[1].id]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_synchronous_destination_keeps_its_letters() {
    // It has no queue to hold them.
    let bus = bus();
    let (notes, health) = refused(&bus, synchronous("t/y"), 1).await;
    bus.pause("t/y").unwrap();
    health.heal();
    let end = bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["paused"].ids.len(), notes.len()), (0, 1, 1));
    bus.resume("t/y").unwrap();
    bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!((notes.len(), figures(&bus, "t/y").completed), (2, 1));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_without_a_listener_is_sent_anew_under_its_id() {
    // No listener was fixed for it, so that it is for all that are there now.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| config.on_no_listener = OnNoListener::DeadLetter)).unwrap();
    let id = bus.send("t/p", text("m")).await.unwrap();
    assert_eq!(reasons(&bus, "t/p"), ["no-listener"]);
    let end = bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["no-listener"].ids.len()), (0, 1));
    assert_eq!(figures(&bus, "t/p").rejected["no-listener"], 1);

    for listener in ["a", "b"] {
        let seen = notes.clone();
        let noting = listener_fn(listener, move |delivery| {
            seen.add(format!("{} {}", delivery.listener(), delivery.message().id()));
            async { Outcome::done() }
        });
        bus.register("t/p", noting).unwrap();
    }
    assert_eq!(bus.redrive(None, &all(), fast()).await.unwrap().redriven, 1);
    settled(&bus).await;
    assert_eq!(notes.sorted(), [format!("a {id}"), format!("b {id}")]);
    let then = figures(&bus, "t/p");
    // The letter itself was owed once; the message that it became, twice.
    assert_eq!((then.accepted, then.owed, then.completed), (2, 3, 2));
    assert_eq!((then.redriven, then.dropped["redriven"], then.dead_letters_kept), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_sent_anew_is_never_given_up_under_a_policy() {
    // To discard what an operator redrives would turn a dead letter into nothing.
    let policies = [
        RejectedExecution::Abort,
        RejectedExecution::Discard,
        RejectedExecution::DiscardOldest,
        RejectedExecution::DeadLetter,
    ];
    for policy in policies {
        let (bus, notes) = (bus(), Notes::default());
        let elsewhere = with(serial("t/full"), |config| {
            config.rejected_execution = policy;
            config.queue_entries_max = 1;
            config.paused = true;
        });
        bus.create(elsewhere).unwrap();
        bus.register("t/full", noting("f", &notes)).unwrap();
        bus.send("t/full", text("waits")).await.unwrap();
        refused(&bus, serial("t/s"), 1).await;
        let end = bus.redrive(Some("t/s"), &all(), to("t/full")).await.unwrap();
        assert_eq!((end.redriven, end.not_redriven["queue-full"].ids.len()), (0, 1));
        let (here, there) = (figures(&bus, "t/s"), figures(&bus, "t/full"));
        assert_eq!((here.dead_letters_kept, there.pending, there.rejected["queue-full"]), (1, 1, 1));
        assert_eq!((there.dead_letters, there.dropped.len()), (0, 0));
        bus.resume("t/full").unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["f:waits"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_waits_for_room_where_the_policy_says_so_and_stays_where_it_is_meanwhile() {
    // `block` is a wait for every sender; the redriver is one.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    refused(&bus, serial("t/s"), 1).await;
    let narrow = with(serial("t/narrow"), |config| {
        config.rejected_execution = RejectedExecution::Block(secs(5));
        config.queue_entries_max = 1;
    });
    bus.create(narrow).unwrap();
    bus.register("t/narrow", blocking("n", &notes, &gate)).unwrap();
    bus.send("t/narrow", text("runs")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.send("t/narrow", text("waits")).await.unwrap();
    let before = Instant::now();
    let end = bus.redrive(Some("t/s"), &all(), to("t/narrow")).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["queue-full"].ids.len()), (0, 1));
    assert!(before.elapsed() >= secs(5));

    let redriving = {
        let bus = bus.clone();
        tokio::spawn(async move { bus.redrive(Some("t/s"), &all(), to("t/narrow")).await.unwrap() })
    };
    turns().await;
    assert_eq!((figures(&bus, "t/s").dead_letters_kept, figures(&bus, "t/narrow").accepted), (1, 2));
    gate.open();
    assert_eq!(redriving.await.unwrap().redriven, 1);
    settled(&bus).await;
    assert_eq!(notes.all(), ["n:runs", "n:waits", "n:0"]);
}

#[tokio::test(start_paused = true)]
async fn redriven_elsewhere_it_is_a_message_to_all_listeners_there() {
    // A dead letter of one is repaired by others; both destinations' books say so.
    let (bus, notes) = (bus(), Notes::default());
    let (_, _) = refused(&bus, serial("t/s"), 2).await;
    let ids: Vec<_> = bus.dead_letters("t/s").iter().map(|letter| letter.message.id().to_string()).collect();
    bus.create(serial("t/repair")).unwrap();
    for listener in ["a", "b"] {
        let seen = notes.clone();
        let noting = listener_fn(listener, move |delivery| {
            let message = delivery.message();
            seen.add(format!("{} {} {}", delivery.listener(), message.destination(), message.id()));
            async { Outcome::done() }
        });
        bus.register("t/repair", noting).unwrap();
    }
    let one = RedriveOptions { count_max: Some(1), ..to("t/repair") };
    let end = bus.redrive(Some("t/s"), &all(), one).await.unwrap();
    assert_eq!((end.counted, end.redriven), (1, 1));
    settled(&bus).await;
    assert_eq!(notes.all(), [format!("a t/repair {}", ids[0]), format!("b t/repair {}", ids[0])]);
    let (here, there) = (figures(&bus, "t/s"), figures(&bus, "t/repair"));
    assert_eq!((here.redriven, here.dropped["redriven"], here.dead_letters_kept), (1, 1, 1));
    assert_eq!((there.accepted, there.owed, there.completed, there.redriven), (1, 2, 2, 0));

    let error = bus.redrive(Some("t/s"), &all(), to("t/none")).await.unwrap_err();
    assert_eq!(error.to_string(), "no destination is called `t/none`");
    let error = bus.redrive(Some("t/none"), &all(), fast()).await.unwrap_err();
    assert_eq!(error.to_string(), "no destination is called `t/none`");
    bus.create(with(serial("t/small"), |config| config.message_bytes_max = 3)).unwrap();
    bus.send("t/s", text("long")).await.unwrap();
    bus.idle().await;
    let long = only(bus.dead_letters("t/s").last().unwrap());
    let end = bus.redrive(Some("t/s"), &long, to("t/small")).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["too-large"].ids.len()), (0, 1));
    assert_eq!(figures(&bus, "t/s").dead_letters_kept, 2);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_not_accepted_is_redriven_to_where_the_answer_goes() {
    // It is a dead letter of the request's destination, and never was a message there.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", echo("echo")).unwrap();
    let ask = text("m").response_destination(name("t/answers")).response_id("mine");
    bus.send("t/s", ask).await.unwrap();
    bus.idle().await;
    assert_eq!(reasons(&bus, "t/s"), ["no-such-destination"]);
    let end = bus.redrive(Some("t/s"), &all(), fast()).await.unwrap();
    assert_eq!((end.redriven, end.not_redriven["no-such-destination"].ids.len()), (0, 1));

    bus.create(synchronous("t/answers")).unwrap();
    let seen = notes.clone();
    let answers = listener_fn("home", move |delivery| {
        let message = delivery.message();
        let hops = message.context().hop_count;
        seen.add(format!(
            "{} {:?} {hops} from {}",
            delivery.text().unwrap(),
            message.response_id(),
            message.context().sender
        ));
        async { Outcome::done() }
    });
    bus.register("t/answers", answers).unwrap();
    let filter = all().reason("no-such-destination").unwrap();
    assert_eq!(bus.redrive(Some("t/s"), &filter, fast()).await.unwrap().redriven, 1);
    settled(&bus).await;
    assert_eq!(notes.all(), ["m Some(\"mine\") 1 from echo"]);
    assert_eq!((dropped(&bus, "t/s", "redriven"), figures(&bus, "t/answers").completed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_that_is_given_up_leaves_the_rest_and_loses_nothing() {
    // Its caller went away: between two letters, and in the middle of a call in its own task.
    let bus = bus();
    let (notes, health) = refused(&bus, serial("t/s"), 5).await;
    health.heal();
    let cut = tokio::time::timeout(ms(250), bus.redrive(None, &all(), RedriveOptions::default())).await;
    assert!(cut.is_err());
    settled(&bus).await;
    assert_eq!(notes.all()[5..], ["l:0", "l:1", "l:2"]);
    assert_eq!(payloads(&bus.dead_letters_matching(None, &all()).unwrap()), ["3", "4"]);

    let (_, _) = refused(&bus, synchronous("t/y"), 2).await;
    bus.unregister("t/y", "l").await;
    let never = Notes::default();
    bus.register("t/y", blocking("l", &never, &Gate::closed())).unwrap();
    let cut = tokio::time::timeout(ms(250), bus.redrive(Some("t/y"), &all(), fast())).await;
    assert!(cut.is_err());
    settled(&bus).await;
    assert_eq!((never.all(), reasons(&bus, "t/y")), (vec!["l:0".to_owned()], vec!["refused", "closed"]));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_request_can_still_be_answered() {
    // One listener has failed, the other still runs: the sender waits, and the second try brings its answer.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(parallel("t/p")).unwrap();
    let healthy = Health::default();
    let flag = Arc::clone(&healthy.0);
    let answering = listener_fn("a", move |_| {
        let healthy = flag.load(Ordering::SeqCst);
        async move { if healthy { Outcome::reply(Reply::text("at last")) } else { Outcome::refused("ill") } }
    });
    bus.register("t/p", answering).unwrap();
    bus.register("t/p", blocking("b", &notes, &gate)).unwrap();
    let asking = {
        let bus = bus.clone();
        tokio::spawn(async move { bus.request("t/p", text("m"), Some(secs(60))).await })
    };
    eventually(|| !bus.dead_letters("t/p").is_empty()).await;
    healthy.heal();
    bus.redrive(None, &all(), fast()).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().payload, "at last");
    gate.open();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_whose_listener_goes_is_a_dead_letter_again() {
    // It was the only one that this delivery was for.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", refusing("a", &notes, "no")).unwrap();
    bus.register("t/p", noting("b", &notes)).unwrap();
    bus.send("t/p", text("m")).await.unwrap();
    bus.idle().await;
    bus.pause("t/p").unwrap();
    assert_eq!(bus.redrive(None, &all(), fast()).await.unwrap().redriven, 1);
    assert_eq!((figures(&bus, "t/p").waiting, figures(&bus, "t/p").dead_letters_kept), (1, 0));
    bus.unregister("t/p", "a").await;
    assert_eq!(reasons(&bus, "t/p"), ["listener-removed"]);
    bus.resume("t/p").unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn err_13_the_bounds_in_number_bytes_and_age_let_the_oldest_leave_and_count_it() {
    // The newest is always kept, however large: it is what an operator looks for first.
    let bounds = |letters_max, bytes_max, age_max| DeadLetterBounds { letters_max, bytes_max, age_max };
    let cases = [
        (bounds(2, 1_000, secs(1_000)), vec!["cc", "dddddd"], 2),
        (bounds(10, 9, secs(1_000)), vec!["cc", "dddddd"], 2),
        (bounds(10, 8, secs(1_000)), vec!["cc", "dddddd"], 2),
        (bounds(10, 7, secs(1_000)), vec!["dddddd"], 3),
        (bounds(10, 1, secs(1_000)), vec!["dddddd"], 3),
        (bounds(10, 1_000, secs(25)), vec!["bb", "cc", "dddddd"], 1),
        (bounds(10, 1_000, secs(5)), vec!["dddddd"], 3),
    ];
    for (bounds, kept, left) in cases {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(with(serial("t/s"), |config| config.dead_letters = bounds)).unwrap();
        bus.register("t/s", refusing("l", &notes, "no")).unwrap();
        for payload in ["aa", "bb", "cc", "dddddd"] {
            tokio::time::advance(secs(10)).await;
            bus.send("t/s", text(payload)).await.unwrap();
            bus.idle().await;
        }
        assert_eq!(payloads(&bus.dead_letters_matching(None, &all()).unwrap()), kept, "{bounds:?}");
        assert_eq!(dropped(&bus, "t/s", "dead-letter-bound"), left, "{bounds:?}");
        settled(&bus).await;
        // Bytes that have left by hand make room, too.
        bus.drop_dead_letters(None, &all()).unwrap();
        bus.send("t/s", text("e")).await.unwrap();
        bus.idle().await;
        assert_eq!(payloads(&bus.dead_letters_matching(None, &all()).unwrap()), ["e"]);
        tokio::time::advance(bounds.age_max + secs(1)).await;
        assert!(bus.dead_letters("t/s").is_empty(), "too old to be listed");
        settled(&bus).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redriving_and_dropping_the_same_letters_at_once_gives_each_one_end() {
    // Two operators and a listener that still fails; each letter is redriven, or dropped, once and by one of them.
    let bus = bus();
    let (notes, health) =
        refused(&bus, with(parallel("t/p"), |config| config.queue_entries_max = 500), 400).await;
    bus.create(parallel("t/elsewhere")).unwrap();
    bus.register("t/elsewhere", noting("e", &notes)).unwrap();
    health.heal();
    let redriver = |options: RedriveOptions| {
        let bus = bus.clone();
        tokio::spawn(async move { bus.redrive(Some("t/p"), &all(), options).await.unwrap() })
    };
    let redrivers = [redriver(fast()), redriver(fast()), redriver(to("t/elsewhere"))];
    let dropper = {
        let bus = bus.clone();
        tokio::spawn(async move {
            let mut gone = 0;
            for letter in bus.dead_letters("t/p").iter().rev().step_by(3) {
                gone += bus.drop_dead_letters(Some("t/p"), &only(letter)).unwrap().len();
                tokio::task::yield_now().await;
            }
            gone
        })
    };
    let mut redriven = 0;
    for redriver in redrivers {
        let end = redriver.await.unwrap();
        let not_kept = end.not_redriven.get("not-kept").map_or(0, |refused| refused.ids.len());
        assert_eq!(end.redriven + not_kept, end.counted, "{:?}", end.not_redriven.keys());
        redriven += end.redriven;
    }
    let gone = dropper.await.unwrap();
    settled(&bus).await;
    assert_eq!(redriven + gone, 400);
    let (here, there) = (figures(&bus, "t/p"), figures(&bus, "t/elsewhere"));
    assert_eq!((here.redriven as usize, here.dropped["dead-letter-dropped"] as usize), (redriven, gone));
    assert_eq!(here.dropped.get("redriven").copied().unwrap_or(0), there.completed);
    assert_eq!(notes.len(), 400 + redriven);
}
