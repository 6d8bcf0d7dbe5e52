//! The bus: names and destinations, and the operations on them. How a message travels stands in `send`.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use crate::clock::{Clock, WallClock};
use crate::config::DestinationConfig;
use crate::dead_letter::DeadLetter;
use crate::destination::{Closed, Destination, Registered};
use crate::error::DestinationError;
use crate::hooks::Hooks;
use crate::limits;
use crate::listener::MessageListener;
use crate::name::{DEFAULT_RESPONSE, DestinationName};
use crate::origin::Origin;
use crate::request::Requests;
use crate::rest::Rest;
use crate::statistics::DestinationStatistics;
use crate::sync::{Handle, HashMap, Instant, Mutex, after};
use crate::types::Types;

/// The limits of a whole bus.
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
    pub(crate) destinations: ArcSwap<HashMap<DestinationName, Arc<Destination>>>,
    /// Serialises changes of the table, and keeps the listeners whose destination does not exist yet.
    changes: Mutex<Early>,
    pub(crate) requests: Requests,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) config: BusConfig,
    pub(crate) clock: Clock,
    /// The origin of what the host itself sends.
    pub(crate) host: Origin,
    pub(crate) rest: Rest,
    pub(crate) types: Types,
    pub(crate) runtime: Handle,
}

#[derive(Default)]
struct Early {
    listeners: HashMap<DestinationName, Vec<Arc<dyn MessageListener>>>,
}

