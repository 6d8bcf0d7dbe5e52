//! What waits at a destination: bounded in entries and bytes, in the order in which it is taken. It runs nothing and
//! knows no clock: who asks for the next entry says what time it is.
//!
//! A worker takes several entries at a time into a [`Claim`] of its own, so that it comes to the destination's lock seldom.
//! What is claimed still waits: it counts as pending, and goes back when it must.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::claim::Claim;
use crate::entry::{Entry, Removed, Targets};
use crate::registration::{ListenerSet, Slot};
use crate::sync::Instant;

/// What there is to take.
pub(crate) enum Next {
    Entry(Entry),
    /// Nothing now; something at that time, if nothing comes before.
    Wait(Option<Instant>),
}

/// The entries that wait.
#[derive(Default)]
pub(crate) struct Queue {
    ready: VecDeque<Entry>,
    /// Accepted while nobody listened.
    held: VecDeque<Entry>,
    /// Retries that step aside, and everything else that is not due yet.
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// The head of a serial destination, which waits for its retry and keeps the others behind it.
    blocked: Option<Entry>,
    sequence: u64,
    entries: usize,
    bytes: usize,
    pairs: u64,
}

struct Waiting {
    due: Instant,
    sequence: u64,
    entry: Entry,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.sequence) == (other.due, other.sequence)
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

impl Queue {
    /// Names the listeners of what waits; to be called before they change, and before what waits is taken for good.
    pub(crate) fn fix(&mut self, listeners: &Arc<ListenerSet>) {
        self.ready.iter_mut().for_each(|entry| entry.targets.fix(listeners));
    }

    /// Moves up to `count` entries that are ready into `claim`. Their order is kept, and they still wait.
    pub(crate) fn claim(&mut self, claim: &Claim, count: usize) {
        let count = count.min(self.ready.len());
        if count > 0 {
            claim.extend(self.ready.drain(..count));
        }
    }

    /// Puts the books right for what has left through `claim`.
    pub(crate) fn settle_claim(&mut self, claim: &Claim) {
        let left = claim.take_left();
        self.entries -= left.entries;
        self.bytes -= left.bytes;
        self.pairs -= left.pairs;
    }

    /// Takes back what is claimed and not begun, to where it came from.
    pub(crate) fn take_back(&mut self, claim: &Claim) {
        self.settle_claim(claim);
        let entries = claim.take_back();
        for entry in entries.into_iter().rev() {
            self.ready.push_front(entry);
        }
    }

    /// Entries that wait.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes that wait; those of a message with several entries count once.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// (message, listener) pairs that wait.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Whether something could run, now or later, without anything new coming in.
    pub(crate) fn can_run(&self) -> bool {
        !self.ready.is_empty() || !self.waiting.is_empty() || self.blocked.is_some()
    }

