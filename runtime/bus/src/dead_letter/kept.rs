//! The dead letters that one destination keeps, within bounds, the oldest first. It counts nothing: whoever changes what is
//! kept counts it under the same lock.

use std::collections::{HashSet, VecDeque};

use super::{DeadLetter, DeadLetterFilter, DeadLetterId};
use crate::config::DeadLetterBounds;
use crate::sync::Instant;

/// The dead letters of one destination, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
}

impl DeadLetters {
    /// Keeps `letter`, and answers how many had to leave for it or were too old.
    pub(crate) fn push(&mut self, letter: DeadLetter, bounds: &DeadLetterBounds) -> u64 {
        let now = letter.since;
        self.bytes += letter.size_bytes();
        self.letters.push_back(letter);
        self.prune(bounds, now)
    }

    /// Lets those leave that are too old or too many, and answers how many left.
    pub(crate) fn prune(&mut self, bounds: &DeadLetterBounds, now: Instant) -> u64 {
        let mut left = 0;
        while self.oldest_must_leave(bounds, now) {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= oldest.size_bytes();
            left += 1;
        }
        left
    }

    fn oldest_must_leave(&self, bounds: &DeadLetterBounds, now: Instant) -> bool {
        let too_old = |letter: &DeadLetter| now.saturating_duration_since(letter.since) > bounds.age_max;
        self.letters.len() > bounds.letters_max
            || (self.bytes > bounds.bytes_max && self.letters.len() > 1)
            || self.letters.front().is_some_and(too_old)
    }

    /// Those that pass `filter`.
    pub(crate) fn matching<'a>(
        &'a self,
        filter: &'a DeadLetterFilter,
        now: Instant,
    ) -> impl Iterator<Item = &'a DeadLetter> {
        self.letters.iter().filter(move |letter| filter.passes(letter, now))
    }

    pub(crate) fn get(&self, id: DeadLetterId) -> Option<&DeadLetter> {
        self.letters.iter().find(|letter| letter.id == id)
    }

    /// Takes one out, if it is still there.
    pub(crate) fn remove(&mut self, id: DeadLetterId) -> Option<DeadLetter> {
        // Letters are redriven from the oldest on, so that the one that is sought usually stands in front.
        let place = self.letters.iter().position(|letter| letter.id == id)?;
        let removed = self.letters.remove(place)?;
        self.bytes -= removed.size_bytes();
        Some(removed)
    }

    /// Takes out those of `ids` that are still there.
    pub(crate) fn remove_all(&mut self, ids: &HashSet<DeadLetterId>) -> Vec<DeadLetter> {
        let mut removed = Vec::new();
        for letter in std::mem::take(&mut self.letters) {
            if ids.contains(&letter.id) {
                self.bytes -= letter.size_bytes();
                removed.push(letter);
            } else {
                self.letters.push_back(letter);
            }
        }
        removed
    }

    /// Keeps the letters of another destination too, and answers how many had to leave or were too old.
    pub(crate) fn adopt(&mut self, letters: Vec<DeadLetter>, bounds: &DeadLetterBounds, now: Instant) -> u64 {
        self.bytes += letters.iter().map(DeadLetter::size_bytes).sum::<usize>();
        self.letters.extend(letters);
        self.letters.make_contiguous().sort_by_key(DeadLetter::age_order);
        self.prune(bounds, now)
    }

    /// Takes out all of them.
    pub(crate) fn take_all(&mut self) -> Vec<DeadLetter> {
        self.bytes = 0;
        std::mem::take(&mut self.letters).into()
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }
}
