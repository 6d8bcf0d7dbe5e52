//! The message that a listener receives. Its payload is here at once; the rest of it is asked from the host when it is
//! read, and no reading ever converts or panics.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::host::Current;
use crate::print::{PrintedPayload, PrintedValues};
use crate::{ChangeError, Context, MessageId, ReadError, Reply, SendOptions, Value, ValueType};

/// The message that is received right now.
pub struct Message {
    pub(crate) destination: Destination,
    pub(crate) content_type: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) reply_expected: bool,
    pub(crate) current: Current,
}

/// Where a message was sent. Those of a batch share one name.
pub(crate) enum Destination {
    Own(String),
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only the host sends batches"))]
    Shared(Arc<str>),
}

impl Deref for Destination {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl Message {
    /// Returns the name of the destination where it was sent.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Returns the media type of the payload, as the sender gave it.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns whether a reply goes anywhere. One that nobody expects is dropped and counted.
    pub fn reply_expected(&self) -> bool {
        self.reply_expected
    }

    /// Returns the payload as text.
    ///
    /// # Errors
    /// `NotText` when it is not UTF-8.
    pub fn text(&self) -> Result<&str, ReadError> {
        std::str::from_utf8(&self.payload).map_err(ReadError::NotText)
    }

    /// Reads the payload as JSON, whatever the content type says. Text may be borrowed from the payload.
    ///
    /// # Errors
    /// `NotJson` when it is no JSON, not of the shape of `T`, or nested deeper than 128 levels.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ReadError> {
        serde_json::from_slice(&self.payload).map_err(ReadError::NotJson)
    }

    /// Returns the id that the bus gave it; the same in every attempt.
    pub fn id(&self) -> MessageId {
        self.current.id()
    }

    /// Returns what the bus says about it: who sent it, when, which attempt this is.
    pub fn context(&self) -> Context {
        self.current.context()
    }

    /// Returns what the sender asked for. Both durations are what is left of them now.
    pub fn options(&self) -> SendOptions {
        self.current.options()
    }

    /// Returns how long this call may still run. A host call that waits counts.
    pub fn time_left(&self) -> Duration {
        self.current.time_left()
    }
}

/// Answering.
impl Message {
    /// Returns where the sender wants answers. It may be sent to without a grant while this call runs; see
    /// [`Outgoing::reply_to`](crate::Outgoing::reply_to).
    pub fn response_destination(&self) -> Option<String> {
        self.current.response_destination()
    }

    /// Returns the id that answers carry.
    pub fn response_id(&self) -> Option<String> {
        self.current.response_id()
    }

    /// Sets the answer for a sender who waits in a direct request; the last one set wins. Forgotten if this call fails;
    /// a reply that `receive` returns counts instead of it.
    ///
    /// # Errors
    /// `TooLarge` and `Invalid`, as for a value.
    pub fn set_response(&self, reply: impl Into<Reply>) -> Result<(), ChangeError> {
        self.current.set_response(reply.into())
    }
}

/// Values: named extras of five types. Absent is `Ok(None)`; a value of another type is an error that names both types.
impl Message {
    /// Returns a value of whatever type.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.current.value(key)
    }

    /// Returns all values in their order.
    pub fn values(&self) -> Vec<(String, Value)> {
        self.current.values()
    }

    /// Returns a value that is text.
    ///
    /// # Errors
    /// `OtherType` when it is not.
    pub fn text_value(&self, key: &str) -> Result<Option<String>, ReadError> {
        self.typed(
            key,
            ValueType::Text,
            |value| if let Value::Text(text) = value { Ok(text) } else { Err(value) },
        )
    }

    /// Returns a value that is an integer. The text `12` is not: see [`parse_value`](Self::parse_value).
    ///
    /// # Errors
    /// `OtherType` when it is not.
    pub fn integer_value(&self, key: &str) -> Result<Option<i64>, ReadError> {
        self.typed(key, ValueType::Integer, |value| {
            if let Value::Integer(number) = value { Ok(number) } else { Err(value) }
        })
    }

    /// Returns a value that is a float. An integer is not.
    ///
    /// # Errors
    /// `OtherType` when it is not.
    pub fn float_value(&self, key: &str) -> Result<Option<f64>, ReadError> {
        self.typed(key, ValueType::Float, |value| {
            if let Value::Float(number) = value { Ok(number) } else { Err(value) }
        })
    }

    /// Returns a value that is a boolean.
    ///
    /// # Errors
    /// `OtherType` when it is not.
    pub fn bool_value(&self, key: &str) -> Result<Option<bool>, ReadError> {
        self.typed(
            key,
            ValueType::Bool,
            |value| if let Value::Bool(yes) = value { Ok(yes) } else { Err(value) },
        )
    }

    /// Returns a value that is bytes.
    ///
    /// # Errors
    /// `OtherType` when it is not.
    pub fn bytes_value(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.typed(key, ValueType::Bytes, |value| {
            if let Value::Bytes(bytes) = value { Ok(bytes) } else { Err(value) }
        })
    }

    /// Reads what the text of a value says: `parse_value::<i64>("count")`.
    ///
    /// # Errors
    /// `OtherType` when it is not text, `NotParsed` when the text does not say such a thing. Neither shows the text.
    pub fn parse_value<T>(&self, key: &str) -> Result<Option<T>, ReadError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(text) = self.text_value(key)? else { return Ok(None) };
        match text.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(why) => Err(ReadError::NotParsed {
                key: key.to_owned(),
                wanted: std::any::type_name::<T>(),
                reason: T::Err::to_string(&why),
            }),
        }
    }

    /// Sets a value for the listeners that come after this one. Forgotten if this call fails; on a parallel destination
    /// nobody else sees it.
    ///
    /// # Errors
    /// `TooLarge` with both numbers; `Invalid` for a key or a value that breaks a rule.
    pub fn put_value(&self, key: &str, value: impl Into<Value>) -> Result<(), ChangeError> {
        self.current.put_value(key, Some(value.into()))
    }

    /// Removes a value for the listeners that come after this one. That there is none is no error.
    ///
    /// # Errors
    /// `Invalid` for a key that breaks a rule.
    pub fn remove_value(&self, key: &str) -> Result<(), ChangeError> {
        self.current.put_value(key, None)
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: ValueType,
        take: impl Fn(Value) -> Result<T, Value>,
    ) -> Result<Option<T>, ReadError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        take(value).map(Some).map_err(|other| ReadError::OtherType {
            key: key.to_owned(),
            wanted,
            found: other.value_type(),
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("destination", &&*self.destination)
            .field("content_type", &self.content_type)
            .field("payload", &PrintedPayload(&self.payload))
            .field("values", &PrintedValues(&self.values()))
            .finish_non_exhaustive()
    }
}
