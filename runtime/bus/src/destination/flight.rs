//! An entry whose listeners are being called: it must be settled for each of them, also when the task that calls them
//! goes away.

use std::ops::Deref;
use std::sync::Arc;

use smol_str::SmolStr;

use super::Destination;
use super::settle::Manner;
use crate::delivery::Delivery;
use crate::entry::{Content, Entry, Target, Targets};
use crate::error::RequestError;
use crate::outcome::{Cause, Outcome, Reply};
use crate::queue::Lane;
use crate::registration::{ListenerSet, Slot};
use crate::statistics::Tally;
use crate::sync::{Instant, after};
use crate::value::Values;

/// An entry in flight. Dropped with listeners left, it settles what is left as interrupted: nothing vanishes.
#[must_use = "an entry must be settled for each of its listeners"]
pub(crate) struct Flight<'a> {
    destination: &'a Arc<Destination>,
    /// What the books of it are: a worker's own, or those that all share.
    tally: Option<&'a Tally>,
    /// What the listener whose turn it is sees; values and response as those before it left them.
    pub(crate) delivery: Delivery,
    pub(crate) listeners: usize,
    /// The failure that settled last, for a sender who waits in direct mode.
    pub(crate) failure: Option<RequestError>,
    /// What the clock said when the last call ended, as long as nothing was waited for since: reading it is a good part of
    /// what a message costs.
    pub(crate) now: Option<Instant>,
    rest: Rest<'a>,
    /// The delivery that runs; taken out when it is settled.
    current: Option<Turn<'a>>,
    expires_at: Option<Instant>,
    /// What the next message of the same ordering key waits for.
    lane: Option<Lane>,
}

enum Rest<'a> {
    One(Option<Target>),
    /// Of the destination's present listeners.
    Present(std::slice::Iter<'a, Arc<Slot>>),
    All {
        set: Arc<ListenerSet>,
        next: usize,
    },
    Some(std::vec::IntoIter<Target>),
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<Turn<'a>> {
        match self {
            Rest::One(target) => target.take().map(Turn::from),
            Rest::Present(slots) => slots.next().map(Turn::first),
            Rest::All { set, next } => {
                let slot = set.get(*next)?;
                *next += 1;
                Some(Target::first(slot).into())
            }
            Rest::Some(targets) => targets.next().map(Turn::from),
        }
    }
}

/// What a batch keeps of an entry besides its delivery.
pub(super) struct Book {
    listeners: usize,
    expires_at: Option<Instant>,
    pub(super) lane: Option<Lane>,
    /// Whether its targets were those of a parallel destination that are named.
    is_one: bool,
    stood_aside: bool,
}

impl Book {
    pub(super) fn new(entry: &Entry, stood_aside: bool) -> Self {
        Self {
            listeners: entry.listeners,
            expires_at: entry.expires_at,
            lane: Lane::of(entry),
            is_one: matches!(entry.targets, Targets::One(_)),
            stood_aside,
        }
    }
}

/// One listener's turn.
#[derive(Clone)]
pub(crate) struct Turn<'a> {
    pub(crate) slot: Whose<'a>,
    pub(crate) attempt: u32,
    pub(crate) due: Option<Instant>,
    /// Whether this call decides about the listener's circuit breaker.
    pub(crate) trial: bool,
    pub(crate) stood_aside: bool,
}

/// The listener whose turn it is. Most are of the destination's present ones, and there no reference is counted.
#[derive(Clone)]
pub(crate) enum Whose<'a> {
    Present(&'a Arc<Slot>),
    Named(Arc<Slot>),
}

impl Deref for Whose<'_> {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Arc<Slot> {
        match self {
            Whose::Present(slot) => slot,
            Whose::Named(slot) => slot,
        }
    }
}

impl<'a> Turn<'a> {
    fn first(slot: &'a Arc<Slot>) -> Self {
        Self { slot: Whose::Present(slot), attempt: 1, due: None, trial: false, stood_aside: false }
    }

    /// What is owed to the listener, to be kept.
    pub(crate) fn target(&self) -> Target {
        let Turn { slot, attempt, due, trial, stood_aside } = self;
        Target {
            slot: Arc::clone(slot),
            attempt: *attempt,
            due: *due,
            trial: *trial,
            stood_aside: *stood_aside,
            // Its turn has come, so that it was alone.
            alone: false,
        }
    }
}

impl From<Target> for Turn<'_> {
    fn from(Target { slot, attempt, due, trial, stood_aside, alone: _ }: Target) -> Self {
        Self { slot: Whose::Named(slot), attempt, due, trial, stood_aside }
    }
}

impl<'a> Flight<'a> {
    /// `present`: the destination's listeners as they were when the entry was taken. `tally`: the worker's, where one runs it.
    pub(crate) fn new(
        destination: &'a Arc<Destination>,
        entry: Entry,
        present: &'a ListenerSet,
        tally: Option<&'a Tally>,
    ) -> Self {
        let lane = Lane::of(&entry);
        let rest = match entry.targets {
            // The queue never hands out a held entry; without a listener there is nothing to call.
            Targets::Held => Rest::One(None),
            Targets::One(target) => Rest::One(Some(target)),
            Targets::Current { first, count } => {
                Rest::Present(present.get(first..first + count).unwrap_or_default().iter())
            }
            Targets::All(set) => Rest::All { set, next: 0 },
            Targets::Some(targets) => Rest::Some(targets.into_iter()),
        };
        let accepted_at = entry.message.accepted_at();
        let delivery = Delivery {
            message: entry.message,
            values: entry.values,
            response: entry.response,
            // From here on until a turn comes; nobody sees it before.
            listener: SmolStr::default(),
            attempt: 1,
            worker: None,
            started: accepted_at,
            deadline: accepted_at,
            direct: false,
        };
        Self {
            destination,
            tally,
            delivery,
            listeners: entry.listeners,
            failure: None,
            now: None,
            rest,
            current: None,
            expires_at: entry.expires_at,
            lane,
        }
    }

