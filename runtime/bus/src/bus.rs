//! The bus: what its parts share, what can be asked about destinations, and their life. How destinations and listeners
//! come and go stands in `registry`, how a message travels in `send`.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, WallClock};
use crate::config::DestinationConfig;
use crate::dead_letter::DeadLetter;
use crate::destination::{Closed, Destination};
use crate::error::DestinationError;
use crate::events::Hub;
use crate::hooks::Hooks;
use crate::limits;
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::registry::{Registry, Table};
use crate::request::Requests;
use crate::rest::Rest;
use crate::schedule::Schedules;
use crate::statistics::DestinationStatistics;
use crate::sync::{Handle, Instant, Mutex, after};
use crate::types::Types;

/// The limits of a whole bus.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let config = BusConfig { hops_max: 4, ..BusConfig::default() };
/// let bus = Bus::new(config);
/// assert_eq!(bus.destinations().len(), 2, "the built-in ones");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusConfig {
    /// Messages that cause messages: one that would be further than this from its first cause is refused.
    pub hops_max: u32,
    /// Synchronous senders that may wait at once.
    pub waiting_requests_max: usize,
    /// Where the time of day comes from.
    pub clock: WallClock,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            hops_max: limits::HOPS_MAX,
            waiting_requests_max: limits::WAITING_REQUESTS_MAX,
            clock: WallClock::System,
        }
    }
}

/// A message bus. Cloning it copies a pointer; the last clone that goes ends its workers.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, Reply, listener_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = Bus::new(BusConfig::default());
/// bus.create(DestinationConfig::serial("greetings")?)?;
/// bus.register("greetings", listener_fn("greeter", |delivery| async move {
///     Outcome::reply(Reply::text(format!("hello {}", delivery.text().unwrap_or("stranger"))))
/// }))?;
/// let reply = bus.request("greetings", Outgoing::text("world"), None).await?;
/// assert_eq!(reply.payload, "hello world");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Bus {
    pub(crate) shared: Arc<Shared>,
}

/// What the bus and its destinations share.
pub(crate) struct Shared {
    /// Read at every send, written when a destination comes or goes.
    pub(crate) destinations: Table,
    /// Serialises changes of the table and of listeners, and keeps what the table does not show.
    pub(crate) changes: Mutex<Registry>,
    pub(crate) events: Arc<Hub>,
    pub(crate) requests: Requests,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) config: BusConfig,
    pub(crate) clock: Clock,
    pub(crate) schedules: Schedules,
    /// The origin of what the host itself sends.
    pub(crate) host: Origin,
    pub(crate) rest: Rest,
    pub(crate) types: Types,
    pub(crate) runtime: Handle,
}

impl Shared {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Destination>> {
        self.destinations.find(name)
    }
}

impl Drop for Shared {
    /// The last clone of the bus is gone: nobody can send any more, and its workers end.
    fn drop(&mut self) {
        let registry = self.changes.lock();
        registry.shown().chain(registry.hidden()).for_each(|destination| destination.abandon());
    }
}

