//! Dead letters: what could not be delivered, with the reason. Nothing here decides that a message becomes one, or sends
//! one anew.

mod filter;
mod kept;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;

use crate::message::Message;
use crate::message_id::fresh_uuid;
use crate::outcome::{Cause, ErrorText, FailureKind};
use crate::sync::Instant;
use crate::value::Values;

pub use filter::{DeadLetterFilter, UnknownReason};
pub(crate) use kept::DeadLetters;

/// The id of a dead letter: a UUID of version 7, given when it is made. A message that fails for two listeners, or fails
/// again after it was redriven, is two dead letters.
///
/// # Examples
/// ```
/// use sandbus_bus::DeadLetterId;
/// let id: DeadLetterId = "019a9f3c-0000-7000-8000-000000000000".parse()?;
/// assert_eq!(id.to_string(), "019a9f3c-0000-7000-8000-000000000000");
/// # Ok::<(), sandbus_bus::DeadLetterIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(Uuid);

impl DeadLetterId {
    /// A fresh id that sorts by `at`.
    pub(crate) fn fresh(at: SystemTime) -> Self {
        Self(fresh_uuid(at))
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for DeadLetterId {
    type Err = DeadLetterIdError;

    fn from_str(text: &str) -> Result<Self, DeadLetterIdError> {
        Uuid::parse_str(text).map(Self).map_err(|_| DeadLetterIdError(text.chars().take(64).collect()))
    }
}

/// A text that is not the id of a dead letter.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error: DeadLetterIdError = "42".parse::<DeadLetterId>().unwrap_err();
/// assert!(error.to_string().starts_with("`42` is not the id of a dead letter"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the id of a dead letter: an id is a UUID of 36 characters", .0.escape_debug())]
pub struct DeadLetterIdError(String);

/// Why a message became a dead letter.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert_eq!(DeadLetterReason::Failed(FailureKind::Refused).name(), "refused");
/// assert!(DeadLetterReason::names().any(|name| name == "expired"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeadLetterReason {
    /// Its last attempt failed so.
    Failed(FailureKind),
    /// Nobody listened.
    NoListener,
    /// Its only listener was removed.
    ListenerRemoved,
    /// There was no room for it.
    QueueFull,
    /// The destination was closed before its turn came.
    Closed,
    /// Its turn did not come in time.
    Expired,
    /// Its listener failed too often lately and was not called.
    ListenerUnavailable,
    /// It was taken out of the queue. Nobody keeps such a letter; whoever purges a queue gets it.
    Purged,
    /// It is a reply that the response destination did not take; this is the name of the refusal.
    ReplyNotAccepted(&'static str),
}

impl DeadLetterReason {
    /// The names of errors with which a reply is not accepted, besides those that are reasons anyway.
    const REPLY_NAMES: [&str; 11] = [
        "no-such-destination",
        "denied",
        "too-large",
        "hops-exceeded",
        "paused",
        "invalid",
        "busy",
        "limit-reached",
        "interceptor",
        "outbound-processor",
        "other",
    ];

    /// The names of all reasons.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let failed = FailureKind::ALL.into_iter().map(Self::of).map(|reason| reason.name());
        // An interrupted call is `closed`, which stands below.
        let failed = failed.filter(|name| *name != DeadLetterReason::Closed.name());
        let others = [
            Self::NoListener,
            Self::ListenerRemoved,
            Self::ListenerUnavailable,
            Self::QueueFull,
            Self::Closed,
            Self::Expired,
        ];
        failed.chain(others.map(|reason| reason.name())).chain(Self::REPLY_NAMES)
    }

    /// The reason of a last attempt that failed so.
    pub(crate) fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Faulted(Cause::Interrupted) => DeadLetterReason::Closed,
            other => DeadLetterReason::Failed(other),
        }
    }

    /// The name as it stands in lists and filters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            DeadLetterReason::Failed(kind) => kind.name(),
            DeadLetterReason::NoListener => "no-listener",
            DeadLetterReason::ListenerRemoved => "listener-removed",
            DeadLetterReason::QueueFull => "queue-full",
            DeadLetterReason::Closed => "closed",
            DeadLetterReason::Expired => "expired",
            DeadLetterReason::ListenerUnavailable => "listener-unavailable",
            DeadLetterReason::Purged => "purged",
            DeadLetterReason::ReplyNotAccepted(name) => name,
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One message and one listener that did not come together; or a message alone, where no listener was fixed.
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
/// let letter: DeadLetter = bus.dead_letters("orders").remove(0);
/// assert_eq!((letter.listener.as_deref(), letter.attempts), (Some("stock"), 1));
/// assert_eq!(letter.message.payload(), "A1");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its own id, not that of the message.
    pub id: DeadLetterId,
    /// The message.
    pub message: Arc<Message>,
    /// Its values when the last attempt began.
    pub values: Values,
    /// The listener that it was meant for.
    pub listener: Option<Arc<str>>,
    /// Why.
    pub reason: DeadLetterReason,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt said.
    pub last_error: ErrorText,
    /// Fuel of the last attempt, where it is counted.
    pub fuel: Option<u64>,
    /// The build of the listener that made the last attempt.
    pub build: Option<Arc<str>>,
    /// When.
    pub at: SystemTime,
    pub(crate) since: Instant,
}

impl DeadLetter {
    /// Orders letters of several destinations, the oldest first; the wall clock tells apart what the bus clock does not.
    pub(crate) fn age_order(&self) -> (Instant, SystemTime) {
        (self.since, self.at)
    }

    /// Payload and values together, as they count against the bound.
    fn size_bytes(&self) -> usize {
        self.message.payload().len() + self.values.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{QueueUnit, SendError};
    use crate::name::DestinationName;

    #[test]
    fn the_name_of_every_reason_is_known_once() {
        // A reason that a filter does not know could be seen in a list and never asked for.
        let names: Vec<_> = DeadLetterReason::names().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len(), "{names:?}");
        let at = DestinationName::new("t/x").unwrap();
        let full = SendError::QueueFull {
            destination: at.clone(),
            pending: 1,
            pending_max: 1,
            unit: QueueUnit::Messages,
        };
        let refusals = [
            SendError::NoSuchDestination(String::new()),
            SendError::NoListener(at.clone()),
            full,
            SendError::Closed(at.clone()),
            SendError::Paused(at.clone()),
            SendError::Denied { sender: String::new(), destination: String::new() },
            SendError::TooLarge { destination: at, bytes: 1, bytes_max: 1 },
            SendError::HopsExceeded { hops: 1, hops_max: 1 },
            SendError::Invalid(String::new()),
            SendError::Busy { waiting: 1 },
            SendError::LimitReached(String::new()),
            SendError::Other(String::new()),
        ];
        for refusal in refusals {
            assert!(names.contains(&refusal.name()), "{}", refusal.name());
        }
    }

    #[test]
    fn an_id_is_read_back_as_it_was_printed() {
        // Operators copy ids from lists into commands.
        let id = DeadLetterId::fresh(SystemTime::now());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.uuid().get_version_num(), 7);
        let wrong = "019a9f3c".parse::<DeadLetterId>().unwrap_err();
        assert!(wrong.to_string().starts_with("`019a9f3c` is not the id of a dead letter"), "{wrong}");
    }
}
