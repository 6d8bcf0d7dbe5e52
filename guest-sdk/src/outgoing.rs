//! A message to be sent, and the three ways to send it. Nothing is sent before `send`, `request`, `request_direct` or
//! `reply_to` is called.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::host;
use crate::print::{PrintedPayload, PrintedValues};
use crate::reply::{JSON, TEXT};
use crate::{Message, MessageId, Reply, RequestError, SendError, SendOptions, Value};

/// A message to be sent.
///
/// ```
/// use std::time::Duration;
/// use sandbus_guest::{Outgoing, testing};
///
/// testing::answer("stock/check", Ok("7".into()));
/// let reply = Outgoing::text("A1").with_value("warehouse", 3).request("stock/check", Duration::from_secs(1))?;
/// assert_eq!(reply.payload(), b"7");
/// # Ok::<(), sandbus_guest::RequestError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
#[must_use = "nothing is sent before `send`, `request`, `request_direct` or `reply_to`"]
pub struct Outgoing {
    pub(crate) payload: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) values: Vec<(String, Value)>,
    pub(crate) response_destination: Option<String>,
    pub(crate) response_id: Option<String>,
    pub(crate) options: Option<SendOptions>,
}

/// Sends a message and does not wait for its listeners: `send("tour/task", "go")`.
///
/// # Errors
/// Why it was not accepted.
pub fn send(destination: &str, message: impl Into<Outgoing>) -> Result<MessageId, SendError> {
    message.into().send(destination)
}

/// Sends a message and waits for the first answer, at most as long as the destination says.
///
/// # Errors
/// Why there is no answer.
pub fn request(destination: &str, message: impl Into<Outgoing>) -> Result<Reply, RequestError> {
    message.into().request(destination, None)
}

/// Making one.
impl Outgoing {
    /// Makes a message of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into()).with_content_type(TEXT)
    }

    /// Makes a message of JSON.
    ///
    /// # Errors
    /// When `content` cannot be written as JSON: a map with keys that are not text, for example.
    pub fn json(content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::bytes(serde_json::to_vec(content)?).with_content_type(JSON))
    }

    /// Makes a message of bytes, without a content type.
    pub fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// Makes a message with the payload, the content type and the values of a received one, and nothing else of it.
    pub fn copy_of(message: &Message) -> Self {
        Self {
            payload: message.payload().to_vec(),
            content_type: message.content_type().map(str::to_owned),
            values: message.values(),
            ..Self::default()
        }
    }

    /// Sets the media type.
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Adds a value. Of two values with one key the later wins.
    pub fn with_value(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.push((key.into(), value.into()));
        self
    }

    /// Says where answers go. Without it, nobody is asked to answer.
    pub fn with_response_destination(mut self, name: impl Into<String>) -> Self {
        self.response_destination = Some(name.into());
        self
    }

    /// Says which id answers carry. Without it, the id of this message; a request replaces it.
    pub fn with_response_id(mut self, id: impl Into<String>) -> Self {
        self.response_id = Some(id.into());
        self
    }

    /// Asks for a priority: 0 to 9, 9 is delivered first. Without it, 4.
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.options_mut().priority = Some(priority);
        self
    }

    /// Asks not to be delivered before so much time has passed.
    pub fn deliver_after(mut self, wait: Duration) -> Self {
        self.options_mut().deliver_after = Some(wait);
        self
    }

    /// Asks to become a dead letter when so much time has passed and the message's turn has not come.
    pub fn expires_after(mut self, wait: Duration) -> Self {
        self.options_mut().expires_after = Some(wait);
        self
    }

    /// Asks that messages of this key reach each listener one at a time, in order.
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.options_mut().ordering_key = Some(key.into());
        self
    }

    /// Asks that a second message of this key is not accepted again for a while.
    pub fn with_dedup_key(mut self, key: impl Into<String>) -> Self {
        self.options_mut().dedup_key = Some(key.into());
        self
    }

    fn options_mut(&mut self) -> &mut SendOptions {
        self.options.get_or_insert_default()
    }
}

/// Sending it.
impl Outgoing {
    /// Sends it and does not wait for its listeners, except on a synchronous destination. Returns its id once it is
    /// accepted; accepted is not received.
    ///
    /// # Errors
    /// Why it was not accepted.
    pub fn send(self, destination: &str) -> Result<MessageId, SendError> {
        host::send(destination, self)
    }

    /// Sends it as an answer to `message`: to its response destination, with its response id, needing no grant.
    ///
    /// # Errors
    /// `NothingToAnswer` when `message` names no response destination; else why it was not accepted.
    pub fn reply_to(mut self, message: &Message) -> Result<MessageId, SendError> {
        let destination = message.response_destination().ok_or(SendError::NothingToAnswer)?;
        self.response_id = message.response_id();
        self.send(&destination)
    }

    /// Sends it the normal way and waits for the first answer. Without a timeout, as long as the destination says; and
    /// always shortly less than this call may still run.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn request(
        self,
        destination: &str,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Reply, RequestError> {
        host::request(destination, self, timeout.into())
    }

    /// Has every listener receive it one after the other, without the queue, and returns the last answer that was set;
    /// `None` if there is none and no listener failed.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn request_direct(
        self,
        destination: &str,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<Reply>, RequestError> {
        host::request_direct(destination, self, timeout.into())
    }
}

/// Looking at it, in tests above all.
impl Outgoing {
    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the media type, if there is one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Returns the values in their order.
    pub fn values(&self) -> &[(String, Value)] {
        &self.values
    }

    /// Returns where answers go.
    pub fn response_destination(&self) -> Option<&str> {
        self.response_destination.as_deref()
    }

    /// Returns the id that answers carry.
    pub fn response_id(&self) -> Option<&str> {
        self.response_id.as_deref()
    }

    /// Returns what is asked for besides, if anything.
    pub fn options(&self) -> Option<&SendOptions> {
        self.options.as_ref()
    }
}

impl From<&str> for Outgoing {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(payload: Vec<u8>) -> Self {
        Self::bytes(payload)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("payload", &PrintedPayload(&self.payload))
            .field("content_type", &self.content_type)
            .field("values", &PrintedValues(&self.values))
            .field("response_destination", &self.response_destination)
            .field("response_id", &self.response_id)
            .field("options", &self.options)
            .finish()
    }
}
