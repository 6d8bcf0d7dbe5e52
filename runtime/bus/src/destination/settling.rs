//! Pairs on their way from the queue, or from the door, to their end. It settles nothing itself.

use super::Destination;

/// Pairs that wait no more and have not ended yet. They count as running until this is dropped, so that whoever reads the
/// books, closes or waits for rest sees them.
#[must_use = "the pairs count as running for as long as this lives"]
pub(super) struct Settling<'a> {
    destination: &'a Destination,
    pairs: u64,
}

impl Destination {
    /// To be called under the state's lock, in the step in which the pairs leave the queue or are taken on; the end of each is
    /// counted outside of it.
    pub(super) fn settling(&self, pairs: u64) -> Settling<'_> {
        self.counters.running.add(pairs);
        Settling { destination: self, pairs }
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if self.pairs > 0 {
            self.destination.counters.running.sub(self.pairs);
            self.destination.tell_change();
        }
    }
}