impl Shared {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    pub(crate) fn destinations(&self) -> arc_swap::Guard<Arc<HashMap<DestinationName, Arc<Destination>>>> {
        self.destinations.load()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Destination>> {
        self.destinations.load().get(name).cloned()
    }
}

impl Drop for Shared {
    /// The last clone of the bus is gone: nobody can send any more, and its workers end.
    fn drop(&mut self) {
        self.destinations.load().values().for_each(|destination| destination.abandon());
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
            destinations: ArcSwap::default(),
            changes: Mutex::default(),
            requests: Requests::new(config.waiting_requests_max),
            hooks: Arc::default(),
            config,
            clock: Clock::new(config.clock),
            host: Origin::host(),
            rest: Rest::default(),
            types: Types::default(),
            runtime: Handle::current(),
        });
        let bus = Self { shared };
        if let Ok(name) = DestinationName::new(DEFAULT_RESPONSE) {
            let config = DestinationConfig::built_in_synchronous(name);
            bus.publish(Destination::new(config, Arc::downgrade(&bus.shared)));
        }
        bus
    }

    fn publish(&self, destination: Arc<Destination>) {
        let mut table = HashMap::clone(&self.shared.destinations.load());
        table.insert(destination.name.clone(), destination);
        self.shared.destinations.store(Arc::new(table));
    }

    /// Makes a destination and opens it. Listeners that registered for it before attach, in their order.
    ///
    /// # Errors
    /// When the configuration is not legal, the name is taken, or there are too many; then nothing was made.
    pub fn create(&self, config: DestinationConfig) -> Result<(), DestinationError> {
        config.check()?;
        let mut early = self.shared.changes.lock();
        let table = self.shared.destinations.load();
        if table.contains_key(&config.name) {
            return Err(DestinationError::AlreadyExists(config.name));
        }
        if table.len() >= limits::DESTINATIONS_MAX {
            return Err(DestinationError::TooManyDestinations(table.len()));
        }
        let destination = Destination::new(config, Arc::downgrade(&self.shared));
        // Before anybody can send there: a policy without a listener would turn the first message away.
        for listener in early.listeners.remove(&destination.name).unwrap_or_default() {
            destination.register(listener)?;
        }
        self.publish(destination);
        Ok(())
    }

    /// Closes a destination now and removes it. What still waits becomes dead letters, which go with it; read them first.
    ///
    /// # Errors
    /// When there is none of this name, or it is built in.
    ///
    /// # Cancel safety
    /// Once begun, the destination takes nothing on any more; it may stay closed.
    pub async fn destroy(&self, name: &str) -> Result<(), DestinationError> {
        let destination = self.destination(name)?;
        if destination.name.is_reserved() {
            return Err(DestinationError::BuiltIn(destination.name.clone()));
        }
        destination.close_now().await;
        let _changes = self.shared.changes.lock();
        let mut table = HashMap::clone(&self.shared.destinations.load());
        // Somebody else may have removed it meanwhile, and made another one of its name.
        if table.get(&destination.name).is_some_and(|found| Arc::ptr_eq(found, &destination)) {
            table.remove(&destination.name);
            self.shared.destinations.store(Arc::new(table));
        }
        Ok(())
    }

    /// The names of all destinations, sorted.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationName> {
        let mut names: Vec<_> = self.shared.destinations.load().keys().cloned().collect();
        names.sort();
        names
    }

    /// Whether a destination of this name exists.
    #[must_use]
    pub fn has_destination(&self, name: &str) -> bool {
        self.shared.destinations.load().contains_key(name)
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

    /// Has `listener` receive what is sent to `destination` from now on.
    ///
    /// A destination that does not exist yet is no error: the listener attaches when it appears.
    ///
    /// # Errors
    /// When the name is not a name, or the destination has as many listeners as it may have.
    pub fn register(
        &self,
        destination: &str,
        listener: impl MessageListener,
    ) -> Result<Registered, DestinationError> {
        self.register_shared(destination, Arc::new(listener))
    }

    /// The same for a listener that listens at several destinations.
    ///
    /// # Errors
    /// As [`Bus::register`].
    pub fn register_shared(
        &self,
        destination: &str,
        listener: Arc<dyn MessageListener>,
    ) -> Result<Registered, DestinationError> {
        let name = DestinationName::new(destination).map_err(crate::ConfigError::from)?;
        let mut early = self.shared.changes.lock();
        if let Some(existing) = self.shared.find(destination) {
            return existing.register(listener);
        }
        let names = early.listeners.len();
        if names >= limits::DESTINATIONS_MAX && !early.listeners.contains_key(&name) {
            return Err(DestinationError::TooManyDestinations(names));
        }
        let waiting = early.listeners.entry(name.clone()).or_default();
        if waiting.len() >= limits::LISTENERS_MAX {
            return Err(DestinationError::TooManyListeners(name, waiting.len()));
        }
        if waiting.iter().any(|known| known.name() == listener.name()) {
            return Ok(Registered::Already);
        }
        waiting.push(listener);
        Ok(Registered::WhenItAppears)
    }

    /// Takes a listener away, waiting for its running calls. Answers whether it was there.
    ///
    /// # Cancel safety
    /// Once begun, the listener is not called any more, whether or not the caller waits.
    pub async fn unregister(&self, destination: &str, listener: &str) -> bool {
        let was_early = {
            let mut early = self.shared.changes.lock();
            let waiting = early.listeners.get_mut(destination);
            waiting.is_some_and(|waiting| {
                let before = waiting.len();
                waiting.retain(|known| known.name() != listener);
                waiting.len() != before
            })
        };
        match self.shared.find(destination) {
            Some(found) => found.unregister(listener).await,
            None => was_early,
        }
    }

    /// The figures of one destination.
    #[must_use]
    pub fn statistics(&self, destination: &str) -> Option<DestinationStatistics> {
        self.shared.find(destination).map(|found| found.statistics())
    }

    /// The figures of all destinations, sorted by name.
    #[must_use]
    pub fn all_statistics(&self) -> Vec<DestinationStatistics> {
        self.destinations().iter().filter_map(|name| self.statistics(name.as_str())).collect()
    }

    /// The dead letters that a destination keeps, the oldest first; none where there is no such destination.
    #[must_use]
    pub fn dead_letters(&self, destination: &str) -> Vec<DeadLetter> {
        self.shared.find(destination).map(|found| found.dead_letters()).unwrap_or_default()
    }

    /// Synchronous senders that wait at this moment.
    #[must_use]
    pub fn waiting_requests(&self) -> usize {
        self.shared.requests.waiting()
    }

    /// Has a destination accept within its bounds and deliver nothing; a synchronous one answers `paused`.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn pause(&self, destination: &str) -> Result<(), DestinationError> {
        self.destination(destination).map(|found| found.pause())
    }

    /// Has a paused destination deliver again.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn resume(&self, destination: &str) -> Result<(), DestinationError> {
        self.destination(destination).map(|found| found.resume())
    }

    /// Closes a destination: it takes nothing on any more, and what waits is delivered for at most `drain`. What is left
    /// then becomes dead letters.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Cancel safety
    /// Not cancel safe: the destination stays draining.
    pub async fn close(&self, destination: &str, drain: Duration) -> Result<Closed, DestinationError> {
        Ok(self.destination(destination)?.close(after(Instant::now(), drain)).await)
    }

    /// Closes a destination at once: running calls are interrupted, what waits becomes dead letters.
    ///
    /// # Errors
    /// When there is none of this name.
    ///
    /// # Cancel safety
    /// Not cancel safe: the destination stays draining.
    pub async fn close_now(&self, destination: &str) -> Result<Closed, DestinationError> {
        Ok(self.destination(destination)?.close_now().await)
    }

    /// Opens a closed destination again, with its listeners, and statistics from zero.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn reopen(&self, destination: &str) -> Result<(), DestinationError> {
        self.destination(destination).map(|found| found.reopen())
    }
}
