//! How listeners come and go, and wait for destinations that do not exist yet.

use std::sync::Arc;

use super::Registry;
use super::tell::registered;
use crate::bus::{Bus, Shared};
use crate::config::ConfigError;
use crate::destination::{Destination, Registered, Taken};
use crate::error::DestinationError;
use crate::limits;
use crate::listener::MessageListener;
use crate::name::DestinationName;

type Detached = (Option<Arc<dyn MessageListener>>, Vec<(Arc<Destination>, Taken)>);

impl Shared {
    /// Registers a listener at all destinations of a name, or keeps it until there is one.
    fn attach(
        &self,
        registry: &mut Registry,
        name: &DestinationName,
        listener: &Arc<dyn MessageListener>,
    ) -> Result<Registered, DestinationError> {
        let Some(active) = self.find(name.as_str()) else { return registry.attach_early(name, listener) };
        let ended = active.register(Arc::clone(listener))?;
        if ended != Registered::Now {
            return Ok(ended);
        }
        for hidden in registry.hidden_of(name.as_str()) {
            // It has the same listeners, so that it has room for this one, too.
            hidden.register(Arc::clone(listener))?;
        }
        match active.listeners().last() {
            Some(slot) if active.is_events => self.events.listens(slot, self.existing(registry)),
            Some(slot) => self.events.push(|| registered(name, &slot.name)),
            None => {}
        }
        Ok(ended)
    }

    /// Takes a listener away from all destinations of a name, and from those that wait for one.
    fn detach(&self, registry: &mut Registry, name: &str, listener: &str) -> Detached {
        let early = registry.detach_early(name, listener);
        let mut all_taken = Vec::new();
        for destination in self.ranks_in(registry, name) {
            let Some(taken) = destination.take_listener(listener) else { continue };
            if destination.is_events {
                self.events.listens_no_more(&taken.slot);
            } else if self.is_active(&destination) {
                self.tell_unregistered(&destination.name, &taken.slot.name);
            }
            all_taken.push((destination, taken));
        }
        (early, all_taken)
    }
}

impl Registry {
    fn attach_early(
        &mut self,
        name: &DestinationName,
        listener: &Arc<dyn MessageListener>,
    ) -> Result<Registered, DestinationError> {
        let names = self.early.len();
        if names >= limits::DESTINATIONS_MAX && !self.early.contains_key(name) {
            return Err(DestinationError::TooManyDestinations(names));
        }
        let waiting = self.early.entry(name.clone()).or_default();
        if waiting.len() >= limits::LISTENERS_MAX {
            return Err(DestinationError::TooManyListeners(name.clone(), waiting.len()));
        }
        if waiting.iter().any(|known| known.name() == listener.name()) {
            return Ok(Registered::Already);
        }
        waiting.push(Arc::clone(listener));
        Ok(Registered::WhenItAppears)
    }

    fn detach_early(&mut self, name: &str, listener: &str) -> Option<Arc<dyn MessageListener>> {
        let waiting = self.early.get_mut(name)?;
        let place = waiting.iter().position(|known| known.name() == listener)?;
        let early = waiting.remove(place);
        if waiting.is_empty() {
            self.early.remove(name);
        }
        Some(early)
    }
}

impl Bus {
    /// Has `listener` receive what is sent to `destination` from now on.
    ///
    /// A destination that does not exist yet is no error: the listener attaches when it appears.
    ///
    /// # Errors
    /// When the name is not a name, or the destination has as many listeners as it may have.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// let stock = listener_fn("stock", |delivery: Delivery| async move {
    ///     println!("{}", delivery.text().unwrap_or_default());
    ///     Outcome::done()
    /// });
    /// assert_eq!(bus.register("orders", stock)?, Registered::Now);
    /// # Ok(()) }
    /// ```
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
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// use std::sync::Arc;
    /// let audit: Arc<dyn MessageListener> = Arc::new(listener_fn("audit", |_| async { Outcome::done() }));
    /// for destination in ["orders", "returns"] {
    ///     bus.register_shared(destination, Arc::clone(&audit))?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn register_shared(
        &self,
        destination: &str,
        listener: Arc<dyn MessageListener>,
    ) -> Result<Registered, DestinationError> {
        let name = DestinationName::new(destination).map_err(ConfigError::from)?;
        // The lock is released before the listener could be dropped: what a listener is made of may call the bus.
        let registered = self.shared.attach(&mut self.shared.changes.lock(), &name, &listener);
        self.shared.events.drain();
        registered
    }

    /// Where a listener is registered, destinations included that do not exist yet; sorted by name.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, Outcome, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.register("t/early", listener_fn("l", |_| async { Outcome::done() }))?;
    /// assert_eq!(bus.registrations("l"), ["t/early".parse()?]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn registrations(&self, listener: &str) -> Vec<DestinationName> {
        let registry = self.shared.changes.lock();
        let here = |destination: &&Arc<Destination>| {
            destination.listeners().iter().any(|slot| &*slot.name == listener)
        };
        let now = registry.shown().filter(here).map(|destination| destination.name.clone());
        let waits = registry.early.iter().filter(|(_, waiting)| waiting.iter().any(|l| l.name() == listener));
        let mut names: Vec<_> = now.chain(waits.map(|(name, _)| name.clone())).collect();
        names.sort();
        names
    }

    /// Takes a listener away, waiting for its running calls. Answers whether it was there.
    ///
    /// # Cancel safety
    /// Once begun, the listener is not called any more, whether or not the caller waits.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// assert!(bus.unregister("orders", "stock").await);
    /// assert!(!bus.unregister("orders", "stock").await, "it is not there any more");
    /// # Ok(()) }
    /// ```
    pub async fn unregister(&self, destination: &str, listener: &str) -> bool {
        let (was_early, taken) = self.shared.detach(&mut self.shared.changes.lock(), destination, listener);
        self.shared.events.drain();
        for (destination, taken) in &taken {
            destination.settle_taken(taken);
        }
        for (_, taken) in &taken {
            taken.slot.quiet().await;
        }
        was_early.is_some() || !taken.is_empty()
    }
}
