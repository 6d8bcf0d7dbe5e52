//! Counters of a destination and of its listeners, and what a reader sees of them. They decide nothing, and cost the
//! hot path no lock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::FAILURE_KINDS;
use crate::listener::Usage;
use crate::outcome::FailureKind;
use crate::sync::{AtomicU64, Ordering};
use crate::types::DestinationType;

/// Why a message, or a delivery, was dropped under a policy or an act that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// There was no room, and the policy discards.
    QueueFull,
    /// Nobody listened, and the policy discards.
    NoListener,
    /// It was taken out of the queue by somebody.
    Purged,
    /// A dead letter left at the bound of what is kept.
    DeadLetterBound,
    /// A reply to a message that asks for none.
    NoResponseDestination,
    /// A reply after its request ended.
    LateReply,
    /// A second reply to an answered request.
    DuplicateReply,
    /// A reply under an id that no request ever had.
    ForgedReply,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [DropReason; 8] = [
        DropReason::QueueFull,
        DropReason::NoListener,
        DropReason::Purged,
        DropReason::DeadLetterBound,
        DropReason::NoResponseDestination,
        DropReason::LateReply,
        DropReason::DuplicateReply,
        DropReason::ForgedReply,
    ];

    /// The name as it stands in statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue-full",
            DropReason::NoListener => "no-listener",
            DropReason::Purged => "purged",
            DropReason::DeadLetterBound => "dead-letter-bound",
            DropReason::NoResponseDestination => "no-response-destination",
            DropReason::LateReply => "late-reply",
            DropReason::DuplicateReply => "duplicate-reply",
            DropReason::ForgedReply => "forged-reply",
        }
    }
}

/// Why a message was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// There was no room.
    QueueFull,
    /// Nobody listened.
    NoListener,
    /// It is closed.
    Closed,
    /// It is paused.
    Paused,
    /// The message is too large.
    TooLarge,
}

impl RejectReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [RejectReason; 5] = [
        RejectReason::QueueFull,
        RejectReason::NoListener,
        RejectReason::Closed,
        RejectReason::Paused,
        RejectReason::TooLarge,
    ];

    /// The name as it stands in statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::QueueFull => "queue-full",
            RejectReason::NoListener => "no-listener",
            RejectReason::Closed => "closed",
            RejectReason::Paused => "paused",
            RejectReason::TooLarge => "too-large",
        }
    }
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn raise_to(&self, value: u64) {
        // Reading first spares the shared cache line a write per call once the mark is reached.
        if value > self.get() {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The counters of a destination: those that senders write and those that workers write, each on cache lines of their
/// own, because both write at every message.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) door: Padded<DoorCounters>,
    work: Padded<WorkCounters>,
}

/// Keeps its content on cache lines of its own (128 bytes: processors fetch lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl std::ops::Deref for Counters {
    type Target = WorkCounters;
    fn deref(&self) -> &WorkCounters {
        &self.work
    }
}

/// What is counted when a message comes in.
#[derive(Debug, Default)]
pub(crate) struct DoorCounters {
    pub(crate) accepted: Counter,
    pub(crate) owed: Counter,
    /// Messages whose dedup key was known already.
    pub(crate) duplicates: Counter,
    rejected: [Counter; RejectReason::ALL.len()],
}

/// What is counted when a delivery ends.
#[derive(Debug, Default)]
pub(crate) struct WorkCounters {
    pub(crate) completed: Counter,
    /// Deliveries that failed in direct mode, where the sender is told instead of a dead letter being kept.
    pub(crate) reported: Counter,
    pub(crate) listener_removed: Counter,
    pub(crate) delivered: Counter,
    pub(crate) retried: Counter,
    pub(crate) dead_letters: Counter,
    pub(crate) running: Counter,
    /// Queue entries finished, and messages of synchronous destinations: what Liferay calls sent.
    pub(crate) finished: Counter,
    failed: [Counter; FAILURE_KINDS],
    dropped: [Counter; DropReason::ALL.len()],
}

impl Counters {
    pub(crate) fn fail(&self, kind: FailureKind) {
        if let Some(counter) = self.failed.get(kind.index()) {
            counter.add(1);
        }
    }

    pub(crate) fn drop(&self, reason: DropReason, count: u64) {
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.add(count);
        }
    }

    pub(crate) fn reject(&self, reason: RejectReason) {
        if let Some(counter) = self.door.rejected.get(reason as usize) {
            counter.add(1);
        }
    }

    pub(crate) fn failed(&self) -> BTreeMap<&'static str, u64> {
        named(FailureKind::ALL.iter().map(|kind| kind.name()), &self.failed)
    }

    pub(crate) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        named(DropReason::ALL.iter().map(|reason| reason.name()), &self.dropped)
    }

    pub(crate) fn rejected(&self) -> BTreeMap<&'static str, u64> {
        named(RejectReason::ALL.iter().map(|reason| reason.name()), &self.door.rejected)
    }

    /// Starts from zero again. Only what is settled is forgotten; the caller makes sure that nothing runs or waits.
    pub(crate) fn reset(&self) {
        let single = [
            &self.door.accepted,
            &self.door.owed,
            &self.door.duplicates,
            &self.completed,
            &self.reported,
            &self.listener_removed,
            &self.delivered,
            &self.retried,
            &self.dead_letters,
            &self.finished,
        ];
        single
            .into_iter()
            .chain(&self.failed)
            .chain(&self.dropped)
            .chain(&self.door.rejected)
            .for_each(Counter::reset);
    }
}

