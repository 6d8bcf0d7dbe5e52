//! Circuit breakers: a listener that faults too often stands aside, and nothing of it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::*;

/// A breaker of this many faults in a minute, with a cooldown of ten seconds.
fn breaker(faults: u32) -> CircuitBreaker {
    CircuitBreaker { faults, ratio: 0.5, window: secs(60), cooldown: secs(10) }
}

/// A listener that traps while `broken`.
fn trapping(name: &str, notes: &Notes, broken: &Arc<AtomicBool>, faults: u32) -> NativeListener {
    let broken = Arc::clone(broken);
    ending(name, notes, move |_| match broken.load(Ordering::SeqCst) {
        true => Outcome::faulted(Cause::Trap, "boom"),
        false => Outcome::done(),
    })
    .with_circuit_breaker(breaker(faults))
}

fn of(notes: &Notes, listener: &str) -> Vec<String> {
    let prefix = format!("{listener}:");
    notes.all().iter().filter_map(|note| note.strip_prefix(&prefix)).map(str::to_owned).collect()
}

async fn send_ten(bus: &Bus, destination: &str) {
    for n in 0..10 {
        bus.send(destination, text(n.to_string())).await.unwrap();
        turns().await;
    }
}

#[tokio::test(start_paused = true)]
async fn err_11_an_open_breaker_keeps_deliveries_until_a_trial_call_succeeds_and_others_go_on() {
    for config in [parallel("t/x"), serial("t/x")] {
        let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
        bus.create(config).unwrap();
        bus.register("t/x", trapping("a", &notes, &broken, 5)).unwrap();
        bus.register("t/x", noting("b", &notes)).unwrap();
        send_ten(&bus, "t/x").await;
        eventually(|| of(&notes, "b").len() == 10).await;
        settled(&bus).await;
        let open = figures(&bus, "t/x");
        assert_eq!((of(&notes, "a").len(), open.pending, open.aside), (5, 5, 5));
        broken.store(false, Ordering::SeqCst);
        tokio::time::sleep(secs(10)).await;
        eventually(|| of(&notes, "a").len() == 10).await;
        settled(&bus).await;
        assert_eq!(of(&notes, "a"), (0..10).map(|n| n.to_string()).collect::<Vec<_>>(), "in order");
        assert_eq!((figures(&bus, "t/x").aside, bus.dead_letters("t/x").len()), (0, 5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_faults_leaves_the_breaker_open_for_another_cooldown() {
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", trapping("a", &notes, &broken, 2)).unwrap();
    send_ten(&bus, "t/p").await;
    assert_eq!(of(&notes, "a").len(), 2);
    for trials in 1..=3 {
        tokio::time::sleep(secs(10) + ms(1)).await;
        turns().await;
        assert_eq!(of(&notes, "a").len(), 2 + trials, "one call per cooldown");
    }
    assert_eq!((figures(&bus, "t/p").aside, bus.dead_letters("t/p").len()), (5, 5));
    bus.close("t/p", secs(1)).await.unwrap();
    settled(&bus).await;
    assert_eq!(bus.dead_letters("t/p").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_wishes_to_retry_open_no_breaker_and_few_faults_among_many_calls_do_not_either() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(1, ms(1)))).unwrap();
    let listener =
        ending("l", &notes, |delivery| match delivery.text().unwrap().parse::<u32>().unwrap() % 6 {
            0 => Outcome::faulted(Cause::Trap, "boom"),
            1 => Outcome::refused("bad"),
            2 => Outcome::retry("later"),
            _ => Outcome::done(),
        });
    bus.register("t/s", listener.with_circuit_breaker(breaker(5))).unwrap();
    for n in 0..100 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!((notes.len(), figures(&bus, "t/s").aside), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn faults_that_are_older_than_the_window_do_not_count() {
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", trapping("a", &notes, &broken, 3)).unwrap();
    for _ in 0..6 {
        bus.send("t/s", text("m")).await.unwrap();
        settled(&bus).await;
        tokio::time::advance(secs(31)).await;
    }
    assert_eq!((of(&notes, "a").len(), figures(&bus, "t/s").aside), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn on_a_synchronous_destination_and_in_direct_mode_an_open_breaker_fails_fast() {
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", trapping("a", &notes, &broken, 2)).unwrap();
    bus.register("t/y", noting("b", &notes)).unwrap();
    for _ in 0..3 {
        bus.send("t/y", text("m")).await.unwrap();
    }
    assert_eq!((of(&notes, "a").len(), of(&notes, "b").len()), (2, 3));
    assert_eq!(reasons(&bus, "t/y"), ["trap", "trap", "listener-unavailable"]);
    let told = bus.request_direct("t/y", text("d"), None).await;
    assert_eq!(told, Err(RequestError::ListenerUnavailable));
    let told = bus.request("t/y", text("r"), None).await;
    assert_eq!(told, Err(RequestError::ListenerUnavailable));
    broken.store(false, Ordering::SeqCst);
    tokio::time::advance(secs(11)).await;
    bus.send("t/y", text("trial")).await.unwrap();
    bus.send("t/y", text("after")).await.unwrap();
    assert_eq!(of(&notes, "a")[2..], ["trial", "after"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_purged_before_its_time_does_not_keep_the_breaker_open_for_ever() {
    // A delivery that waits for its retry may be the trial. Were it lost with the purge, no other one would ever be made.
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, secs(100)))).unwrap();
    let soon = ending("a", &notes, |delivery| match delivery.attempt() {
        1 => Outcome::Retry { reason: "soon".into(), after: Some(secs(20)) },
        _ => Outcome::done(),
    });
    bus.register("t/s", soon).unwrap();
    let fails = Arc::clone(&broken);
    let flaky = ending("b", &notes, move |_| match fails.load(Ordering::SeqCst) {
        true => Outcome::faulted(Cause::Instantiate, "not now"),
        false => Outcome::done(),
    });
    bus.register("t/s", flaky.with_circuit_breaker(breaker(1))).unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    // The breaker is open; then the other listener's retry is over, and this one's is the trial, and not due.
    tokio::time::sleep(secs(30)).await;
    assert_eq!(bus.purge("t/s").unwrap().len(), 1);
    broken.store(false, Ordering::SeqCst);
    bus.send("t/s", text("2")).await.unwrap();
    settled(&bus).await;
    assert_eq!((of(&notes, "b"), figures(&bus, "t/s").aside), (vec!["1".to_owned(), "2".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_sender_goes_away_does_not_keep_the_breaker_open_for_ever() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(synchronous("t/y")).unwrap();
    let (noted, waits) = (notes.clone(), gate.clone());
    let listener = listener_fn("l", move |delivery| {
        let (notes, gate) = (noted.clone(), waits.clone());
        async move {
            notes.add(note_of(&delivery));
            match delivery.text() {
                Some("bad") => return Outcome::faulted(Cause::Trap, "boom"),
                Some("waits") => gate.pass().await,
                _ => {}
            }
            Outcome::done()
        }
    });
    bus.register("t/y", listener.with_circuit_breaker(breaker(1)).with_deadline(secs(3_600))).unwrap();
    bus.send("t/y", text("bad")).await.unwrap();
    tokio::time::advance(secs(11)).await;
    let sender = bus.clone();
    let trial = tokio::spawn(async move { sender.send("t/y", text("waits")).await });
    eventually(|| notes.len() == 2).await;
    trial.abort();
    assert!(trial.await.is_err());
    bus.send("t/y", text("next")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:bad", "l:waits", "l:next"]);
}

#[tokio::test(start_paused = true)]
async fn what_stands_aside_while_a_sender_makes_the_trial_is_delivered_after_it_has_faulted_or_its_sender_gone()
 {
    // Workers that look at the queue during the trial know of no time for the next one, and sleep.
    for sender_goes in [false, true] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(parallel("t/p")).unwrap();
        let noted = notes.clone();
        let listener = listener_fn("l", move |delivery| {
            noted.add(note_of(&delivery));
            async move {
                match delivery.text() {
                    Some("bad") => return Outcome::faulted(Cause::Trap, "boom"),
                    Some("waits") => tokio::time::sleep(secs(3_600)).await,
                    _ => {}
                }
                Outcome::done()
            }
        });
        bus.register("t/p", listener.with_circuit_breaker(breaker(1)).with_deadline(secs(20))).unwrap();
        bus.send("t/p", text("bad")).await.unwrap();
        tokio::time::sleep(secs(11)).await;
        let sender = bus.clone();
        let trial =
            tokio::spawn(async move { sender.request_direct("t/p", text("waits"), Some(secs(15))).await });
        eventually(|| notes.len() == 2).await;
        bus.send("t/p", text("aside")).await.unwrap();
        turns().await;
        assert_eq!(figures(&bus, "t/p").aside, 1);
        if sender_goes {
            trial.abort();
        }
        assert_eq!(trial.await.is_err(), sender_goes);
        tokio::time::sleep(secs(11)).await;
        assert_eq!(of(&notes, "l"), ["bad", "waits", "aside"]);
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_taken_away_leaves_nothing_aside_and_one_that_expires_aside_is_settled() {
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(with(serial("t/s"), |config| config.expires_in = Some(secs(5)))).unwrap();
    bus.register("t/s", trapping("a", &notes, &broken, 1)).unwrap();
    bus.register("t/s", noting("b", &notes)).unwrap();
    for n in 0..3 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").aside, 2);
    tokio::time::sleep(secs(11)).await;
    eventually(|| figures(&bus, "t/s").aside == 0).await;
    assert_eq!((of(&notes, "a").len(), reasons(&bus, "t/s")), (1, vec!["trap", "expired", "expired"]));
    bus.send("t/s", text("3")).await.unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").dead_letters, 4, "the next one was the trial, and trapped");
    bus.send("t/s", text("4")).await.unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").aside, 1);
    assert!(bus.unregister("t/s", "a").await);
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    assert_eq!((then.aside, then.pending, then.listener_removed), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_received_before_what_was_on_its_way_to_other_listeners_meanwhile() {
    // A trial in direct mode closes the breaker while the one worker is with the listener before: what is in its hands was
    // accepted later than what stood aside.
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    let gate = Gate::closed();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("before", &notes, &gate)).unwrap();
    bus.register("t/s", trapping("l", &notes, &broken, 1)).unwrap();
    for n in 0..3 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
    }
    gate.let_one_pass();
    eventually(|| of(&notes, "before").len() == 2).await;
    gate.let_one_pass();
    eventually(|| of(&notes, "before").len() == 3 && figures(&bus, "t/s").aside == 1).await;
    broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(secs(10)).await;
    gate.open();
    let direct = bus.request_direct("t/s", text("trial"), Some(secs(60))).await;
    assert_eq!(direct.unwrap(), None);
    settled(&bus).await;
    assert_eq!(of(&notes, "l"), ["0", "trial", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn what_stands_aside_keeps_its_place_in_the_bound() {
    let (bus, notes, broken) = (bus(), Notes::default(), Arc::new(AtomicBool::new(true)));
    bus.create(with(serial("t/s"), |config| config.queue_entries_max = 3)).unwrap();
    bus.register("t/s", trapping("a", &notes, &broken, 1)).unwrap();
    for n in 0..4 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    let refused = bus.send("t/s", text("4")).await.unwrap_err();
    assert_eq!((refused.name(), figures(&bus, "t/s").aside), ("queue-full", 3));
    broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(secs(10)).await;
    eventually(|| figures(&bus, "t/s").completed == 3).await;
    settled(&bus).await;
    assert_eq!(of(&notes, "a"), ["0", "1", "2", "3"]);
}

#[test]
fn a_breaker_says_which_of_its_values_is_illegal_and_what_it_may_be() {
    let bad = [
        (
            CircuitBreaker { faults: 0, ..breaker(1) },
            "`circuit-breaker.faults` is 0; it must be from 1 to 10,000",
        ),
        (
            CircuitBreaker { ratio: 1.5, ..breaker(1) },
            "`circuit-breaker.ratio` is 1.5; it must be from 0 to 1",
        ),
        (
            CircuitBreaker { window: ms(0), ..breaker(1) },
            "`circuit-breaker.window` is 0; it must be longer than nothing",
        ),
    ];
    for (breaker, told) in bad {
        assert_eq!(breaker.check().unwrap_err(), told);
    }
    assert_eq!(CircuitBreaker::default().check(), Ok(()));
}

/// A listener whose instances say whether they may be used again, and count how many were made.
struct Replaceable {
    generation: Arc<AtomicU64>,
    suspended: bool,
    notes: Notes,
}

struct OfGeneration {
    own: u64,
    generation: Arc<AtomicU64>,
    notes: Notes,
}

impl MessageListener for Replaceable {
    fn name(&self) -> &str {
        "l"
    }

    fn is_suspended(&self) -> bool {
        self.suspended
    }

    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let own = self.generation.load(Ordering::SeqCst);
        let instance =
            OfGeneration { own, generation: Arc::clone(&self.generation), notes: self.notes.clone() };
        self.notes.add(format!("made {own}"));
        Box::pin(std::future::ready(Ok(Box::new(instance) as Box<dyn ListenerInstance>)))
    }
}

impl ListenerInstance for OfGeneration {
    fn is_usable(&self) -> bool {
        self.own == self.generation.load(Ordering::SeqCst)
    }

    fn receive<'a>(self: Box<Self>, _: &'a Delivery) -> BoxFuture<'a, Ended> {
        self.notes.add(format!("called {}", self.own));
        Box::pin(std::future::ready(Ended {
            outcome: Outcome::done(),
            usage: Usage::default(),
            instance: Some(self),
        }))
    }
}

impl Drop for OfGeneration {
    fn drop(&mut self) {
        self.notes.add(format!("dropped {}", self.own));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_may_not_be_used_again_is_dropped_and_never_called() {
    for config in [serial("t/x"), synchronous("t/x")] {
        let (bus, notes, generation) = (bus(), Notes::default(), Arc::new(AtomicU64::new(0)));
        bus.create(config).unwrap();
        let listener =
            Replaceable { generation: Arc::clone(&generation), suspended: false, notes: notes.clone() };
        bus.register("t/x", listener).unwrap();
        for _ in 0..2 {
            bus.send("t/x", text("m")).await.unwrap();
        }
        settled(&bus).await;
        generation.store(1, Ordering::SeqCst);
        bus.forget_instances("l");
        eventually(|| notes.count("dropped 0") == 1).await;
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        generation.store(2, Ordering::SeqCst);
        bus.send("t/x", text("m")).await.unwrap();
        settled(&bus).await;
        let wanted = [
            "made 0",
            "called 0",
            "called 0",
            "dropped 0",
            "made 1",
            "called 1",
            "dropped 1",
            "made 2",
            "called 2",
        ];
        assert_eq!(notes.all(), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_listener_stands_aside_everywhere_until_it_is_released() {
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let name = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&name, noting("l", &notes)).unwrap();
        bus.register(&name, noting("other", &notes)).unwrap();
    }
    assert_eq!(bus.suspend_listener("l"), 3);
    for name in ["t/parallel", "t/serial", "t/synchronous"] {
        for n in 0..3 {
            bus.send(name, text(n.to_string())).await.unwrap();
        }
    }
    settled(&bus).await;
    tokio::time::sleep(secs(3_600)).await;
    assert_eq!((notes.len(), of(&notes, "l").len()), (9, 0), "no trial is made");
    assert_eq!(reasons(&bus, "t/synchronous"), ["listener-unavailable"; 3]);
    assert_eq!(bus.release_listener("l"), 3);
    settled(&bus).await;
    let mut received = of(&notes, "l");
    received.sort();
    assert_eq!(received, ["0", "0", "1", "1", "2", "2"]);
    let suspended = Replaceable { generation: Arc::default(), suspended: true, notes: notes.clone() };
    assert!(bus.unregister("t/serial", "l").await);
    bus.register("t/serial", suspended).unwrap();
    bus.send("t/serial", text("late")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.count("called 0"), figures(&bus, "t/serial").aside), (0, 1));
    bus.release_listener("l");
    settled(&bus).await;
    assert_eq!(notes.count("called 0"), 1);
}
