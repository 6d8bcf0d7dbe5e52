//! Calls in the sender's own task: synchronous destinations, `caller-runs`, direct mode. No queue, no worker.

use std::sync::Arc;

use super::Destination;
use super::flight::Flight;
use super::settle::{Manner, Settled};
use crate::entry::{Entry, Targets};
use crate::error::{RequestError, SendError};
use crate::message::Message;
use crate::outcome::Reply;
use crate::registration::ListenerSet;
use crate::statistics::RejectReason;
use crate::sync::Instant;

/// What a sender who ran the listeners itself learns.
#[derive(Debug, Default)]
pub(crate) struct InlineEnd {
    /// The last response that was set or returned.
    pub(crate) response: Option<Box<Reply>>,
    /// The failure that settled last, in direct mode.
    pub(crate) failure: Option<RequestError>,
}

impl Destination {
    /// Runs `listeners` for a message that was taken on, in this task.
    pub(crate) async fn run_inline(
        self: &Arc<Self>,
        message: &Arc<Message>,
        listeners: Arc<ListenerSet>,
        manner: Manner,
    ) -> InlineEnd {
        let count = listeners.len();
        let mut entry = Entry::new(message, Targets::Current { first: 0, count }, count);
        if matches!(manner, Manner::CallerRuns(_)) {
            // Its retries go through the queue, where their turn may come too late.
            entry = entry.expiring(self.config().expires_in);
        }
        self.run_entry_inline(entry, &listeners, manner).await
    }

    /// Runs an entry that counts as running already, in this task. `present`: the destination's listeners.
    pub(crate) async fn run_entry_inline(
        self: &Arc<Self>,
        entry: Entry,
        present: &ListenerSet,
        manner: Manner,
    ) -> InlineEnd {
        let resting = self.tell_when_over();
        let mut flight = Flight::new(self, entry, present, None);
        while let Some(mut turn) = flight.turn() {
            loop {
                let instance = turn.slot.borrow_instance();
                let (settled, instance) = self.deliver(&mut flight, &turn, instance, manner, None).await;
                turn.slot.give_back(instance);
                match settled {
                    Settled::Again(again) if matches!(manner, Manner::Inline(_)) => {
                        turn = flight.comes_again(again);
                    }
                    Settled::Again(again) => {
                        self.put_in(&flight, again);
                        break;
                    }
                    Settled::Ended => break,
                }
            }
            flight.settled();
        }
        flight.count_finished();
        let end = InlineEnd { response: flight.delivery.response.take(), failure: flight.failure.take() };
        drop(resting);
        end
    }

    /// Tells those who wait for rest, whichever way the calls in the sender's task end.
    fn tell_when_over(self: &Arc<Self>) -> impl Drop + use<> {
        struct Over(Arc<Destination>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.tell_change();
            }
        }
        Over(Arc::clone(self))
    }

    /// Takes on a message for direct mode: those of its listeners that receive it, or why there is nothing to run.
    pub(crate) fn admit_direct(&self, message: &Message) -> Result<Arc<ListenerSet>, SendError> {
        let (state, to) = self.state_for(message);
        if state.life != super::Life::Open {
            self.counters.reject(RejectReason::Closed);
            return Err(SendError::Closed(self.name.clone()));
        }
        if state.paused && !self.destination_type.is_queued() {
            self.counters.reject(RejectReason::Paused);
            return Err(SendError::Paused(self.name.clone()));
        }
        let receivers = Arc::clone(to.of(&state));
        if receivers.is_empty() {
            drop(state);
            return Err(self.nobody_listens());
        }
        let pairs = receivers.len() as u64;
        self.take_on(message, pairs);
        self.counters.running.add(pairs);
        Ok(receivers)
    }

    /// When calls in a sender's task must end: shortly before the sender's own deadline.
    pub(crate) fn inline_limit(deadline: Option<Instant>) -> Option<Instant> {
        deadline.map(|deadline| deadline.checked_sub(crate::limits::CALLER_RESERVE).unwrap_or(deadline))
    }
}
