//! What a reader sees of a destination and of its listeners at one moment. Nothing here counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::types::DestinationType;

/// How some figure is spread: so much or less in half of all cases, in nine of ten, in 99 of 100, in all.
///
/// `max` and `count` are exact. The others are at most an eighth (12.5 %) above the true figure and never below it.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, listener_fn};
/// let bus = Bus::new(BusConfig::default());
/// bus.create(DestinationConfig::serial("acme/orders")?)?;
/// bus.register("acme/orders", listener_fn("till", |_| async { Outcome::done() }))?;
/// bus.send("acme/orders", Outgoing::text("tea")).await?;
/// bus.idle().await;
/// let figures = bus.statistics("acme/orders").ok_or("it was just made")?;
/// let call = figures.call.ok_or("one call ended")?;
/// assert_eq!(call.count, 1);
/// assert!(call.p50 <= call.p99 && call.p99 <= call.max);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles<T> {
    /// Half of all cases are not above it.
    pub p50: T,
    /// Nine of ten.
    pub p90: T,
    /// 99 of 100.
    pub p99: T,
    /// The largest.
    pub max: T,
    /// How many cases there were.
    pub count: u64,
}

impl<T> Quantiles<T> {
    pub(crate) fn map<U>(self, into: impl Fn(T) -> U) -> Quantiles<U> {
        let Quantiles { p50, p90, p99, max, count } = self;
        Quantiles { p50: into(p50), p90: into(p90), p99: into(p99), max: into(max), count }
    }
}

/// One stage of the calls at a destination.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # use std::time::Duration;
/// let ms = Duration::from_millis;
/// let spread = Quantiles { p50: ms(1), p90: ms(2), p99: ms(2), max: ms(2), count: 4 };
/// let guest = Stage { spread, total: ms(6) };
/// assert_eq!(guest.mean(), Duration::from_micros(1_500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// How long it took.
    pub spread: Quantiles<Duration>,
    /// How long it took all calls together.
    pub total: Duration,
}

impl Stage {
    /// How long it took a call on average.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.total.div_f64(self.spread.count.max(1) as f64)
    }
}

/// The stages of the calls at a destination, and the whole way; see [`Bus::measure_stages`](crate::Bus::measure_stages).
///
/// For a pair whose first attempt was its last one, on a worker, the first four make up the fifth. None stands where
/// nothing was recorded.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sandbus_bus::*;
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
/// bus.measure_stages("orders")?;
/// bus.send("orders", Outgoing::text("A1")).await?;
/// bus.idle().await;
/// let stages = bus.statistics("orders").and_then(|now| now.stages).ok_or("they were asked for")?;
/// let total = |stage: Option<Stage>| stage.map(|stage| stage.total).unwrap_or_default();
/// let parts = [stages.queue_wait, stages.instance, stages.guest, stages.settle].map(total);
/// assert_eq!(parts.into_iter().sum::<std::time::Duration>(), total(stages.end_to_end));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// From acceptance until the first call of each listener begins, where workers make the calls.
    pub queue_wait: Option<Stage>,
    /// From the beginning of a call until its instance is there: the wait for room for one, and the making. Nothing where the
    /// caller has one already.
    pub instance: Option<Stage>,
    /// From then on until the call is over. For each message of a batch, that of the whole batch.
    pub guest: Option<Stage>,
    /// From the end of the call until it is settled: counted, its reply sent, its retry decided, its dead letter kept.
    pub settle: Option<Stage>,
    /// From acceptance until the pair is settled for good, other attempts and what lies between them included.
    pub end_to_end: Option<Stage>,
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
    /// How long ago the last one was made: since then, every call found the instance that it wanted. None while there was
    /// none.
    pub instance_age: Option<Duration>,
    /// Fuel per call; none while no call told its fuel, as those of native listeners never do.
    pub fuel: Option<Quantiles<u64>>,
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
/// A dead letter that is redriven to its own listener moves from kept to waiting, or to running; one that is accepted anew
/// is dropped here as `redriven` and owed where it is accepted.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::refused("unknown article") }))?;
/// bus.send("orders", Outgoing::text("A1")).await?;
/// bus.idle().await;
/// let now: DestinationStatistics = bus.statistics("orders").ok_or("it is there")?;
/// assert_eq!((now.owed, now.completed, now.dead_letters_kept), (1, 0, 1));
/// assert!(now.adds_up() && now.failed_total() == 1);
/// let stock: &ListenerStatistics = &now.listeners[0];
/// assert_eq!((stock.calls, stock.failed["refused"]), (1, 1));
/// # Ok(()) }
/// ```
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
    /// From a message's acceptance until the first call of each listener begins, where workers make the calls; a delay that
    /// was asked for, a pause and the calls of listeners before it on a serial destination are part of it.
    pub queue_wait: Option<Quantiles<Duration>>,
    /// Duration of a call, the making of an instance included; its count is that of `delivered`.
    pub call: Option<Quantiles<Duration>>,
    /// From a message's acceptance to the settlement of each pair whose last call has ended, all attempts and the waiting
    /// between them included. Pairs whose turn never came are not in it.
    pub end_to_end: Option<Quantiles<Duration>>,
    /// The stages of its calls; none where nobody asked for them.
    pub stages: Option<Stages>,
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
    /// Dead letters of this destination that were sent on their way again, here or elsewhere.
    pub redriven: u64,
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
