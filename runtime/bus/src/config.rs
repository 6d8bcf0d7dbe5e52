//! How a destination is configured, and which values are legal. Checked once, before anything is made.

use std::fmt;
use std::time::Duration;

use crate::limits;
use crate::name::{DestinationName, NameError};
use crate::policy::{OnFailure, OnNoListener, RejectedExecution};
use crate::settlement::RetryPolicy;
use crate::types::{CustomType, DestinationType};

/// How many workers a destination has.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut config = DestinationConfig::parallel("orders")?;
/// config.workers = Workers { core: 1, max: 8, ..config.workers };
/// assert!(config.check().is_ok());
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// How many stay, once started.
    pub core: usize,
    /// How many there may be.
    pub max: usize,
    /// How long one above the core size stays without work.
    pub keep_alive: Duration,
}

/// How many dead letters a destination keeps; the oldest leaves first.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut config = DestinationConfig::parallel("orders")?;
/// config.dead_letters = DeadLetterBounds { letters_max: 100, ..DeadLetterBounds::default() };
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterBounds {
    /// How many.
    pub letters_max: usize,
    /// How many bytes of payload and values.
    pub bytes_max: usize,
    /// For how long.
    pub age_max: Duration,
}

impl Default for DeadLetterBounds {
    fn default() -> Self {
        Self {
            letters_max: limits::DEAD_LETTERS_MAX,
            bytes_max: limits::DEAD_LETTER_BYTES_MAX,
            age_max: limits::DEAD_LETTER_AGE_MAX,
        }
    }
}

/// The configuration of one destination. Start from one of the three constructors and change what differs.
///
/// # Examples
/// ```
/// use sandbus_bus::{DestinationConfig, Workers};
/// let mut config = DestinationConfig::parallel("orders")?;
/// config.queue_entries_max = 20;
/// config.workers = Workers { core: 3, max: 6, ..config.workers };
/// config.check()?;
/// # Ok::<(), sandbus_bus::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationConfig {
    /// Its name.
    pub name: DestinationName,
    /// Who runs its listeners.
    pub destination_type: DestinationType,
    /// The embedder's type that chooses among its listeners; made by [`Bus::configuration`](crate::Bus::configuration).
    pub custom_type: Option<CustomType>,
    /// Queue entries that may wait (parallel: one per message and listener).
    pub queue_entries_max: usize,
    /// Payload and value bytes that may wait.
    pub queue_bytes_max: usize,
    /// Payload and value bytes of one message.
    pub message_bytes_max: usize,
    /// Its workers.
    pub workers: Workers,
    /// What becomes of a message for which there is no room.
    pub rejected_execution: RejectedExecution,
    /// What becomes of a message that no listener is there for.
    pub on_no_listener: OnNoListener,
    /// What a serial destination does while a message waits for its retry.
    pub on_failure: OnFailure,
    /// How long a synchronous sender waits when it does not say.
    pub request_timeout: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// How many dead letters it keeps.
    pub dead_letters: DeadLetterBounds,
    /// Whether messages of a higher priority are delivered first.
    pub priority: bool,
    /// After what time a message becomes a dead letter when its turn has not come, if its sender does not say.
    pub expires_in: Option<Duration>,
    /// How long a dedup key is remembered.
    pub dedup_window: Duration,
    /// Whether it starts paused: it accepts within its bounds and delivers nothing.
    pub paused: bool,
}

impl DestinationConfig {
    /// Several workers at once, 2 kept and up to 5; no order.
    ///
    /// # Errors
    /// When `name` is not a name that may be created.
    pub fn parallel(name: &str) -> Result<Self, ConfigError> {
        let workers = Workers {
            core: limits::WORKERS_CORE,
            max: limits::WORKERS_MAX,
            keep_alive: limits::WORKER_KEEP_ALIVE,
        };
        Self::of_type(name, DestinationType::Parallel, workers)
    }

    /// One worker, listeners one after the other; first in, first out.
    ///
    /// # Errors
    /// When `name` is not a name that may be created.
    pub fn serial(name: &str) -> Result<Self, ConfigError> {
        let workers = Workers { core: 1, max: 1, keep_alive: limits::WORKER_KEEP_ALIVE };
        Self::of_type(name, DestinationType::Serial, workers)
    }

