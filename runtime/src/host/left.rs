//! What a guest has made of destinations, whichever of its builds did: those that it has not removed, and the dead letters
//! of those that it has, which wait to be saved when the platform ends. It saves nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbus_bus::DeadLetter;
use sandbus_bus::limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_MAX};

/// What a guest has made, over all of its builds.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The destinations that it has made and not removed.
    created: Mutex<BTreeSet<String>>,
    /// The dead letters of those that it has removed.
    left: Mutex<LeftLetters>,
    /// Whether the guest goes away: it starts to listen nowhere any more.
    leaving: AtomicBool,
}

impl Made {
    pub(crate) fn created(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    pub(crate) fn set_leaving(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::SeqCst);
    }

    pub(crate) fn left(&self) -> MutexGuard<'_, LeftLetters> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dead letters that are left of removed destinations, within the bounds of one destination; the oldest leave first.
#[derive(Debug, Default)]
pub(crate) struct LeftLetters {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    /// Whether some had to leave, so that it is one warning.
    over: bool,
}

impl LeftLetters {
    /// Keeps the letters of a destination that the guest of this name removed.
    pub(crate) fn keep(&mut self, guest: &str, letters: Vec<DeadLetter>) {
        self.bytes += letters.iter().map(size_bytes).sum::<usize>();
        self.letters.extend(letters);
        while self.letters.len() > DEAD_LETTERS_MAX
            || (self.bytes > DEAD_LETTER_BYTES_MAX && self.letters.len() > 1)
        {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= size_bytes(&oldest);
            if !std::mem::replace(&mut self.over, true) {
                tracing::warn!(
                    guest,
                    "dead letters of removed destinations leave: there are more than are kept"
                );
            }
        }
    }

    /// Gives them away.
    pub(crate) fn take(&mut self) -> Vec<DeadLetter> {
        self.bytes = 0;
        std::mem::take(&mut self.letters).into()
    }
}

fn size_bytes(letter: &DeadLetter) -> usize {
    letter.message.payload().len() + letter.values.size_bytes()
}
