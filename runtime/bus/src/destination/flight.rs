//! An entry whose listeners are being called: it must be settled for each of them, also when the task that calls them
//! goes away.

use std::sync::Arc;

use super::Destination;
use crate::entry::{Content, Entry, Target, Targets};
use crate::error::RequestError;
use crate::message::Message;
use crate::outcome::{Cause, Outcome, Reply};
use crate::queue::Lane;
use crate::registration::ListenerSet;
use crate::sync::Instant;
use crate::value::Values;

/// An entry in flight. Dropped with listeners left, it settles what is left as interrupted: nothing vanishes.
#[must_use = "an entry must be settled for each of its listeners"]
pub(crate) struct Flight<'a> {
    destination: &'a Arc<Destination>,
    pub(crate) message: Arc<Message>,
    pub(crate) listeners: usize,
    pub(crate) values: Values,
    pub(crate) response: Option<Box<Reply>>,
    /// The failure that settled last, for a sender who waits in direct mode.
    pub(crate) failure: Option<RequestError>,
    /// What the clock said when the last call ended, as long as nothing was waited for since: reading it is a good part of
    /// what a message costs.
    pub(crate) now: Option<Instant>,
    rest: Rest,
    /// The delivery that runs; taken out when it is settled.
    current: Option<Target>,
    expires_at: Option<Instant>,
    /// What the next message of the same ordering key waits for.
    lane: Option<Lane>,
}

enum Rest {
    One(Option<Target>),
    All { set: Arc<ListenerSet>, next: usize, end: usize },
    Some(std::vec::IntoIter<Target>),
}

impl Rest {
    fn next(&mut self) -> Option<Target> {
        match self {
            Rest::One(target) => target.take(),
            Rest::All { set, next, end } => {
                let slot = set.get(*next).filter(|_| *next < *end)?;
                *next += 1;
                Some(Target::first(slot))
            }
            Rest::Some(targets) => targets.next(),
        }
    }
}

impl<'a> Flight<'a> {
    /// `present`: the destination's listeners as they were when the entry was taken.
    pub(crate) fn new(destination: &'a Arc<Destination>, entry: Entry, present: &Arc<ListenerSet>) -> Self {
        let lane = Lane::of(&entry);
        let rest = match entry.targets {
            // The queue never hands out a held entry; without a listener there is nothing to call.
            Targets::Held => Rest::Some(Vec::new().into_iter()),
            Targets::One(target) => Rest::One(Some(target)),
            Targets::Current { first, count } => {
                Rest::All { set: Arc::clone(present), next: first, end: first + count }
            }
            Targets::All(set) => Rest::All { next: 0, end: set.len(), set },
            Targets::Some(targets) => Rest::Some(targets.into_iter()),
        };
        Self {
            destination,
            message: entry.message,
            listeners: entry.listeners,
            values: entry.values,
            response: entry.response,
            failure: None,
            now: None,
            rest,
            current: None,
            expires_at: entry.expires_at,
            lane,
        }
    }

    /// What a dead letter of it is made of at this turn.
    pub(crate) fn content(&self) -> Content<'_> {
        Content { message: &self.message, values: &self.values }
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
        Entry {
            message: Arc::clone(&self.message),
            targets,
            listeners: self.listeners,
            values: self.values.clone(),
            response: self.response.clone(),
            expires_at: self.expires_at,
        }
    }

    /// The lane stays occupied: the entry waits elsewhere.
    pub(crate) fn keep_lane(&mut self) {
        self.lane = None;
    }

    /// The next listener's turn. The target stays with the flight until [`Flight::settled`].
    pub(crate) fn turn(&mut self) -> Option<Target> {
        self.current = self.rest.next();
        self.current.clone()
    }

    /// The call whose turn it is decides about the listener's circuit breaker.
    pub(crate) fn is_trial(&mut self) {
        self.current.iter_mut().for_each(|target| target.trial = true);
    }

    /// The same listener has another turn.
    pub(crate) fn comes_again(&mut self, target: &Target) {
        self.current = Some(target.clone());
    }

    /// The delivery whose turn it was is settled, or waits elsewhere.
    pub(crate) fn settled(&mut self) {
        self.current = None;
    }

    /// Makes an entry again, owed to `later`.
    pub(crate) fn into_entry(mut self, later: Vec<Target>) -> Entry {
        let targets = match <[Target; 1]>::try_from(later) {
            Ok([only]) if matches!(self.rest, Rest::One(_)) => Targets::One(only),
            Ok([only]) => Targets::Some(vec![only]),
            Err(later) => Targets::Some(later),
        };
        self.keep_lane();
        Entry {
            message: Arc::clone(&self.message),
            targets,
            listeners: self.listeners,
            values: std::mem::take(&mut self.values),
            response: self.response.take(),
            expires_at: self.expires_at,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        while let Some(target) = self.current.take().or_else(|| self.rest.next()) {
            let outcome = Outcome::faulted(Cause::Interrupted, "the task that made the call went away");
            self.destination.settle_abandoned(self.content(), &target, &outcome);
        }
        if let Some(lane) = self.lane.take() {
            self.destination.leave_lane(&lane);
        }
    }
}
