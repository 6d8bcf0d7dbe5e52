//! How destinations and listeners come and go: names, rankings among destinations of one name, listeners that wait for
//! theirs to appear, and the events of all that. It carries no message.

mod listeners;
mod table;
mod tell;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::{Bus, Shared};
use crate::config::{ConfigError, DestinationConfig};
use crate::dead_letter::DeadLetter;
use crate::destination::{Closed, Destination};
use crate::error::DestinationError;
use crate::limits;
use crate::listener::MessageListener;
use crate::name::{DEFAULT_RESPONSE, DestinationName, EVENTS, NameError};
use crate::registration::ListenerSet;
use crate::sync::HashMap;
pub(crate) use table::Table;

/// All that is known by name, also what the table of look-ups does not show.
#[derive(Default)]
pub(crate) struct Registry {
    /// Destinations that senders see: those of the table.
    shown: BTreeMap<DestinationName, Arc<Destination>>,
    /// Listeners whose destination does not exist yet.
    early: HashMap<DestinationName, Vec<Arc<dyn MessageListener>>>,
    /// Destinations that one of a higher ranking hides, or that are being destroyed after another took over; the highest
    /// ranking first.
    hidden: HashMap<DestinationName, Vec<Arc<Destination>>>,
}

/// What a destroyed destination left behind.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// let Destroyed { closed, dead_letters } = bus.destroy("orders").await?;
/// assert!(!closed.interrupted && dead_letters.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Destroyed {
    /// What closing it left.
    pub closed: Closed,
    /// Its dead letters, the oldest first; they are the caller's now. None where another destination of its name is there:
    /// that one keeps them.
    pub dead_letters: Vec<DeadLetter>,
}

impl Registry {
    /// All destinations that senders see, by name.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.shown.values()
    }

    /// All destinations that senders do not see.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.hidden.values().flatten()
    }

    fn hidden_of(&self, name: &str) -> &[Arc<Destination>] {
        self.hidden.get(name).map_or(&[], Vec::as_slice)
    }

    fn hide(&mut self, destination: Arc<Destination>) {
        destination.hide();
        let hidden = self.hidden.entry(destination.name.clone()).or_default();
        let place = hidden.partition_point(|known| known.ranking > destination.ranking);
        hidden.insert(place, destination);
    }

    /// Takes a destination out of those that are hidden; answers whether it was there.
    fn forget(&mut self, destination: &Arc<Destination>) -> bool {
        let Some(hidden) = self.hidden.get_mut(destination.name.as_str()) else { return false };
        let before = hidden.len();
        hidden.retain(|known| !Arc::ptr_eq(known, destination));
        let was_there = hidden.len() != before;
        if hidden.is_empty() {
            self.hidden.remove(destination.name.as_str());
        }
        was_there
    }

    /// The one that takes over when the active one goes.
    fn successor(&self, name: &str) -> Option<Arc<Destination>> {
        self.hidden_of(name).iter().find(|each| !each.is_leaving()).cloned()
    }
}

impl Shared {
    /// The destinations of a name: the active one first, then those that it hides.
    pub(crate) fn ranks(&self, name: &str) -> Vec<Arc<Destination>> {
        self.ranks_in(&self.changes.lock(), name)
    }

    fn ranks_in(&self, registry: &Registry, name: &str) -> Vec<Arc<Destination>> {
        self.find(name).into_iter().chain(registry.hidden_of(name).iter().cloned()).collect()
    }

    /// All destinations, those that are hidden too.
    pub(crate) fn everywhere(&self) -> Vec<Arc<Destination>> {
        let registry = self.changes.lock();
        registry.shown().chain(registry.hidden()).cloned().collect()
    }

    fn make(self: &Arc<Self>, config: DestinationConfig, ranking: i32) -> Arc<Destination> {
        Destination::new(config, ranking, Arc::downgrade(self), Arc::clone(&self.events))
    }

    pub(crate) fn add_built_in(self: &Arc<Self>) {
        let mut registry = self.changes.lock();
        if let Ok(name) = DestinationName::new(DEFAULT_RESPONSE) {
            self.publish(&mut registry, self.make(DestinationConfig::built_in_synchronous(name), 0));
        }
        if let Ok(name) = DestinationName::new(EVENTS) {
            let events = self.make(DestinationConfig::built_in_events(name), 0);
            self.events.feeds(&events);
            self.publish(&mut registry, events);
        }
    }

