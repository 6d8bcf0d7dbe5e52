//! Making, removing and looking at destinations, each within this guest's grants. What a destination does besides its
//! type and its bounds is the host's to configure.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::errors::becomes_text;
use crate::host;

/// Who runs the listeners of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationType {
    /// Several workers at once. No order.
    Parallel,
    /// One worker, listeners one after the other. First in, first out.
    Serial,
    /// The sender's own task. No queue.
    Synchronous,
    /// A type that the host offers under a name of its own.
    Custom(String),
}

/// What may be said about a new destination. What is `None` is what the host sets by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who runs the listeners.
    pub destination_type: DestinationType,
    /// How many entries may wait.
    pub queue_messages_max: Option<u32>,
    /// How many bytes may wait.
    pub queue_bytes_max: Option<u64>,
    /// How many workers are kept. Only for `Parallel`.
    pub workers_core: Option<u32>,
    /// How many workers there may be. Only for `Parallel`.
    pub workers_max: Option<u32>,
}

/// What a destination is doing, all of it at one moment. Counts start from zero when the destination is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Listeners.
    pub listeners: u32,
    /// Workers that run a listener now.
    pub workers_active: u32,
    /// Workers that there are.
    pub workers_current: u32,
    /// Entries that wait now.
    pub pending: u64,
    /// Bytes that wait now.
    pub pending_bytes: u64,
    /// How long the oldest waits; `None` when nothing waits.
    pub oldest_waiting: Option<Duration>,
    /// Messages that the bus took on.
    pub accepted: u64,
    /// Messages that it did not take on.
    pub rejected: u64,
    /// Calls of a listener.
    pub delivered: u64,
    /// Deliveries that ended well.
    pub completed: u64,
    /// Deliveries that did not.
    pub failed: u64,
    /// Deliveries tried again.
    pub retried: u64,
    /// Given up under a policy that asks for it.
    pub dropped: u64,
    /// Dead letters made, not what is kept of them.
    pub dead_letters: u64,
}

impl Settings {
    /// Returns the host's defaults for a destination of this type.
    pub fn new(destination_type: DestinationType) -> Self {
        Self {
            destination_type,
            queue_messages_max: None,
            queue_bytes_max: None,
            workers_core: None,
            workers_max: None,
        }
    }
}

/// Makes a destination.
///
/// # Errors
/// `Denied` beyond the grant `create`; `AlreadyExists`; `Invalid` for a name or a setting that breaks a rule.
pub fn create(name: &str, settings: Settings) -> Result<(), DestinationError> {
    host::create_destination(name, settings)
}

/// Closes a destination at once and removes it. What still waits becomes dead letters.
///
/// # Errors
/// `Denied` beyond the grant `create`; `NoSuchDestination`.
pub fn remove(name: &str) -> Result<(), DestinationError> {
    host::remove_destination(name)
}

/// Has this guest receive what is sent to the destination from now on; the destination may be made later. Returns
/// whether this changed anything.
///
/// # Errors
/// `Denied` beyond the grant `listen`.
pub fn listen(name: &str) -> Result<bool, DestinationError> {
    host::listen(name)
}

/// Ends that, waiting for calls that run. Returns whether this changed anything.
///
/// # Errors
/// `Denied` beyond the grant `listen`.
pub fn stop_listening(name: &str) -> Result<bool, DestinationError> {
    host::stop_listening(name)
}

/// Returns what a destination is doing.
///
/// # Errors
/// `Denied` where nothing is granted; `NoSuchDestination`.
pub fn statistics(name: &str) -> Result<Statistics, DestinationError> {
    host::statistics(name)
}

/// Why a destination was not made, removed, listened to or looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DestinationError {
    /// There is no destination of this name.
    NoSuchDestination,
    /// There is one already.
    AlreadyExists,
    /// Not granted. Says nothing about whether the destination exists.
    Denied,
    /// The name or a setting breaks a rule; the text says which.
    Invalid(String),
    /// There are as many destinations as there may be; the text names the limit.
    LimitReached(String),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDestination => f.write_str("there is no such destination"),
            Self::AlreadyExists => f.write_str("there is a destination of this name already"),
            Self::Denied => f.write_str("this is not granted"),
            Self::Invalid(why) => write!(f, "the name or a setting is invalid: {why}"),
            Self::LimitReached(limit) => write!(f, "there may not be more destinations: {limit}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl Error for DestinationError {}

becomes_text!(DestinationError);
