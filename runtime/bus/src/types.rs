//! Destination types: the three of the bus, and those that an embedder registers by name. Such a type runs as one of the
//! three and chooses which of the listeners receive a message. It keeps nothing and runs nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::bus::Bus;
use crate::config::{ConfigError, DestinationConfig};
use crate::limits::DESTINATION_TYPES_MAX;
use crate::message::Message;
use crate::registration::ListenerSet;
use crate::sync::Mutex;

/// Who runs the listeners of a destination.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert_eq!(DestinationType::named("serial"), Some(DestinationType::Serial));
/// assert!(DestinationType::Parallel.is_queued() && !DestinationType::Synchronous.is_queued());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestinationType {
    /// Several workers at once; no order.
    Parallel,
    /// One worker, listeners one after the other; first in, first out.
    Serial,
    /// The sender's own task; no queue.
    Synchronous,
}

impl DestinationType {
    /// All types.
    pub const ALL: [DestinationType; 3] =
        [DestinationType::Parallel, DestinationType::Serial, DestinationType::Synchronous];

    /// The type of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The name as it stands in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DestinationType::Parallel => "parallel",
            DestinationType::Serial => "serial",
            DestinationType::Synchronous => "synchronous",
        }
    }

    /// Whether messages wait in a queue.
    #[must_use]
    pub fn is_queued(self) -> bool {
        self != DestinationType::Synchronous
    }
}

impl fmt::Display for DestinationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

type Choose = dyn Fn(&Message, &[&str]) -> Vec<usize> + Send + Sync;

/// A destination type of an embedder.
///
/// It runs as its base type does: who calls the listeners, what waits, which settings are legal. Of the listeners that are
/// there when a message is accepted it chooses those that receive it, by their places; the order is that of registration.
/// A choice of nobody turns the message away as `no-listener`. The choice is made in the sender's task, without a lock: it
/// must not block. A choice that panics is one of nobody.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, CustomType, DestinationType};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = Bus::new(BusConfig::default());
/// bus.register_type(CustomType::new("first-only", DestinationType::Serial, |_message, _listeners| vec![0])?)?;
/// bus.create(bus.configuration("first-only", "orders")?)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CustomType {
    name: Arc<str>,
    base: DestinationType,
    choose: Arc<Choose>,
}

impl CustomType {
    /// A type of this name: letters, digits and `-`, not one of the bus's own.
    ///
    /// # Errors
    /// When the name breaks that rule.
    pub fn new(
        name: &str,
        base: DestinationType,
        choose: impl Fn(&Message, &[&str]) -> Vec<usize> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let legal = !name.is_empty()
            && name.len() <= crate::limits::KEY_BYTES_MAX
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !legal || DestinationType::named(name).is_some() {
            return Err(ConfigError::TypeName(name.to_owned()));
        }
        Ok(Self { name: Arc::from(name), base, choose: Arc::new(choose) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type that it runs as.
    #[must_use]
    pub fn base(&self) -> DestinationType {
        self.base
    }

    /// Those of `listeners` that receive `message`, each once, in the order of registration.
    pub(crate) fn chosen(&self, message: &Message, listeners: &ListenerSet) -> ListenerSet {
        let names: Vec<&str> = listeners.iter().map(|slot| &*slot.name).collect();
        let choice = catch_unwind(AssertUnwindSafe(|| (self.choose)(message, &names)));
        let Ok(mut places) = choice else {
            tracing::warn!(destination = %message.destination(), "the choice of type `{}` panicked", self.name);
            return ListenerSet::new();
        };
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| listeners.get(place)).cloned().collect()
    }
}

impl fmt::Debug for CustomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomType")
            .field("name", &self.name)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl PartialEq for CustomType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.choose, &other.choose)
    }
}

/// The types that an embedder has registered.
#[derive(Debug, Default)]
pub(crate) struct Types(Mutex<BTreeMap<Arc<str>, CustomType>>);

impl Bus {
    /// Registers a destination type under its name.
    ///
    /// # Errors
    /// When there is one of this name already, or there are as many as there may be.
    pub fn register_type(&self, custom: CustomType) -> Result<(), ConfigError> {
        let mut types = self.shared.types.0.lock();
        if types.contains_key(&custom.name) {
            return Err(ConfigError::TypeTaken(custom.name.to_string()));
        }
        if types.len() >= DESTINATION_TYPES_MAX {
            return Err(ConfigError::TooManyTypes(types.len()));
        }
        types.insert(Arc::clone(&custom.name), custom);
        Ok(())
    }

    /// The names of the types that there are: the three of the bus, then the registered ones.
    #[must_use]
    pub fn types(&self) -> Vec<String> {
        let own = DestinationType::ALL.iter().map(|own| own.name().to_owned());
        own.chain(self.shared.types.0.lock().keys().map(|name| name.to_string())).collect()
    }

    /// The default configuration of a destination of a type that is named: one of the bus's own or a registered one.
    ///
    /// # Errors
    /// When there is no such type, with those that there are; or `name` is not a name that may be created.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let bus = Bus::new(BusConfig::default());
    /// assert!(bus.configuration("parallel", "orders").is_ok());
    /// let error = bus.configuration("nope", "orders").unwrap_err().to_string();
    /// assert!(error.contains("`nope`") && error.contains("parallel, serial, synchronous"));
    /// # }
    /// ```
    pub fn configuration(&self, type_name: &str, name: &str) -> Result<DestinationConfig, ConfigError> {
        let custom = self.shared.types.0.lock().get(type_name).cloned();
        let base = match &custom {
            Some(custom) => custom.base,
            None => DestinationType::named(type_name).ok_or_else(|| ConfigError::NoSuchType {
                name: type_name.to_owned(),
                known: self.types().join(", "),
            })?,
        };
        let mut config = DestinationConfig::with_type(base, name)?;
        config.custom_type = custom;
        Ok(config)
    }
}
