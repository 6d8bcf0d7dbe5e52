//! How a message gets in: all of its entries or none, within the bounds, under the policies. It runs no listener.

use std::sync::Arc;

use super::receivers::Receivers;
use super::{Destination, Life, State};
use crate::dead_letter::DeadLetterReason;
use crate::entry::{Content, Entry, Target, Targets};
use crate::error::{QueueUnit, RequestError, SendError};
use crate::lend::Sleeper;
use crate::limits::SENDS_BETWEEN_YIELDS;
use crate::message::{Message, MessageId};
use crate::policy::{OnNoListener, RejectionHandler};
use crate::registration::ListenerSet;
use crate::request::never_received;
use crate::statistics::{DropReason, RejectReason};
use crate::sync::{Instant, MutexGuard, Ordering};
use crate::types::DestinationType;

/// What became of a message at the door.
pub(crate) enum Admitted {
    /// It waits; workers know. `deep`: so much waits that its sender should let others run for a moment.
    Queued { deep: bool },
    /// It waits, and so does its sender for what comes of it: who may run this worker at once.
    Lent(Sleeper),
    /// The sender's own task runs these listeners.
    Inline(Arc<ListenerSet>, Inline),
    /// It is accepted and settled already: dropped, or a dead letter.
    Settled,
    /// It is not accepted; a handler of the embedder has it.
    Handled,
    /// It is not accepted; this handler of the embedder decides, once no lock is held. Seen by nobody outside of the door.
    ForHandler(RejectionHandler, SendError),
    /// It is not accepted again: this is the first message of its dedup key.
    Duplicate(MessageId),
    /// It is for nobody but a sender who waits for it, if there is one; see [`Destination::end_unheard`].
    Unheard,
    /// There is no room, and the sender may wait for some.
    WaitForRoom(SendError),
}

/// Why the sender's own task runs the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inline {
    Synchronous,
    /// There was no room, and the policy is `caller-runs`.
    NoRoom,
    /// The destination is switched to it, for a test.
    Test,
}

impl Destination {
    /// Takes `message` on unless its dedup key is known, or says why not. `is_answer`: somebody waits for it here, so that
    /// it needs no listener.
    pub(crate) fn admit_once(
        self: &Arc<Self>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        let Some(key) = message.options().and_then(|options| options.dedup_key.as_ref()) else {
            return self.admit(message, is_answer);
        };
        let admitted = self.admit_first_of(key, message, is_answer);
        self.events.drain_pending();
        handled(message, admitted?)
    }

    fn admit_first_of(
        self: &Arc<Self>,
        key: &Arc<str>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        let (window, now) = (self.config().dedup_window, Instant::now());
        loop {
            let choice = self.choose(message);
            // Held until the message is in or not: two of one key that come at once must not both pass.
            let mut dedup = self.dedup.lock();
            if let Some(first) = dedup.first(key, now, window) {
                self.counters.door.duplicates.add(1);
                drop(dedup);
                // A request of a known key has no listener of its own that could answer.
                end_without_listener(message, None);
                return Ok(Admitted::Duplicate(first));
            }
            let Some((state, to)) = self.state_if_chosen(choice) else { continue };
            let admitted = self.admit_to(state, message, is_answer, &to)?;
            if !matches!(admitted, Admitted::WaitForRoom(_) | Admitted::ForHandler(..)) {
                dedup.remember(key, message.id(), now);
            }
            return Ok(admitted);
        }
    }

    /// Takes `message` on, whatever its dedup key, or says why not.
    pub(crate) fn admit(
        self: &Arc<Self>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        let (state, to) = self.state_for(message);
        let admitted = self.admit_to(state, message, is_answer, &to);
        self.events.drain_pending();
        handled(message, admitted?)
    }

