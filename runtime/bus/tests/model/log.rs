//! What the listeners of a case do, and the log of it: every call with its beginning and its end, in their order. It knows
//! nothing of what should happen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbus_bus::*;

use crate::case::LISTENERS;
use crate::settings::{Shape, number_of};
use crate::together::Together;

/// Replies have numbers of their own from here on: the place of the call that returned it comes on top.
pub(crate) const REPLIES: u64 = 1_000_000;

/// One call of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) place: usize,
    pub(crate) number: u64,
    pub(crate) listener: usize,
    pub(crate) attempt: u32,
    pub(crate) id: MessageId,
    /// When the message was accepted for this delivery; a redriven one was accepted anew.
    pub(crate) accepted_at: Instant,
    pub(crate) worker: Option<u32>,
    pub(crate) begun: Moment,
    pub(crate) ended: Option<Moment>,
    pub(crate) end: End,
    /// Whether its sender, who made it, went away while it ran.
    pub(crate) abandoned: bool,
}

/// When something happened: the time, and the place in the order of all that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) order: usize,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Running,
    Done,
    Replied,
    /// With a wish for so long a delay, if there was one.
    Failed(FailureKind, Option<Duration>),
    /// It was stopped from outside: at its deadline, by a close, or because its task went away.
    Stopped,
}

impl Call {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.end, End::Done | End::Replied)
    }
}

/// What happens to a listener's circuit breaker besides its calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Begun(usize),
    Ended(usize),
    /// The listener of this place is a new one, or all of them are left alone from now on.
    Fresh(usize, Option<usize>),
    /// The place is being closed: what is ready is delivered come what may, and calls may be interrupted.
    Closing(usize),
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) calls: Vec<Call>,
    pub(crate) events: Vec<Event>,
    /// Messages that a handler of rejected messages saw.
    pub(crate) handled: Vec<u64>,
    /// Messages whose sender went away in the middle.
    pub(crate) cancelled: Vec<u64>,
    /// Calls that received several messages: those that ended, those that gave some back, those that were stopped.
    pub(crate) together: usize,
    pub(crate) given_back: usize,
    pub(crate) stopped: usize,
}

pub(crate) type SharedLog = Arc<Mutex<Log>>;

impl Log {
    /// Notes that the sender of a message goes away.
    pub(crate) fn cancel(&mut self, number: u64) {
        self.cancelled.push(number);
        let its =
            |call: &&mut Call| call.number == number && call.end == End::Running && call.worker.is_none();
        self.calls.iter_mut().filter(its).for_each(|call| call.abandoned = true);
    }

    /// Notes an event, and says when it was.
    pub(crate) fn note(&mut self, event: Event) -> Moment {
        self.events.push(event);
        Moment { at: Instant::now(), order: self.events.len() - 1 }
    }
}

/// A call that is noted as stopped unless it says how it ended.
struct Running {
    log: SharedLog,
    call: usize,
}

impl Running {
    fn begin(log: &SharedLog, place: usize, listener: usize, delivery: &Delivery) -> Self {
        let mut noted = log.lock().unwrap();
        let call = noted.calls.len();
        let begun = noted.note(Event::Begun(call));
        noted.calls.push(Call {
            place,
            number: number_of(delivery.payload()),
            listener,
            attempt: delivery.attempt(),
            id: delivery.message().id(),
            accepted_at: delivery.message().accepted_at(),
            worker: delivery.worker(),
            begun,
            ended: None,
            end: End::Running,
            abandoned: false,
        });
        Self { log: Arc::clone(log), call }
    }

    fn end(&self, end: End) {
        let mut noted = self.log.lock().unwrap();
        if noted.calls[self.call].end == End::Running {
            let ended = noted.note(Event::Ended(self.call));
            noted.calls[self.call].ended = Some(ended);
            noted.calls[self.call].end = end;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(End::Stopped);
    }
}

/// How long a call of any listener here may take.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_millis(40);

pub(crate) fn listener(
    place: usize,
    listener: usize,
    shape: &Shape,
    log: &SharedLog,
    start: Instant,
) -> Together {
    let (log, batches) = (Arc::clone(log), Arc::clone(log));
    let call = move |delivery: Delivery| {
        let log = Arc::clone(&log);
        async move {
            let running = Running::begin(&log, place, listener, &delivery);
            let outcome = behave(behaviour(&delivery, listener, start), running.call).await;
            running.end(match &outcome {
                Outcome::Done(answer) if answer.reply.is_some() => End::Replied,
                Outcome::Retry { after, .. } => End::Failed(FailureKind::Retry, *after),
                other => other.failure().map_or(End::Done, |kind| End::Failed(kind, None)),
            });
            outcome
        }
    };
    let made = listener_fn(LISTENERS[listener], call).with_deadline(CALL_DEADLINE);
    let single = match shape.breaker_of(listener) {
        Some(breaker) => made.with_circuit_breaker(breaker),
        None => made,
    };
    let is_quick = move |delivery: &Delivery| {
        matches!(behaviour(delivery, listener, start), 0..=3 | 5 | 7 | 8 | 10 | 15 | 16)
    };
    Together { single, is_quick: Arc::new(is_quick), log: batches }
}

/// What a listener does: a pure function of message, listener, attempt and the time of acceptance, so that what is redriven
/// may end otherwise.
fn behaviour(delivery: &Delivery, listener: usize, start: Instant) -> u64 {
    let number = number_of(delivery.payload());
    let since = delivery.message().accepted_at().saturating_duration_since(start).as_millis() as u64;
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ ((listener as u64) << 8)
        ^ u64::from(delivery.attempt())
        ^ (since << 16);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)) % 17
}

/// What stops a call, as far as the host says so.
const FAULTS: [Cause; 4] = [Cause::Trap, Cause::OutOfFuel, Cause::Memory, Cause::Instantiate];

async fn behave(behaviour: u64, call: usize) -> Outcome {
    let wait = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let retry = |after| Outcome::Retry { reason: "later".into(), after: Some(Duration::from_millis(after)) };
    let reply = || Outcome::reply(Reply::text((REPLIES + call as u64).to_string()));
    match behaviour {
        0..=3 => Outcome::done(),
        4 => {
            wait(7).await;
            Outcome::done()
        }
        5 | 15 | 16 => reply(),
        6 => {
            wait(15).await;
            reply()
        }
        7 => Outcome::refused("bad"),
        8 => Outcome::retry("later"),
        9 => {
            wait(3).await;
            retry(20)
        }
        10 => retry(0),
        11 => Outcome::faulted(FAULTS[call % FAULTS.len()], "fault"),
        12 => std::future::pending().await,
        13 => panic_quietly(),
        _ => {
            wait(30).await;
            Outcome::done()
        }
    }
}

/// A listener's panic is a trap to the bus; a panic that prints nothing keeps the log of 10,000 cases readable.
fn panic_quietly() -> Outcome {
    std::panic::resume_unwind(Box::new("on purpose"))
}
