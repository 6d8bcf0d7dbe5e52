//! What becomes of a destination whose name has others of another ranking: it is hidden, shown, or leaves, and what it
//! kept goes to an heir. Which of them stands first is the registry's business.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use super::{Closed, Destination};
use crate::registration::ListenerSet;
use crate::statistics::DestinationStatistics;

impl Destination {
    /// One of a higher ranking stands before it from now on: nobody is told of its queue any more.
    pub(crate) fn hide(&self) {
        let mut state = self.state();
        state.hidden = true;
        state.full = false;
    }

    /// It is the one that senders see again; a full queue is a new episode.
    pub(crate) fn show(&self) {
        let mut state = self.state();
        state.hidden = false;
        state.full = false;
    }

    /// It is about to be destroyed.
    pub(crate) fn mark_leaving(&self) {
        self.state().leaving = true;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.state().leaving
    }

    /// Takes all listeners away from a destination that is closed and gone. The caller lets go of them, under no lock.
    pub(crate) fn take_all_listeners(&self) -> Arc<ListenerSet> {
        let listeners = std::mem::take(&mut self.state().listeners);
        listeners.iter().for_each(|slot| slot.mark_removed());
        listeners
    }
}

impl Closed {
    /// Waits for all of them side by side, and says what they left together.
    pub(crate) async fn together(
        closing: impl Iterator<Item = impl Future<Output = Closed> + Send>,
    ) -> Closed {
        let mut closing: Vec<_> = closing.map(Box::pin).collect();
        let mut together = Closed::default();
        std::future::poll_fn(|cx| {
            closing.retain_mut(|each| match each.as_mut().poll(cx) {
                Poll::Ready(closed) => {
                    together.dead_letters += closed.dead_letters;
                    together.interrupted |= closed.interrupted;
                    false
                }
                Poll::Pending => true,
            });
            if closing.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        together
    }
}

impl DestinationStatistics {
    /// Adds what was done, and what is held, in a destination of the same name that a higher ranking hides: it was accepted
    /// under this name. Settings, listeners and latencies stay those of the active one.
    pub(crate) fn add_hidden(&mut self, hidden: &DestinationStatistics) {
        let add = |own: &mut BTreeMap<&'static str, u64>, theirs: &BTreeMap<&'static str, u64>| {
            theirs.iter().for_each(|(name, count)| *own.entry(name).or_default() += count);
        };
        add(&mut self.failed, &hidden.failed);
        add(&mut self.rejected, &hidden.rejected);
        add(&mut self.dropped, &hidden.dropped);
        self.workers_active += hidden.workers_active;
        self.workers_current += hidden.workers_current;
        self.pending += hidden.pending;
        self.pending_bytes += hidden.pending_bytes;
        self.held += hidden.held;
        self.aside += hidden.aside;
        self.oldest_waiting = self.oldest_waiting.max(hidden.oldest_waiting);
        self.accepted += hidden.accepted;
        self.duplicates += hidden.duplicates;
        self.redriven += hidden.redriven;
        self.owed += hidden.owed;
        self.delivered += hidden.delivered;
        self.completed += hidden.completed;
        self.reported += hidden.reported;
        self.retried += hidden.retried;
        self.listener_removed += hidden.listener_removed;
        self.dead_letters += hidden.dead_letters;
        self.dead_letters_kept += hidden.dead_letters_kept;
        self.waiting += hidden.waiting;
        self.running += hidden.running;
        self.finished += hidden.finished;
    }
}
