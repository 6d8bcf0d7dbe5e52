//! An entry of the queue: a message, and the listeners that it is owed to. It knows no order and no bounds.

use std::sync::Arc;
use std::time::Duration;

use crate::message::Message;
use crate::outcome::Reply;
use crate::registration::{ListenerSet, Slot};
use crate::sync::{Instant, after};
use crate::value::Values;

/// One delivery that is owed: the listener, the attempt that comes next, and when it may come.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) slot: Arc<Slot>,
    pub(crate) attempt: u32,
    pub(crate) due: Option<Instant>,
    /// Whether this call decides about the listener's circuit breaker.
    pub(crate) trial: bool,
    /// Whether it stood aside: what is owed to its listener from before it has been delivered, or stands before it.
    pub(crate) stood_aside: bool,
    /// Whether it must not come together with others: a call that received it with them was stopped.
    pub(crate) alone: bool,
}

/// The listeners that an entry is owed to.
pub(crate) enum Targets {
    /// None was there at acceptance: the first one that registers.
    Held,
    /// So many of the destination's present listeners, from that one on, for the first time. No listener is named, so that
    /// senders and workers share no counter of references; before the listeners change, [`Queue::fix`] names them.
    Current { first: usize, count: usize },
    /// The one listener of an entry of a parallel destination.
    One(Target),
    /// All that a serial destination had at acceptance, in order, for the first time.
    All(Arc<ListenerSet>),
    /// Those that are left of them.
    Some(Vec<Target>),
}

impl Targets {
    /// How many (message, listener) pairs these are; a held message counts once.
    pub(crate) fn pairs(&self) -> u64 {
        match self {
            Targets::Held | Targets::One(_) => 1,
            Targets::Current { count, .. } => *count as u64,
            Targets::All(set) => set.len() as u64,
            Targets::Some(targets) => targets.len() as u64,
        }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Targets::Held | Targets::Current { .. } | Targets::All(_) => None,
            Targets::One(target) => target.due,
            Targets::Some(targets) => targets.iter().filter_map(|target| target.due).min(),
        }
    }

    /// Whether nobody has been tried yet.
    pub(crate) fn is_first_attempt(&self) -> bool {
        match self {
            Targets::Held | Targets::Current { .. } | Targets::All(_) => true,
            Targets::One(target) => target.attempt == 1,
            Targets::Some(targets) => targets.iter().all(|target| target.attempt == 1),
        }
    }

    /// Names the listeners.
    pub(crate) fn fix(&mut self, listeners: &Arc<ListenerSet>) {
        let Targets::Current { first, count } = *self else { return };
        *self = if first == 0 && count == listeners.len() {
            Targets::All(Arc::clone(listeners))
        } else {
            Targets::Some(listeners.iter().skip(first).take(count).map(Target::first).collect())
        };
    }

    /// Nobody will make these calls: one that was to decide about a circuit breaker leaves that to the next delivery.
    pub(crate) fn give_up_trials(&self) {
        let targets = match self {
            Targets::Held | Targets::Current { .. } | Targets::All(_) => &[],
            Targets::One(target) => std::slice::from_ref(target),
            Targets::Some(targets) => targets.as_slice(),
        };
        for target in targets.iter().filter(|target| target.trial) {
            target.slot.breaker.trial_without_call();
        }
    }

    /// The one listener that an entry is owed to for the first time, when nothing is special about the delivery: such
    /// entries may be received together. `present`: the destination's listeners when the entry was taken.
    pub(crate) fn ordinary<'a>(&'a self, present: &'a ListenerSet) -> Option<Ordinary<'a>> {
        let target = match self {
            Targets::Current { first, count: 1 } => {
                return present.get(*first).map(|slot| Ordinary { slot, stood_aside: false });
            }
            Targets::One(target) => target,
            Targets::Some(targets) => match targets.as_slice() {
                [only] => only,
                _ => return None,
            },
            Targets::All(set) => match set.as_slice() {
                [slot] => return Some(Ordinary { slot, stood_aside: false }),
                _ => return None,
            },
            Targets::Current { .. } | Targets::Held => return None,
        };
        let Target { slot, attempt, due, trial, stood_aside, alone } = target;
        let ordinary = *attempt == 1 && due.is_none() && !trial && !alone;
        ordinary.then_some(Ordinary { slot, stood_aside: *stood_aside })
    }

    /// Takes what is owed to `slot` out of the targets.
    pub(crate) fn remove(&mut self, slot: &Arc<Slot>) -> Option<Target> {
        let is_it = |target: &Target| Arc::ptr_eq(&target.slot, slot);
        match self {
            // The queue has named its listeners before one of them goes.
            Targets::Held | Targets::Current { .. } => None,
            Targets::One(target) if is_it(target) => {
                let removed = target.clone();
                *self = Targets::Some(Vec::new());
                Some(removed)
            }
            Targets::One(_) => None,
            Targets::All(set) => {
                set.iter().find(|known| Arc::ptr_eq(known, slot))?;
                let rest = set.iter().filter(|known| !Arc::ptr_eq(known, slot));
                *self = Targets::Some(rest.map(Target::first).collect());
                Some(Target::first(slot))
            }
            Targets::Some(targets) => {
                let place = targets.iter().position(is_it)?;
                Some(targets.remove(place))
            }
        }
    }
}