    /// Has senders see `destination` under its name.
    fn publish(&self, registry: &mut Registry, destination: Arc<Destination>) {
        registry.shown.insert(destination.name.clone(), Arc::clone(&destination));
        self.destinations.publish(registry, destination);
    }

    fn add(
        self: &Arc<Self>,
        registry: &mut Registry,
        config: DestinationConfig,
        ranking: i32,
    ) -> Result<(), DestinationError> {
        let name = config.name.clone();
        if self.ranks_in(registry, name.as_str()).iter().any(|known| known.ranking == ranking) {
            return Err(DestinationError::AlreadyExists { destination: name, ranking });
        }
        let count = registry.shown.len() + registry.hidden().count();
        if count >= limits::DESTINATIONS_MAX {
            return Err(DestinationError::TooManyDestinations(count));
        }
        let destination = self.make(config, ranking);
        let active = self.find(name.as_str());
        // Before anybody can send there: a policy without a listener would turn the first message away.
        let listeners: Vec<_> = match &active {
            Some(active) => active.listeners().iter().map(|slot| Arc::clone(&slot.listener)).collect(),
            None => registry.early.remove(&name).unwrap_or_default(),
        };
        for listener in listeners {
            destination.register(listener)?;
        }
        for slot in active.iter().flat_map(|active| active.listeners().to_vec()) {
            if slot.breaker.is_suspended() {
                destination.suspend(&slot.name, true);
            }
        }
        match active {
            None => {
                self.publish(registry, Arc::clone(&destination));
                self.tell_added(&destination);
                for slot in destination.listeners().iter() {
                    self.events.push(|| tell::registered(&name, &slot.name));
                }
            }
            Some(active) if active.ranking > ranking => registry.hide(destination),
            Some(active) => self.replace(registry, active, destination),
        }
        Ok(())
    }

    /// Puts `new` in the place of `old`, which stays behind it and drains.
    fn replace(&self, registry: &mut Registry, old: Arc<Destination>, new: Arc<Destination>) {
        registry.forget(&new);
        new.show();
        self.publish(registry, Arc::clone(&new));
        registry.hide(Arc::clone(&old));
        self.tell_removed(&old);
        self.tell_added(&new);
    }

    /// Begins to destroy a destination: if another one can take over, it does so now, before anything is refused.
    fn step_aside(
        &self,
        registry: &mut Registry,
        name: &str,
        ranking: Option<i32>,
    ) -> Result<Arc<Destination>, DestinationError> {
        let ranks = self.ranks_in(registry, name);
        let Some(first) = ranks.first() else {
            return Err(DestinationError::NoSuchDestination(name.to_owned()));
        };
        if first.name.is_reserved() {
            return Err(DestinationError::BuiltIn(first.name.clone()));
        }
        let destination = match ranking {
            None => first,
            Some(ranking) => ranks
                .iter()
                .find(|each| each.ranking == ranking)
                .ok_or_else(|| DestinationError::NoSuchRanking { destination: name.to_owned(), ranking })?,
        };
        destination.mark_leaving();
        if self.is_active(destination)
            && let Some(successor) = registry.successor(name)
        {
            self.replace(registry, Arc::clone(destination), successor);
        }
        Ok(Arc::clone(destination))
    }

    fn is_active(&self, destination: &Arc<Destination>) -> bool {
        self.find(destination.name.as_str()).is_some_and(|found| Arc::ptr_eq(&found, destination))
    }

    /// Forgets a destination that is closed. What it leaves, but for listeners to be let go of, is the caller's, unless
    /// another destination of its name is there.
    fn remove(
        &self,
        registry: &mut Registry,
        gone: &Arc<Destination>,
    ) -> (Vec<DeadLetter>, Arc<ListenerSet>) {
        let name = &gone.name;
        if self.is_active(gone) {
            match registry.successor(name.as_str()) {
                // It was made while this one was closing.
                Some(successor) => {
                    self.replace(registry, Arc::clone(gone), successor);
                    registry.forget(gone);
                }
                None => {
                    gone.listeners().iter().for_each(|slot| self.tell_unregistered(name, &slot.name));
                    registry.shown.remove(name.as_str());
                    self.destinations.remove(registry, name.as_str());
                    self.tell_removed(gone);
                }
            }
        } else {
            registry.forget(gone);
        }
        let (letters, listeners) = (gone.take_dead_letters(), gone.take_all_listeners());
        match self.find(name.as_str()) {
            Some(heir) => {
                heir.adopt(letters);
                (Vec::new(), listeners)
            }
            None => (letters, listeners),
        }
    }
}

