//! A destination's name, checked once. Below this type nobody checks it again.

use std::borrow::Borrow;
use std::fmt;

use smol_str::SmolStr;

use crate::limits::DESTINATION_NAME_BYTES_MAX;

/// The names that begin so belong to the bus itself.
pub const RESERVED_PREFIX: &str = "sandbus/";
/// The built-in synchronous destination where answers to requests arrive.
pub const DEFAULT_RESPONSE: &str = "sandbus/default-response";
/// The built-in serial destination where listeners receive events.
pub const EVENTS: &str = "sandbus/events";

/// A valid destination name: 1 to 255 bytes of `/`-separated segments of ASCII letters, digits, `-`, `_` and `.`.
///
/// Cloning it copies 24 bytes, or counts a reference where the name is longer: what every message carries must not be one
/// counter that senders and workers pass to and fro.
///
/// # Examples
/// ```
/// use sandbus_bus::DestinationName;
/// let name: DestinationName = "acme/n8k5_able".parse()?;
/// assert_eq!(name.as_str(), "acme/n8k5_able");
/// assert!("a b".parse::<DestinationName>().is_err());
/// # Ok::<(), sandbus_bus::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationName(SmolStr);

/// Why a text is not a destination name.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert_eq!(DestinationName::new(""), Err(NameError::Empty));
/// let error = DestinationName::new("a b").unwrap_err();
/// assert!(error.to_string().contains("`a b`"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is not a name.
    #[error("a destination name is empty; it has 1 to {DESTINATION_NAME_BYTES_MAX} bytes")]
    Empty,
    /// It is too long.
    #[error("destination `{}…` has {bytes} bytes; a name may have {DESTINATION_NAME_BYTES_MAX} bytes", start.escape_debug())]
    TooLong {
        /// How it begins.
        start: String,
        /// How long it is.
        bytes: usize,
    },
    /// A character that is not allowed.
    #[error("destination `{}` has {} at byte {at}; use letters, digits, `-`, `_`, `.` and `/`", name.escape_debug(), describe(*character))]
    Character {
        /// The text.
        name: String,
        /// The character.
        character: char,
        /// Where it is.
        at: usize,
    },
    /// An empty, `.` or `..` segment.
    #[error("destination `{name}` has the segment `{segment}`; a segment is not empty, `.` or `..`")]
    Segment {
        /// The text.
        name: String,
        /// The segment.
        segment: String,
    },
    /// The name belongs to the bus.
    #[error(
        "destination `{name}` begins with `{RESERVED_PREFIX}`, which is reserved for built-in destinations"
    )]
    Reserved {
        /// The text.
        name: String,
    },
}

fn describe(character: char) -> String {
    match character {
        ' ' => "a space".to_owned(),
        other => format!("`{}`", other.escape_debug()),
    }
}

impl DestinationName {
    /// Checks `text` and makes a name of it. Reserved names pass: sending to them is allowed, creating them is not.
    ///
    /// # Errors
    /// Says which rule the text breaks, and where.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(SmolStr::new(text)))
    }

    /// The same, refusing the names that only the bus itself may create.
    ///
    /// # Errors
    /// As [`DestinationName::new`], and [`NameError::Reserved`].
    pub fn for_creation(text: &str) -> Result<Self, NameError> {
        let name = Self::new(text)?;
        if name.is_reserved() {
            return Err(NameError::Reserved { name: text.to_owned() });
        }
        Ok(name)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name belongs to the bus.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_PREFIX)
    }
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > DESTINATION_NAME_BYTES_MAX {
        return Err(NameError::TooLong { start: text.chars().take(32).collect(), bytes: text.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if let Some((at, character)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(NameError::Character { name: text.to_owned(), character, at });
    }
    match text.split('/').find(|segment| matches!(*segment, "" | "." | "..")) {
        Some(segment) => Err(NameError::Segment { name: text.to_owned(), segment: segment.to_owned() }),
        None => Ok(()),
    }
}

impl std::str::FromStr for DestinationName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for DestinationName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl AsRef<str> for DestinationName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DestinationName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_takes_what_it_names_and_nothing_else() {
        for good in ["a", "acme/n8k5_able", "a.b-c/1", "x/..y/z..", &"a".repeat(255)] {
            assert!(DestinationName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "a b", "a/*", "a//b", "/a", "a/", "../x", "a/./b", ">", "$JS.API", "ä", "a\n", &long]
        {
            assert!(DestinationName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_shows_the_name_and_the_place() {
        let error = DestinationName::new("orders eu").unwrap_err();
        assert_eq!(
            error.to_string(),
            "destination `orders eu` has a space at byte 6; use letters, digits, `-`, `_`, `.` and `/`"
        );
    }

    #[test]
    fn a_reserved_name_can_be_named_but_not_created() {
        assert!(DestinationName::new(DEFAULT_RESPONSE).is_ok());
        assert!(matches!(DestinationName::for_creation("sandbus/mine"), Err(NameError::Reserved { .. })));
    }
}
