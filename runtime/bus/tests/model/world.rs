//! Runs a case on a real bus and keeps the naive reference beside it: plain vectors of what was sent, to whom, and of
//! what the listeners saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbus_bus::*;
use tokio::task::JoinHandle;

use crate::case::{Back, Case, LISTENERS, Operation, name};
use crate::check;

const HOME: &str = "m/home";

/// One call of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) destination: String,
    pub(crate) number: u64,
    pub(crate) listener: usize,
    pub(crate) attempt: u32,
    pub(crate) done: bool,
    /// How many calls there were before it.
    pub(crate) before: usize,
}

pub(crate) type Calls = Arc<Mutex<Vec<Call>>>;

/// One message that was sent, as the reference sees it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) accepted: bool,
    /// Whom it is meant for; nobody yet for a held message.
    pub(crate) meant: Vec<usize>,
    /// Those of them that were taken away since, each with the number of calls that there were then.
    pub(crate) removed: Vec<(usize, usize)>,
}

/// One destination, as the reference sees it.
pub(crate) struct Place {
    pub(crate) config: DestinationConfig,
    pub(crate) exists: bool,
    pub(crate) listeners: Vec<usize>,
    pub(crate) sent: Vec<Sent>,
    /// Pairs given up, in the lives before the last reopening.
    pub(crate) given_up_before: u64,
}

type Asked = JoinHandle<Result<Reply, RequestError>>;

pub(crate) struct World {
    pub(crate) bus: Bus,
    pub(crate) places: Vec<Place>,
    pub(crate) calls: Calls,
    /// Requests that run beside the operations: destination, place among what was sent there, task.
    asked: Vec<(usize, usize, Asked)>,
    next: u64,
}

/// What a listener does: a pure function of message, listener and attempt.
fn behaviour(number: u64, listener: usize, attempt: u32) -> u64 {
    let mut mixed =
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((listener as u64) << 8) ^ u64::from(attempt);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)) % 14
}

fn listener(place: usize, listener: usize, calls: &Calls) -> NativeListener {
    let calls = Arc::clone(calls);
    let call = move |delivery: Delivery| {
        let calls = Arc::clone(&calls);
        async move {
            // A reply that was redriven elsewhere has no number.
            let Ok(number) = delivery.text().unwrap().trim().parse() else { return Outcome::done() };
            let (destination, attempt) = (name(place), delivery.attempt());
            let at = {
                let mut calls = calls.lock().unwrap();
                let before = calls.len();
                calls.push(Call { destination, number, listener, attempt, done: false, before });
                before
            };
            let outcome = behave(behaviour(number, listener, attempt)).await;
            calls.lock().unwrap()[at].done = outcome.failure().is_none();
            outcome
        }
    };
    listener_fn(LISTENERS[listener], call).with_deadline(Duration::from_millis(40))
}

async fn behave(behaviour: u64) -> Outcome {
    let wait = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let retry = |after| Outcome::Retry { reason: "later".into(), after: Some(Duration::from_millis(after)) };
    match behaviour {
        0..=3 => Outcome::done(),
        4 => {
            wait(7).await;
            Outcome::done()
        }
        5 => Outcome::reply(Reply::text("reply")),
        6 => {
            wait(15).await;
            Outcome::reply(Reply::text("late reply"))
        }
        7 => Outcome::refused("bad"),
        8 => Outcome::retry("later"),
        9 => {
            wait(3).await;
            retry(20)
        }
        10 => retry(0),
        11 => Outcome::faulted(Cause::Trap, "trap"),
        12 => std::future::pending().await,
        _ => {
            wait(30).await;
            Outcome::done()
        }
    }
}

pub(crate) async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Runs one case, checking the books after every step and everything at the end.
pub(crate) async fn run(case: &Case) -> Result<(), String> {
    check::everything(&steps(case).await?)
}

