//! What becomes of a message for which there is no room: the policies of `rejected-execution`. It decides nothing about
//! room.

use std::sync::Arc;

use super::accept::{Admitted, Inline};
use super::receivers::Receivers;
use super::{Destination, State};
use crate::dead_letter::DeadLetterReason;
use crate::error::SendError;
use crate::message::Message;
use crate::policy::RejectedExecution;
use crate::request::never_received;
use crate::statistics::{DropReason, RejectReason};
use crate::sync::MutexGuard;

impl Destination {
    /// Applies the policy for a full queue. The caller drains the events.
    pub(super) fn reject(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        to: &Receivers,
        full: SendError,
    ) -> Result<Admitted, SendError> {
        let begins = !std::mem::replace(&mut state.full, true);
        let warning = begins.then(|| (full.to_string(), Arc::clone(&state.config)));
        if begins {
            self.begin_episode(&state);
        }
        let rejected = self.reject_by_policy(state, message, to, full);
        // The lock is released: what writes logs may be anybody's code.
        if let Some((full, config)) = warning {
            tracing::warn!(destination = %self.name, policy = config.rejected_execution.name(), "{full}");
        }
        rejected
    }

    fn reject_by_policy(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        to: &Receivers,
        full: SendError,
    ) -> Result<Admitted, SendError> {
        let config = Arc::clone(&state.config);
        let receivers = to.of(&state);
        let pairs = receivers.len().max(1) as u64;
        match &config.rejected_execution {
            RejectedExecution::Abort => {
                self.counters.reject(RejectReason::QueueFull);
                Err(full)
            }
            RejectedExecution::Block(_) => {
                state.room_wanted = true;
                Ok(Admitted::WaitForRoom(full))
            }
            RejectedExecution::CallerRuns
                if !receivers.is_empty() && !state.paused && !message.waits_its_turn() =>
            {
                Ok(self.take_on_inline(message, Arc::clone(receivers), Inline::NoRoom))
            }
            RejectedExecution::CallerRuns => {
                self.counters.reject(RejectReason::QueueFull);
                Err(full)
            }
            RejectedExecution::Discard => {
                Ok(self.drop_at_the_door(state, message, pairs, DropReason::QueueFull))
            }
            RejectedExecution::DeadLetter => {
                Ok(self.bury_at_the_door(state, message, DeadLetterReason::QueueFull))
            }
            RejectedExecution::DiscardOldest => self.discard_oldest(state, message, to, full),
            RejectedExecution::Handler(handler) => {
                self.counters.reject(RejectReason::QueueFull);
                Ok(Admitted::ForHandler(handler.clone(), full))
            }
        }
    }

    fn discard_oldest(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        message: &Arc<Message>,
        to: &Receivers,
        full: SendError,
    ) -> Result<Admitted, SendError> {
        let mut discarded = Vec::new();
        let entries = self.entries_per_message(to.of(&state)).max(1);
        state.gather();
        let (entries_left, bytes_left) = state.queue.least();
        let can_ever_fit = entries_left + entries <= state.config.queue_entries_max
            && bytes_left + message.size_bytes() <= state.config.queue_bytes_max;
        while can_ever_fit && state.no_room(&self.name, entries, message.size_bytes()).is_some() {
            let Some(oldest) = state.queue.take_oldest() else { break };
            self.counters.drop(DropReason::QueueFull, oldest.targets.pairs());
            discarded.push(oldest);
        }
        let admitted = if state.no_room(&self.name, entries, message.size_bytes()).is_some() {
            self.counters.reject(RejectReason::QueueFull);
            Err(full)
        } else if state.listeners.is_empty() {
            Ok(self.hold(state, message))
        } else {
            Ok(self.enqueue(state, message, to))
        };
        for entry in discarded {
            self.end_pairs(&entry.message, entry.targets.pairs(), || {
                Some(never_received("discarded: the queue was full"))
            });
        }
        admitted
    }
}