    /// That of one delivery of a batch, whose turn it is.
    pub(super) fn of_batch(
        destination: &'a Arc<Destination>,
        tally: &'a Tally,
        slot: &Arc<Slot>,
        delivery: Delivery,
        book: Book,
    ) -> (Self, Turn<'a>) {
        let Book { listeners, expires_at, lane, is_one, stood_aside } = book;
        let turn = Turn::from(Target { stood_aside, ..Target::first(slot) });
        let rest = if is_one { Rest::One(None) } else { Rest::Some(Vec::new().into_iter()) };
        let flight = Self {
            destination,
            tally: Some(tally),
            delivery,
            listeners,
            failure: None,
            now: None,
            rest,
            current: Some(turn.clone()),
            expires_at,
            lane,
        };
        (flight, turn)
    }

    /// What a dead letter of it is made of at this turn.
    pub(crate) fn content(&self) -> Content<'_> {
        Content { message: &self.delivery.message, values: &self.delivery.values }
    }

    /// Whether its turn came too late.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= Instant::now())
    }

    /// A copy of the entry for one listener, as things stand at its turn.
    pub(crate) fn entry_for(&self, target: Target) -> Entry {
        let targets = match self.rest {
            Rest::One(_) => Targets::One(target),
            _ => Targets::Some(vec![target]),
        };
        self.entry(targets)
    }

    /// Makes an entry again, owed to `later`.
    pub(crate) fn entry_again(&mut self, later: Vec<Target>) -> Entry {
        let targets = match <[Target; 1]>::try_from(later) {
            Ok([only]) if matches!(self.rest, Rest::One(_)) => Targets::One(only),
            Ok([only]) => Targets::Some(vec![only]),
            Err(later) => Targets::Some(later),
        };
        self.keep_lane();
        self.entry(targets)
    }

    fn entry(&self, targets: Targets) -> Entry {
        Entry {
            message: Arc::clone(&self.delivery.message),
            targets,
            listeners: self.listeners,
            values: self.delivery.values.clone(),
            response: self.delivery.response.clone(),
            expires_at: self.expires_at,
        }
    }

    /// The lane stays occupied: the entry waits elsewhere.
    pub(crate) fn keep_lane(&mut self) {
        self.lane = None;
    }

    /// The next listener's turn. It stays with the flight until [`Flight::settled`].
    pub(crate) fn turn(&mut self) -> Option<Turn<'a>> {
        self.current = self.rest.next();
        self.current.clone()
    }

    /// Gets the delivery ready for the call whose turn it is.
    pub(crate) fn begin(&mut self, turn: &Turn<'_>, manner: Manner) {
        let started = self.now.take().unwrap_or_else(Instant::now);
        let own = after(started, turn.slot.listener.call_deadline());
        let delivery = &mut self.delivery;
        delivery.listener = turn.slot.short_name.clone();
        delivery.attempt = turn.attempt;
        delivery.worker = manner.worker();
        delivery.started = started;
        delivery.deadline = manner.limit().map_or(own, |limit| own.min(limit));
        delivery.direct = manner.is_direct();
    }

    /// The call whose turn it is decides about the listener's circuit breaker.
    pub(crate) fn is_trial(&mut self) {
        self.current.iter_mut().for_each(|turn| turn.trial = true);
    }

    /// The same listener has another turn.
    pub(crate) fn comes_again(&mut self, again: Target) -> Turn<'a> {
        let turn = Turn::from(again);
        self.current = Some(turn.clone());
        turn
    }

    /// The delivery whose turn it was is settled, or waits elsewhere.
    pub(crate) fn settled(&mut self) {
        self.current = None;
    }

    /// Counts so many pairs as running no more.
    pub(crate) fn runs_no_more(&self, pairs: u64) {
        match self.tally {
            Some(own) => own.running.sub(pairs),
            None => self.destination.counters.running.sub(pairs),
        }
    }

    /// Counts a call that ended.
    pub(crate) fn count_delivered(&self) {
        match self.tally {
            Some(own) => own.delivered.add(1),
            None => self.destination.counters.delivered.add(1),
        }
    }

    /// The listener whose turn it is dealt with the message: what it changed counts.
    pub(crate) fn complete(&mut self, values: Option<Values>, response: Option<Box<Reply>>) {
        self.change(values, response);
        match self.tally {
            Some(own) => own.completed.add(1),
            None => self.destination.counters.completed.add(1),
        }
        self.runs_no_more(1);
        self.tell_settled(None);
    }

    /// Keeps what a listener changed for those after it.
    pub(crate) fn change(&mut self, values: Option<Values>, response: Option<Box<Reply>>) {
        if let Some(values) = values {
            self.delivery.values = values;
        }
        if response.is_some() {
            self.delivery.response = response;
        }
    }

    /// Tells the sender who waits for it, if there is one, that a pair has ended.
    pub(crate) fn tell_settled(&self, failure: Option<RequestError>) {
        if let Some(request) = &self.delivery.message.request {
            request.settled(failure);
        }
    }

    /// Counts the entry itself as over.
    pub(crate) fn count_finished(&self) {
        match self.tally {
            Some(own) => own.finished.add(1),
            None => self.destination.counters.finished.add(1),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        while let Some(turn) = self.current.take().or_else(|| self.rest.next()) {
            let outcome = Outcome::faulted(Cause::Interrupted, "the task that made the call went away");
            self.destination.settle_abandoned(self, &turn, &outcome);
        }
        if let Some(lane) = self.lane.take() {
            self.destination.leave_lane(&lane);
        }
    }
}