    /// The sender's own task; no queue, no workers.
    ///
    /// # Errors
    /// When `name` is not a name that may be created.
    pub fn synchronous(name: &str) -> Result<Self, ConfigError> {
        Self::of_type(name, DestinationType::Synchronous, Self::NO_WORKERS)
    }

    /// The defaults of this type.
    ///
    /// # Errors
    /// When `name` is not a name that may be created.
    pub fn with_type(destination_type: DestinationType, name: &str) -> Result<Self, ConfigError> {
        match destination_type {
            DestinationType::Parallel => Self::parallel(name),
            DestinationType::Serial => Self::serial(name),
            DestinationType::Synchronous => Self::synchronous(name),
        }
    }

    /// The name of its type: the embedder's, or the bus's own.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.custom_type.as_ref().map_or(self.destination_type.name(), CustomType::name)
    }

    const NO_WORKERS: Workers = Workers { core: 0, max: 0, keep_alive: limits::WORKER_KEEP_ALIVE };

    fn of_type(name: &str, destination_type: DestinationType, workers: Workers) -> Result<Self, ConfigError> {
        Ok(Self::built_in(DestinationName::for_creation(name)?, destination_type, workers))
    }

    pub(crate) fn built_in(
        name: DestinationName,
        destination_type: DestinationType,
        workers: Workers,
    ) -> Self {
        let on_no_listener =
            if destination_type.is_queued() { OnNoListener::Hold } else { OnNoListener::Reject };
        Self {
            name,
            destination_type,
            custom_type: None,
            queue_entries_max: limits::QUEUE_ENTRIES_MAX,
            queue_bytes_max: limits::QUEUE_BYTES_MAX,
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            workers,
            rejected_execution: RejectedExecution::Abort,
            on_no_listener,
            on_failure: OnFailure::Block,
            request_timeout: limits::REQUEST_TIMEOUT,
            retry: RetryPolicy::default(),
            dead_letters: DeadLetterBounds::default(),
            priority: false,
            expires_in: None,
            dedup_window: limits::DEDUP_WINDOW,
            paused: false,
        }
    }

    /// A synchronous destination of the bus's own.
    pub(crate) fn built_in_synchronous(name: DestinationName) -> Self {
        Self::built_in(name, DestinationType::Synchronous, Self::NO_WORKERS)
    }

    /// Checks every value against its range and its type of destination.
    ///
    /// # Errors
    /// The first value that is not legal, with the range.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_workers()?;
        self.check_type()?;
        self.require("max-queue-size", self.queue_entries_max, self.queue_entries_max >= 1, "at least 1")?;
        self.require("max-queue-bytes", self.queue_bytes_max, self.queue_bytes_max >= 1, "at least 1")?;
        self.require("max-message-size", self.message_bytes_max, self.message_bytes_max >= 1, "at least 1")?;
        let attempts = self.retry.attempts_max;
        let attempts_legal = (1..=limits::ATTEMPTS_CEILING).contains(&attempts);
        self.require("retry.max-attempts", attempts, attempts_legal, "from 1 to 1,000")?;
        let multiplier = self.retry.multiplier;
        self.require("retry.multiplier", multiplier, (1.0..=100.0).contains(&multiplier), "from 1 to 100")?;
        let letters = self.dead_letters.letters_max;
        self.require("dead-letter.max-size", letters, letters >= 1, "at least 1")?;
        let timeout = self.request_timeout;
        self.require("request-timeout", humane(timeout), !timeout.is_zero(), "longer than nothing")
    }

    fn check_workers(&self) -> Result<(), ConfigError> {
        let Workers { core, max, .. } = self.workers;
        let shown = format!("{core}/{max}");
        match self.destination_type {
            DestinationType::Parallel => {
                let legal = core >= 1 && max >= core && max <= limits::WORKERS_CEILING;
                self.require("workers", shown, legal, "1 <= core <= max <= 1,024")
            }
            DestinationType::Serial => {
                self.require("workers", shown, (core, max) == (1, 1), "1/1 on a serial destination")
            }
            DestinationType::Synchronous => {
                self.require("workers", shown, (core, max) == (0, 0), "none on a synchronous destination")
            }
        }
    }

    fn check_type(&self) -> Result<(), ConfigError> {
        let rejected = &self.rejected_execution;
        let order_kept = self.destination_type != DestinationType::Serial;
        self.require(
            "rejected-execution",
            rejected.name(),
            order_kept || *rejected != RejectedExecution::CallerRuns,
            "any other policy on a serial destination, whose order it would break",
        )?;
        let policy = self.on_no_listener;
        let holds_nothing = matches!(policy, OnNoListener::Hold | OnNoListener::DeadLetter);
        self.require(
            "on-no-listener",
            policy.name(),
            self.destination_type.is_queued() || !holds_nothing,
            "`reject` or `discard` on a synchronous destination",
        )?;
        let queued = self.destination_type.is_queued();
        self.require(
            "priority",
            self.priority,
            queued || !self.priority,
            "false on a synchronous destination",
        )?;
        let expires = self.expires_in.map_or("none".to_owned(), humane);
        self.require(
            "expires-in",
            &expires,
            queued || self.expires_in.is_none(),
            "none on a synchronous destination, which delivers at once",
        )?;
        let legal =
            self.expires_in.is_none_or(|within| !within.is_zero() && within <= limits::SEND_DELAY_MAX);
        self.require("expires-in", &expires, legal, "longer than nothing and at most 366 days")
    }

    fn require(
        &self,
        setting: &'static str,
        value: impl fmt::Display,
        legal: bool,
        allowed: &'static str,
    ) -> Result<(), ConfigError> {
        if legal {
            return Ok(());
        }
        Err(ConfigError::Setting {
            destination: self.name.clone(),
            setting,
            value: value.to_string(),
            allowed,
        })
    }
}

