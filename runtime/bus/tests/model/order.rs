//! What must hold about the times and the order of calls: first in, first out; one at a time; not too early, not too late;
//! nobody who stands aside.

use std::collections::{BTreeMap, HashSet};

use sandbus_bus::*;

use crate::check::Checked;
use crate::log::{Call, End, Event, Log};
use crate::reference::{Place, Sent};
use crate::world::World;

pub(crate) fn all(world: &mut World, d: usize) -> Checked {
    if world.places[d].was_replaced {
        return Ok(());
    }
    let log = std::sync::Arc::clone(&world.log);
    let log = log.lock().unwrap();
    let place = &world.places[d];
    let calls = log.calls.iter().filter(|call| call.place == d && call.begun.order >= place.since);
    let by_workers: Vec<Known<'_>> =
        calls.filter(|call| call.worker.is_some()).map(|call| Known::of(world, d, call)).collect();
    match place.config.destination_type {
        DestinationType::Serial => {
            one_at_a_time(&by_workers)?;
            (0..3).try_for_each(|listener| serial_order(place, &by_workers, listener))?;
            (0..3).try_for_each(|listener| priorities(place, &by_workers, listener))?;
        }
        DestinationType::Parallel => lanes(&by_workers)?,
        DestinationType::Synchronous => {}
    }
    times(place, &by_workers)?;
    let openings = breakers(place, d, &log)?;
    world.tally.add("breaker openings", openings);
    Ok(())
}

/// A call with what is known of its message.
struct Known<'a> {
    call: &'a Call,
    sent: Option<&'a Sent>,
    /// Whether it is of what was sent here, and not of what was redriven.
    is_first_life: bool,
}

impl<'a> Known<'a> {
    fn of(world: &'a World, d: usize, call: &'a Call) -> Self {
        let sent = world.sent.get(&call.number);
        let is_first_life = sent.is_some_and(|sent| sent.place == d && sent.at == call.accepted_at);
        Self { call, sent, is_first_life }
    }

    fn options(&self) -> SendOptions {
        self.sent.map(|sent| sent.options.clone()).unwrap_or_default()
    }

    fn is_delayed(&self) -> bool {
        self.options().deliver_after.is_some_and(|delay| !delay.is_zero())
    }

    /// Whether it shows the order of acceptance: the first attempt of what was neither delayed nor redriven.
    fn shows_order(&self) -> bool {
        self.is_first_life && self.call.attempt == 1 && !self.is_delayed()
    }

    fn life(&self) -> (u64, Instant) {
        (self.call.number, self.call.accepted_at)
    }

    /// Whether this call ended before `next` began.
    fn ended_before(&self, next: &Self) -> bool {
        self.call.ended.is_some_and(|ended| ended.order < next.call.begun.order)
    }
}