    fn admit_to(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        is_answer: bool,
        to: &Receivers,
    ) -> Result<Admitted, SendError> {
        if state.life != Life::Open {
            self.counters.reject(RejectReason::Closed);
            return Err(SendError::Closed(self.name.clone()));
        }
        if state.listeners.is_empty() {
            return self.admit_without_listener(state, message, is_answer);
        }
        let receivers = to.of(&state);
        let pairs = receivers.len() as u64;
        if pairs == 0 {
            return if is_answer { Ok(Admitted::Unheard) } else { Err(self.no_listener()) };
        }
        if self.destination_type == DestinationType::Synchronous && state.paused {
            self.counters.reject(RejectReason::Paused);
            return Err(SendError::Paused(self.name.clone()));
        }
        let inline = match self.destination_type {
            DestinationType::Synchronous => Some(Inline::Synchronous),
            _ => (state.inline && !state.paused).then_some(Inline::Test),
        };
        if let Some(inline) = inline {
            return Ok(self.take_on_inline(message, Arc::clone(receivers), inline));
        }
        let entries = self.entries_per_message(receivers);
        match state.no_room(&self.name, entries, message.size_bytes()) {
            None => Ok(self.enqueue(state, message, to)),
            Some(full) => self.reject(state, message, to, full),
        }
    }

    pub(super) fn entries_per_message(&self, listeners: &ListenerSet) -> usize {
        if self.destination_type == DestinationType::Parallel { listeners.len() } else { 1 }
    }

    /// To be called under the state's lock: whoever closes, or waits for rest, must see what runs.
    pub(super) fn take_on_inline(
        &self,
        message: &Message,
        listeners: Arc<ListenerSet>,
        inline: Inline,
    ) -> Admitted {
        let pairs = listeners.len() as u64;
        self.take_on(message, pairs);
        self.counters.running.add(pairs);
        Admitted::Inline(listeners, inline)
    }

    pub(super) fn enqueue(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        to: &Receivers,
    ) -> Admitted {
        let count = to.of(&state).len();
        self.take_on(message, count as u64);
        let entries = self.entries_per_message(to.of(&state));
        if message.options().is_some() || matches!(to, Receivers::Chosen(_)) {
            return self.enqueue_named(state, message, to);
        }
        let (each, expires_in) = (count / entries.max(1), state.config.expires_in);
        for place in 0..entries {
            let targets = Targets::Current { first: place * each, count: each };
            state.queue.push(Entry::new(message, targets, count).expiring(expires_in));
        }
        // What was rejected may have been too large for an empty queue: nothing would leave to end the episode. Looked at with
        // this message in: room that was made for it by discarding another one is none.
        self.end_episode(&mut state);
        let deep = state.queue.entries().is_multiple_of(SENDS_BETWEEN_YIELDS);
        if message.asks && entries == 1 {
            let lent = self.rouse_or_lend(state);
            return lent.map_or(Admitted::Queued { deep }, Admitted::Lent);
        }
        self.rouse(state, entries);
        Admitted::Queued { deep }
    }

    /// The same for a message with options, or for chosen listeners: the entries name their listeners.
    fn enqueue_named(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        to: &Receivers,
    ) -> Admitted {
        let (set, due) = (Arc::clone(to.of(&state)), message.delayed_until());
        let first = |slot| Target::first_at(slot, due);
        let targets: Vec<Targets> = match (self.destination_type, due) {
            (DestinationType::Parallel, _) => set.iter().map(|slot| Targets::One(first(slot))).collect(),
            (_, Some(_)) => vec![Targets::Some(set.iter().map(first).collect())],
            (_, None) => vec![Targets::All(Arc::clone(&set))],
        };
        let (entries, expires_in) = (targets.len(), state.config.expires_in);
        for targets in targets {
            let entry = Entry::new(message, targets, set.len()).expiring(expires_in);
            match due {
                Some(due) => state.queue.push_waiting(entry, due),
                None => state.queue.push(entry),
            }
        }
        self.end_episode(&mut state);
        let deep = state.queue.entries().is_multiple_of(SENDS_BETWEEN_YIELDS);
        if due.is_none() {
            self.rouse(state, entries);
        } else {
            drop(state);
            self.rouse_for_retry();
        }
        Admitted::Queued { deep }
    }

