//! LIFE-5 to LIFE-9, TEST-1: destinations of one name, who stands before whom, and what destroying one leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::events::{about, observing};
use crate::support::*;

/// What `sent` messages of a blocked serial `t/x` look like: the first one runs, the others wait.
async fn blocked(bus: &Bus, notes: &Notes, gate: &Gate, sent: u32) {
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", blocking("l", notes, gate)).unwrap();
    for n in 1..=sent {
        bus.send("t/x", text(n.to_string())).await.unwrap();
    }
    eventually(|| notes.len() == 1).await;
}

fn type_of(bus: &Bus, destination: &str) -> DestinationType {
    bus.config(destination).unwrap().destination_type
}

/// A listener that counts its live instances.
struct Counted(Arc<AtomicUsize>);

struct Instance(Arc<AtomicUsize>);

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MessageListener for Counted {
    fn name(&self) -> &str {
        "counted"
    }

    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let instance: Box<dyn ListenerInstance> = Box::new(Instance(Arc::clone(&self.0)));
        Box::pin(std::future::ready(Ok(instance)))
    }
}

impl ListenerInstance for Instance {
    fn receive<'a>(self: Box<Self>, _: &'a Delivery) -> BoxFuture<'a, Ended> {
        let ended = Ended { outcome: Outcome::done(), usage: Usage::default(), instance: Some(self) };
        Box::pin(std::future::ready(ended))
    }
}

