//! How a dead letter is sent on its way again: back to its own listener, or accepted anew. It leaves the dead letters in the
//! same step in which it enters a queue, or begins to run; what cannot enter stays a dead letter.

use std::sync::Arc;

use super::accept::{Admitted, Inline};
use super::settle::Manner;
use super::{Destination, Life, State};
use crate::dead_letter::{DeadLetter, DeadLetterId};
use crate::entry::{Entry, Target, Targets};
use crate::error::SendError;
use crate::message::Message;
use crate::name::DestinationName;
use crate::policy::{OnNoListener, RejectedExecution};
use crate::statistics::{DropReason, RejectReason};
use crate::types::DestinationType;

/// Why a dead letter stays where it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the dead letter is not there any more: it was redriven, dropped, or has left at its bound")]
    NotKept,
    #[error("listener `{1}` does not listen at `{0}` any more")]
    ListenerRemoved(DestinationName, Arc<str>),
    #[error(transparent)]
    NotAccepted(#[from] SendError),
}

/// An entry for the caller's own task to run, and who makes its calls there.
pub(crate) struct OwnTask {
    entry: Entry,
    manner: Manner,
}

impl Destination {
    /// Sends a dead letter back to its own listener: it moves from what is kept to what waits. What comes back is for the
    /// caller's own task, by [`Destination::run_redriven`].
    ///
    /// It begins at the first attempt, with the values that the last one began with: on a serial destination they are what
    /// the listeners before it made of them.
    pub(crate) fn redrive(self: &Arc<Self>, id: DeadLetterId) -> Result<Option<OwnTask>, Refused> {
        let mut state = self.state();
        let meant = |letter: &DeadLetter| Some((letter.listener.clone()?, letter.message.size_bytes()));
        let (name, bytes) = self.dead_letters.lock().get(id).and_then(meant).ok_or(Refused::NotKept)?;
        if state.life != Life::Open {
            return Err(SendError::Closed(self.name.clone()).into());
        }
        let Some(slot) = state.listeners.iter().find(|slot| slot.name == name).cloned() else {
            return Err(Refused::ListenerRemoved(self.name.clone(), name));
        };
        let manner = match self.inline(&state) {
            Some(Inline::Synchronous) if state.paused => {
                return Err(SendError::Paused(self.name.clone()).into());
            }
            Some(Inline::Synchronous) => Some(Manner::Synchronous(None)),
            Some(_) => Some(Manner::Inline(None)),
            None => None,
        };
        if manner.is_none()
            && let Some(full) = state.no_room(&self.name, 1, bytes)
        {
            return Err(full.into());
        }
        let letter = self.dead_letters.lock().remove(id).ok_or(Refused::NotKept)?;
        self.counters.redriven.add(1);
        let message = Arc::new(letter.message.redriven(letter.message.destination().clone()));
        if let Some(request) = &message.request {
            request.owe(1);
        }
        let targets = match (manner, self.destination_type) {
            (None, DestinationType::Parallel) => Targets::One(Target::first(&slot)),
            // Not one alone, which would keep the order of its key in a queue that it is not in.
            _ => Targets::Some(vec![Target::first(&slot)]),
        };
        let mut entry = Entry::new(&message, targets, 1).expiring(state.config.expires_in);
        entry.values = letter.values;
        if let Some(manner) = manner {
            // Under the lock: whoever closes, or waits for rest, must see it.
            self.counters.running.add(1);
            return Ok(Some(OwnTask { entry, manner }));
        }
        self.end_episode(&mut state);
        state.queue.push(entry);
        self.rouse(state, 1);
        self.events.drain_pending();
        Ok(None)
    }

    /// Runs what [`Destination::redrive`] gave out, in this task. A failure is a new dead letter.
    pub(crate) async fn run_redriven(self: &Arc<Self>, OwnTask { entry, manner }: OwnTask) {
        // No entry of its kind asks who listens at present.
        self.run_entry_inline(entry, &Arc::default(), manner).await;
    }

    /// Takes a dead letter's message on anew, if `leave` lets it: it is asked under the lock, in the same step.
    ///
    /// The policies are those of every message, but one that would give a message up is a refusal here: whoever redrives is
    /// told, and the dead letter stays. Its dedup key is not asked: the key is known because of this very message.
    pub(crate) fn admit_redriven(
        self: &Arc<Self>,
        message: &Arc<Message>,
        is_answer: bool,
        leave: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<Admitted, Refused> {
        let (mut state, to) = self.state_for(message);
        if state.life != Life::Open {
            return Err(self.refused(RejectReason::Closed, SendError::Closed(self.name.clone())));
        }
        let receivers = Arc::clone(to.of(&state));
        let nobody_listens = state.listeners.is_empty();
        if receivers.is_empty() {
            if is_answer || (nobody_listens && self.name.is_reserved()) {
                leave()?;
                return Ok(Admitted::Unheard);
            }
            if !nobody_listens || state.config.on_no_listener != OnNoListener::Hold {
                return Err(self.no_listener().into());
            }
        } else if let Some(inline) = self.inline(&state) {
            if state.paused {
                return Err(self.refused(RejectReason::Paused, SendError::Paused(self.name.clone())));
            }
            leave()?;
            return Ok(self.take_on_inline(message, receivers, inline));
        }
        let entries = self.entries_per_message(&receivers).max(1);
        if let Some(full) = state.no_room(&self.name, entries, message.size_bytes()) {
            return match state.config.rejected_execution {
                RejectedExecution::Block(_) => {
                    state.room_wanted = true;
                    Ok(Admitted::WaitForRoom(full))
                }
                RejectedExecution::CallerRuns
                    if !nobody_listens && !state.paused && !message.waits_its_turn() =>
                {
                    leave()?;
                    Ok(self.take_on_inline(message, receivers, Inline::NoRoom))
                }
                _ => Err(self.refused(RejectReason::QueueFull, full)),
            };
        }
        leave()?;
        if nobody_listens {
            return Ok(self.hold(state, message));
        }
        let admitted = self.enqueue(state, message, &to);
        self.events.drain_pending();
        Ok(admitted)
    }

    /// Whether whoever sends runs the listeners, also where there is room; a paused queue takes what is sent all the same.
    fn inline(&self, state: &State) -> Option<Inline> {
        match self.destination_type {
            DestinationType::Synchronous => Some(Inline::Synchronous),
            _ => (state.inline && !state.paused).then_some(Inline::Test),
        }
    }

    /// Counts a message that is turned away.
    pub(crate) fn refused(&self, reason: RejectReason, error: SendError) -> Refused {
        self.counters.reject(reason);
        Refused::NotAccepted(error)
    }

    /// Lets a dead letter leave whose message is being accepted anew, here or elsewhere.
    ///
    /// Called under the lock of the destination that accepts it; the lock of the dead letters comes after every other one.
    pub(crate) fn let_go(&self, id: DeadLetterId) -> Result<(), Refused> {
        let mut letters = self.dead_letters.lock();
        letters.remove(id).ok_or(Refused::NotKept)?;
        self.counters.redriven.add(1);
        self.counters.drop(DropReason::Redriven, 1);
        Ok(())
    }
}
