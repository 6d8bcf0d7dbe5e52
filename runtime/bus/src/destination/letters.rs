//! The dead letters that a destination keeps: kept, listed, dropped, each counted under the lock that guards them. How one is
//! sent on its way again stands in `redrive`.

use std::collections::HashSet;
use std::time::SystemTime;

use super::Destination;
use crate::config::DestinationConfig;
use crate::dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterId};
use crate::statistics::DropReason;
use crate::sync::Instant;

impl Destination {
    /// Keeps a dead letter; the oldest leave for it. The caller drains the events.
    pub(super) fn keep(&self, letter: DeadLetter, config: &DestinationConfig) {
        self.counters.dead_letters.add(1);
        let mut letters = self.dead_letters.lock();
        let left = letters.push(letter, &config.dead_letters);
        self.counters.drop(DropReason::DeadLetterBound, left);
        drop(letters);
        self.tell_letters_left(left);
    }

    /// Gives all of them away, from a destination that is closed and gone.
    pub(crate) fn take_dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.lock().take_all()
    }

    /// Keeps those of another destination of its name, too. The caller drains the events.
    pub(crate) fn adopt(&self, adopted: Vec<DeadLetter>) {
        let config = self.config();
        let mut letters = self.dead_letters.lock();
        self.counters.door.owed.add(adopted.len() as u64);
        let left = letters.adopt(adopted, &config.dead_letters, Instant::now());
        self.counters.drop(DropReason::DeadLetterBound, left);
        drop(letters);
        self.tell_letters_left(left);
    }

    /// What is kept of the dead letters, the oldest first.
    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters_matching(&DeadLetterFilter::default())
    }

    /// Those of them that pass `filter`, the oldest first.
    pub(crate) fn dead_letters_matching(&self, filter: &DeadLetterFilter) -> Vec<DeadLetter> {
        self.prune_dead_letters();
        self.dead_letters.lock().matching(filter, Instant::now()).cloned().collect()
    }

    /// The ids of those that pass `filter`, the oldest first, each with what orders it among those of other destinations.
    pub(crate) fn count_dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Vec<((Instant, SystemTime), DeadLetterId)> {
        self.prune_dead_letters();
        let letters = self.dead_letters.lock();
        letters.matching(filter, Instant::now()).map(|letter| (letter.age_order(), letter.id)).collect()
    }

    pub(crate) fn dead_letter(&self, id: DeadLetterId) -> Option<DeadLetter> {
        self.prune_dead_letters();
        self.dead_letters.lock().get(id).cloned()
    }

    /// Takes those of `ids` out that are still kept, and counts them as dropped.
    pub(crate) fn drop_dead_letters(&self, ids: &HashSet<DeadLetterId>) -> Vec<DeadLetter> {
        let mut letters = self.dead_letters.lock();
        let dropped = letters.remove_all(ids);
        self.counters.drop(DropReason::DeadLetterDropped, dropped.len() as u64);
        dropped
    }

    /// Lets dead letters leave that have become too old since the last one was made.
    pub(super) fn prune_dead_letters(&self) {
        let config = self.config();
        let mut letters = self.dead_letters.lock();
        let left = letters.prune(&config.dead_letters, Instant::now());
        self.counters.drop(DropReason::DeadLetterBound, left);
        drop(letters);
        self.tell_letters_left(left);
        self.events.drain_pending();
    }
}