fn one_at_a_time(calls: &[Known<'_>]) -> Checked {
    match calls.windows(2).find(|pair| !pair[0].ended_before(&pair[1])) {
        Some(pair) => Err(format!("two calls at once: {:?}, {:?}", pair[0].call, pair[1].call)),
        None => Ok(()),
    }
}

/// On a serial destination each listener's first deliveries are in the order of acceptance, within one priority where it
/// counts.
fn serial_order(place: &Place, calls: &[Known<'_>], listener: usize) -> Checked {
    let priorities = place.ever(|config| config.priority);
    let mut last: BTreeMap<u8, &Call> = BTreeMap::new();
    for known in calls.iter().filter(|known| known.call.listener == listener && known.shows_order()) {
        let priority = if priorities { known.options().priority.unwrap_or(4) } else { 0 };
        if let Some(before) = last.insert(priority, known.call)
            && before.number > known.call.number
        {
            return Err(format!(
                "received out of order: {before:?}, {:?} ALL {:?}",
                known.call,
                calls.iter().map(|k| k.call).collect::<Vec<_>>()
            ));
        }
    }
    Ok(())
}

/// On a serial destination where priority counts, nothing is received while something of a higher one waits that is there.
fn priorities(place: &Place, calls: &[Known<'_>], listener: usize) -> Checked {
    // Where senders wait for room, nobody knows here since when a message was there.
    let waits = |config: &DestinationConfig| matches!(config.rejected_execution, RejectedExecution::Block(_));
    if place.ever(|config| !config.priority || waits(config)) || place.shape.breaker.is_some() {
        return Ok(());
    }
    // Its turn came when the first of its listeners was called.
    let mut turns: BTreeMap<(u64, Instant), Instant> = BTreeMap::new();
    for known in calls {
        turns.entry(known.life()).or_insert(known.call.begun.at);
    }
    let of_it = |known: &&Known<'_>| known.call.listener == listener && known.shows_order();
    let calls: Vec<&Known<'_>> = calls.iter().filter(of_it).collect();
    let priority = |known: &Known<'_>| known.options().priority.unwrap_or(4);
    for (place, early) in calls.iter().enumerate() {
        let passed = |late: &&&Known<'_>| {
            priority(late) > priority(early) && late.call.accepted_at < turns[&early.life()]
        };
        if let Some(late) = calls[place..].iter().find(passed) {
            return Err(format!(
                "received before one of a higher priority: {:?}, {:?}",
                early.call, late.call
            ));
        }
    }
    Ok(())
}

/// On a parallel destination each listener receives the messages of one key in order, one at a time, retries included.
fn lanes(calls: &[Known<'_>]) -> Checked {
    let mut lanes: BTreeMap<(usize, std::sync::Arc<str>), Vec<&Known<'_>>> = BTreeMap::new();
    for known in calls {
        if let Some(key) = known.options().ordering_key {
            lanes.entry((known.call.listener, key)).or_default().push(known);
        }
    }
    for lane in lanes.values() {
        if let Some(pair) = lane.windows(2).find(|pair| !pair[0].ended_before(pair[1])) {
            return Err(format!("two of one key at once: {:?}, {:?}", pair[0].call, pair[1].call));
        }
        let mut over = HashSet::new();
        for pair in lane.windows(2).filter(|pair| pair[0].life() != pair[1].life()) {
            over.insert(pair[0].life());
            if over.contains(&pair[1].life()) {
                return Err(format!(
                    "another one of its key came in between: {:?}, {:?}",
                    pair[0].call, pair[1].call
                ));
            }
        }
        let first: Vec<&Call> =
            lane.iter().filter(|known| known.shows_order()).map(|known| known.call).collect();
        if let Some(pair) = first.windows(2).find(|pair| pair[0].number > pair[1].number) {
            return Err(format!("one of its key overtook: {:?}, {:?}", pair[0], pair[1]));
        }
    }
    Ok(())
}

/// Nothing is received before its delay or its retry's delay is over, or after it has expired.
fn times(place: &Place, calls: &[Known<'_>]) -> Checked {
    let mut before: BTreeMap<(usize, u64, Instant), &Call> = BTreeMap::new();
    let mut previous: Option<&Call> = None;
    for known in calls {
        let (call, options) = (known.call, known.options());
        let delay = options.deliver_after.filter(|_| known.is_first_life);
        if delay.is_some_and(|delay| call.begun.at < call.accepted_at + delay) {
            return Err(format!("received before its delay of {delay:?} was over: {call:?}"));
        }
        if let Some(last) = before.insert((call.listener, call.number, call.accepted_at), call)
            && let (Some(due), Some(ended)) = (retry_delay(place, last), last.ended)
            && call.begun.at < ended.at + due
        {
            return Err(format!("tried again before {due:?} were over: {last:?}, {call:?}"));
        }
        // Listeners of a serial destination that come after another one of the same turn may be late for it.
        let same_turn = previous.replace(call).is_some_and(|previous| {
            (previous.number, previous.accepted_at) == (call.number, call.accepted_at)
                // A reply may have waited for room in between.
                && (previous.end == End::Replied
                    || previous.ended.is_some_and(|ended| ended.at == call.begun.at))
        });
        let serial = place.config.destination_type == DestinationType::Serial;
        let expiry = place.expiry(&options, call.accepted_at).filter(|_| !(serial && same_turn));
        if expiry.is_some_and(|expiry| call.begun.at >= call.accepted_at + expiry) {
            return Err(format!("received after it had expired after {expiry:?}: {call:?}"));
        }
    }
    Ok(())
}

/// How long a retry waits at least after this call, where that is clear.
fn retry_delay(place: &Place, failed: &Call) -> Option<std::time::Duration> {
    let retry = &place.config_at(failed.ended?.at)?.retry;
    match failed.end {
        End::Failed(FailureKind::Retry, Some(asked)) => Some(asked.min(retry.delay_max)),
        _ => Some(
            retry
                .delay_initial
                .mul_f64(retry.multiplier.powi(failed.attempt as i32 - 1))
                .min(retry.delay_max),
        ),
    }
}

/// The circuit breaker of one listener, as the reference sees it.
#[derive(Debug, Default)]
struct Breaker {
    faults: u32,
    /// When a trial may be made, while it is open.
    due: Option<Instant>,
    trial: Option<usize>,
}

/// A listener whose circuit breaker is open is not called but for one trial after each cooldown. Answers how often one
/// opened.
fn breakers(place: &Place, d: usize, log: &Log) -> Result<usize, String> {
    let mut breakers: BTreeMap<usize, Breaker> = BTreeMap::new();
    let (mut openings, mut closing) = (0, false);
    for event in log.events.iter().skip(place.since) {
        match event {
            Event::Closing(at) if *at == d => closing = true,
            Event::Fresh(at, None) if *at == d => {
                closing = false;
                breakers.clear();
            }
            Event::Fresh(at, Some(listener)) if *at == d => drop(breakers.remove(listener)),
            Event::Begun(number) if !closing => {
                let call = &log.calls[*number];
                if call.place == d && place.shape.breaker_of(call.listener).is_some() {
                    let breaker = breakers.entry(call.listener).or_default();
                    let Some(due) = breaker.due else { continue };
                    if breaker.trial.is_some() || call.begun.at < due {
                        return Err(format!("called while its breaker is open: {breaker:?}, {call:?}"));
                    }
                    breaker.trial = Some(*number);
                }
            }
            Event::Ended(number) if !closing => {
                let call = &log.calls[*number];
                if call.place == d && place.shape.breaker_of(call.listener).is_some() {
                    let breaker = breakers.entry(call.listener).or_default();
                    openings += usize::from(ended(place, breaker, call, *number));
                }
            }
            _ => {}
        }
    }
    Ok(openings)
}

/// Has the breaker learn how a call ended; true when it opens.
fn ended(place: &Place, breaker: &mut Breaker, call: &Call, number: usize) -> bool {
    let Some(policy) = place.shape.breaker_of(call.listener) else { return false };
    let is_trial = breaker.trial == Some(number);
    let at = call.ended.map_or(call.begun.at, |ended| ended.at);
    let abandoned = call.abandoned;
    let faulted = matches!(call.end, End::Stopped | End::Failed(FailureKind::Faulted(_), _)) && !abandoned;
    if is_trial {
        breaker.trial = None;
        match (faulted, abandoned) {
            (true, _) => breaker.due = Some(at + policy.cooldown),
            // The next delivery may be one at once.
            (_, true) => {}
            _ => *breaker = Breaker::default(),
        }
        return faulted;
    }
    if !faulted || breaker.due.is_some() {
        return false;
    }
    breaker.faults += 1;
    let opens = breaker.faults >= policy.faults;
    if opens {
        breaker.faults = 0;
        breaker.due = Some(at + policy.cooldown);
    }
    opens
}
