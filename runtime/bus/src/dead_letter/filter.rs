//! Which dead letters are meant: by reason, listener, age and id. It changes nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::sync::Instant;

/// Which dead letters are meant; all of them, unless it says more.
///
/// Different conditions must all hold. A condition that is given more than once holds if one of what was given does: two
/// reasons mean either of them.
///
/// # Examples
/// ```
/// use sandbus_bus::DeadLetterFilter;
/// let filter = DeadLetterFilter::default().reason("out-of-fuel")?.reason("deadline")?.listener("shipper");
/// let error = DeadLetterFilter::default().reason("out-of-luck").unwrap_err();
/// assert!(error.to_string().contains("`out-of-fuel`"));
/// # Ok::<(), sandbus_bus::UnknownReason>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    reasons: Vec<&'static str>,
    listeners: Vec<Arc<str>>,
    since: Option<SystemTime>,
    age_max: Option<Duration>,
    /// None: any; an empty set: none.
    ids: Option<HashSet<DeadLetterId>>,
}

impl DeadLetterFilter {
    /// Those of a reason, by its name.
    ///
    /// # Errors
    /// When no reason has this name; the error names all that there are.
    pub fn reason(mut self, name: &str) -> Result<Self, UnknownReason> {
        let known = DeadLetterReason::names().find(|known| *known == name);
        self.reasons.push(known.ok_or_else(|| UnknownReason(name.chars().take(64).collect()))?);
        Ok(self)
    }

    /// Those that were meant for a listener of this name.
    #[must_use]
    pub fn listener(mut self, name: &str) -> Self {
        self.listeners.push(Arc::from(name));
        self
    }

    /// Those made at this moment of the wall clock or later. The last one given counts.
    #[must_use]
    pub fn since(mut self, since: SystemTime) -> Self {
        self.since = Some(since);
        self
    }

    /// Those at most so old, by the bus clock, when they are counted. The last one given counts.
    #[must_use]
    pub fn age_max(mut self, age: Duration) -> Self {
        self.age_max = Some(age);
        self
    }

    /// Those of these ids. No id at all means no dead letter.
    #[must_use]
    pub fn ids(mut self, ids: impl IntoIterator<Item = DeadLetterId>) -> Self {
        self.ids.get_or_insert_default().extend(ids);
        self
    }

    pub(crate) fn passes(&self, letter: &DeadLetter, now: Instant) -> bool {
        let listener = letter.listener.as_ref();
        (self.reasons.is_empty() || self.reasons.contains(&letter.reason.name()))
            && (self.listeners.is_empty() || listener.is_some_and(|name| self.listeners.contains(name)))
            && self.since.is_none_or(|since| letter.at >= since)
            && self.age_max.is_none_or(|max| now.saturating_duration_since(letter.since) <= max)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
    }
}

/// A filter asks for a reason that no dead letter can have.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error: UnknownReason = DeadLetterFilter::default().reason("refsed").unwrap_err();
/// assert!(error.to_string().contains("refused"), "it lists those that there are: {error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no dead letter has the reason `{}`; the reasons are {}", .0.escape_debug(), known())]
pub struct UnknownReason(String);

fn known() -> String {
    DeadLetterReason::names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
