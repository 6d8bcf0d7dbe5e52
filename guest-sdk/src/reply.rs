//! An answer. Where it goes is known to the bus and never said here.

use std::fmt;

use serde::Serialize;

use crate::Value;
use crate::print::{PrintedPayload, PrintedValues};

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// An answer to a message.
///
/// ```
/// use sandbus_guest::Reply;
///
/// let reply = Reply::text("in stock").with_value("count", 7);
/// assert_eq!(reply.payload(), b"in stock");
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Reply {
    pub(crate) payload: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) values: Vec<(String, Value)>,
}

impl Reply {
    /// Makes an answer of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into()).with_content_type(TEXT)
    }

    /// Makes an answer of JSON.
    ///
    /// # Errors
    /// When `content` cannot be written as JSON: a map with keys that are not text, for example.
    pub fn json(content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::bytes(serde_json::to_vec(content)?).with_content_type(JSON))
    }

    /// Makes an answer of bytes, without a content type.
    pub fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), content_type: None, values: Vec::new() }
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Adds a value. Of two values with one key the later wins.
    #[must_use]
    pub fn with_value(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.push((key.into(), value.into()));
        self
    }

    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the payload as text, with a replacement character for each byte sequence that is none.
    pub fn text_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }

    /// Returns the media type, if there is one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Returns the values in their order.
    pub fn values(&self) -> &[(String, Value)] {
        &self.values
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("payload", &PrintedPayload(&self.payload))
            .field("content_type", &self.content_type)
            .field("values", &PrintedValues(&self.values))
            .finish()
    }
}
