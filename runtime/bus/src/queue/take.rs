//! Taking out of the queue what nobody will run: discarded, purged, left at a close, owed to a listener that is gone. It
//! settles nothing.

use std::sync::Arc;

use super::{Lane, Queue};
use crate::entry::{Entry, Removed};
use crate::registration::Slot;

/// The place of an entry in the queue.
enum Place {
    Held,
    Ready,
    Aside,
    Lane,
}

impl Queue {
    /// Takes the entry that has waited longest of those that wait for no time of their own.
    pub(crate) fn take_oldest(&mut self) -> Option<Entry> {
        let at = |entry: &Entry| entry.message.accepted_at();
        let oldest = [
            (self.held.front().map(at), Place::Held),
            (self.ready.fronts().map(at).min(), Place::Ready),
            (self.aside.fronts().map(at).min(), Place::Aside),
            (self.lanes.fronts().map(at).min(), Place::Lane),
        ];
        let (_, place) = oldest.into_iter().filter(|(at, _)| at.is_some()).min_by_key(|(at, _)| *at)?;
        let entry = match place {
            Place::Held => self.held.pop_front(),
            Place::Ready => self.ready.pop_oldest(),
            Place::Aside => self.aside.pop_oldest(),
            Place::Lane => self.lanes.pop_oldest(),
        }?;
        self.leave(&entry);
        if matches!(place, Place::Ready | Place::Aside) {
            self.free_lanes(std::slice::from_ref(&entry));
        }
        Some(entry)
    }

    /// Takes everything that waits, in the order of acceptance.
    pub(crate) fn take_all(&mut self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.ready.take_all().collect();
        let in_lanes = self.lanes.take_all();
        self.free_lanes(&all);
        all.append(&mut self.take_timed());
        all.extend(in_lanes);
        all.sort_by_key(|entry| entry.message.accepted_at());
        self.forget(&all);
        all
    }

    /// Takes what cannot be delivered without waiting: what is not due, what stands aside, messages without a listener.
    pub(crate) fn take_not_ready(&mut self) -> Vec<Entry> {
        let mut all = self.take_timed();
        all.sort_by_key(|entry| entry.message.accepted_at());
        self.forget(&all);
        all
    }

    fn take_timed(&mut self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.blocked.take().into_iter().collect();
        all.extend(std::mem::take(&mut self.held));
        let waiting = std::mem::take(&mut self.waiting).into_sorted_vec().into_iter().rev();
        let waiting = waiting.map(|waiting| waiting.0.entry);
        // What is delayed has not come into its lane yet: to free that would let the next one pass whoever is in it.
        let (delayed, on_their_way): (Vec<Entry>, Vec<Entry>) = waiting.partition(Entry::is_delayed);
        all.extend(on_their_way);
        all.extend(self.aside.take_all());
        self.free_lanes(&all);
        all.extend(delayed);
        all
    }

    /// Lets the next ones pass where `taken` were on their way.
    fn free_lanes(&mut self, taken: &[Entry]) {
        for lane in taken.iter().filter_map(Lane::of) {
            self.leave_lane(&lane);
        }
    }

    fn forget(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.leave(entry);
        }
    }

    /// Takes the messages that were held for a first listener.
    pub(crate) fn take_held(&mut self) -> Vec<Entry> {
        let held: Vec<Entry> = std::mem::take(&mut self.held).into_iter().collect();
        self.forget(&held);
        held
    }

    /// Takes what is owed to `slot`.
    pub(crate) fn remove_listener(&mut self, slot: &Arc<Slot>) -> Vec<Removed> {
        let mut removed = Vec::new();
        for entry in self.aside.take_of(slot).into_iter().chain(self.lanes.take_of(slot)) {
            removed.extend(self.strip(entry, slot).0);
        }
        if let Some(entry) = self.blocked.take() {
            let (gone, left) = self.strip(entry, slot);
            removed.extend(gone);
            self.blocked = left;
        }
        for mut waiting in std::mem::take(&mut self.waiting) {
            let (gone, left) = self.strip(waiting.0.entry, slot);
            removed.extend(gone);
            if let Some(entry) = left {
                waiting.0.entry = entry;
                self.waiting.push(waiting);
            }
        }
        let mut ready = std::mem::take(&mut self.ready);
        for line in ready.lines_mut() {
            for entry in std::mem::take(line) {
                let (gone, left) = self.strip(entry, slot);
                removed.extend(gone);
                line.extend(left);
            }
        }
        self.ready = ready;
        removed
    }

    /// Takes what is owed to `slot` out of an entry; the entry is left if it is owed to others, too.
    fn strip(&mut self, mut entry: Entry, slot: &Arc<Slot>) -> (Option<Removed>, Option<Entry>) {
        self.leave(&entry);
        let removed = entry.targets.remove(slot).map(|target| Removed {
            message: Arc::clone(&entry.message),
            values: entry.values.clone(),
            target,
            listeners: entry.listeners,
        });
        if entry.targets.pairs() == 0 {
            return (removed, None);
        }
        self.enter(&entry);
        (removed, Some(entry))
    }
}