/// The same for a case that redrives: the reference does not follow a letter through its second life, but the books must
/// balance, and nobody is done twice with a message that goes back to where it came from.
pub(crate) async fn run_redriving(case: &Case) -> Result<(), String> {
    let world = steps(case).await?;
    let elsewhere = |operation: &Operation| matches!(operation, Operation::Redrive(_, Some(_)));
    // Elsewhere, each letter of a message is a message to all listeners.
    if case.operations.iter().any(elsewhere) { check::nobody_waits(&world) } else { check::done_once(&world) }
}

async fn steps(case: &Case) -> Result<World, String> {
    let mut world = World::new(case);
    for (step, operation) in case.operations.iter().enumerate() {
        world.perform(*operation).await;
        check::books(&world).map_err(|error| format!("after step {step}, {operation:?}: {error}"))?;
    }
    world.finish().await?;
    Ok(world)
}

impl World {
    fn new(case: &Case) -> Self {
        let bus = Bus::new(BusConfig::default());
        bus.create(DestinationConfig::serial(HOME).unwrap()).unwrap();
        bus.register(HOME, listener_fn("home", |_| async { Outcome::done() })).unwrap();
        let place = |config: &DestinationConfig| Place {
            config: config.clone(),
            exists: false,
            listeners: Vec::new(),
            sent: Vec::new(),
            given_up_before: 0,
        };
        let places = case.configs.iter().map(place).collect();
        Self { bus, places, calls: Calls::default(), asked: Vec::new(), next: 0 }
    }

    async fn perform(&mut self, operation: Operation) {
        match operation {
            Operation::Create(d) => self.create(d),
            Operation::Send(d, back) => self.send(d, back).await,
            Operation::Request(d, timeout) => self.request(d, timeout).await,
            Operation::Register(d, l) => self.register(d, l),
            Operation::Unregister(d, l) => self.unregister(d, l).await,
            Operation::Pause(d) => drop(self.bus.pause(&name(d))),
            Operation::Resume(d) => drop(self.bus.resume(&name(d))),
            Operation::Close(d, drain) => drop(self.bus.close(&name(d), drain).await),
            Operation::CloseNow(d) => drop(self.bus.close_now(&name(d)).await),
            Operation::Reopen(d) => self.reopen(d),
            Operation::Advance(by) => tokio::time::sleep(by).await,
            Operation::Turn => turns(10).await,
            Operation::Redrive(d, to) => self.redrive(d, to).await,
            Operation::DropLetters(d) => {
                drop(self.bus.drop_dead_letters(Some(&name(d)), &DeadLetterFilter::default()));
            }
        }
    }

    fn create(&mut self, d: usize) {
        let place = &mut self.places[d];
        let created = self.bus.create(place.config.clone());
        assert_eq!(created.is_ok(), !place.exists);
        place.exists = true;
    }

    /// The payload of the next message; its length, which the bound in bytes counts, varies.
    fn body(&mut self) -> (u64, Outgoing) {
        let number = self.next;
        self.next += 1;
        (number, Outgoing::text(format!("{number:>width$}", width = 4 + (number % 9) as usize)))
    }

    fn note(&mut self, d: usize, number: u64, accepted: bool) -> usize {
        let place = &mut self.places[d];
        let meant = place.listeners.clone();
        place.sent.push(Sent { number, accepted, meant, removed: Vec::new() });
        place.sent.len() - 1
    }

    async fn send(&mut self, d: usize, back: Back) {
        let (number, mut body) = self.body();
        body.response_destination = match back {
            Back::Nowhere => None,
            Back::Home => Some(HOME.parse().unwrap()),
            Back::Unknown => Some("m/unknown".parse().unwrap()),
        };
        let accepted = self.bus.send(&name(d), body).await.is_ok();
        self.note(d, number, accepted);
    }

