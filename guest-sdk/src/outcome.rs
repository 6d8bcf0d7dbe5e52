//! What a listener is and how a call of it can end. A trap or a used-up limit is not here: the host sees to those.

use std::time::Duration;

use crate::{Batch, ChangeError, DestinationError, Message, ReadError, Reply, RequestError, SendError};

/// A listener: receives messages, one at a time.
///
/// The value is made with the instance and lives as long as it does: what is kept in `self` is there for the next message
/// of the same worker, and gone after a fault.
///
/// ```
/// use sandbus_guest::{Listener, Message, Outcome, Reply};
///
/// #[derive(Default)]
/// struct Greeter {
///     greeted: u64,
/// }
///
/// impl Listener for Greeter {
///     fn receive(&mut self, message: &Message) -> Outcome {
///         self.greeted += 1;
///         Ok(Some(Reply::text(format!("hello {}, you are number {}", message.text()?, self.greeted))))
///     }
/// }
/// sandbus_guest::listener!(Greeter);
/// ```
pub trait Listener: Default + 'static {
    /// Receives one message and says how it went.
    ///
    /// A message can come more than once: its id stays the same, its attempt counts up.
    ///
    /// # Errors
    /// A [`Failure`] when the message was not dealt with. `?` makes one of every error of this crate.
    fn receive(&mut self, message: &Message) -> Outcome;

    /// Receives several messages in one call, and says of each how it went, in their order. Called only where the listener is
    /// exported with [`batch_listener!`](crate::batch_listener), and only while messages wait.
    ///
    /// As it is, it hands each message to [`receive`](Self::receive). Written by hand, it can do once for all of them what
    /// costs: one write, one request. Fewer outcomes than messages mean that the rest was not begun; those come again.
    ///
    /// A panic in it, or a used-up limit, is the fault of none of them: each message then comes to `receive` for itself. What
    /// was sent until then stays sent.
    fn receive_batch(&mut self, batch: &Batch) -> Vec<Outcome> {
        batch.each(|message| self.receive(message))
    }
}

/// How `receive` ends: with a reply, with nothing to say, or with a failure.
pub type Outcome = Result<Option<Reply>, Failure>;

/// Why a listener did not complete a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This message is bad and stays bad. It becomes a dead letter, and a sender who waits is told why.
    Refused(String),
    /// Not now: try again later, as often as the destination allows.
    Retry {
        /// Says why, for the operator.
        reason: String,
        /// The wait that is asked for. `None`: the destination's own schedule.
        after: Option<Duration>,
    },
}

impl Failure {
    /// Makes a refusal: do not try again.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// Asks for another attempt, on the destination's schedule.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// Asks for another attempt after a wait, which the destination may cut.
    pub fn retry_after(reason: impl Into<String>, after: Duration) -> Self {
        Self::Retry { reason: reason.into(), after: Some(after) }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::refused(error)
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        Self::refused(error)
    }
}

impl From<DestinationError> for Failure {
    fn from(error: DestinationError) -> Self {
        Self::refused(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::refused(format!("the JSON cannot be read or written: {error}"))
    }
}

impl From<SendError> for Failure {
    /// What passes by itself is tried again: a full queue, a pause, too many requests. The rest is refused.
    fn from(error: SendError) -> Self {
        match error {
            SendError::QueueFull(_) | SendError::Busy | SendError::Paused => Self::retry(error),
            _ => Self::refused(error),
        }
    }
}

impl From<RequestError> for Failure {
    /// What passes by itself is tried again: what a send would be, no answer in time, a listener that rests.
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotSent(error) => error.into(),
            RequestError::Timeout | RequestError::ListenerUnavailable => Self::retry(error),
            _ => Self::refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{QueueFull, QueueUnit};

    #[test]
    fn a_full_queue_is_tried_again_and_the_reason_has_both_numbers() {
        let full = QueueFull { pending: 9, pending_max: 10, unit: QueueUnit::Messages };
        let failure = Failure::from(SendError::QueueFull(full));
        assert_eq!(failure, Failure::retry("the queue is full: 9 of 10 messages wait"));
    }

    #[test]
    fn a_send_that_is_not_granted_is_refused() {
        assert!(matches!(Failure::from(SendError::Denied), Failure::Refused(_)));
    }

    #[test]
    fn a_request_that_was_not_sent_fails_as_the_send_would() {
        assert!(matches!(Failure::from(RequestError::from(SendError::Busy)), Failure::Retry { .. }));
        assert!(matches!(Failure::from(RequestError::NoReply), Failure::Refused(_)));
    }
}
