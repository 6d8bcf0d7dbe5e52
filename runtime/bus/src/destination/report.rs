//! What a reader sees of a destination: its statistics. Reading changes nothing.

use super::{Destination, Life};
use crate::statistics::{Counter, DestinationStatistics};
use crate::sync::Instant;

impl Destination {
    /// All figures, what comes last on a message's way read first: what a message has behind it is then never missing. Each
    /// counter is added to with release and read with acquire, so that this order is also that of the memory.
    pub(crate) fn statistics(&self) -> DestinationStatistics {
        let counters = &self.counters;
        self.prune_dead_letters();
        let [completed, reported, listener_removed] =
            [&counters.completed, &counters.reported, &counters.listener_removed].map(Counter::get);
        let [queue_wait, call, end_to_end] = counters.latencies.read();
        let mut state = self.state();
        // Under both locks: a dead letter goes back to the queue, or is dropped, in one step.
        let (dead_letters_kept, dropped) = {
            let letters = self.dead_letters.lock();
            (letters.len(), counters.dropped())
        };
        state.settle_claims();
        let claimed = state.pool.claims.iter().filter_map(|claim| claim.oldest());
        let oldest = state.queue.oldest().into_iter().chain(claimed).min();
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
            aside: state.queue.aside_len(),
            oldest_waiting: oldest.map(|since| Instant::now().saturating_duration_since(since)),
            queue_wait,
            call,
            end_to_end,
            delivered: counters.delivered.get(),
            completed,
            reported,
            failed: counters.failed(),
            retried: counters.retried.get(),
            rejected: counters.rejected(),
            dropped,
            listener_removed,
            dead_letters: counters.dead_letters.get(),
            dead_letters_kept,
            redriven: counters.redriven.get(),
            waiting: state.queue.pairs(),
            running: counters.running.get(),
            finished: counters.finished.get(),
            accepted: counters.door.accepted.get(),
            duplicates: counters.door.duplicates.get(),
            owed: counters.door.owed.get(),
        }
    }
}
