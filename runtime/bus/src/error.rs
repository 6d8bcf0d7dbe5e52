//! What a sender is told when the bus does not take its message, or has no answer for it.

use crate::config::ConfigError;
use crate::message::MessageId;
use crate::name::{DestinationName, NameError};
use crate::outcome::{ErrorText, Fault};

/// Which of the two bounds of a queue was reached.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert_eq!((QueueUnit::Messages.to_string(), QueueUnit::Bytes.to_string()), ("messages".into(), "bytes".into()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueUnit {
    /// Queue entries.
    Messages,
    /// Bytes of payload and values.
    Bytes,
}

impl std::fmt::Display for QueueUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            QueueUnit::Messages => "messages",
            QueueUnit::Bytes => "bytes",
        })
    }
}

/// Why a message was not accepted. Nobody received it, and nobody will.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let mut config = DestinationConfig::serial("orders")?;
/// config.queue_entries_max = 1;
/// bus.create(config)?;
/// bus.send("orders", Outgoing::text("waits for a listener")).await?;
/// match bus.send("orders", Outgoing::text("too many")).await {
///     Err(SendError::QueueFull { pending: 1, pending_max: 1, unit: QueueUnit::Messages, .. }) => {}
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no destination of this name.
    #[error("no destination is called `{0}`")]
    NoSuchDestination(String),
    /// It has no listener, and does not hold messages until one comes.
    #[error("destination `{0}` has no listener")]
    NoListener(DestinationName),
    /// As many messages, or bytes, wait as may wait.
    #[error("destination `{destination}` is full: {pending} of {pending_max} {unit} wait")]
    QueueFull {
        /// Where.
        destination: DestinationName,
        /// What waits.
        pending: u64,
        /// What may wait.
        pending_max: u64,
        /// Entries or bytes.
        unit: QueueUnit,
    },
    /// It is closed, or draining before it closes.
    #[error("destination `{0}` is closed")]
    Closed(DestinationName),
    /// It is paused and has no queue to hold the message.
    #[error("destination `{0}` is paused")]
    Paused(DestinationName),
    /// The sender may not send there.
    #[error("`{sender}` may not send to `{destination}`")]
    Denied {
        /// Who.
        sender: String,
        /// Where to.
        destination: String,
    },
    /// The message is larger than the destination takes.
    #[error("the message has {bytes} bytes of payload and values; `{destination}` takes {bytes_max}")]
    TooLarge {
        /// Where.
        destination: DestinationName,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        bytes_max: u64,
    },
    /// Messages that cause messages went round too often.
    #[error("hop {hops} of at most {hops_max}: messages cause messages in a loop")]
    HopsExceeded {
        /// The hop that this message would be.
        hops: u32,
        /// The last hop that is allowed.
        hops_max: u32,
    },
    /// The message or the name breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// Too many synchronous senders wait at once.
    #[error("{waiting} requests wait, and no more may")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// One call has sent as much as one call may.
    #[error("{0}")]
    LimitReached(String),
    /// An interceptor of the host failed, so that the message went no further.
    #[error("an interceptor failed: {0}")]
    Interceptor(ErrorText),
    /// An outbound processor of the host would not have it sent.
    #[error("an outbound processor failed: {0}")]
    Processor(ErrorText),
    /// A message builder could not build it.
    #[error(transparent)]
    NotBuilt(#[from] BuildError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Why a message builder did not send.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let error = bus.message().text("A1").send().await.unwrap_err();
/// assert_eq!(error, SendError::NotBuilt(BuildError::MissingDestination));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Nobody said where to.
    #[error("the message has no destination: say `to`, or `reply_to`")]
    MissingDestination,
    /// The message that is to be answered asks for no answer.
    #[error("message {0} names no response destination, so there is nothing to answer")]
    NothingToAnswer(MessageId),
    /// A step breaks a rule.
    #[error("the message was not built, because of `{step}`: {reason}")]
    Step {
        /// The name of the step.
        step: &'static str,
        /// The rule.
        reason: String,
    },
}