/// A delivery about which nothing is special.
pub(crate) struct Ordinary<'a> {
    pub(crate) slot: &'a Arc<Slot>,
    pub(crate) stood_aside: bool,
}

/// How many pairs these entries are owed to together.
pub(crate) fn pairs_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.targets.pairs()).sum()
}

impl Target {
    pub(crate) fn first(slot: &Arc<Slot>) -> Self {
        Self::first_at(slot, None)
    }

    /// The first attempt, not before `due`.
    pub(crate) fn first_at(slot: &Arc<Slot>, due: Option<Instant>) -> Self {
        Self { slot: Arc::clone(slot), attempt: 1, due, trial: false, stood_aside: false, alone: false }
    }
}

/// One entry of the queue: a message, who it is owed to, and what earlier listeners made of its changing parts.
pub(crate) struct Entry {
    pub(crate) message: Arc<Message>,
    pub(crate) targets: Targets,
    /// How many listeners the message had when they were fixed.
    pub(crate) listeners: usize,
    pub(crate) values: Values,
    pub(crate) response: Option<Box<Reply>>,
    /// When its turn has not come by then, it becomes a dead letter.
    pub(crate) expires_at: Option<Instant>,
}

impl Entry {
    pub(crate) fn new(message: &Arc<Message>, targets: Targets, listeners: usize) -> Self {
        let values = message.values().clone();
        Self { message: Arc::clone(message), targets, listeners, values, response: None, expires_at: None }
    }

    /// What a dead letter of it is made of.
    pub(crate) fn content(&self) -> Content<'_> {
        Content { message: &self.message, values: &self.values }
    }

    /// Whether it waits for its first turn, where it waits for its time at all. It comes into its lane when that has come.
    pub(crate) fn is_delayed(&self) -> bool {
        self.message.options().is_some() && self.targets.is_first_attempt()
    }

    /// Counts it into the queue; true for the first entry of its message.
    pub(crate) fn enter_queue(&self) -> bool {
        self.is_alone() || self.message.enter_queue()
    }

    /// Counts it out of the queue; true for the last entry of its message.
    pub(crate) fn leave_queue(&self) -> bool {
        self.is_alone() || self.message.leave_queue()
    }

    /// Whether its message can have no other entry: then there is nothing to count.
    fn is_alone(&self) -> bool {
        self.listeners <= 1
    }

    /// The same, which expires when the sender or the destination says so.
    pub(crate) fn expiring(mut self, expires_in: Option<Duration>) -> Self {
        let asked = self.message.options().and_then(|options| options.expires_after);
        self.expires_at = asked.or(expires_in).map(|within| after(self.message.accepted_at(), within));
        self
    }
}

/// A message and the values that its next attempt would begin with: what is left of it when no attempt comes any more.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) message: &'a Arc<Message>,
    pub(crate) values: &'a Values,
}

impl<'a> Content<'a> {
    /// As it was sent.
    pub(crate) fn sent(message: &'a Arc<Message>) -> Self {
        Self { message, values: message.values() }
    }
}

/// What was owed to a listener that was removed.
pub(crate) struct Removed {
    pub(crate) message: Arc<Message>,
    pub(crate) values: Values,
    pub(crate) target: Target,
    /// How many listeners the message had when they were fixed.
    pub(crate) listeners: usize,
}

impl Removed {
    pub(crate) fn content(&self) -> Content<'_> {
        Content { message: &self.message, values: &self.values }
    }
}
