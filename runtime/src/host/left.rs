//! What a guest has made of destinations, whichever of its builds did: those that it has not removed, and the dead letters
//! of those that it has, which wait to be saved when the platform ends. It saves nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbus_bus::DeadLetter;
use sandbus_bus::limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_MAX};

use crate::limits::{GUEST_DESTINATIONS_MAX, GUEST_LISTENS_MAX};

/// What a guest has made, over all of its builds.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The destinations that it has made and not removed.
    created: Mutex<Created>,
    /// Where it has begun to listen, beyond its settings, and not ended it.
    listening: Mutex<BTreeSet<String>>,
    /// The dead letters of those that it has removed.
    left: Mutex<LeftLetters>,
    /// Whether the guest goes away: it starts to listen nowhere any more.
    leaving: AtomicBool,
}

/// Destinations by name, each with the number of the making: one that is made while another of its name is removed stays.
#[derive(Debug, Default)]
struct Created {
    names: BTreeMap<String, u64>,
    next: u64,
}

/// A name that is about to be made, and how it stood before.
pub(super) struct Making {
    number: u64,
    before: Option<u64>,
}

impl Made {
    fn created(&self) -> MutexGuard<'_, Created> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a destination before it is made, so that no two calls take the last one; none where all are taken.
    pub(super) fn begin_making(&self, name: &str) -> Option<Making> {
        let mut created = self.created();
        if created.names.len() >= GUEST_DESTINATIONS_MAX && !created.names.contains_key(name) {
            return None;
        }
        let number = created.next;
        created.next += 1;
        let before = created.names.insert(name.to_owned(), number);
        Some(Making { number, before })
    }

    /// Gives the place back: the destination was not made.
    pub(super) fn not_made(&self, name: &str, making: Making) {
        let mut created = self.created();
        if created.names.get(name) == Some(&making.number) {
            match making.before {
                Some(before) => created.names.insert(name.to_owned(), before),
                None => created.names.remove(name),
            };
        }
    }

    /// Which making of this name it is that is about to be removed.
    pub(super) fn making_of(&self, name: &str) -> Option<u64> {
        self.created().names.get(name).copied()
    }

    /// Notes that this making is gone.
    pub(super) fn removed(&self, name: &str, number: Option<u64>) {
        let mut created = self.created();
        if number.is_some() && created.names.get(name).copied() == number {
            created.names.remove(name);
        }
    }

    fn listening(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a name to listen to; false where all are taken.
    pub(super) fn begin_listening(&self, name: &str) -> bool {
        let mut listening = self.listening();
        if listening.len() >= GUEST_LISTENS_MAX && !listening.contains(name) {
            return false;
        }
        listening.insert(name.to_owned());
        true
    }

    /// Gives all of them back: the guest was unregistered everywhere.
    pub(crate) fn ended_all_listening(&self) {
        self.listening().clear();
    }

    /// Gives it back.
    pub(crate) fn ended_listening(&self, name: &str) {
        self.listening().remove(name);
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