#[tokio::test(start_paused = true)]
async fn life_5_destroying_is_told_and_leaves_no_worker_and_no_instance() {
    // Not even the instances that are kept for calls in the sender's own task, on any type.
    for config in each_type() {
        let (bus, live, destination) = (bus(), Arc::new(AtomicUsize::new(0)), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, Counted(Arc::clone(&live))).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        bus.idle().await;
        bus.request_direct(&destination, text("m"), None).await.unwrap();
        assert!(live.load(Ordering::SeqCst) >= 1);
        let (seen, _observation) = observing(&bus, about(&destination));
        let destroyed = bus.destroy(&destination).await.unwrap();
        assert!(destroyed.dead_letters.is_empty() && !destroyed.closed.interrupted);
        assert_eq!(
            seen.all()[2..],
            [
                format!("listener-unregistered {destination} counted"),
                format!("destination-removed {destination}")
            ]
        );
        assert_eq!(bus.send(&destination, text("m")).await.unwrap_err().name(), "no-such-destination");
        turns().await;
        assert_eq!(live.load(Ordering::SeqCst), 0);
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn life_5_the_dead_letters_of_a_destroyed_destination_are_the_callers() {
    // Those that it kept, and those that the destruction made: nothing vanishes.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", refusing("l", &notes, "no")).unwrap();
    bus.send("t/x", text("refused")).await.unwrap();
    bus.idle().await;
    bus.unregister("t/x", "l").await;
    bus.register("t/x", blocking("b", &notes, &gate)).unwrap();
    bus.send("t/x", text("interrupted")).await.unwrap();
    bus.send("t/x", text("waiting")).await.unwrap();
    eventually(|| notes.count("b:interrupted") == 1).await;
    let destroyed = bus.destroy("t/x").await.unwrap();
    assert_eq!(destroyed.closed, Closed { dead_letters: 2, interrupted: true });
    let reasons: Vec<_> = destroyed.dead_letters.iter().map(|letter| letter.reason.name()).collect();
    assert_eq!(reasons, ["refused", "closed", "closed"]);
    assert!(bus.dead_letters("t/x").is_empty() && bus.statistics("t/x").is_none());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_6_the_higher_ranking_takes_the_place_and_the_listeners_follow() {
    // They registered for the name, not for one of its destinations.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("a", &notes)).unwrap();
    bus.register("t/x", noting("b", &notes)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    let before = seen.len();
    bus.create_ranked(synchronous("t/x"), 1).unwrap();
    assert_eq!(type_of(&bus, "t/x"), DestinationType::Synchronous);
    assert_eq!(bus.destinations().iter().filter(|known| known.as_str() == "t/x").count(), 1);
    bus.send("t/x", text("m")).await.unwrap();
    assert_eq!(notes.all(), ["a:m", "b:m"]);
    assert_eq!(seen.all()[before..], ["destination-removed t/x", "destination-added t/x"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_6_the_old_queue_drains_to_the_same_listeners() {
    // Accepted is owed, whoever stands before it now; and whoever waits for rest waits for it.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    blocked(&bus, &notes, &gate, 3).await;
    bus.create_ranked(parallel("t/x"), 1).unwrap();
    let then = figures(&bus, "t/x");
    assert_eq!((then.destination_type, then.pending, then.running), (DestinationType::Parallel, 2, 1));
    assert!(then.adds_up());
    let waiter = bus.clone();
    let idle = tokio::spawn(async move { waiter.idle().await });
    turns().await;
    assert!(!idle.is_finished());
    gate.open();
    idle.await.unwrap();
    assert_eq!(notes.all(), ["l:1", "l:2", "l:3"]);
    bus.send("t/x", text("new")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.count("l:new"), figures(&bus, "t/x").completed), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn life_6_registering_and_unregistering_reach_what_waits_behind() {
    // A message that is held there goes to the first listener; what is owed to one that goes is settled there, too.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/x")).unwrap();
    bus.send("t/x", text("held")).await.unwrap();
    bus.create_ranked(serial("t/x"), 5).unwrap();
    assert_eq!(figures(&bus, "t/x").held, 1);
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    eventually(|| notes.all() == ["l:held"]).await;
    gate.let_one_pass();
    bus.idle().await;
    bus.create_ranked(serial("t/x"), 7).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    eventually(|| notes.count("l:1") == 1).await;
    bus.create_ranked(serial("t/x"), 9).unwrap();
    gate.let_one_pass();
    assert!(bus.unregister("t/x", "l").await);
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:held", "l:1"]);
    assert_eq!(reasons(&bus, "t/x"), ["listener-removed"]);
    assert!(!bus.unregister("t/x", "l").await);
}

#[tokio::test(start_paused = true)]
async fn life_7_a_lower_ranking_waits_unseen() {
    // It changes nothing for anybody until its turn comes, and its going is no event either.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    let before = seen.len();
    bus.create_ranked(parallel("t/x"), -1).unwrap();
    assert_eq!(type_of(&bus, "t/x"), DestinationType::Serial);
    let destroyed = bus.destroy_ranked("t/x", -1).await.unwrap();
    assert!(destroyed.dead_letters.is_empty());
    let error = bus.destroy_ranked("t/x", -1).await.unwrap_err();
    assert_eq!(error.to_string(), "no destination `t/x` has the ranking -1");
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.all(), seen.len()), (vec!["l:m".to_owned()], before));
}

#[tokio::test(start_paused = true)]
async fn life_7_the_next_ranked_takes_over_with_the_listeners_of_the_name() {
    // Also those that registered after it was made.
    let (bus, notes) = (bus(), Notes::default());
    bus.create_ranked(serial("t/x"), 2).unwrap();
    bus.create_ranked(parallel("t/x"), -3).unwrap();
    bus.create_ranked(synchronous("t/x"), 1).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    let before = seen.len();
    for (expected, ranking) in [(DestinationType::Synchronous, 1), (DestinationType::Parallel, -3)] {
        bus.destroy("t/x").await.unwrap();
        assert_eq!(type_of(&bus, "t/x"), expected, "{ranking}");
        bus.send("t/x", text(ranking.to_string())).await.unwrap();
        bus.idle().await;
    }
    bus.destroy("t/x").await.unwrap();
    assert!(!bus.has_destination("t/x"));
    assert_eq!(notes.all(), ["l:1", "l:-3"]);
    let (gone, there) = ("destination-removed t/x", "destination-added t/x");
    assert_eq!(
        seen.all()[before..],
        [gone, there, gone, there, "listener-unregistered t/x l", gone].map(str::to_owned)
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_7_the_dead_letters_of_what_is_removed_go_to_who_takes_over() {
    // The name lives on, and so does what it keeps: the letters of both, within the bound, and the books balance.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.dead_letters.letters_max = 3)).unwrap();
    bus.register("t/x", refusing("l", &notes, "no")).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.idle().await;
    bus.create_ranked(serial("t/x"), 1).unwrap();
    bus.register("t/x", blocking("b", &notes, &gate)).unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    bus.send("t/x", text("3")).await.unwrap();
    eventually(|| notes.count("b:2") == 1).await;
    let payloads = |bus: &Bus| -> Vec<String> {
        let text = |letter: &DeadLetter| String::from_utf8_lossy(letter.message.payload()).into_owned();
        bus.dead_letters("t/x").iter().map(text).collect()
    };
    assert_eq!(payloads(&bus), ["1", "2"]);
    let destroyed = bus.destroy("t/x").await.unwrap();
    // Message 3 for both at once, and message 2 for `b` when its call was interrupted.
    assert_eq!((destroyed.closed.dead_letters, destroyed.dead_letters.len()), (3, 0));
    assert_eq!(payloads(&bus), ["3", "3", "2"]);
    assert_eq!(figures(&bus, "t/x").dropped["dead-letter-bound"], 2);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn life_8_an_equal_ranking_is_refused_and_changes_nothing() {
    // Nobody could say which of the two is meant.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.create_ranked(serial("t/x"), 3).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    let before = seen.len();
    for (ranking, config) in [(0, parallel("t/x")), (3, synchronous("t/x"))] {
        let error = bus.create_ranked(config, ranking).unwrap_err();
        assert_eq!(error, DestinationError::AlreadyExists { destination: name("t/x"), ranking });
        let text = error.to_string();
        assert!(text.contains("`t/x`") && text.contains(&ranking.to_string()), "{text}");
    }
    assert_eq!(type_of(&bus, "t/x"), DestinationType::Serial);
    bus.send("t/x", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.all(), seen.len()), (vec!["l:m".to_owned()], before));
}

#[tokio::test(start_paused = true)]
async fn life_9_removing_the_only_one_is_one_event() {
    // And the name is free again, without the listeners of the one that went.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    bus.destroy("t/x").await.unwrap();
    assert_eq!(seen.all()[1..], ["destination-removed t/x"]);
    assert!(matches!(bus.destroy("t/x").await, Err(DestinationError::NoSuchDestination(_))));
    assert_eq!(bus.register("t/x", noting("l", &notes)), Ok(Registered::WhenItAppears));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn test_1_a_synchronous_stand_in_of_a_high_ranking_makes_a_test_deterministic() {
    // And when it is removed, everything is as it was.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    bus.create_ranked(synchronous("t/x"), i32::MAX).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    assert_eq!(notes.all(), ["l:1"]);
    bus.destroy("t/x").await.unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    assert_eq!(notes.len(), 1);
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:2"]);
}

#[tokio::test(start_paused = true)]
async fn the_acts_of_life_reach_what_a_higher_ranking_hides() {
    // What waits behind a pause must not be trapped where nobody can resume it.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    bus.pause("t/x").unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.create_ranked(serial("t/x"), 1).unwrap();
    bus.idle().await;
    assert!(notes.is_empty());
    assert_eq!((figures(&bus, "t/x").state, figures(&bus, "t/x").pending), ("open", 1));
    bus.resume("t/x").unwrap();
    eventually(|| notes.all() == ["l:1"]).await;
    bus.send("t/x", text("2")).await.unwrap();
    eventually(|| notes.len() == 2).await;
    let closed = bus.close("t/x", secs(1)).await.unwrap();
    assert_eq!(closed, Closed { dead_letters: 2, interrupted: true });
    bus.destroy("t/x").await.unwrap();
    assert_eq!(bus.send("t/x", text("m")).await.unwrap_err().name(), "closed");
    bus.reopen("t/x").unwrap();
    gate.open();
    bus.send("t/x", text("3")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:2", "l:3"]);
    assert_eq!(reasons(&bus, "t/x"), ["closed", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_behind_a_higher_ranking_are_found_dropped_and_redriven() {
    // They belong to the name: an operator does not know which of its destinations keeps them.
    let (bus, notes) = (bus(), Notes::default());
    let heals = notes.clone();
    bus.create(serial("t/x")).unwrap();
    let listener =
        ending("l", &notes, move |_| if heals.len() <= 3 { Outcome::refused("no") } else { Outcome::done() });
    bus.register("t/x", listener).unwrap();
    for n in 1..=2 {
        bus.send("t/x", text(n.to_string())).await.unwrap();
        tokio::time::sleep(ms(1)).await;
    }
    bus.create_ranked(serial("t/x"), 1).unwrap();
    bus.send("t/x", text("3")).await.unwrap();
    bus.idle().await;
    let all = bus.dead_letters_matching(Some("t/x"), &DeadLetterFilter::default()).unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|(_, letter)| bus.dead_letter(letter.id).is_some()));
    let first = DeadLetterFilter::default().ids([all[0].1.id]);
    let dropped = bus.drop_dead_letters(None, &first).unwrap();
    assert_eq!(dropped[0].1.message.payload(), "1");
    let filter = DeadLetterFilter::default();
    let end = bus.redrive(Some("t/x"), &filter, RedriveOptions::default()).await.unwrap();
    assert_eq!((end.counted, end.redriven), (2, 2));
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:2", "l:3", "l:2", "l:3"]);
    assert_eq!(bus.purge("t/x").unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_stands_aside_does_so_at_every_ranking() {
    // A quarantine that a new destination of the name would end is none.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    bus.suspend_listener("l");
    bus.send("t/x", text("1")).await.unwrap();
    bus.create_ranked(serial("t/x"), 1).unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    bus.idle().await;
    assert_eq!((notes.len(), figures(&bus, "t/x").aside), (0, 2));
    assert_eq!(bus.release_listener("l"), 1);
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["l:1", "l:2"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_drains_what_a_higher_ranking_hides() {
    // Nobody sees it, and it owes all the same.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    blocked(&bus, &notes, &gate, 2).await;
    bus.create_ranked(serial("t/x"), 1).unwrap();
    let report = bus.shutdown(secs(5)).await;
    assert_eq!(report, ShutdownReport { interrupted: vec![name("t/x")], dead_letters: 2 });
    assert_eq!((bus.dead_letters("t/x").len(), figures(&bus, "t/x").workers_current), (2, 0));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_hidden_queue_that_was_full_is_no_event_of_the_one_before_it() {
    // Observers were told that it went; what its queue does is nobody's concern any more.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/x"), |config| config.queue_entries_max = 1)).unwrap();
    bus.register("t/x", blocking("l", &notes, &gate)).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.send("t/x", text("2")).await.unwrap();
    bus.send("t/x", text("3")).await.unwrap_err();
    bus.create_ranked(serial("t/x"), 1).unwrap();
    let (seen, _observation) = observing(&bus, about("t/x"));
    gate.open();
    settled(&bus).await;
    assert_eq!(seen.all(), ["destination-added t/x", "listener-registered t/x l"]);
}

#[tokio::test(start_paused = true)]
async fn a_destruction_that_nobody_waits_for_any_more_keeps_its_dead_letters() {
    // Its caller went away in the middle; the letters must still be somebody's.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    let stubborn = listener_fn("l", |_| async {
        tokio::task::yield_now().await;
        std::future::pending().await
    });
    bus.register("t/x", stubborn.with_deadline(secs(600))).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.send("t/x", text("2")).await.unwrap();
    eventually(|| figures(&bus, "t/x").running == 1).await;
    {
        let mut destroying = std::pin::pin!(bus.destroy("t/x"));
        std::future::poll_fn(|cx| {
            assert!(destroying.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    turns().await;
    assert_eq!(bus.send("t/x", text("m")).await.unwrap_err().name(), "closed");
    assert_eq!(bus.dead_letters("t/x").len(), 2);
    bus.reopen("t/x").unwrap();
    assert_eq!(bus.send("t/x", text("m")).await.unwrap_err().name(), "closed");
    assert_eq!(bus.destroy("t/x").await.unwrap().dead_letters.len(), 2);
    assert!(notes.is_empty() && !bus.has_destination("t/x"));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_destruction_that_was_given_up_after_another_took_over_is_finished_by_ranking() {
    // It stands behind the one that took over, closed, and still holds its ranking and its letters.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    blocked(&bus, &notes, &gate, 2).await;
    bus.create_ranked(serial("t/x"), -1).unwrap();
    {
        let mut destroying = std::pin::pin!(bus.destroy("t/x"));
        std::future::poll_fn(|cx| {
            assert!(destroying.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    turns().await;
    assert_eq!(bus.dead_letters("t/x").len(), 2);
    gate.open();
    bus.send("t/x", text("new")).await.unwrap();
    eventually(|| notes.count("l:new") == 1).await;
    assert!(matches!(bus.create(serial("t/x")), Err(DestinationError::AlreadyExists { ranking: 0, .. })));
    assert!(bus.destroy_ranked("t/x", 0).await.unwrap().dead_letters.is_empty());
    assert_eq!(bus.dead_letters("t/x").len(), 2);
    bus.create(serial("t/x")).unwrap();
    settled(&bus).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_beside_a_stand_in_that_comes_and_goes_lose_nothing() {
    // Whichever of the two took a message on, it is received once; nobody is told that the name is not there.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/x")).unwrap();
    bus.register("t/x", noting("l", &notes)).unwrap();
    let mut senders = Vec::new();
    for sender in 0..3 {
        let bus = bus.clone();
        senders.push(tokio::spawn(async move {
            let mut accepted = 0;
            for n in 0..200 {
                match bus.send("t/x", text(format!("{sender}-{n}"))).await {
                    Ok(_) => accepted += 1,
                    // Looked up before the stand-in went, and arrived after.
                    Err(SendError::Closed(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                tokio::task::yield_now().await;
            }
            accepted
        }));
    }
    for _ in 0..20 {
        bus.create_ranked(serial("t/x"), 1).unwrap();
        tokio::task::yield_now().await;
        bus.destroy("t/x").await.unwrap();
    }
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.unwrap();
    }
    settled(&bus).await;
    let mut ended = notes.all();
    let received = ended.len();
    ended.sort();
    ended.dedup();
    assert_eq!(ended.len(), received);
    let letters = bus.dead_letters("t/x");
    let without_call = letters.iter().filter(|letter| letter.attempts == 0).count();
    assert!(received + letters.len() >= accepted && received + without_call <= accepted);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_out_of_several_destinations_of_a_name_is_given_the_oldest_first() {
    // Whoever saves it reads it in the order in which it came, whoever of them had it.
    let (bus, notes) = (bus(), Notes::default());
    for ranking in 0..2 {
        bus.create_ranked(serial("t/x"), ranking).unwrap();
        bus.register("t/x", refusing("l", &notes, "no")).unwrap();
        bus.send("t/x", text(format!("letter {ranking}"))).await.unwrap();
        bus.idle().await;
        bus.pause("t/x").unwrap();
        bus.send("t/x", text(format!("waits {ranking}"))).await.unwrap();
        tokio::time::advance(secs(1)).await;
    }
    let dropped = bus.drop_dead_letters(Some("t/x"), &DeadLetterFilter::default()).unwrap();
    let payloads = |letters: &mut dyn Iterator<Item = DeadLetter>| -> Vec<String> {
        letters.map(|letter| String::from_utf8_lossy(letter.message.payload()).into_owned()).collect()
    };
    assert_eq!(payloads(&mut dropped.into_iter().map(|(_, letter)| letter)), ["letter 0", "letter 1"]);
    assert_eq!(payloads(&mut bus.purge("t/x").unwrap().into_iter()), ["waits 0", "waits 1"]);
    settled(&bus).await;
}