    /// Requests run beside what follows, except where they may wait for room: their listeners would be fixed later.
    async fn request(&mut self, d: usize, timeout: Duration) {
        let (number, body) = self.body();
        let (bus, to) = (self.bus.clone(), name(d));
        let sent = self.note(d, number, true);
        let task = tokio::spawn(async move { bus.request(&to, body, Some(timeout)).await });
        let may_block = matches!(self.places[d].config.rejected_execution, RejectedExecution::Block(_));
        if may_block {
            while !task.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } else {
            turns(3).await;
        }
        self.asked.push((d, sent, task));
    }

    fn register(&mut self, d: usize, l: usize) {
        let place = &mut self.places[d];
        let registered = self.bus.register(&name(d), listener(d, l, &self.calls)).unwrap();
        if place.listeners.contains(&l) {
            assert_eq!(registered, Registered::Already);
            return;
        }
        let first = place.listeners.is_empty();
        place.listeners.push(l);
        if first && place.exists {
            // What is held becomes its; what was given up before stays given up, whomever it is counted for.
            place.sent.iter_mut().filter(|sent| sent.meant.is_empty()).for_each(|sent| sent.meant.push(l));
        }
    }

    async fn unregister(&mut self, d: usize, l: usize) {
        let was_there = self.bus.unregister(&name(d), LISTENERS[l]).await;
        let calls = self.calls.lock().unwrap().len();
        let place = &mut self.places[d];
        assert_eq!(was_there, place.listeners.contains(&l));
        place.listeners.retain(|known| *known != l);
        for sent in place.sent.iter_mut().filter(|sent| was_there && sent.meant.contains(&l)) {
            sent.removed.push((l, calls));
        }
    }

    async fn redrive(&mut self, d: usize, to: Option<usize>) {
        let to = to.map(|to| name(to).parse().unwrap());
        let options = RedriveOptions { to, per_second: 1_000.0, ..RedriveOptions::default() };
        let kept = self.bus.dead_letters(&name(d)).len();
        if let Ok(end) = self.bus.redrive(Some(&name(d)), &DeadLetterFilter::default(), options).await {
            let not_redriven: usize = end.not_redriven.values().map(|refused| refused.ids.len()).sum();
            assert_eq!((end.counted, end.redriven + not_redriven), (kept, kept), "{end:?}");
        }
    }

    fn reopen(&mut self, d: usize) {
        let before = self.bus.statistics(&name(d));
        let Some(before) = before.filter(|before| before.state == "closed") else { return };
        self.places[d].given_up_before += check::given_up(&before);
        self.bus.reopen(&name(d)).unwrap();
    }

    /// Lets everything come to its end: resumed, and idle.
    async fn finish(&mut self) -> Result<(), String> {
        for d in 0..self.places.len() {
            let _ = self.bus.resume(&name(d));
        }
        let rest = tokio::time::timeout(Duration::from_secs(3_600), self.bus.idle()).await;
        if rest.is_err() {
            return Err(format!("the bus does not come to rest: {:#?}", self.bus.all_statistics()));
        }
        for (d, sent, task) in std::mem::take(&mut self.asked) {
            let answer = tokio::time::timeout(Duration::from_secs(3_600), task).await;
            let Ok(Ok(answer)) = answer else {
                return Err(format!("a request to {} was never resolved: {answer:?}", name(d)));
            };
            let unsent = matches!(answer, Err(RequestError::NotSent(_) | RequestError::WouldDeadlock));
            self.places[d].sent[sent].accepted = !unsent;
        }
        check::books(self)
    }

    /// The calls of each (message, listener) pair at a destination, in their order.
    pub(crate) fn calls_at(&self, d: usize) -> BTreeMap<(u64, usize), Vec<Call>> {
        let mut calls: BTreeMap<(u64, usize), Vec<Call>> = BTreeMap::new();
        for call in self.calls.lock().unwrap().iter().filter(|call| call.destination == name(d)) {
            calls.entry((call.number, call.listener)).or_default().push(call.clone());
        }
        calls
    }
}
