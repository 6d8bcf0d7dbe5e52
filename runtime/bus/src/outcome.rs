//! How a delivery ended: what a listener answers, and what stopped it. It decides nothing; `settlement` does.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use std::sync::Arc;

use crate::limits::ERROR_TEXT_BYTES_MAX;
use crate::value::Values;

/// An answer to a message. The bus knows where it goes and which request it answers.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let reply = Reply::new("7,8", Some("text/csv"));
/// assert_eq!((reply.size_bytes(), reply.content_type.as_deref()), (3, Some("text/csv")));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Reply {
    /// The answer's payload; may be empty.
    pub payload: Bytes,
    /// Its media type.
    pub content_type: Option<Arc<str>>,
    /// Its values; usually none.
    pub values: Values,
}

impl Reply {
    /// An answer of plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text.into(), Some("text/plain; charset=utf-8"))
    }

    /// An answer of these bytes, with or without a media type.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, content_type: Option<&str>) -> Self {
        Self { payload: payload.into(), content_type: content_type.map(Arc::from), values: Values::default() }
    }

    /// Payload and values together, as they count against the size limit of a message.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.payload.len() + self.values.size_bytes()
    }
}

/// What a listener that ended well leaves behind.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let answer = Answer { reply: Some(Reply::text("7 left")), ..Answer::default() };
/// assert!(matches!(Outcome::Done(answer), Outcome::Done(answer) if answer.values.is_none()));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What it returned.
    pub reply: Option<Reply>,
    /// What it set for a sender who waits in direct mode; a returned reply counts instead of it.
    pub response: Option<Box<Reply>>,
    /// The values after its changes; none when it changed nothing.
    pub values: Option<Values>,
}

impl From<Option<Reply>> for Answer {
    fn from(reply: Option<Reply>) -> Self {
        Self { reply, ..Self::default() }
    }
}

/// How one delivery ended.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let ends = [
///     Outcome::done(),
///     Outcome::reply(Reply::text("7 left")),
///     Outcome::refused("unknown article"),
///     Outcome::retry("the warehouse sleeps"),
/// ];
/// assert_eq!(ends.iter().filter(|end| end.failure().is_some()).count(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The listener dealt with the message.
    Done(Answer),
    /// The listener says that this message is bad and stays bad.
    Refused(ErrorText),
    /// The listener asks to try again later.
    Retry {
        /// Why.
        reason: ErrorText,
        /// How long the listener would wait; none leaves it to the policy.
        after: Option<Duration>,
    },
    /// The call did not finish.
    Faulted(Fault),
}

impl Outcome {
    /// Ended well, without an answer.
    #[must_use]
    pub fn done() -> Self {
        Self::Done(Answer::default())
    }

    /// Ended well, with an answer.
    #[must_use]
    pub fn reply(reply: Reply) -> Self {
        Self::Done(Some(reply).into())
    }

    /// The message is bad: permanent.
    #[must_use]
    pub fn refused(text: impl AsRef<str>) -> Self {
        Self::Refused(ErrorText::new(text.as_ref()))
    }

    /// Try again later, when the destination's policy says.
    #[must_use]
    pub fn retry(reason: impl AsRef<str>) -> Self {
        Self::Retry { reason: ErrorText::new(reason.as_ref()), after: None }
    }

    /// The call did not finish.
    #[must_use]
    pub fn faulted(cause: Cause, text: impl AsRef<str>) -> Self {
        Self::Faulted(Fault::new(cause, text))
    }

    /// Why it failed, or none when it ended done.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Outcome::Done(_) => None,
            Outcome::Refused(_) => Some(FailureKind::Refused),
            Outcome::Retry { .. } => Some(FailureKind::Retry),
            Outcome::Faulted(fault) => Some(FailureKind::Faulted(fault.cause)),
        }
    }
}

/// A call that the listener did not finish.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let fault = Fault::new(Cause::Deadline, "2 s were over");
/// assert_eq!((fault.cause.name(), fault.text.as_str()), ("deadline", "2 s were over"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What stopped it.
    pub cause: Cause,
    /// What is known about it: a trap's text, the limit that was reached.
    pub text: ErrorText,
}

impl Fault {
    /// A fault of this cause.
    #[must_use]
    pub fn new(cause: Cause, text: impl AsRef<str>) -> Self {
        Self { cause, text: ErrorText::new(text.as_ref()) }
    }
}

