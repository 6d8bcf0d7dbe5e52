//! How what was taken from the queue goes back to it: aside, behind what stood aside, or for a retry. How it is run stands in
//! `deliver`.

use std::sync::Arc;

use super::flight::{Flight, Turn};
use super::{Destination, Life, State};
use crate::dead_letter::DeadLetterReason;
use crate::entry::{Content, Target};
use crate::policy::OnFailure;
use crate::sync::{Instant, MutexGuard};
use crate::types::DestinationType;

impl Destination {
    /// Keeps what a listener that is not called for a while is owed; false when it may be called again by now.
    pub(super) fn put_aside(&self, flight: &mut Flight<'_>, turn: &Turn<'_>) -> bool {
        let mut state = self.state();
        // Under the lock, under which what stands aside comes back.
        if state.life != Life::Open || !turn.slot.breaker.is_open() || turn.slot.is_removed() {
            return false;
        }
        let entry = flight.entry_for(Target { stood_aside: true, ..turn.target() });
        state.queue.push_aside(&turn.slot, entry);
        waits_again(state, flight);
        true
    }

    /// Keeps what a listener is owed behind what stood aside for it and came back while this entry ran; false when nothing
    /// of that is left.
    pub(super) fn put_behind(&self, flight: &mut Flight<'_>, turn: &Turn<'_>) -> bool {
        let mut state = self.state();
        if state.life != Life::Open || turn.slot.is_removed() {
            return false;
        }
        let entry = flight.entry_for(Target { stood_aside: true, ..turn.target() });
        let is_behind = state.queue.push_behind(&turn.slot, entry);
        if is_behind {
            waits_again(state, flight);
        }
        is_behind
    }

    /// Keeps an entry of the queue for its retries, in the place that it had; what cannot wait any more is settled.
    pub(super) fn put_back(&self, mut flight: Flight<'_>, later: Vec<Target>) {
        let (message, values, listeners) =
            (Arc::clone(&flight.delivery.message), flight.delivery.values.clone(), flight.listeners);
        let content = Content { message: &message, values: &values };
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        // A listener may have been removed, or the destination closed, while the calls ran.
        let (removed, mut kept): (Vec<Target>, Vec<Target>) =
            later.into_iter().partition(|target| target.slot.is_removed());
        if state.life == Life::Open && !kept.is_empty() {
            flight.runs_no_more(kept.len() as u64);
            let entry = flight.entry_again(std::mem::take(&mut kept));
            if self.destination_type == DestinationType::Serial && config.on_failure == OnFailure::Block {
                // What this worker has claimed besides comes after the message that blocks.
                state.gather();
                state.queue.push_blocking(entry);
            } else {
                state.queue.push_waiting(entry, Instant::now());
            }
        }
        drop(state);
        for target in &removed {
            self.settle_removed(content, target, listeners, &config);
        }
        self.bury_all(content, &kept, DeadLetterReason::Closed, &config);
        flight.runs_no_more((removed.len() + kept.len()) as u64);
    }

    /// Has a delivery that a sender's task began wait for its retry in the queue, where it never was: if there is room. It is an
    /// entry of its own, as every delivery of a parallel destination is, and at once: the sender may go away at its next
    /// listener.
    pub(super) fn put_in(self: &Arc<Self>, flight: &Flight<'_>, target: Target) {
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        let bytes = flight.delivery.message.size_bytes();
        let refused = if state.life != Life::Open {
            Some(DeadLetterReason::Closed)
        } else {
            state.no_room(&self.name, 1, bytes).map(|_| DeadLetterReason::QueueFull)
        };
        if !target.slot.is_removed() && refused.is_none() {
            state.queue.push_waiting(flight.entry_for(target), Instant::now());
            flight.runs_no_more(1);
            drop(state);
            return self.rouse_for_retry();
        }
        drop(state);
        match refused {
            Some(reason) if !target.slot.is_removed() => {
                self.bury_all(flight.content(), &[target], reason, &config);
            }
            _ => self.settle_removed(flight.content(), &target, flight.listeners, &config),
        }
        flight.runs_no_more(1);
    }
}

/// Counts the delivery whose turn it was as waiting: it is in the queue again.
fn waits_again(state: MutexGuard<'_, State>, flight: &mut Flight<'_>) {
    flight.runs_no_more(1);
    drop(state);
    flight.keep_lane();
    flight.settled();
}
