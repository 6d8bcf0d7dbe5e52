//! Why a message was not sent or a request not answered, with the numbers that say what to do. What a listener's `?`
//! makes of it stands in `outcome`.

use std::error::Error;
use std::fmt;

/// Why a message was not accepted. Nobody received it, and nobody will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no destination of this name.
    NoSuchDestination,
    /// The destination has no listener, and holds nothing until one comes.
    NoListener,
    /// As many messages, or bytes, wait as may wait.
    QueueFull(QueueFull),
    /// The destination is closed or about to be.
    Closed,
    /// The destination is paused and cannot hold the message.
    Paused,
    /// Not granted. Says nothing about whether the destination exists.
    Denied,
    /// The message is larger than the destination takes.
    TooLarge(TooLarge),
    /// Messages that cause messages went round too often.
    HopsExceeded,
    /// The message or the name breaks a rule; the text says which.
    Invalid(String),
    /// Too many requests wait at once.
    Busy,
    /// This call has sent as much as one call may; the text names the limit.
    LimitReached(String),
    /// The message that was to be answered names no response destination. Nothing was sent.
    NothingToAnswer,
    /// Anything else, in words.
    Other(String),
}

/// The bound of a queue that was reached, and what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull {
    /// What waits now.
    pub pending: u64,
    /// What may wait.
    pub pending_max: u64,
    /// What both numbers count.
    pub unit: QueueUnit,
}

/// What a bound of a queue counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueUnit {
    /// Messages.
    Messages,
    /// Bytes.
    Bytes,
}

/// The size of a message, against what the destination takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Payload and values of the message.
    pub message_bytes: u64,
    /// The most that the destination takes.
    pub message_bytes_max: u64,
}

/// Why a request has no answer. Only after `NotSent` is it certain that nobody received the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// It was not accepted.
    NotSent(SendError),
    /// No answer in time. The message may still be received.
    Timeout,
    /// Every listener has settled, and none answered.
    NoReply,
    /// A listener refused the message; the text is its own.
    ListenerRefused(String),
    /// A listener was stopped; the text says why.
    ListenerFaulted(String),
    /// The listener failed too often lately and is not called for a while.
    ListenerUnavailable,
    /// The answer would have to come from a call that waits for it.
    WouldDeadlock,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDestination => f.write_str("there is no such destination"),
            Self::NoListener => f.write_str("the destination has no listener"),
            Self::QueueFull(full) => full.fmt(f),
            Self::Closed => f.write_str("the destination is closed"),
            Self::Paused => f.write_str("the destination is paused"),
            Self::Denied => f.write_str("sending to the destination is not granted"),
            Self::TooLarge(sizes) => sizes.fmt(f),
            Self::HopsExceeded => f.write_str("too many messages caused one another: most likely a loop"),
            Self::Invalid(why) => write!(f, "the message is invalid: {why}"),
            Self::Busy => f.write_str("too many requests wait at once"),
            Self::LimitReached(limit) => write!(f, "this call may not send more: {limit}"),
            Self::NothingToAnswer => f.write_str("the message to be answered has no response destination"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            QueueUnit::Messages => "messages",
            QueueUnit::Bytes => "bytes",
        };
        write!(f, "the queue is full: {} of {} {unit} wait", self.pending, self.pending_max)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the message is too large: {} bytes of at most {}",
            self.message_bytes, self.message_bytes_max
        )
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "the request was not sent: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::NoReply => f.write_str("no listener answered"),
            Self::ListenerRefused(why) => write!(f, "a listener refused the request: {why}"),
            Self::ListenerFaulted(why) => write!(f, "a listener was stopped: {why}"),
            Self::ListenerUnavailable => {
                f.write_str("the listener failed too often and is not called for a while")
            }
            Self::WouldDeadlock => {
                f.write_str("the answer would have to come from the call that waits for it")
            }
        }
    }
}

impl Error for SendError {}
impl Error for RequestError {}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}

/// Lets `?` end `activate`, whose error is a text.
macro_rules! becomes_text {
    ($($error:ty),*) => {$(
        impl From<$error> for String {
            fn from(error: $error) -> Self {
                error.to_string()
            }
        }
    )*};
}
pub(crate) use becomes_text;

becomes_text!(SendError, RequestError);