    /// Entries that a worker could take at this moment.
    pub(crate) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Messages that wait for a first listener.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// When the entry that has waited longest was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let fronts = [self.ready.front(), self.held.front(), self.blocked.as_ref()];
        let waiting = self.waiting.iter().map(|waiting| &waiting.0.entry);
        fronts.into_iter().flatten().chain(waiting).map(|entry| entry.message.accepted_at()).min()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.enter(&entry);
        match entry.targets {
            Targets::Held => self.held.push_back(entry),
            _ => self.ready.push_back(entry),
        }
    }

    /// Keeps an entry until it is due; others may pass it.
    pub(crate) fn push_waiting(&mut self, entry: Entry, now: Instant) {
        self.enter(&entry);
        let due = entry.targets.due().unwrap_or(now);
        self.sequence += 1;
        self.waiting.push(Reverse(Waiting { due, sequence: self.sequence, entry }));
    }

    /// Keeps an entry until it is due, and everything else behind it.
    pub(crate) fn push_blocking(&mut self, entry: Entry) {
        self.enter(&entry);
        match &self.blocked {
            None => self.blocked = Some(entry),
            // A serial destination has one worker, so that this cannot be; in front is the next best place.
            Some(_) => self.ready.push_front(entry),
        }
    }

    /// Takes the entry whose turn it is.
    pub(crate) fn next(&mut self, now: impl FnOnce() -> Instant) -> Next {
        if self.blocked.is_none() && self.waiting.is_empty() {
            return self.take_ready(None);
        }
        let now = now();
        if let Some(blocked) = &self.blocked {
            match blocked.targets.due() {
                Some(due) if due > now => return Next::Wait(Some(due)),
                _ => {
                    let entry = self.blocked.take();
                    return self.taken(entry, None);
                }
            }
        }
        let due = self.waiting.peek().map(|waiting| waiting.0.due);
        match due {
            Some(due) if due <= now => {
                let entry = self.waiting.pop().map(|waiting| waiting.0.entry);
                self.taken(entry, None)
            }
            due => self.take_ready(due),
        }
    }

    fn take_ready(&mut self, otherwise: Option<Instant>) -> Next {
        let entry = self.ready.pop_front();
        self.taken(entry, otherwise)
    }

    fn taken(&mut self, entry: Option<Entry>, otherwise: Option<Instant>) -> Next {
        match entry {
            Some(entry) => {
                self.leave(&entry);
                Next::Entry(entry)
            }
            None => Next::Wait(otherwise),
        }
    }

    /// Entries and bytes that would still wait if everything that nobody has tried yet were discarded.
    pub(crate) fn least(&self) -> (usize, usize) {
        let tried = self.waiting.iter().map(|waiting| &waiting.0.entry).chain(&self.blocked);
        let bytes = tried.map(|entry| entry.message.size_bytes()).sum();
        (self.waiting.len() + usize::from(self.blocked.is_some()), bytes)
    }

    /// Whether something waits for its time.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the entry that has waited longest of those that nobody has tried yet.
    pub(crate) fn take_oldest(&mut self) -> Option<Entry> {
        let entry = match (self.held.front(), self.ready.front()) {
            (Some(_), None) => self.held.pop_front(),
            (Some(held), Some(ready)) if held.message.accepted_at() <= ready.message.accepted_at() => {
                self.held.pop_front()
            }
            _ => self.ready.pop_front(),
        }?;
        self.leave(&entry);
        Some(entry)
    }

    /// Takes everything that waits, the oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.blocked.take().into_iter().collect();
        all.extend(self.ready.drain(..));
        all.extend(self.held.drain(..));
        all.extend(std::mem::take(&mut self.waiting).into_sorted_vec().into_iter().rev().map(|w| w.0.entry));
        self.forget(&all);
        all
    }

    /// Takes what cannot be delivered without waiting: retries that are not due and messages without a listener.
    pub(crate) fn take_not_ready(&mut self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.blocked.take().into_iter().collect();
        all.extend(self.held.drain(..));
        all.extend(std::mem::take(&mut self.waiting).into_sorted_vec().into_iter().rev().map(|w| w.0.entry));
        self.forget(&all);
        all
    }

    fn forget(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.leave(entry);
        }
    }

    /// Takes the messages that were held for a first listener.
    pub(crate) fn take_held(&mut self) -> Vec<Entry> {
        let held: Vec<Entry> = self.held.drain(..).collect();
        self.forget(&held);
        held
    }

    /// Takes what is owed to `slot`.
    pub(crate) fn remove_listener(&mut self, slot: &Arc<Slot>) -> Vec<Removed> {
        let mut removed = Vec::new();
        let entries = self.take_all_keeping_place();
        for (place, mut entry) in entries {
            if let Some(target) = entry.targets.remove(slot) {
                removed.push(Removed {
                    message: Arc::clone(&entry.message),
                    target,
                    listeners: entry.listeners,
                });
            }
            if entry.targets.pairs() > 0 {
                self.put_back(place, entry);
            }
        }
        removed
    }

    fn take_all_keeping_place(&mut self) -> Vec<(Place, Entry)> {
        let mut all = Vec::with_capacity(self.entries);
        all.extend(self.blocked.take().map(|entry| (Place::Blocked, entry)));
        all.extend(self.ready.drain(..).map(|entry| (Place::Ready, entry)));
        all.extend(self.held.drain(..).map(|entry| (Place::Held, entry)));
        let waiting = std::mem::take(&mut self.waiting).into_sorted_vec().into_iter().rev();
        all.extend(waiting.map(|waiting| (Place::Waiting(waiting.0.due), waiting.0.entry)));
        for (_, entry) in &all {
            self.leave(entry);
        }
        all
    }

    fn put_back(&mut self, place: Place, entry: Entry) {
        match place {
            Place::Blocked => self.push_blocking(entry),
            Place::Ready | Place::Held => self.push(entry),
            Place::Waiting(due) => self.push_waiting(entry, due),
        }
    }

    fn enter(&mut self, entry: &Entry) {
        self.entries += 1;
        self.pairs += entry.targets.pairs();
        if entry.message.enter_queue() {
            self.bytes += entry.message.size_bytes();
        }
    }

    fn leave(&mut self, entry: &Entry) {
        self.entries -= 1;
        self.pairs -= entry.targets.pairs();
        if entry.message.leave_queue() {
            self.bytes -= entry.message.size_bytes();
        }
    }
}

enum Place {
    Blocked,
    Ready,
    Held,
    Waiting(Instant),
}
