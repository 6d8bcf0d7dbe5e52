//! Those who watch: an observer who is told what comes and goes, and senders who follow their messages to the end. What they
//! are told is compared with what the reference says.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use sandbus_bus::*;

use crate::case::LISTENERS;
use crate::check::{self, Checked};
use crate::log::Log;
use crate::operator::place_of;
use crate::world::World;

/// An event about a place of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// A destination of this ranking.
    Added(usize, i32),
    Removed(usize, i32),
    /// A listener.
    Registered(usize, usize),
    Unregistered(usize, usize),
}

/// What an observer was told, and what it should have been told.
pub(crate) struct Watch {
    told: Arc<Mutex<Vec<Told>>>,
    expected: Vec<Told>,
    _observation: Observation,
}

impl Watch {
    pub(crate) fn new(bus: &Bus) -> Self {
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let noted = Arc::clone(&told);
        let observation = bus
            .observe(EventFilter::All, move |event: &Event| noted.lock().unwrap().extend(known(event)))
            .unwrap();
        Self { told, expected: Vec::new(), _observation: observation }
    }

    pub(crate) fn expect(&mut self, told: Told) {
        self.expected.push(told);
    }

    /// Compares the two, and forgets both.
    pub(crate) fn check(&mut self) -> Checked {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        check::equal("what an observer is told", &told, &std::mem::take(&mut self.expected))
    }
}

fn known(event: &Event) -> Option<Told> {
    let d = place_of(event.destination()?)?;
    let listener = || LISTENERS.iter().position(|known| Some(*known) == event.listener());
    match event {
        Event::DestinationAdded { ranking, .. } => Some(Told::Added(d, *ranking)),
        Event::DestinationRemoved { ranking, .. } => Some(Told::Removed(d, *ranking)),
        Event::ListenerRegistered { .. } => Some(Told::Registered(d, listener()?)),
        Event::ListenerUnregistered { .. } => Some(Told::Unregistered(d, listener()?)),
        _ => None,
    }
}

/// A message whose sender follows it.
pub(crate) struct Followed {
    number: u64,
    /// How many pairs were owed; none where nothing was accepted: a duplicate, or handled by somebody else.
    pairs: Option<usize>,
    send: TrackedSend,
}

impl World {
    pub(crate) fn follow(&mut self, number: u64, accepted: bool, send: TrackedSend) {
        let pairs = accepted.then(|| self.sent[&number].pairs);
        self.followed.push(Followed { number, pairs, send });
    }

    /// Every message that is followed has an end, but those that still wait for a first listener.
    pub(crate) fn ends(&mut self) -> Checked {
        let log = Arc::clone(&self.log);
        let log = log.lock().unwrap();
        for Followed { number, pairs, send } in std::mem::take(&mut self.followed) {
            let mut cx = Context::from_waker(Waker::noop());
            let held = self.places.iter().any(|place| place.all_held().any(|held| held == number));
            match (pin!(send).poll(&mut cx), held) {
                (Poll::Pending, true) => {}
                (Poll::Ready(end), _) if self.redriven.contains(&number) => {
                    self.tally.add("followed and redriven", 1);
                    drop(end);
                }
                (Poll::Ready(end), false) => {
                    self.tally.add("followed", 1);
                    ended(&log, number, pairs, &end)
                        .map_err(|error| format!("message {number}: {error}: {end:?}"))?;
                }
                (poll, held) => {
                    return Err(format!("message {number} is held: {held}, and its end is {poll:?}"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn was_created(&mut self, d: usize) {
        self.watch.expect(Told::Added(d, 0));
        let listeners = self.places[d].listeners.clone();
        listeners.into_iter().for_each(|l| self.watch.expect(Told::Registered(d, l)));
    }

    pub(crate) fn was_destroyed(&mut self, d: usize) {
        let listeners = self.places[d].listeners.clone();
        listeners.into_iter().for_each(|l| self.watch.expect(Told::Unregistered(d, l)));
        self.watch.expect(Told::Removed(d, self.places[d].ranking));
    }
}

/// Compares an end with the calls.
fn ended(log: &Log, number: u64, pairs: Option<usize>, end: &SendEnd) -> Checked {
    let Some(pairs) = pairs else { return check::equal("pairs", &(end.completed, end.failed), &(0, 0)) };
    let done = log.calls.iter().filter(|call| call.number == number && call.is_done()).count() as u64;
    check::equal("how many listeners received it", &end.completed, &done)?;
    check::equal("how many did not", &end.failed, &(pairs as u64 - done))?;
    check::equal("there is a failure", &end.failure.is_some(), &(end.failed > 0))
}

/// The figures of the bus's own destination that nobody listens at.
pub(crate) fn replies_of_nobody(bus: &Bus) -> DestinationStatistics {
    bus.statistics(DEFAULT_RESPONSE).unwrap()
}

/// The name that a tally has for what a destination dropped.
pub(crate) fn dropped(figures: &DestinationStatistics) -> impl Iterator<Item = (String, usize)> + '_ {
    figures.dropped.iter().map(|(reason, count)| (format!("dropped {reason}"), *count as usize))
}