impl BuildError {
    /// The name as it stands in the documentation and in statistics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            BuildError::MissingDestination => "missing-destination",
            BuildError::NothingToAnswer(_) => "nothing-to-answer",
            BuildError::Step { .. } => "invalid",
        }
    }
}

impl From<BuildError> for RequestError {
    fn from(error: BuildError) -> Self {
        RequestError::NotSent(error.into())
    }
}

impl SendError {
    /// The name as it stands in the documentation and in statistics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            SendError::NoSuchDestination(_) => "no-such-destination",
            SendError::NoListener(_) => "no-listener",
            SendError::QueueFull { .. } => "queue-full",
            SendError::Closed(_) => "closed",
            SendError::Paused(_) => "paused",
            SendError::Denied { .. } => "denied",
            SendError::TooLarge { .. } => "too-large",
            SendError::HopsExceeded { .. } => "hops-exceeded",
            SendError::Invalid(_) => "invalid",
            SendError::Busy { .. } => "busy",
            SendError::LimitReached(_) => "limit-reached",
            SendError::Interceptor(_) => "interceptor",
            SendError::Processor(_) => "outbound-processor",
            SendError::NotBuilt(error) => error.name(),
            SendError::Other(_) => "other",
        }
    }
}

impl From<NameError> for SendError {
    fn from(error: NameError) -> Self {
        SendError::Invalid(error.to_string())
    }
}

/// Why a request has no answer.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
/// let error = bus.request("orders", Outgoing::text("A1"), None).await.unwrap_err();
/// assert_eq!(error, RequestError::NoReply, "told as soon as every listener has settled");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It was not accepted; only then is it certain that nobody received it.
    #[error("the request was not sent")]
    NotSent(#[source] SendError),
    /// No answer in time. The message may still be received; a late answer is dropped and counted.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// Every listener has settled, and none answered.
    #[error("every listener has settled and none answered")]
    NoReply,
    /// A listener refused the message, or asked for retries until none was left.
    #[error("the listener refused: {0}")]
    ListenerRefused(ErrorText),
    /// A listener was stopped.
    #[error("the listener faulted ({}): {}", .0.cause, .0.text)]
    ListenerFaulted(Fault),
    /// The listener failed too often lately and is not called for a while.
    #[error("the listener is not available")]
    ListenerUnavailable,
    /// The answer would have to come from a call that waits for it.
    #[error("the answer would have to come from a call that waits for it")]
    WouldDeadlock,
}

impl RequestError {
    /// The name as it stands in the documentation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            RequestError::NotSent(error) => error.name(),
            RequestError::Timeout(_) => "timeout",
            RequestError::NoReply => "no-reply",
            RequestError::ListenerRefused(_) => "listener-refused",
            RequestError::ListenerFaulted(_) => "listener-faulted",
            RequestError::ListenerUnavailable => "listener-unavailable",
            RequestError::WouldDeadlock => "would-deadlock",
        }
    }
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        RequestError::NotSent(error)
    }
}

/// Why a destination was not made, changed or found.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let error = bus.pause("orders").unwrap_err();
/// assert_eq!(error, DestinationError::NoSuchDestination("orders".into()));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// There is none of this name.
    #[error("no destination is called `{0}`")]
    NoSuchDestination(String),
    /// There is one of the same ranking already.
    #[error("destination `{destination}` exists already with the ranking {ranking}")]
    AlreadyExists {
        /// Its name.
        destination: DestinationName,
        /// Its ranking.
        ranking: i32,
    },
    /// There is none of this name and this ranking.
    #[error("no destination `{destination}` has the ranking {ranking}")]
    NoSuchRanking {
        /// The name.
        destination: String,
        /// The ranking.
        ranking: i32,
    },
    /// The configuration is not legal.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are as many as there may be.
    #[error("there are {0} destinations, and no more may be made")]
    TooManyDestinations(usize),
    /// It has as many listeners as it may have.
    #[error("destination `{0}` has {1} listeners, and no more may register")]
    TooManyListeners(DestinationName, usize),
    /// It belongs to the bus.
    #[error("destination `{0}` is built in")]
    BuiltIn(DestinationName),
}
