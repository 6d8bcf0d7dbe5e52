//! Who observes events in the host, and which ones. When they are told stands in `hub`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Event, Hub};
use crate::bus::Bus;
use crate::name::DestinationName;
use crate::sync::{AtomicBool, Ordering};

/// Observes events in the host; a closure `Fn(&Event)` is one.
///
/// It runs in the task whose change is told, under no lock of the bus, so that it may call the bus; it should be quick.
/// One observer is told one event at a time. One that panics is warned of and goes on.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// struct Log;
/// impl Observer for Log {
///     fn observe(&self, event: &Event) {
///         eprintln!("{}", event.to_json());
///     }
/// }
/// let log: Observation = bus.observe(EventFilter::All, Log)?;
/// log.unobserve();
/// # Ok(()) }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Is told of an event.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// Which events an observer is told of.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let orders = EventFilter::Destination("orders".parse()?);
/// let _watch = bus.observe(orders, |event: &Event| println!("{}", event.name()))?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    /// All.
    All,
    /// Those about the destination of this name, which need not exist yet, and `events-missed`.
    Destination(DestinationName),
}

impl EventFilter {
    fn matches(&self, event: &Event) -> bool {
        match self {
            EventFilter::All => true,
            EventFilter::Destination(name) => match event {
                Event::EventsMissed { .. } => true,
                event => event.destination() == Some(name),
            },
        }
    }
}

/// One observer, as the hub knows it.
pub(super) struct Watcher {
    filter: EventFilter,
    observer: Box<dyn Observer>,
    ended: AtomicBool,
    /// Whether it panicked at the last event, so that one episode is one warning.
    panicked: AtomicBool,
}

impl Watcher {
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Tells an event, if it is one that this observer wants.
    pub(super) fn tell(&self, event: &Event) {
        if self.has_ended() || !self.filter.matches(event) {
            return;
        }
        let told = catch_unwind(AssertUnwindSafe(|| self.observer.observe(event)));
        let panicked = told.is_err();
        if panicked && !self.panicked.load(Ordering::Relaxed) {
            tracing::warn!(
                event = event.name(),
                "an observer panicked; it is told of the next event all the same"
            );
        }
        self.panicked.store(panicked, Ordering::Relaxed);
    }
}

/// An observer was not let in.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error = TooManyObservers { observers: limits::OBSERVERS_MAX };
/// assert!(error.to_string().starts_with("the bus has 1024 observers"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bus has {observers} observers, and no more may come: each is told of every event; end one, or have one tell the others"
)]
pub struct TooManyObservers {
    /// How many it has.
    pub observers: usize,
}

/// An observer's place; dropping it ends the observation.
///
/// A call of the observer that runs at that moment on another thread is not waited for.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let observation: Observation = bus.observe(EventFilter::All, |event: &Event| println!("{event:?}"))?;
/// drop(observation); // It is told of nothing more.
/// # Ok(()) }
/// ```
#[must_use = "dropping it ends the observation"]
pub struct Observation {
    hub: Arc<Hub>,
    watcher: Arc<Watcher>,
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observation").field("filter", &self.watcher.filter).finish_non_exhaustive()
    }
}

impl Observation {
    /// Ends the observation; the same as dropping it.
    pub fn unobserve(self) {}
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.watcher.ended.store(true, Ordering::SeqCst);
        self.hub.leave(&self.watcher);
    }
}

impl Bus {
    /// Has `observer` told of events: first of what exists, then of what happens next, nothing twice and nothing missed.
    ///
    /// What exists is told as added destinations, sorted by name, each followed by its registered listeners, and loaded
    /// guests. The order of events is the order of the changes. Usually the observer is told before the change's own call
    /// returns; when another thread is telling events just then, it tells this one, too.
    ///
    /// An observer that holds the bus keeps it alive until its observation ends.
    ///
    /// # Errors
    /// When there are as many as there may be ([`limits::OBSERVERS_MAX`](crate::limits::OBSERVERS_MAX)).
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// let (told, seen) = std::sync::mpsc::channel();
    /// let _observation = bus.observe(EventFilter::All, move |event: &Event| {
    ///     let _ = told.send(event.name());
    /// })?;
    /// bus.create(DestinationConfig::serial("orders")?)?;
    /// assert!(seen.try_iter().any(|name| name == "destination-added"));
    /// # Ok(()) }
    /// ```
    pub fn observe(
        &self,
        filter: EventFilter,
        observer: impl Observer,
    ) -> Result<Observation, TooManyObservers> {
        let watcher = Arc::new(Watcher {
            filter,
            observer: Box::new(observer),
            ended: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let hub = Arc::clone(&self.shared.events);
        {
            // Under the lock that every destination and listener comes and goes under: what exists is told, what comes
            // after it is told as it comes.
            let registry = self.shared.changes.lock();
            let existing = match &watcher.filter {
                EventFilter::All => self.shared.existing(&registry),
                EventFilter::Destination(name) => self.shared.existing_at(name.as_str()),
            };
            hub.arrive(&watcher, existing)?;
        }
        hub.drain();
        Ok(Observation { hub, watcher })
    }

    /// Tells an event that the bus cannot know of: what becomes of a guest.
    ///
    /// Loaded guests are remembered with the build that runs until they are unloaded, and told to observers that come
    /// later.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// bus.announce(Event::GuestLoaded { guest: "shop".into(), build: None });
    /// # Ok(()) }
    /// ```
    pub fn announce(&self, event: Event) {
        self.shared.events.announce(event);
        self.shared.events.drain();
    }
}