/// What stopped a call.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert_eq!(Cause::OutOfFuel.name(), "out-of-fuel");
/// assert!(Cause::ALL.contains(&Cause::Memory));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Cause {
    /// The code stopped itself: an unreachable instruction, a panic, an access outside its memory.
    Trap,
    /// It used all the fuel that one call may use.
    OutOfFuel,
    /// It ran, or waited, for longer than it may.
    Deadline,
    /// It was denied memory and stopped.
    Memory,
    /// No instance could be made to receive the message.
    Instantiate,
    /// An inbound processor failed.
    Processor,
    /// The host stopped the call: its destination was closed now, or its guest unloaded.
    Interrupted,
}

impl Cause {
    /// All causes, in the order of their numbers.
    pub const ALL: [Cause; 7] = [
        Cause::Trap,
        Cause::OutOfFuel,
        Cause::Deadline,
        Cause::Memory,
        Cause::Instantiate,
        Cause::Processor,
        Cause::Interrupted,
    ];

    /// The name as it stands in manifests, statistics and error texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Trap => "trap",
            Cause::OutOfFuel => "out-of-fuel",
            Cause::Deadline => "deadline",
            Cause::Memory => "memory",
            Cause::Instantiate => "instantiate",
            Cause::Processor => "processor",
            Cause::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An outcome that is not done, without its texts.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let kind = Outcome::faulted(Cause::Trap, "boom").failure();
/// assert_eq!(kind, Some(FailureKind::Faulted(Cause::Trap)));
/// assert_eq!(kind.map(FailureKind::name), Some("trap"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The listener refused.
    Refused,
    /// The listener asked for a retry.
    Retry,
    /// The call did not finish.
    Faulted(Cause),
}

impl FailureKind {
    /// All kinds, in the order of [`FailureKind::index`].
    pub const ALL: [FailureKind; 9] = [
        FailureKind::Refused,
        FailureKind::Retry,
        FailureKind::Faulted(Cause::Trap),
        FailureKind::Faulted(Cause::OutOfFuel),
        FailureKind::Faulted(Cause::Deadline),
        FailureKind::Faulted(Cause::Memory),
        FailureKind::Faulted(Cause::Instantiate),
        FailureKind::Faulted(Cause::Processor),
        FailureKind::Faulted(Cause::Interrupted),
    ];

    /// The name as it stands in manifests, statistics and error texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Refused => "refused",
            FailureKind::Retry => "retry",
            FailureKind::Faulted(cause) => cause.name(),
        }
    }

    /// Its place in a table of all kinds.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            FailureKind::Refused => 0,
            FailureKind::Retry => 1,
            FailureKind::Faulted(cause) => 2 + cause as usize,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Text that came from a listener: cut to 1 KiB, control characters escaped, so that it can be logged and shown as it is.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let text = ErrorText::new(&"very long ".repeat(1_000));
/// assert!(text.as_str().len() <= limits::ERROR_TEXT_BYTES_MAX && text.as_str().ends_with('…'));
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ErrorText(Arc<str>);

impl ErrorText {
    /// Cuts and escapes `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        // What turns the direction of text could forge the rest of a line, as what steers a terminal could.
        let steers = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if text.len() <= ERROR_TEXT_BYTES_MAX && !text.chars().any(steers) {
            return Self(Arc::from(text));
        }
        let mut out = String::new();
        for c in text.chars() {
            let piece = match c {
                '\n' => "\\n".to_owned(),
                c if !steers(c) => c.to_string(),
                c => c.escape_default().to_string(),
            };
            if out.len() + piece.len() > ERROR_TEXT_BYTES_MAX - '…'.len_utf8() {
                out.push('…');
                break;
            }
            out.push_str(&piece);
        }
        Self(Arc::from(out))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ErrorText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listeners_text_is_cut_and_escaped() {
        let text = ErrorText::new(&format!("a\u{1b}[31m\nfake: {}", "x".repeat(100_000)));
        assert!(text.as_str().len() <= ERROR_TEXT_BYTES_MAX);
        assert!(!text.as_str().chars().any(char::is_control));
        assert!(text.as_str().ends_with('…'));
        assert_eq!(ErrorText::new("plain").as_str(), "plain");
    }

    #[test]
    fn each_kind_of_failure_stands_at_its_own_index() {
        for (place, kind) in FailureKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place, "{kind}");
        }
    }
}
