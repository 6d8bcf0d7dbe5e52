//! How a message gets in: all of its entries or none, within the bounds, under the policies. It runs no listener.

use std::sync::Arc;

use super::{Destination, Life, State};
use crate::config::{DestinationConfig, DestinationType, OnNoListener, RejectedExecution};
use crate::dead_letter::DeadLetterReason;
use crate::entry::{Entry, Targets};
use crate::error::{QueueUnit, SendError};
use crate::limits::SENDS_BETWEEN_YIELDS;
use crate::message::Message;
use crate::registration::ListenerSet;
use crate::request::never_received;
use crate::statistics::{DropReason, RejectReason};
use crate::sync::MutexGuard;

/// What became of a message at the door.
pub(crate) enum Admitted {
    /// It waits; workers know. `deep`: so much waits that its sender should let others run for a moment.
    Queued { deep: bool },
    /// The sender's own task runs these listeners.
    Inline(Arc<ListenerSet>),
    /// It is accepted and settled already: dropped, or a dead letter.
    Settled,
    /// It is accepted, and owed to nobody but a sender who waits for it, if there is one.
    Unheard,
    /// There is no room, and the sender may wait for some.
    WaitForRoom(SendError),
}

impl Destination {
    /// Takes `message` on, or says why not. `is_answer`: somebody waits for it here, so that it needs no listener.
    pub(crate) fn admit(
        self: &Arc<Self>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        let mut state = self.state();
        if state.life != Life::Open {
            self.counters.reject(RejectReason::Closed);
            return Err(SendError::Closed(self.name.clone()));
        }
        if state.listeners.is_empty() {
            return self.admit_without_listener(state, message, is_answer);
        }
        if self.destination_type == DestinationType::Synchronous {
            if state.paused {
                self.counters.reject(RejectReason::Paused);
                return Err(SendError::Paused(self.name.clone()));
            }
            let pairs = state.listeners.len() as u64;
            self.take_on(message, pairs);
            // Under the lock: whoever closes, or waits for rest, must see it.
            self.counters.running.add(pairs);
            return Ok(Admitted::Inline(Arc::clone(&state.listeners)));
        }
        let entries = self.entries_per_message(&state.listeners);
        match state.no_room(&self.name, entries, message.size_bytes()) {
            None => Ok(self.enqueue(state, message)),
            Some(full) => self.reject(state, message, entries, full),
        }
    }

    fn entries_per_message(&self, listeners: &ListenerSet) -> usize {
        if self.destination_type == DestinationType::Parallel { listeners.len() } else { 1 }
    }

    fn enqueue(self: &Arc<Self>, mut state: MutexGuard<'_, State>, message: &Arc<Message>) -> Admitted {
        let count = state.listeners.len();
        state.full = false;
        self.take_on(message, count as u64);
        let entries = self.entries_per_message(&state.listeners);
        let each = count / entries.max(1);
        for place in 0..entries {
            let targets = Targets::Current { first: place * each, count: each };
            state.queue.push(Entry::new(message, targets, count));
        }
        let deep = state.queue.entries().is_multiple_of(SENDS_BETWEEN_YIELDS);
        self.rouse(state, entries);
        Admitted::Queued { deep }
    }

    fn admit_without_listener(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        if is_answer || self.name.is_reserved() {
            self.take_on(message, 1);
            return Ok(Admitted::Unheard);
        }
        match state.config.on_no_listener {
            OnNoListener::Reject => {
                self.counters.reject(RejectReason::NoListener);
                Err(SendError::NoListener(self.name.clone()))
            }
            OnNoListener::Discard => {
                drop(state);
                self.drop_at_the_door(message, 1, DropReason::NoListener);
                Ok(Admitted::Settled)
            }
            OnNoListener::DeadLetter => {
                let config = Arc::clone(&state.config);
                drop(state);
                self.bury_at_the_door(message, DeadLetterReason::NoListener, &config);
                Ok(Admitted::Settled)
            }
            OnNoListener::Hold => match state.no_room(&self.name, 1, message.size_bytes()) {
                None => {
                    self.take_on(message, 1);
                    state.queue.push(Entry::new(message, Targets::Held, 0));
                    Ok(Admitted::Queued { deep: false })
                }
                Some(full) => self.reject(state, message, 1, full),
            },
        }
    }

