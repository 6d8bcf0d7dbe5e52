//! What one worker counts. It alone writes it, so that to count costs no locked instruction: with one for each figure they
//! were a third of what a message cost the bus. Whoever reads the books adds up the tallies under the destination's lock.

use super::{Counter, Counters};
use crate::sync::{AtomicU64, Ordering};

/// The figures that a worker changes at every message.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Pairs whose call runs.
    pub(crate) running: OwnCounter,
    pub(crate) completed: OwnCounter,
    pub(crate) delivered: OwnCounter,
    pub(crate) finished: OwnCounter,
}

/// A counter that one task alone writes, while others read it. Two writers would lose counts.
#[derive(Debug, Default)]
pub(crate) struct OwnCounter(AtomicU64);

impl OwnCounter {
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Release);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Release);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Counters {
    /// Keeps what a worker has counted that leaves. To be called under the destination's lock, in the step in which its tally
    /// leaves the books.
    pub(crate) fn take_over(&self, tally: &Tally) {
        let kept = |counter: &Counter, own: &OwnCounter| match own.get() {
            0 => {}
            count => counter.add(count),
        };
        // In the order in which a reader must not miss what it has seen the consequence of.
        kept(&self.running, &tally.running);
        kept(&self.finished, &tally.finished);
        kept(&self.delivered, &tally.delivered);
        kept(&self.completed, &tally.completed);
    }
}
