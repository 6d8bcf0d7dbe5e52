//! Several messages in one call: which come together, an outcome for each, and what follows when the call was stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;

/// How a call for several messages goes.
enum Goes {
    /// Each as it would for itself, ending after a failure where that matters.
    Each,
    /// The same for so many of them.
    First(usize),
    /// More outcomes than messages.
    TooMany,
    /// It is stopped.
    Stopped,
    Panics,
}

/// A listener that takes several messages in one call. It notes `a` for a message alone and `a+b` for two together.
#[derive(Clone)]
struct Together {
    notes: Notes,
    most: usize,
    end: Arc<dyn Fn(&Delivery) -> Outcome + Send + Sync>,
    goes: Arc<dyn Fn(&Batch) -> Goes + Send + Sync>,
    gate: Option<Gate>,
    breaker: Option<CircuitBreaker>,
}

impl Together {
    fn new(notes: &Notes, end: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static) -> Self {
        let (notes, goes) = (notes.clone(), Arc::new(|_: &Batch| Goes::Each));
        Self { notes, most: 32, end: Arc::new(end), goes, gate: None, breaker: None }
    }

    fn going(self, goes: impl Fn(&Batch) -> Goes + Send + Sync + 'static) -> Self {
        Self { goes: Arc::new(goes), ..self }
    }

    fn at(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }
}

impl MessageListener for Together {
    fn name(&self) -> &str {
        "together"
    }

    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        self.breaker
    }

    fn call_deadline(&self) -> Duration {
        secs(3_600)
    }

    fn instantiate(&self, _by: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let instance: Box<dyn ListenerInstance> = Box::new(self.clone());
        Box::pin(std::future::ready(Ok(instance)))
    }
}

fn of(delivery: &Delivery) -> String {
    delivery.text().unwrap().chars().take(20).collect()
}

impl ListenerInstance for Together {
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        self.notes.add(of(delivery));
        let outcome = (self.end)(delivery);
        let instance: Box<dyn ListenerInstance> = self;
        Box::pin(async { Ended { outcome, usage: Usage::default(), instance: Some(instance) } })
    }

    fn batch_max(&self) -> usize {
        self.most
    }

    fn receive_batch<'a>(self: Box<Self>, batch: &'a Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
        Box::pin(async move {
            self.notes.add(batch.deliveries().iter().map(of).collect::<Vec<_>>().join("+"));
            if let Some(gate) = &self.gate {
                gate.pass().await;
            }
            let most = match (self.goes)(batch) {
                Goes::Each => usize::MAX,
                Goes::First(count) => count,
                Goes::TooMany => {
                    let outcomes = vec![Outcome::done(); batch.deliveries().len() + 1];
                    return EndedBatch {
                        outcomes: Ok(outcomes),
                        usage: Usage::default(),
                        instance: Some(self),
                    };
                }
                Goes::Stopped => return EndedBatch::spent(Fault::new(Cause::Trap, "all of them")),
                Goes::Panics => panic!("all of them"),
            };
            let mut outcomes = Vec::new();
            for delivery in batch.deliveries().iter().take(most) {
                let outcome = (self.end)(delivery);
                let stops = batch.stops_at_failure() && outcome.failure().is_some();
                outcomes.push(outcome);
                if stops {
                    break;
                }
            }
            let usage = Usage { fuel: Some(100), memory_bytes: None };
            EndedBatch { outcomes: Ok(outcomes), usage, instance: Some(self) }
        })
    }
}

/// A bus with this destination, on which this listener has messages of these texts waiting; they come when it is resumed.
async fn waiting(config: DestinationConfig, listener: Together, texts: &[&str]) -> Bus {
    let bus = bus();
    let name = config.name.to_string();
    bus.create(config).unwrap();
    bus.register(&name, listener).unwrap();
    bus.pause(&name).unwrap();
    for each in texts {
        bus.send(&name, text(*each)).await.unwrap();
    }
    bus
}

/// The first comes for itself: there is no instance that could take more. Then a worker takes more and more at a time.
const SEVEN: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];