    /// Applies the policy for a full queue.
    fn reject(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        entries: usize,
        full: SendError,
    ) -> Result<Admitted, SendError> {
        if !std::mem::replace(&mut state.full, true) {
            tracing::warn!(destination = %self.name, policy = state.config.rejected_execution.name(), "{full}");
        }
        let config = Arc::clone(&state.config);
        let pairs = state.listeners.len().max(1) as u64;
        match config.rejected_execution {
            RejectedExecution::Abort => {
                self.counters.reject(RejectReason::QueueFull);
                Err(full)
            }
            RejectedExecution::Block(_) => {
                state.room_wanted = true;
                Ok(Admitted::WaitForRoom(full))
            }
            RejectedExecution::CallerRuns if !state.listeners.is_empty() && !state.paused => {
                self.take_on(message, pairs);
                self.counters.running.add(pairs);
                Ok(Admitted::Inline(Arc::clone(&state.listeners)))
            }
            RejectedExecution::CallerRuns => {
                self.counters.reject(RejectReason::QueueFull);
                Err(full)
            }
            RejectedExecution::Discard => {
                drop(state);
                self.drop_at_the_door(message, pairs, DropReason::QueueFull);
                Ok(Admitted::Settled)
            }
            RejectedExecution::DeadLetter => {
                drop(state);
                self.bury_at_the_door(message, DeadLetterReason::QueueFull, &config);
                Ok(Admitted::Settled)
            }
            RejectedExecution::DiscardOldest => self.discard_oldest(state, message, entries, full),
        }
    }

    fn discard_oldest(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        entries: usize,
        full: SendError,
    ) -> Result<Admitted, SendError> {
        let mut discarded = Vec::new();
        state.gather();
        let (entries_left, bytes_left) = state.queue.least();
        let can_ever_fit = entries_left + entries <= state.config.queue_entries_max
            && bytes_left + message.size_bytes() <= state.config.queue_bytes_max;
        while can_ever_fit && state.no_room(&self.name, entries, message.size_bytes()).is_some() {
            let Some(oldest) = state.queue.take_oldest() else { break };
            discarded.push(oldest);
        }
        let admitted = if state.no_room(&self.name, entries, message.size_bytes()).is_some() {
            self.counters.reject(RejectReason::QueueFull);
            Err(full)
        } else if state.listeners.is_empty() {
            self.take_on(message, 1);
            state.queue.push(Entry::new(message, Targets::Held, 0));
            Ok(Admitted::Queued { deep: false })
        } else {
            Ok(self.enqueue(state, message))
        };
        for entry in discarded {
            let pairs = entry.targets.pairs();
            self.counters.drop(DropReason::QueueFull, pairs);
            self.end_pairs(&entry.message, pairs, || Some(never_received("discarded: the queue was full")));
        }
        admitted
    }

    /// Counts the message as accepted, and as owed to so many.
    pub(super) fn take_on(&self, message: &Message, pairs: u64) {
        self.counters.door.accepted.add(1);
        self.counters.door.owed.add(pairs);
        if let Some(request) = &message.request {
            request.owe(pairs);
        }
    }

    fn drop_at_the_door(&self, message: &Arc<Message>, pairs: u64, reason: DropReason) {
        self.take_on(message, pairs);
        self.counters.drop(reason, pairs);
        self.end_pairs(message, pairs, || Some(never_received("dropped before anybody received it")));
    }

    /// Keeps a message that never got in as one dead letter; redriven, it is sent anew.
    fn bury_at_the_door(&self, message: &Arc<Message>, reason: DeadLetterReason, config: &DestinationConfig) {
        self.take_on(message, 1);
        self.bury(message, None, reason, config);
    }
}

impl State {
    /// Says which bound `entries` more, of so many bytes together, would pass.
    pub(super) fn no_room(
        &mut self,
        name: &crate::DestinationName,
        entries: usize,
        bytes: usize,
    ) -> Option<SendError> {
        self.over_bound(name, entries, bytes)?;
        // What workers have begun since they were last here counts no more.
        self.settle_claims();
        self.over_bound(name, entries, bytes)
    }

    fn over_bound(&self, name: &crate::DestinationName, entries: usize, bytes: usize) -> Option<SendError> {
        let full = |pending: usize, pending_max: usize, unit| {
            let (pending, pending_max) = (pending as u64, pending_max as u64);
            Some(SendError::QueueFull { destination: name.clone(), pending, pending_max, unit })
        };
        let config = &self.config;
        if self.queue.entries() + entries > config.queue_entries_max {
            return full(self.queue.entries(), config.queue_entries_max, QueueUnit::Messages);
        }
        if self.queue.bytes() + bytes > config.queue_bytes_max {
            return full(self.queue.bytes(), config.queue_bytes_max, QueueUnit::Bytes);
        }
        None
    }
}
