//! What a reader sees of a destination: its statistics and its dead letters. Reading changes nothing.

use super::{Destination, Life};
use crate::dead_letter::DeadLetter;
use crate::statistics::DestinationStatistics;
use crate::sync::Instant;

impl Destination {
    /// All figures at one moment. Settlements are read before acceptances, so that none shows before its acceptance.
    pub(crate) fn statistics(&self) -> DestinationStatistics {
        let counters = &self.counters;
        let completed = counters.completed.get();
        let dropped = counters.dropped();
        let dead_letters_kept = self.dead_letters.lock().len();
        let state = self.state();
        let listeners = state.listeners.iter().map(|slot| slot.counters.read(&slot.name)).collect();
        DestinationStatistics {
            name: self.name.to_string(),
            destination_type: self.destination_type,
            state: match (state.life, state.paused) {
                (Life::Open, false) => "open",
                (Life::Open, true) => "paused",
                (Life::Draining, _) => "draining",
                (Life::Closed, _) => "closed",
            },
            listeners,
            workers_active: state.pool.active,
            workers_current: state.pool.current,
            workers_largest: state.pool.largest,
            workers_core: state.config.workers.core,
            workers_max: state.config.workers.max,
            pending: state.queue.entries(),
            pending_bytes: state.queue.bytes(),
            held: state.queue.held(),
            oldest_waiting: state.queue.oldest().map(|since| Instant::now().saturating_duration_since(since)),
            delivered: counters.delivered.get(),
            completed,
            reported: counters.reported.get(),
            failed: counters.failed(),
            retried: counters.retried.get(),
            rejected: counters.rejected(),
            dropped,
            listener_removed: counters.listener_removed.get(),
            dead_letters: counters.dead_letters.get(),
            dead_letters_kept,
            waiting: state.queue.pairs(),
            running: counters.running.get(),
            finished: counters.finished.get(),
            accepted: counters.accepted.get(),
            owed: counters.owed.get(),
        }
    }

    /// What is kept of the dead letters, the oldest first.
    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.lock().list()
    }
}
