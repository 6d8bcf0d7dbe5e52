//! Dead letters: what could not be delivered, with the reason, kept within bounds. Nothing here decides that a message
//! becomes one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::DeadLetterBounds;
use crate::message::Message;
use crate::outcome::{Cause, ErrorText, FailureKind};
use crate::sync::Instant;
use crate::value::Values;

/// Why a message became a dead letter.
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
#[derive(Debug, Clone)]
pub struct DeadLetter {
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
    fn size_bytes(&self) -> usize {
        self.message.payload().len() + self.values.size_bytes()
    }
}

/// The dead letters of one destination, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
}

impl DeadLetters {
    /// Keeps `letter`, and answers how many had to leave for it or were too old.
    pub(crate) fn push(&mut self, letter: DeadLetter, bounds: &DeadLetterBounds) -> u64 {
        let now = letter.since;
        self.bytes += letter.size_bytes();
        self.letters.push_back(letter);
        self.prune(bounds, now)
    }

    /// Lets those leave that are too old or too many, and answers how many left.
    pub(crate) fn prune(&mut self, bounds: &DeadLetterBounds, now: Instant) -> u64 {
        let mut left = 0;
        while self.oldest_must_leave(bounds, now) {
            let Some(oldest) = self.letters.pop_front() else { break };
            self.bytes -= oldest.size_bytes();
            left += 1;
        }
        left
    }

    fn oldest_must_leave(&self, bounds: &DeadLetterBounds, now: Instant) -> bool {
        let too_old = |letter: &DeadLetter| now.saturating_duration_since(letter.since) > bounds.age_max;
        self.letters.len() > bounds.letters_max
            || (self.bytes > bounds.bytes_max && self.letters.len() > 1)
            || self.letters.front().is_some_and(too_old)
    }

    pub(crate) fn list(&self) -> Vec<DeadLetter> {
        self.letters.iter().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }
}