impl Bus {
    /// Makes a destination of ranking 0 and opens it. Listeners that registered for it before attach, in their order.
    ///
    /// # Errors
    /// When the configuration is not legal, there is one of this name and ranking, or there are too many; then nothing was
    /// made.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::parallel("orders")?)?;
    /// let error = bus.create(DestinationConfig::serial("orders")?).unwrap_err();
    /// assert_eq!(error.to_string(), "destination `orders` exists already with the ranking 0");
    /// # Ok(()) }
    /// ```
    pub fn create(&self, config: DestinationConfig) -> Result<(), DestinationError> {
        self.create_ranked(config, 0)
    }

    /// Makes a destination of this ranking and opens it.
    ///
    /// Of several destinations of one name, senders see the one of the highest ranking; the others wait behind it. One that
    /// is replaced so takes nothing new and delivers what it has to the same listeners. Listeners belong to the name: each
    /// destination of the name has them all, in the same order.
    ///
    /// # Errors
    /// As [`Bus::create`].
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, DestinationType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::serial("orders")?)?;
    /// bus.create_ranked(DestinationConfig::synchronous("orders")?, 1_000)?;
    /// let shown = |bus: &Bus| bus.config("orders").map(|config| config.destination_type);
    /// assert_eq!(shown(&bus), Some(DestinationType::Synchronous));
    /// bus.destroy("orders").await?;
    /// assert_eq!(shown(&bus), Some(DestinationType::Serial));
    /// # Ok(()) }
    /// ```
    pub fn create_ranked(&self, config: DestinationConfig, ranking: i32) -> Result<(), DestinationError> {
        config.check()?;
        if config.name.is_reserved() {
            let name = config.name.to_string();
            return Err(ConfigError::from(NameError::Reserved { name }).into());
        }
        self.shared.add(&mut self.shared.changes.lock(), config, ranking)?;
        self.shared.events.drain();
        Ok(())
    }

    /// Closes the active destination of a name now and removes it; the next ranked one takes over, if there is one, and
    /// else the name and its listeners are gone.
    ///
    /// What waits becomes dead letters. They, and those that it kept before, go to the destination that takes over, or else
    /// to the caller.
    ///
    /// # Errors
    /// When there is none of this name, or it is built in.
    ///
    /// # Cancel safety
    /// Once begun, the destination takes nothing on any more and does not open again; it keeps its dead letters until it is
    /// destroyed once more, by its ranking where another one took over.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// bus.send("orders", Outgoing::text("nobody listens yet")).await?;
    /// let destroyed = bus.destroy("orders").await?;
    /// assert_eq!(destroyed.dead_letters[0].reason.name(), "closed");
    /// assert!(!bus.has_destination("orders"));
    /// # Ok(()) }
    /// ```
    pub async fn destroy(&self, name: &str) -> Result<Destroyed, DestinationError> {
        self.destroy_one(name, None).await
    }

    /// The same for the destination of this ranking, active or not.
    ///
    /// # Errors
    /// As [`Bus::destroy`], and when there is none of this ranking.
    ///
    /// # Cancel safety
    /// As [`Bus::destroy`].
    pub async fn destroy_ranked(&self, name: &str, ranking: i32) -> Result<Destroyed, DestinationError> {
        self.destroy_one(name, Some(ranking)).await
    }

    async fn destroy_one(&self, name: &str, ranking: Option<i32>) -> Result<Destroyed, DestinationError> {
        let destination = self.shared.step_aside(&mut self.shared.changes.lock(), name, ranking)?;
        self.shared.events.drain();
        let closed = destination.close_now().await;
        let (dead_letters, listeners) = self.shared.remove(&mut self.shared.changes.lock(), &destination);
        listeners.iter().for_each(|slot| slot.let_go());
        self.shared.events.drain();
        Ok(Destroyed { closed, dead_letters })
    }
}
