//! The table of the destinations that senders see, by name. A look-up takes no lock; a change copies one part of many, so that
//! making the next destination costs little however many there are. It knows no rankings and lists nothing.

use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashTable;

use super::Registry;
use crate::destination::Destination;
use crate::sync::RandomState;

type Part = HashTable<Arc<Destination>>;

/// In how many parts the table stands: a change copies the destinations of one of them.
const PARTS: usize = 128;

/// Read at every send; changed under the lock of the registry, which every change has to show, and which lists what is in it.
pub(crate) struct Table {
    parts: Vec<ArcSwap<Part>>,
    hasher: RandomState,
}

impl Default for Table {
    fn default() -> Self {
        let empty = Arc::<Part>::default();
        let parts = (0..PARTS).map(|_| ArcSwap::new(Arc::clone(&empty))).collect();
        Self { parts, hasher: RandomState::default() }
    }
}

/// A name that was looked up: while it lives, what was found needs no reference of its own.
pub(crate) struct Look<'a> {
    part: Option<Guard<Arc<Part>>>,
    hash: u64,
    name: &'a str,
}

impl Look<'_> {
    pub(crate) fn found(&self) -> Option<&Arc<Destination>> {
        self.part.as_ref()?.find(self.hash, |known| known.name.as_str() == self.name)
    }
}

impl Table {
    pub(crate) fn look_up<'a>(&self, name: &'a str) -> Look<'a> {
        let hash = self.hasher.hash_one(name);
        Look { part: self.part(hash).map(ArcSwap::load), hash, name }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Destination>> {
        self.look_up(name).found().cloned()
    }

    /// Has senders see `destination` under its name, in the place of the one that they saw.
    pub(super) fn publish(&self, _held: &Registry, destination: Arc<Destination>) {
        self.change(destination.name.clone().as_str(), |part, hash| {
            part.insert_unique(hash, destination, |known| self.hasher.hash_one(known.name.as_str()));
        });
    }

    /// Has senders see none of this name any more.
    pub(super) fn remove(&self, _held: &Registry, name: &str) {
        self.change(name, |_, _| {});
    }

    fn part(&self, hash: u64) -> Option<&ArcSwap<Part>> {
        // The table within a part goes by the lowest bits and the seven highest ones.
        self.parts.get((hash >> 32) as usize % PARTS)
    }

    /// Takes `name` out of its part, and then does `and_then` to it.
    fn change(&self, name: &str, and_then: impl FnOnce(&mut Part, u64)) {
        let hash = self.hasher.hash_one(name);
        let Some(part) = self.part(hash) else { return };
        let mut changed = Part::clone(&part.load());
        if let Ok(known) = changed.find_entry(hash, |known| known.name.as_str() == name) {
            known.remove();
        }
        and_then(&mut changed, hash);
        part.store(Arc::new(changed));
    }
}