fn humane(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// Why a configuration is not legal. Nothing was changed.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut config = DestinationConfig::serial("orders").unwrap();
/// config.workers.max = 2;
/// let error: ConfigError = config.check().unwrap_err();
/// assert!(error.to_string().contains("workers"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting.
    #[error("destination `{destination}`: `{setting}` is {value}; it must be {allowed}")]
    Setting {
        /// Whose setting.
        destination: DestinationName,
        /// Which setting.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The name of a destination type breaks a rule.
    #[error("destination type `{}` cannot be registered; use 1 to 255 letters, digits and `-`, and none of the bus's own names", .0.escape_debug())]
    TypeName(String),
    /// A destination type of this name is registered already.
    #[error("destination type `{0}` is registered already")]
    TypeTaken(String),
    /// As many destination types are registered as may be.
    #[error("{0} destination types are registered, and no more may be")]
    TooManyTypes(usize),
    /// No destination type of this name is there.
    #[error("no destination type is called `{}`; there are {known}", name.escape_debug())]
    NoSuchType {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A live change would turn the destination into another one.
    #[error(
        "destination `{destination}`: `{setting}` cannot change while it lives; make another one of a higher ranking"
    )]
    Fixed {
        /// Whose setting.
        destination: DestinationName,
        /// Which setting.
        setting: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_1_the_constructors_have_the_defaults_of_the_semantics() {
        let mut parallel = DestinationConfig::parallel("t/p").unwrap();
        assert_eq!((parallel.workers.core, parallel.workers.max), (2, 5));
        assert_eq!(parallel.workers.keep_alive, Duration::from_secs(60));
        let serial = DestinationConfig::serial("t/s").unwrap();
        assert_eq!((serial.workers.core, serial.workers.max), (1, 1));
        assert_eq!(DestinationConfig::synchronous("t/y").unwrap().on_no_listener, OnNoListener::Reject);
        parallel.queue_entries_max = 20;
        parallel.workers = Workers { core: 3, max: 6, ..parallel.workers };
        assert_eq!(parallel.check(), Ok(()));
    }

    #[test]
    fn an_illegal_setting_names_itself_its_value_and_its_range() {
        for (core, max) in [(0, 1), (1, 0), (3, 2), (1, 5_000)] {
            let mut config = DestinationConfig::parallel("t/p").unwrap();
            config.workers = Workers { core, max, ..config.workers };
            let text = config.check().unwrap_err().to_string();
            assert!(text.contains(&format!("`workers` is {core}/{max}")), "{text}");
        }
        let mut serial = DestinationConfig::serial("t/s").unwrap();
        serial.rejected_execution = RejectedExecution::CallerRuns;
        assert!(serial.check().unwrap_err().to_string().contains("caller-runs"));
        let mut synchronous = DestinationConfig::synchronous("t/y").unwrap();
        synchronous.on_no_listener = OnNoListener::Hold;
        assert!(synchronous.check().is_err());
    }
}