fn named(names: impl Iterator<Item = &'static str>, counters: &[Counter]) -> BTreeMap<&'static str, u64> {
    names.zip(counters).map(|(name, counter)| (name, counter.get())).filter(|(_, count)| *count > 0).collect()
}

/// The counters of one listener at one destination.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    pub(crate) done: Counter,
    failed: [Counter; FAILURE_KINDS],
    pub(crate) instances: Counter,
    fuel_max: Counter,
    fuel_total: Counter,
    memory_max: Counter,
}

impl ListenerCounters {
    pub(crate) fn end(&self, failure: Option<FailureKind>, usage: Usage) {
        match failure.and_then(|kind| self.failed.get(kind.index())) {
            None => self.done.add(1),
            Some(counter) => counter.add(1),
        }
        if let Some(fuel) = usage.fuel {
            self.fuel_total.add(fuel);
            self.fuel_max.raise_to(fuel);
        }
        if let Some(memory) = usage.memory_bytes {
            self.memory_max.raise_to(memory);
        }
    }

    /// Starts from zero again.
    pub(crate) fn reset(&self) {
        let single = [&self.done, &self.instances, &self.fuel_max, &self.fuel_total, &self.memory_max];
        single.into_iter().chain(&self.failed).for_each(Counter::reset);
    }

    /// Calls that ended.
    pub(crate) fn calls(&self) -> u64 {
        self.done.get() + self.failed.iter().map(Counter::get).sum::<u64>()
    }

    pub(crate) fn read(&self, name: &str) -> ListenerStatistics {
        let done = self.done.get();
        ListenerStatistics {
            name: name.to_owned(),
            calls: self.calls(),
            done,
            failed: named(FailureKind::ALL.iter().map(|kind| kind.name()), &self.failed),
            instances_made: self.instances.get(),
            fuel_total: self.fuel_total.get(),
            fuel_max: self.fuel_max.get(),
            memory_bytes_max: self.memory_max.get(),
        }
    }
}

/// A listener at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerStatistics {
    /// Its name.
    pub name: String,
    /// Calls that ended.
    pub calls: u64,
    /// Calls that ended done.
    pub done: u64,
    /// Calls that did not, by kind; kinds that never came are absent.
    pub failed: BTreeMap<&'static str, u64>,
    /// Instances made.
    pub instances_made: u64,
    /// Fuel of all calls.
    pub fuel_total: u64,
    /// Fuel of the call that used most.
    pub fuel_max: u64,
    /// The most linear memory that an instance had after a call, in bytes.
    pub memory_bytes_max: u64,
}

/// A destination at one moment. Exact when nothing runs; otherwise no settlement shows before its acceptance.
///
/// The accounting law holds at every step, with "waiting" and "running" counting (message, listener) pairs:
/// `owed = completed + reported + listener_removed + dead_letters_kept + dropped + waiting + running`.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationStatistics {
    /// The destination's name.
    pub name: String,
    /// Its type.
    pub destination_type: DestinationType,
    /// `open`, `paused`, `draining` or `closed`.
    pub state: &'static str,
    /// Its listeners, in order.
    pub listeners: Vec<ListenerStatistics>,
    /// Workers that run a listener now (Liferay: active thread count).
    pub workers_active: usize,
    /// Workers that there are (current thread count).
    pub workers_current: usize,
    /// The most workers that there were (largest thread count).
    pub workers_largest: usize,
    /// Workers that stay (minimum pool size).
    pub workers_core: usize,
    /// Workers that there may be (maximum pool size).
    pub workers_max: usize,
    /// Queue entries that wait (pending message count).
    pub pending: usize,
    /// Bytes that wait.
    pub pending_bytes: usize,
    /// Messages that wait for a first listener; part of `pending`.
    pub held: usize,
    /// Entries whose listener is not called for a while; part of `pending`.
    pub aside: usize,
    /// Since when the oldest of them waits.
    pub oldest_waiting: Option<Duration>,
    /// Messages that the bus took on.
    pub accepted: u64,
    /// Messages that it did not take on again, because it remembers their dedup key.
    pub duplicates: u64,
    /// (message, listener) pairs that it took on.
    pub owed: u64,
    /// Calls of a listener.
    pub delivered: u64,
    /// Pairs that ended well.
    pub completed: u64,
    /// Pairs that failed in direct mode, and of which the sender was told.
    pub reported: u64,
    /// Attempts that did not end done, by kind.
    pub failed: BTreeMap<&'static str, u64>,
    /// Attempts after the first.
    pub retried: u64,
    /// Messages that it turned away, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Pairs given up under a policy or an act that asks for it, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Pairs whose listener was removed.
    pub listener_removed: u64,
    /// Dead letters made.
    pub dead_letters: u64,
    /// Dead letters kept.
    pub dead_letters_kept: usize,
    /// Pairs that wait, now or for a retry.
    pub waiting: u64,
    /// Pairs whose call runs.
    pub running: u64,
    /// Queue entries finished, and messages of synchronous destinations (sent message count).
    pub finished: u64,
}

impl DestinationStatistics {
    /// Whether the accounting law holds; it does at every step, as far as a reader beside running calls can tell.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let dropped: u64 = self.dropped.values().sum();
        let ended = self.completed + self.reported + self.listener_removed + self.dead_letters_kept as u64;
        self.owed == ended + dropped + self.waiting + self.running
    }

    /// Attempts that did not end done.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }
}
