//! What a destination tells of itself: a full queue and its recovery, a fault, dead letters that left at their bound. And
//! how the destination `sandbus/events` takes an event on.

use std::sync::Arc;

use super::flight::Turn;
use super::{Destination, Life, State};
use crate::entry::{Entry, Target, Targets};
use crate::events::Event;
use crate::limits::LETTERS_LEFT_INTERVAL;
use crate::message::Message;
use crate::outcome::{Cause, Outcome};
use crate::registration::Slot;
use crate::statistics::{DropReason, RejectReason};
use crate::sync::Instant;

/// Dead letters that left, since it was last told.
#[derive(Debug, Default)]
pub(super) struct LettersLeft {
    count: u64,
    told_at: Option<Instant>,
}

impl Destination {
    /// Tells that the queue is full; the caller drains the events when it has released the lock.
    pub(super) fn begin_episode(&self, state: &State) {
        if !state.hidden {
            self.events.push(|| Event::QueueFull { destination: self.name.clone() });
        }
    }

    /// Ends the episode of a full queue, if there is one and there is room again; the caller drains the events when it has
    /// released the lock.
    pub(crate) fn end_episode(&self, state: &mut State) {
        if !state.full || !state.has_room() {
            return;
        }
        state.full = false;
        if !state.hidden {
            self.events.push(|| Event::QueueRecovered { destination: self.name.clone() });
        }
    }

    /// Tells of a call that was stopped, unless the host stopped it.
    pub(super) fn tell_fault(&self, message: &Message, turn: &Turn<'_>, outcome: &Outcome) {
        let Outcome::Faulted(fault) = outcome else { return };
        if fault.cause == Cause::Interrupted {
            return;
        }
        // One hop more than the message: a listener that sends because of it may bring about the next fault, and so on.
        self.events.push_caused(message.context().hop_count.saturating_add(1), || Event::ListenerFaulted {
            listener: Arc::clone(&turn.slot.name),
            destination: self.name.clone(),
            message_id: message.id(),
            attempt: turn.attempt,
            cause: fault.cause,
            text: fault.text.clone(),
        });
        self.events.drain();
    }

    /// Tells of dead letters that left at the bound, but not each time. The caller drains the events.
    pub(super) fn tell_letters_left(&self, count: u64) {
        if count == 0 {
            return;
        }
        let now = Instant::now();
        let mut left = self.letters_left.lock();
        left.count += count;
        let told_lately =
            left.told_at.is_some_and(|told| now.saturating_duration_since(told) < LETTERS_LEFT_INTERVAL);
        if !told_lately {
            left.told_at = Some(now);
            let count = std::mem::take(&mut left.count);
            self.events.push(|| Event::DeadLettersLeft { destination: self.name.clone(), count });
        }
    }

    /// Takes a message of the bus's own on for these listeners alone; what has waited longest makes room for it.
    pub(crate) fn admit_for(self: &Arc<Self>, message: &Arc<Message>, audience: &[Arc<Slot>]) {
        let mut state = self.state();
        if state.life != Life::Open {
            self.counters.reject(RejectReason::Closed);
            return;
        }
        let targets: Vec<Target> =
            audience.iter().filter(|slot| !slot.is_removed()).map(Target::first).collect();
        if targets.is_empty() {
            return;
        }
        let (bytes, pairs) = (message.size_bytes(), targets.len());
        let mut discarded = Vec::new();
        if state.no_room(&self.name, 1, bytes).is_some() {
            state.gather();
            while state.no_room(&self.name, 1, bytes).is_some() {
                let Some(oldest) = state.queue.take_oldest() else { break };
                discarded.push(oldest.targets.pairs());
            }
        }
        self.take_on(message, pairs as u64);
        if state.no_room(&self.name, 1, bytes).is_some() {
            // What waits for its retry keeps its place, and has all of them.
            discarded.push(pairs as u64);
        } else {
            state.queue.push(Entry::new(message, Targets::Some(targets), pairs));
            self.rouse(state, 1);
        }
        self.counters.drop(DropReason::QueueFull, discarded.into_iter().sum());
    }
}
