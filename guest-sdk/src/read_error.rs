//! Why a part of the received message could not be read or changed. Neither is ever a panic: the sender chose the bytes.

use std::error::Error;
use std::fmt;

use crate::ValueType;
use crate::errors::{TooLarge, becomes_text};

/// Why a part of a message could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The payload is not text in UTF-8.
    NotText(std::str::Utf8Error),
    /// The payload is not the JSON that was asked for, or is nested too deep.
    NotJson(serde_json::Error),
    /// The value has another type.
    OtherType {
        /// The key of the value.
        key: String,
        /// The type that was asked for.
        wanted: ValueType,
        /// The type that it has.
        found: ValueType,
    },
    /// The value is text, but does not say what was asked for.
    NotParsed {
        /// The key of the value.
        key: String,
        /// The Rust type that was asked for.
        wanted: &'static str,
        /// What the type says about it.
        reason: String,
    },
}

/// Why a change of the received message was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// Payload and values together are more than the destination takes.
    TooLarge(TooLarge),
    /// The key or the value breaks a rule; the text says which.
    Invalid(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(why) => write!(f, "the payload is not text: {why}"),
            Self::NotJson(why) => write!(f, "the payload is not the JSON that is expected: {why}"),
            Self::OtherType { key, wanted, found } => {
                write!(f, "the value `{key}` is of type {found}, not {wanted}")
            }
            Self::NotParsed { key, wanted, reason } => {
                write!(f, "the text of the value `{key}` is not of type {wanted}: {reason}")
            }
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(sizes) => sizes.fmt(f),
            Self::Invalid(why) => write!(f, "the change is invalid: {why}"),
        }
    }
}

impl Error for ReadError {}
impl Error for ChangeError {}

becomes_text!(ReadError, ChangeError);