    pub(super) fn no_listener(&self) -> SendError {
        self.counters.reject(RejectReason::NoListener);
        SendError::NoListener(self.name.clone())
    }

    /// Turns a message away because there is no listener. To be called under no lock.
    pub(crate) fn nobody_listens(&self) -> SendError {
        self.warn_unheard(OnNoListener::Reject);
        self.no_listener()
    }

    /// Warns that a message found no listener: once, until one was there and left.
    fn warn_unheard(&self, policy: OnNoListener) {
        if !self.unheard.swap(true, Ordering::Relaxed) {
            tracing::warn!(destination = %self.name, policy = policy.name(), "a message found no listener");
        }
    }

    fn admit_without_listener(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        is_answer: bool,
    ) -> Result<Admitted, SendError> {
        if is_answer || self.name.is_reserved() {
            return Ok(Admitted::Unheard);
        }
        match state.config.on_no_listener {
            OnNoListener::Reject => {
                drop(state);
                Err(self.nobody_listens())
            }
            OnNoListener::Discard => {
                let admitted = self.drop_at_the_door(state, message, 1, DropReason::NoListener);
                self.warn_unheard(OnNoListener::Discard);
                Ok(admitted)
            }
            OnNoListener::DeadLetter => {
                let admitted = self.bury_at_the_door(state, message, DeadLetterReason::NoListener);
                self.warn_unheard(OnNoListener::DeadLetter);
                Ok(admitted)
            }
            OnNoListener::Hold => match state.no_room(&self.name, 1, message.size_bytes()) {
                None => Ok(self.hold(state, message)),
                Some(full) => self.reject(state, message, &Receivers::Present, full),
            },
        }
    }

    pub(super) fn hold(&self, mut state: MutexGuard<'_, State>, message: &Arc<Message>) -> Admitted {
        self.take_on(message, 1);
        let expires_in = state.config.expires_in;
        state.queue.push(Entry::new(message, Targets::Held, 0).expiring(expires_in));
        Admitted::Queued { deep: false }
    }

    /// Counts the message as accepted, and as owed to so many.
    pub(super) fn take_on(&self, message: &Message, pairs: u64) {
        self.counters.door.accepted.add(1);
        self.counters.door.owed.add(pairs);
        if let Some(request) = &message.request {
            request.owe(pairs);
        }
    }

    /// Takes a message on and gives it up in the same step.
    pub(super) fn drop_at_the_door(
        &self,
        state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        pairs: u64,
        reason: DropReason,
    ) -> Admitted {
        self.take_on(message, pairs);
        self.counters.drop(reason, pairs);
        drop(state);
        self.end_pairs(message, pairs, || Some(never_received("dropped before anybody received it")));
        Admitted::Settled
    }

    /// Keeps a message that never got in as one dead letter; redriven, it is sent anew.
    pub(super) fn bury_at_the_door(
        &self,
        state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        reason: DeadLetterReason,
    ) -> Admitted {
        let config = Arc::clone(&state.config);
        self.take_on(message, 1);
        let settling = self.settling(1);
        drop(state);
        self.bury_quietly(Content::sent(message), None, reason, &config);
        drop(settling);
        Admitted::Settled
    }
}

/// Asks the embedder's handler about a message that found no room, if it is one; to be called under no lock.
fn handled(message: &Arc<Message>, admitted: Admitted) -> Result<Admitted, SendError> {
    let Admitted::ForHandler(handler, full) = admitted else { return Ok(admitted) };
    handler.rejected(message, full)?;
    end_without_listener(message, Some(never_received("turned away: the queue was full")));
    Ok(Admitted::Handled)
}

/// Tells whoever waits for an answer to a message that no listener will receive.
fn end_without_listener(message: &Message, failure: Option<RequestError>) {
    if let Some(request) = &message.request {
        request.owed_nothing(failure);
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