#[tokio::test(start_paused = true)]
async fn what_a_worker_has_at_hand_comes_together_and_in_order() {
    // Never more than it took anyway; the first message makes the instance.
    for config in [serial("t/s"), with(parallel("t/s"), |config| config.workers.max = 2)] {
        let notes = Notes::default();
        let config = with(config, |config| config.workers.core = 1);
        let parallel = config.destination_type == DestinationType::Parallel;
        let bus = waiting(config, Together::new(&notes, |_| Outcome::done()), &SEVEN).await;
        bus.resume("t/s").unwrap();
        settled(&bus).await;
        let figures = figures(&bus, "t/s");
        assert_eq!((figures.delivered, figures.completed, figures.finished), (7, 7, 7));
        let all: Vec<String> = notes
            .all()
            .iter()
            .flat_map(|note| note.split('+').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        assert_eq!(all.len(), 7);
        if !parallel {
            assert_eq!(notes.all(), ["1", "2+3", "4+5+6+7"]);
            assert_eq!(
                figures.listeners[0].fuel_total, 200,
                "what a call used is shared out, and nothing lost"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_gets_no_more_at_once_than_it_takes() {
    let notes = Notes::default();
    let listener = Together { most: 3, ..Together::new(&notes, |_| Outcome::done()) };
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["1", "2+3", "4+5+6", "7"]);
}

#[tokio::test(start_paused = true)]
async fn the_payloads_of_one_call_stay_within_the_bound() {
    // They are copied into an instance at once.
    let notes = Notes::default();
    let large = "x".repeat(limits::BATCH_BYTES_MAX / 2 + 1);
    let bus = waiting(serial("t/s"), Together::new(&notes, |_| Outcome::done()), &[]).await;
    for each in ["1", "2", "3", &large, &large, "6", "7"] {
        bus.send("t/s", text(each)).await.unwrap();
    }
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    let x = "x".repeat(20);
    assert_eq!(notes.all(), ["1".to_owned(), "2+3".to_owned(), x.clone(), format!("{x}+6+7")]);
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_has_its_own_outcome() {
    // Done, refused, faulted, a reply, a retry: each settles its own message as it would alone.
    let notes = Notes::default();
    let end = |delivery: &Delivery| match (delivery.text().unwrap(), delivery.attempt()) {
        ("4", _) => Outcome::refused("no"),
        ("5", _) => Outcome::faulted(Cause::Trap, "its reply breaks a rule"),
        ("6", 1) => Outcome::retry("later"),
        ("7", _) => Outcome::reply(Reply::text("seven")),
        _ => Outcome::done(),
    };
    let config = with(serial("t/s"), |config| config.on_failure = OnFailure::Skip);
    let bus = waiting(config, Together::new(&notes, end), &SEVEN[..6]).await;
    bus.create(serial("t/answers")).unwrap();
    let answers = Notes::default();
    bus.register("t/answers", noting("a", &answers)).unwrap();
    let asking = Outgoing { response_destination: Some(name("t/answers")), ..text("7") };
    bus.send("t/s", asking).await.unwrap();
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["1", "2+3", "4+5+6+7", "6"], "a retry comes alone");
    assert_eq!(answers.all(), ["a:seven"]);
    assert_eq!(reasons(&bus, "t/s"), ["refused", "trap"]);
    assert!(bus.dead_letters("t/s").iter().all(|letter| letter.attempts == 1));
    let figures = figures(&bus, "t/s");
    assert_eq!((figures.delivered, figures.completed, figures.retried), (8, 5, 1));
    assert_eq!(figures.failed_total(), 3);
    assert_eq!((figures.listeners[0].calls, figures.listeners[0].done), (8, 5));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_blocks_keeps_the_order_of_a_serial_destination() {
    // The listener stops at it, what it has not begun goes back, and comes after the retry: as if each had come alone.
    let (notes, received) = (Notes::default(), Notes::default());
    let seen = received.clone();
    let end = move |delivery: &Delivery| {
        seen.add(format!("{}:{}", delivery.text().unwrap(), delivery.attempt()));
        if delivery.text() == Some("5") && delivery.attempt() < 3 {
            Outcome::retry("later")
        } else {
            Outcome::done()
        }
    };
    let bus = waiting(serial("t/s"), Together::new(&notes, end), &SEVEN).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(received.all(), ["1:1", "2:1", "3:1", "4:1", "5:1", "5:2", "5:3", "6:1", "7:1"]);
    assert_eq!(notes.all()[2], "4+5+6+7");
    let figures = figures(&bus, "t/s");
    assert_eq!((figures.delivered, figures.completed, figures.retried), (9, 7, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_begun_comes_again_in_its_place_as_a_first_attempt() {
    let (notes, attempts) = (Notes::default(), Notes::default());
    let seen = attempts.clone();
    let end = move |delivery: &Delivery| {
        seen.add(format!("{}:{}", delivery.text().unwrap(), delivery.attempt()));
        Outcome::done()
    };
    let listener = Together::new(&notes, end).going(|_| Goes::First(1));
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(attempts.all(), SEVEN.map(|text| format!("{text}:1")));
    let figures = figures(&bus, "t/s");
    assert_eq!((figures.delivered, figures.completed, figures.failed_total()), (7, 7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_stopped_blames_no_message_and_only_the_poisoned_one_fails() {
    // Stopped, panicked, or an answer of the wrong length: each comes once more for itself, at once and in order.
    for how in 0..3 {
        let notes = Notes::default();
        let end = |delivery: &Delivery| match delivery.text() {
            Some("6") => Outcome::faulted(Cause::Trap, "poisoned"),
            _ => Outcome::done(),
        };
        let listener = Together::new(&notes, end).going(move |batch| {
            let poisoned = batch.deliveries().iter().any(|delivery| delivery.text() == Some("6"));
            match how {
                _ if !poisoned => Goes::Each,
                0 => Goes::Stopped,
                1 => Goes::Panics,
                _ => Goes::TooMany,
            }
        });
        let bus = waiting(serial("t/s"), listener, &SEVEN).await;
        bus.resume("t/s").unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["1", "2+3", "4+5+6+7", "4", "5", "6", "7"]);
        let figures = figures(&bus, "t/s");
        assert_eq!((figures.delivered, figures.completed, figures.failed_total()), (7, 6, 1));
        assert_eq!((reasons(&bus, "t/s"), bus.dead_letters("t/s")[0].attempts), (vec!["trap"], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_begins_none_of_them_gets_them_one_by_one() {
    // Whatever an instance answers, the destination goes on.
    let notes = Notes::default();
    let listener = Together::new(&notes, |_| Outcome::done()).going(|_| Goes::First(0));
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").completed, 7);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_stopped_does_not_open_the_circuit_breaker_and_its_messages_do() {
    let notes = Notes::default();
    let breaker = CircuitBreaker { faults: 2, ratio: 0.1, cooldown: secs(1), ..CircuitBreaker::default() };
    let poisoned = |delivery: &Delivery| delivery.text().unwrap().starts_with('x');
    let end = move |delivery: &Delivery| {
        if poisoned(delivery) { Outcome::faulted(Cause::Trap, "poisoned") } else { Outcome::done() }
    };
    let goes = move |batch: &Batch| {
        if batch.deliveries().iter().any(poisoned) { Goes::Stopped } else { Goes::Each }
    };
    let listener = Together { breaker: Some(breaker), ..Together::new(&notes, end).going(goes) };
    let bus = waiting(serial("t/s"), listener, &["1", "x2", "3", "4", "x5", "6", "7"]).await;
    bus.resume("t/s").unwrap();
    eventually(|| notes.count("x5") == 1).await;
    turns().await;
    // The second poisoned message opens it; what came after it stands aside until the trial.
    assert_eq!(notes.all(), ["1", "x2+3", "x2", "3", "4", "x5"]);
    eventually(|| figures(&bus, "t/s").completed == 5).await;
    settled(&bus).await;
    let figures = figures(&bus, "t/s");
    assert_eq!((figures.completed, figures.failed_total()), (5, 2));
}

#[tokio::test(start_paused = true)]
async fn all_of_a_batch_run_from_the_beginning_and_what_goes_back_waits() {
    // A pause and a purge reach what waits, and nothing that runs.
    let (notes, gate) = (Notes::default(), Gate::closed());
    let listener = Together::new(&notes, |_| Outcome::done()).at(&gate).going(|_| Goes::First(2));
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    gate.let_one_pass();
    bus.resume("t/s").unwrap();
    // "2+3" has passed, "4+5+6+7" is at the gate.
    eventually(|| notes.len() == 3).await;
    bus.send("t/s", text("8")).await.unwrap();
    let before = figures(&bus, "t/s");
    assert!(before.adds_up());
    assert_eq!((before.running, before.waiting), (4, 1));
    bus.pause("t/s").unwrap();
    assert_eq!(bus.purge("t/s").unwrap().len(), 1, "only what waits");
    gate.open();
    eventually(|| figures(&bus, "t/s").running == 0).await;
    let paused = figures(&bus, "t/s");
    assert!(paused.adds_up());
    assert_eq!((paused.completed, paused.waiting, paused.pending), (5, 2, 2), "6 and 7 were not begun");
    assert_eq!(bus.purge("t/s").unwrap().len(), 2);
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").dropped["purged"], 3);
}

#[tokio::test(start_paused = true)]
async fn closing_now_interrupts_a_batch_as_a_whole() {
    let (notes, gate) = (Notes::default(), Gate::closed());
    let listener = Together::new(&notes, |_| Outcome::done()).at(&gate);
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    gate.let_one_pass();
    bus.resume("t/s").unwrap();
    eventually(|| notes.len() == 3).await;
    let closed = bus.close_now("t/s").await.unwrap();
    assert_eq!((closed.dead_letters, closed.interrupted), (4, true));
    assert_eq!(reasons(&bus, "t/s"), ["closed"; 4]);
    assert_eq!(notes.all(), ["1", "2+3", "4+5+6+7"], "none of them is tried once more");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_a_batch_gave_back() {
    let (notes, gate) = (Notes::default(), Gate::closed());
    let listener = Together::new(&notes, |_| Outcome::done()).at(&gate).going(|_| Goes::Stopped);
    let bus = waiting(serial("t/s"), listener, &SEVEN).await;
    bus.resume("t/s").unwrap();
    eventually(|| notes.len() == 2).await;
    let closing = tokio::spawn({
        let bus = bus.clone();
        async move { bus.close("t/s", secs(60)).await }
    });
    turns().await;
    gate.open();
    let closed = closing.await.unwrap().unwrap();
    assert_eq!((closed.dead_letters, closed.interrupted), (0, false));
    assert_eq!(figures(&bus, "t/s").completed, 7);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_gives_back_for_a_removed_listener_is_settled_as_removed() {
    let (notes, gate) = (Notes::default(), Gate::closed());
    let listener = Together::new(&notes, |_| Outcome::done()).at(&gate).going(|_| Goes::First(1));
    let bus = waiting(serial("t/s"), listener, &SEVEN[..3]).await;
    bus.resume("t/s").unwrap();
    eventually(|| notes.len() == 2).await;
    let removing = tokio::spawn({
        let bus = bus.clone();
        async move { bus.unregister("t/s", "together").await }
    });
    turns().await;
    gate.open();
    assert!(removing.await.unwrap());
    settled(&bus).await;
    assert_eq!((figures(&bus, "t/s").completed, reasons(&bus, "t/s")), (2, vec!["listener-removed"]));
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_ordering_key_never_come_together() {
    // The next one waits in its lane until the one before has ended.
    let (notes, received) = (Notes::default(), Notes::default());
    let seen = received.clone();
    let end = move |delivery: &Delivery| {
        seen.add(delivery.text().unwrap());
        Outcome::done()
    };
    let config = with(parallel("t/p"), |config| (config.workers.core, config.workers.max) = (1, 1));
    let bus = waiting(config, Together::new(&notes, end), &[]).await;
    for n in 0..12 {
        bus.send("t/p", keyed(&format!("{}{n}", ["a", "b", "c"][n % 3]), ["a", "b", "c"][n % 3]))
            .await
            .unwrap();
    }
    bus.resume("t/p").unwrap();
    settled(&bus).await;
    for key in ["a", "b", "c"] {
        assert!(notes.all().iter().all(|note| note.matches(key).count() < 2), "{:?}", notes.all());
        let numbers: Vec<u32> =
            received.all().iter().filter_map(|text| text.strip_prefix(key)?.parse().ok()).collect();
        assert!(numbers.is_sorted() && numbers.len() == 4, "{numbers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ordinary_comes_for_itself() {
    // Several listeners, an inbound processor, an expired message, a priority: each message is dealt with as ever.
    struct Seen(Notes);
    impl InboundProcessor for Seen {
        fn before_delivery(&self, delivery: Delivery) -> Result<Delivery, String> {
            self.0.add(delivery.text().unwrap());
            Ok(delivery)
        }
    }
    let (notes, seen) = (Notes::default(), Notes::default());
    let bus = waiting(serial("t/s"), Together::new(&notes, |_| Outcome::done()), &SEVEN).await;
    bus.add_inbound(Scope::Destination(name("t/s")), Seen(seen.clone())).unwrap();
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!((notes.take(), seen.len()), (SEVEN.map(str::to_owned).to_vec(), 7));

    let bus = waiting(serial("t/s"), Together::new(&notes, |_| Outcome::done()), &[]).await;
    let others = Notes::default();
    bus.register("t/s", noting("other", &others)).unwrap();
    for each in SEVEN {
        bus.send("t/s", text(each)).await.unwrap();
    }
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!((notes.take(), others.len()), (SEVEN.map(str::to_owned).to_vec(), 7));

    let bus = waiting(serial("t/s"), Together::new(&notes, |_| Outcome::done()), &SEVEN[..5]).await;
    bus.send("t/s", expiring("6", ms(10))).await.unwrap();
    bus.send("t/s", text("7")).await.unwrap();
    tokio::time::advance(ms(20)).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(
        (notes.take(), reasons(&bus, "t/s")),
        (["1", "2+3", "4+5", "7"].map(str::to_owned).to_vec(), vec!["expired"])
    );
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_answered_each() {
    let notes = Notes::default();
    let end = |delivery: &Delivery| match delivery.text() {
        Some("3") => Outcome::done(),
        Some(text) => Outcome::reply(Reply::text(format!("got {text}"))),
        None => Outcome::refused("not a text"),
    };
    let bus = waiting(serial("t/s"), Together::new(&notes, end), &[]).await;
    let mut asked = Vec::new();
    for (n, each) in SEVEN.into_iter().enumerate() {
        let asking = bus.clone();
        asked.push(tokio::spawn(async move { asking.request("t/s", text(each), None).await }));
        eventually(|| figures(&bus, "t/s").pending == n + 1).await;
    }
    bus.resume("t/s").unwrap();
    for (asked, each) in asked.into_iter().zip(SEVEN) {
        match (each, asked.await.unwrap()) {
            ("3", answer) => assert!(matches!(answer, Err(RequestError::NoReply)), "{answer:?}"),
            (each, answer) => assert_eq!(answer.unwrap().payload, format!("got {each}")),
        }
    }
    assert_eq!(notes.all(), ["1", "2+3", "4+5+6+7"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn redriven_dead_letters_come_together_as_first_attempts() {
    let (notes, healthy) = (Notes::default(), Arc::new(AtomicBool::new(false)));
    let now = Arc::clone(&healthy);
    let end = move |delivery: &Delivery| {
        assert_eq!(delivery.attempt(), 1);
        match now.load(Ordering::SeqCst) {
            true => Outcome::done(),
            false => Outcome::refused("not well"),
        }
    };
    let config = with(serial("t/s"), |config| config.on_failure = OnFailure::Skip);
    let bus = waiting(config, Together::new(&notes, end), &SEVEN).await;
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(reasons(&bus, "t/s").len(), 7);
    healthy.store(true, Ordering::SeqCst);
    bus.pause("t/s").unwrap();
    notes.take();
    let options = RedriveOptions { per_second: limits::REDRIVE_PER_SECOND_MAX, ..RedriveOptions::default() };
    bus.redrive(Some("t/s"), &DeadLetterFilter::default(), options).await.unwrap();
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/s").completed, 7);
    assert!(notes.all().iter().any(|note| note.contains('+')), "{:?}", notes.all());
}

#[tokio::test(start_paused = true)]
async fn stages_of_a_batch_are_told_for_each_of_its_messages() {
    // Each of them waited for the whole call, also the one that is refused behind the others.
    let notes = Notes::default();
    let end = |delivery: &Delivery| match delivery.text() {
        Some("3") => Outcome::refused("no"),
        _ => Outcome::done(),
    };
    let config = with(serial("t/s"), |config| config.on_failure = OnFailure::Skip);
    let bus = waiting(config, Together::new(&notes, end), &SEVEN).await;
    bus.measure_stages("t/s").unwrap();
    bus.resume("t/s").unwrap();
    settled(&bus).await;
    assert!(notes.all().iter().any(|note| note.contains('+')), "{:?}", notes.all());
    let stages = figures(&bus, "t/s").stages.unwrap();
    let parts = [stages.queue_wait, stages.instance, stages.guest, stages.settle].map(Option::unwrap);
    assert_eq!(parts.map(|stage| stage.spread.count), [7; 4]);
    let end_to_end = stages.end_to_end.unwrap();
    assert_eq!(parts.iter().map(|stage| stage.total).sum::<Duration>(), end_to_end.total);
}
