//! What a reader sees of a destination: its statistics. Reading changes nothing.

use super::{Destination, Life, State};
use crate::statistics::{Counter, Counters, DestinationStatistics, OwnCounter, StageCounters, Tally};
use crate::sync::Instant;

impl Destination {
    /// All figures, what comes last on a message's way read first: what a message has behind it is then never missing. Each
    /// counter is added to with release and read with acquire, so that this order is also that of the memory.
    pub(crate) fn statistics(&self) -> DestinationStatistics {
        let counters = &self.counters;
        self.prune_dead_letters();
        let mut state = self.state();
        let completed = counters.completed.get() + state.tallied(|tally| &tally.completed);
        let [reported, listener_removed] = [&counters.reported, &counters.listener_removed].map(Counter::get);
        let [queue_wait, call, end_to_end] = counters.latencies.read();
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
            stages: counters.latencies.stages().map(StageCounters::read),
            delivered: counters.delivered.get() + state.tallied(|tally| &tally.delivered),
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
            running: state.running(counters),
            finished: counters.finished.get() + state.tallied(|tally| &tally.finished),
            accepted: counters.door.accepted.get(),
            duplicates: counters.door.duplicates.get(),
            owed: counters.door.owed.get(),
        }
    }
}

impl State {
    /// What the workers that there are have counted of one figure.
    fn tallied(&self, figure: impl Fn(&Tally) -> &OwnCounter) -> u64 {
        self.pool.claims.iter().map(|claim| figure(&claim.tally).get()).fold(0, u64::wrapping_add)
    }

    /// Pairs whose call runs, in workers and in senders' tasks.
    pub(super) fn running(&self, counters: &Counters) -> u64 {
        counters.running.get().wrapping_add(self.tallied(|tally| &tally.running))
    }
}
