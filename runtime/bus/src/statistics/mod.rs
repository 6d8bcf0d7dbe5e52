//! Counters and histograms of a destination and of its listeners. They decide nothing, and cost the hot path no lock.
//! What a reader sees of them stands in `snapshot`.

mod buckets;
mod histogram;
mod reasons;
mod snapshot;
mod staged;
mod stages;
mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::delivery::Delivery;
use crate::limits::FAILURE_KINDS;
use crate::listener::Usage;
use crate::outcome::FailureKind;
use crate::sync::{AtomicU64, Instant, OnceLock, Ordering};
use histogram::{FuelHistogram, LatencyHistogram};

pub(crate) use staged::{StagedCalls, StagedLatencies};
pub(crate) use stages::{Moments, StageCounters, StagedStages};
pub(crate) use tally::{OwnCounter, Tally};

pub use reasons::{DropReason, RejectReason};
pub use snapshot::{DestinationStatistics, ListenerStatistics, Quantiles, Stage, Stages};

/// One counter. Whoever reads it sees all that was counted elsewhere before what it counts; on most processors that costs
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Release);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Release);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
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
    pub(crate) latencies: Latencies,
}

/// How long the parts of a message's way take.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From acceptance until a worker begins the first call of a listener.
    queue_wait: LatencyHistogram,
    /// Of a call, making an instance included.
    call: LatencyHistogram,
    /// From acceptance until a pair that was called is settled.
    end_to_end: LatencyHistogram,
    /// The stages of the calls; none as long as nobody asked for them.
    stages: OnceLock<Box<StageCounters>>,
}

impl Latencies {
    /// A call is over; `end`: when its pair was settled, if it was.
    pub(crate) fn record(&self, delivery: &Delivery, over: Instant, end: Option<Instant>) {
        let accepted_at = delivery.message.accepted_at();
        if delivery.attempt == 1 && delivery.worker.is_some() {
            self.queue_wait.record(delivery.started.saturating_duration_since(accepted_at));
        }
        self.call.record(over.saturating_duration_since(delivery.started));
        if let Some(end) = end {
            self.end_to_end.record(end.saturating_duration_since(accepted_at));
        }
    }

    /// How the wait in the queue, the calls and the whole way are spread.
    pub(crate) fn read(&self) -> [Option<Quantiles<Duration>>; 3] {
        self.all().map(LatencyHistogram::read)
    }

    /// From now on the stages are measured, from zero.
    pub(crate) fn begin_stages(&self) {
        self.stages.get_or_init(Box::default).reset();
    }

    /// Where the stages are counted, if they are.
    pub(crate) fn stages(&self) -> Option<&StageCounters> {
        self.stages.get().map(|stages| &**stages)
    }

    fn all(&self) -> [&LatencyHistogram; 3] {
        [&self.queue_wait, &self.call, &self.end_to_end]
    }
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
    /// Dead letters sent on their way again, wherever to.
    pub(crate) redriven: Counter,
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
            &self.redriven,
            &self.finished,
        ];
        single
            .into_iter()
            .chain(&self.failed)
            .chain(&self.dropped)
            .chain(&self.door.rejected)
            .for_each(Counter::reset);
        self.latencies.all().into_iter().for_each(LatencyHistogram::reset);
        self.latencies.stages().into_iter().for_each(StageCounters::reset);
    }
}

fn named(names: impl Iterator<Item = &'static str>, counters: &[Counter]) -> BTreeMap<&'static str, u64> {
    names.zip(counters).map(|(name, counter)| (name, counter.get())).filter(|(_, count)| *count > 0).collect()
}

/// The counters of one listener at one destination.
#[derive(Debug)]
pub(crate) struct ListenerCounters {
    done: Counter,
    failed: [Counter; FAILURE_KINDS],
    instances: Counter,
    fuel: FuelHistogram,
    fuel_total: Counter,
    memory_max: Counter,
    /// What the moment below is counted from.
    since: Instant,
    /// When the last instance was made, in nanoseconds, and one more; 0 while there was none.
    made_nanos: Counter,
}

impl Default for ListenerCounters {
    fn default() -> Self {
        Self {
            done: Counter::default(),
            failed: Default::default(),
            instances: Counter::default(),
            fuel: FuelHistogram::default(),
            fuel_total: Counter::default(),
            memory_max: Counter::default(),
            since: Instant::now(),
            made_nanos: Counter::default(),
        }
    }
}

impl ListenerCounters {
    pub(crate) fn end(&self, failure: Option<FailureKind>, usage: Usage) {
        match failure.and_then(|kind| self.failed.get(kind.index())) {
            None => self.done.add(1),
            Some(counter) => counter.add(1),
        }
        if let Some(fuel) = usage.fuel {
            self.fuel_total.add(fuel);
            self.fuel.record(fuel);
        }
        if let Some(memory) = usage.memory_bytes {
            self.memory_max.raise_to(memory);
        }
    }

    /// Counts an instance that was made for a call which began at `at`.
    pub(crate) fn made_instance(&self, at: Instant) {
        self.instances.add(1);
        let nanos = at.saturating_duration_since(self.since).as_nanos();
        self.made_nanos.raise_to(u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1));
    }

    /// Starts from zero again.
    pub(crate) fn reset(&self) {
        let single = [&self.done, &self.instances, &self.fuel_total, &self.memory_max, &self.made_nanos];
        single.into_iter().chain(&self.failed).for_each(Counter::reset);
        self.fuel.reset();
    }

    /// Calls that ended.
    pub(crate) fn calls(&self) -> u64 {
        self.done.get() + self.failed.iter().map(Counter::get).sum::<u64>()
    }

    pub(crate) fn read(&self, name: &str) -> ListenerStatistics {
        let done = self.done.get();
        let made = self.made_nanos.get().checked_sub(1).map(Duration::from_nanos);
        let since = Instant::now().saturating_duration_since(self.since);
        let fuel = self.fuel.read();
        ListenerStatistics {
            name: name.to_owned(),
            calls: self.calls(),
            done,
            failed: named(FailureKind::ALL.iter().map(|kind| kind.name()), &self.failed),
            instances_made: self.instances.get(),
            instance_age: made.map(|made| since.saturating_sub(made)),
            fuel_total: self.fuel_total.get(),
            fuel_max: fuel.map_or(0, |fuel| fuel.max),
            fuel,
            memory_bytes_max: self.memory_max.get(),
        }
    }
}
