//! Ordering keys: of the messages of one key, a listener has one in hand at a time, and the next ones wait here in the
//! order of acceptance. It takes nothing from the queue by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::entry::{Entry, Targets};
use crate::registration::Slot;

/// A listener and an ordering key. Held by whoever has the one entry of it that is on its way.
#[derive(Clone)]
pub(crate) struct Lane {
    slot: Arc<Slot>,
    key: Arc<str>,
}

impl Lane {
    /// The lane of an entry of a parallel destination; none where its message has no ordering key.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let key = entry.message.options()?.ordering_key.as_ref()?;
        match &entry.targets {
            Targets::One(target) => Some(Self { slot: Arc::clone(&target.slot), key: Arc::clone(key) }),
            _ => None,
        }
    }

    fn id(&self) -> (usize, Arc<str>) {
        (address(&self.slot), Arc::clone(&self.key))
    }
}

/// Which slot, as a key: a slot is never moved while anything of it waits.
fn address(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot).addr()
}

/// The lanes that are occupied, and what waits in them.
#[derive(Default)]
pub(super) struct Lanes(HashMap<(usize, Arc<str>), VecDeque<Entry>>);

impl Lanes {
    /// Lets `entry` pass when its lane is free, which occupies it; else keeps it.
    pub(super) fn enter(&mut self, entry: Entry) -> Option<Entry> {
        let Some(lane) = Lane::of(&entry) else { return Some(entry) };
        match self.0.get_mut(&lane.id()) {
            Some(waiting) => {
                waiting.push_back(entry);
                None
            }
            None => {
                self.0.insert(lane.id(), VecDeque::new());
                Some(entry)
            }
        }
    }

    /// The entry that occupied `lane` has ended: the next one of it, which occupies it from now on.
    pub(super) fn leave(&mut self, lane: &Lane) -> Option<Entry> {
        let id = lane.id();
        let next = self.0.get_mut(&id).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.0.remove(&id);
        }
        next
    }

    /// Takes all that waits. The lanes stay with those that are on their way.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        self.0.values_mut().flat_map(std::mem::take).collect()
    }

    /// Takes the entry that was accepted first.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let accepted =
            |waiting: &&mut VecDeque<Entry>| waiting.front().map(|entry| entry.message.accepted_at());
        self.0.values_mut().filter(|waiting| !waiting.is_empty()).min_by_key(accepted)?.pop_front()
    }

    /// Takes what waits for `slot`; its lanes are gone.
    pub(super) fn take_of(&mut self, slot: &Arc<Slot>) -> Vec<Entry> {
        let gone = self.0.extract_if(|(of, _), _| *of == address(slot));
        gone.flat_map(|(_, waiting)| waiting).collect()
    }

    /// The oldest of each lane.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &Entry> {
        self.0.values().filter_map(VecDeque::front)
    }
}