impl Bus {
    /// Makes a bus with its built-in destinations. Its workers run on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(config: BusConfig) -> Self {
        let shared = Arc::new(Shared {
            destinations: Table::default(),
            changes: Mutex::default(),
            events: Arc::new(Hub::new(config.hops_max)),
            requests: Requests::new(config.waiting_requests_max),
            hooks: Arc::default(),
            config,
            clock: Clock::new(config.clock),
            schedules: Schedules::default(),
            host: Origin::host(),
            rest: Rest::default(),
            types: Types::default(),
            runtime: Handle::current(),
        });
        let bus = Self { shared };
        bus.shared.add_built_in();
        bus
    }

    /// The names of all destinations, sorted.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationName> {
        self.shared.changes.lock().shown().map(|destination| destination.name.clone()).collect()
    }

    /// Whether a destination of this name exists.
    #[must_use]
    pub fn has_destination(&self, name: &str) -> bool {
        self.shared.find(name).is_some()
    }

    /// Whether a destination of this name exists and has a listener.
    #[must_use]
    pub fn has_listener(&self, name: &str) -> bool {
        self.shared.find(name).is_some_and(|destination| !destination.listeners().is_empty())
    }

    /// The time of day, as this bus has it.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// How a destination is configured.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<Arc<DestinationConfig>> {
        self.shared.find(name).map(|destination| destination.config())
    }

    pub(crate) fn destination(&self, name: &str) -> Result<Arc<Destination>, DestinationError> {
        self.shared.find(name).ok_or_else(|| DestinationError::NoSuchDestination(name.to_owned()))
    }

    /// The figures of one destination; of several of one name, those of the active one with what the hidden ones add.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// bus.idle().await;
    /// let figures = bus.statistics("orders").ok_or("it was just made")?;
    /// assert_eq!((figures.accepted, figures.completed, figures.pending), (1, 1, 0));
    /// assert!(figures.adds_up());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn statistics(&self, destination: &str) -> Option<DestinationStatistics> {
        let ranks = self.shared.ranks(destination);
        let (active, hidden) = ranks.split_first()?;
        let mut statistics = active.statistics();
        hidden.iter().for_each(|each| statistics.add_hidden(&each.statistics()));
        Some(statistics)
    }

    /// The figures of all destinations, sorted by name.
    #[must_use]
    pub fn all_statistics(&self) -> Vec<DestinationStatistics> {
        self.destinations().iter().filter_map(|name| self.statistics(name.as_str())).collect()
    }

    /// Measures the stages of the calls at a destination from now on, from zero: they stand in its statistics.
    ///
    /// It costs each call a look at the clock, one more where an instance is made, and what it takes to count. A destination
    /// of which nobody asked it pays nothing. It does not end before the destination does.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// bus.measure_stages("orders")?;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// bus.idle().await;
    /// let stages = bus.statistics("orders").and_then(|now| now.stages).ok_or("they were asked for")?;
    /// assert_eq!(stages.guest.map(|guest| guest.spread.count), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn measure_stages(&self, destination: &str) -> Result<(), DestinationError> {
        self.existing_ranks(destination)?.iter().for_each(|found| found.measure_stages());
        Ok(())
    }

    /// The dead letters that are kept under a name, the oldest first; none where there is no such destination.
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
    /// let letters = bus.dead_letters("orders");
    /// assert_eq!((letters[0].reason.name(), letters[0].last_error.as_str()), ("refused", "unknown article"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn dead_letters(&self, destination: &str) -> Vec<DeadLetter> {
        let ranks = self.shared.ranks(destination);
        let mut letters: Vec<_> = ranks.iter().flat_map(|each| each.dead_letters()).collect();
        if ranks.len() > 1 {
            letters.sort_by_key(DeadLetter::age_order);
        }
        letters
    }

    /// Synchronous senders that wait at this moment.
    #[must_use]
    pub fn waiting_requests(&self) -> usize {
        self.shared.requests.waiting()
    }

    /// The destinations of a name, the active one first.
    pub(crate) fn existing_ranks(&self, name: &str) -> Result<Vec<Arc<Destination>>, DestinationError> {
        let ranks = self.shared.ranks(name);
        if ranks.is_empty() { Err(DestinationError::NoSuchDestination(name.to_owned())) } else { Ok(ranks) }
    }

    /// Has a destination accept within its bounds and deliver nothing; a synchronous one answers `paused`.
    ///
    /// This and the other acts of its life apply to all destinations of the name, so that nothing waits unseen in one that
    /// a higher ranking hides.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// bus.pause("orders")?;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// assert_eq!(bus.statistics("orders").map(|now| (now.state, now.pending)), Some(("paused", 1)));
    /// bus.resume("orders")?;
    /// bus.idle().await;
    /// assert_eq!(bus.statistics("orders").map(|now| (now.state, now.completed)), Some(("open", 1)));
    /// # Ok(()) }
    /// ```
    pub fn pause(&self, destination: &str) -> Result<(), DestinationError> {
        self.existing_ranks(destination)?.iter().for_each(|found| found.pause());
        Ok(())
    }

    /// Has a paused destination deliver again.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn resume(&self, destination: &str) -> Result<(), DestinationError> {
        self.existing_ranks(destination)?.iter().for_each(|found| found.resume());
        Ok(())
    }

    /// Closes a destination: it takes nothing on any more, and what waits is delivered for at most `drain`. What is left
    /// then becomes dead letters.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Cancel safety
    /// Not cancel safe: the destination stays draining.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// use std::time::Duration;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// let left = bus.close("orders", Duration::from_secs(5)).await?;
    /// assert_eq!(left, Closed { dead_letters: 0, interrupted: false });
    /// assert_eq!(bus.send("orders", Outgoing::text("A2")).await.unwrap_err().name(), "closed");
    /// bus.reopen("orders")?;
    /// bus.send("orders", Outgoing::text("A2")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn close(&self, destination: &str, drain: Duration) -> Result<Closed, DestinationError> {
        let (ranks, deadline) = (self.existing_ranks(destination)?, after(Instant::now(), drain));
        Ok(Closed::together(ranks.iter().map(|each| each.close(deadline))).await)
    }

    /// Closes a destination at once: running calls are interrupted, what waits becomes dead letters.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Cancel safety
    /// Not cancel safe: the destination stays draining.
    pub async fn close_now(&self, destination: &str) -> Result<Closed, DestinationError> {
        let ranks = self.existing_ranks(destination)?;
        Ok(Closed::together(ranks.iter().map(|each| each.close_now())).await)
    }

    /// Opens a closed destination again, with its listeners, and statistics from zero.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn reopen(&self, destination: &str) -> Result<(), DestinationError> {
        self.existing_ranks(destination)?.iter().for_each(|found| found.reopen());
        Ok(())
    }
}
