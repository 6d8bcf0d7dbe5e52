//! What waits at a destination: bounded in entries and bytes, in the order in which it is taken. It runs nothing and
//! knows no clock: who asks for the next entry says what time it is.
//!
//! A worker takes several entries at a time into a [`Claim`] of its own, so that it comes to the destination's lock seldom.
//! What is claimed still waits: it counts as pending, and goes back when it must.

mod aside;
mod lanes;
mod line;
mod ready;
mod take;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::claim::Claim;
use crate::entry::{Entry, Targets};
use crate::registration::{ListenerSet, Slot};
use crate::sync::Instant;
use aside::Aside;
pub(crate) use lanes::Lane;
use lanes::Lanes;
use line::Line;
use ready::Ready;

/// What there is to take.
pub(crate) enum Next {
    Entry(Entry),
    /// Nothing now; something at that time, if nothing comes before.
    Wait(Option<Instant>),
}

/// The entries that wait.
#[derive(Default)]
pub(crate) struct Queue {
    ready: Ready,
    /// Accepted while nobody listened.
    held: Line<Entry>,
    /// Delayed messages, retries that step aside, and everything else that is not due yet.
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// The head of a serial destination, which waits for its retry and keeps the others behind it.
    blocked: Option<Entry>,
    /// For listeners that are not called for a while.
    aside: Aside,
    /// Behind another message of their ordering key.
    lanes: Lanes,
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
        self.ready.lines_mut().flat_map(Line::iter_mut).for_each(|entry| entry.targets.fix(listeners));
    }

    /// Moves up to `count` entries that are ready into `claim`. Their order is kept, and they still wait.
    pub(crate) fn claim(&mut self, claim: &Claim, count: usize) {
        if count > 0 {
            claim.fill(|claimed| self.ready.claim(count, claimed));
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

    /// Entries for listeners that are not called for a while.
    pub(crate) fn aside_len(&self) -> usize {
        self.aside.len()
    }

    /// When the entry that has waited longest was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let single = [self.held.front(), self.blocked.as_ref()];
        let waiting = self.waiting.iter().map(|waiting| &waiting.0.entry);
        let fronts = self.ready.fronts().chain(self.aside.fronts()).chain(self.lanes.fronts());
        fronts
            .chain(single.into_iter().flatten())
            .chain(waiting)
            .map(|entry| entry.message.accepted_at())
            .min()
    }

    /// Has priorities count from now on, or not any more.
    pub(crate) fn set_priorities(&mut self, count: bool) {
        self.ready.set_priorities(count);
    }

    /// Keeps an entry until its turn comes.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.enter(&entry);
        match entry.targets {
            Targets::Held => self.held.push_back(entry),
            _ => self.make_ready(entry),
        }
    }

    /// Lets an entry be taken, once no other one of its listener and its ordering key is on its way.
    fn make_ready(&mut self, entry: Entry) {
        if entry.message.options().is_none() {
            self.ready.push_back(entry);
        } else if let Some(entry) = self.lanes.enter(entry) {
            self.ready.push_back(entry);
        }
    }

    /// The entry that was on its way in `lane` has ended; true when the next one of it can be taken now.
    pub(crate) fn leave_lane(&mut self, lane: &Lane) -> bool {
        let next = self.lanes.leave(lane);
        let any = next.is_some();
        next.into_iter().for_each(|entry| self.ready.push_front(entry));
        any
    }

    /// Keeps a delivery of a listener that is not called for a while.
    pub(crate) fn push_aside(&mut self, slot: &Arc<Slot>, entry: Entry) {
        self.enter(&entry);
        self.aside.push(slot, entry);
    }

    /// Lets what stands aside for `slot` be taken, before everything else. What is claimed must be gathered before.
    pub(crate) fn return_aside(&mut self, slot: &Arc<Slot>) {
        let returned = self.aside.take_of(slot);
        slot.set_returned(!returned.is_empty());
        for entry in returned.into_iter().rev() {
            self.ready.push_front(entry);
        }
    }

    /// Puts an entry behind what stood aside for `slot` and can be taken again; false when there is nothing of that.
    pub(crate) fn push_behind(&mut self, slot: &Arc<Slot>, entry: Entry) -> bool {
        let stood_aside = |before: &Entry| match &before.targets {
            Targets::Some(targets) => {
                targets.iter().any(|target| target.stood_aside && Arc::ptr_eq(&target.slot, slot))
            }
            _ => false,
        };
        self.enter(&entry);
        let put = self.ready.insert_behind(entry, stood_aside);
        if let Err(entry) = &put {
            self.leave(entry);
        }
        slot.set_returned(self.ready.any(stood_aside));
        put.is_ok()
    }

    /// Puts an entry before everything that is ready, where it was taken from: its call never began, or does not count. It has
    /// been in its lane since then.
    pub(crate) fn push_again(&mut self, entry: Entry) {
        self.enter(&entry);
        self.ready.push_front(entry);
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
        if self.blocked.is_none() && self.waiting.is_empty() && self.aside.is_empty() {
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
        if let Some(trial) = self.aside.take_trial(now) {
            return self.taken(Some(trial), None);
        }
        if let Some(due) = self.take_due(now) {
            return self.taken(Some(due), None);
        }
        let due = self.waiting.peek().map(|waiting| waiting.0.due);
        self.take_ready(due.into_iter().chain(self.aside.due()).min())
    }

    /// Takes an entry whose time has come.
    fn take_due(&mut self, now: Instant) -> Option<Entry> {
        while self.waiting.peek().is_some_and(|waiting| waiting.0.due <= now) {
            let entry = self.waiting.pop()?.0.entry;
            // A delayed message comes into its lane now; a retry has been in it since its first attempt.
            let passed = if entry.is_delayed() { self.lanes.enter(entry) } else { Some(entry) };
            if passed.is_some() {
                return passed;
            }
        }
        None
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

    /// Entries and bytes that would still wait if everything that may be discarded were.
    pub(crate) fn least(&self) -> (usize, usize) {
        let timed = self.waiting.iter().map(|waiting| &waiting.0.entry).chain(&self.blocked);
        let bytes = timed.map(|entry| entry.message.size_bytes()).sum();
        (self.waiting.len() + usize::from(self.blocked.is_some()), bytes)
    }

    /// Whether something waits for its time.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.aside.is_empty()
    }

    fn enter(&mut self, entry: &Entry) {
        self.entries += 1;
        self.pairs += entry.targets.pairs();
        if entry.enter_queue() {
            self.bytes += entry.message.size_bytes();
        }
    }

    fn leave(&mut self, entry: &Entry) {
        self.entries -= 1;
        self.pairs -= entry.targets.pairs();
        if entry.leave_queue() {
            self.bytes -= entry.message.size_bytes();
        }
    }
}
