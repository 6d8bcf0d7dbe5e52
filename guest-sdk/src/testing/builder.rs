//! Makes a message to call `receive` with.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::current::Current;
use crate::message::Destination;
use crate::reply::{JSON, TEXT};
use crate::{Context, Identity, Message, MessageId, Reply, SendOptions, Value};

/// Makes a [`Message`] for a test. What is not set is what the first attempt of a message from the host has.
#[must_use = "call `build`"]
pub struct MessageBuilder {
    message: Message,
}

impl Message {
    /// Begins a message for a test, as if it had been sent to `destination`. Only off WebAssembly.
    pub fn builder(destination: impl Into<String>) -> MessageBuilder {
        let message = Message {
            destination: Destination::Own(destination.into()),
            content_type: None,
            payload: Vec::new(),
            reply_expected: false,
            current: Current::default(),
        };
        MessageBuilder { message }
    }

    /// Returns the response that was set with [`set_response`](Self::set_response). Only off WebAssembly.
    pub fn response(&self) -> Option<Reply> {
        self.current.response()
    }
}

impl MessageBuilder {
    /// Sets a payload of text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.bytes(text.into()).content_type(TEXT)
    }

    /// Sets a payload of JSON.
    ///
    /// # Errors
    /// When `content` cannot be written as JSON.
    pub fn json(self, content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.bytes(serde_json::to_vec(content)?).content_type(JSON))
    }

    /// Sets a payload of bytes.
    pub fn bytes(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.message.payload = payload.into();
        self
    }

    /// Sets the media type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.message.content_type = Some(content_type.into());
        self
    }

    /// Adds a value.
    pub fn value(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.message.current.set(key.into(), Some(value.into()));
        self
    }

    /// Has the sender expect an answer at this destination, under this id.
    pub fn response_to(mut self, destination: impl Into<String>, id: impl Into<String>) -> Self {
        self.message.reply_expected = true;
        self.message.current.response_destination = Some(destination.into());
        self.message.current.response_id = Some(id.into());
        self
    }

    /// Sets the id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.message.current.id = MessageId::from(id.into());
        self
    }

    /// Sets the sender's name.
    pub fn sender(mut self, name: impl Into<String>) -> Self {
        self.message.current.context.sender = name.into();
        self
    }

    /// Sets which attempt this is.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.message.current.context.attempt = attempt;
        self
    }

    /// Sets when it was sent.
    pub fn sent_at(mut self, sent_at: SystemTime) -> Self {
        self.message.current.context.sent_at = sent_at;
        self
    }

    /// Sets on whose behalf it was sent.
    pub fn identity(mut self, tenant: impl Into<String>, principal: impl Into<String>) -> Self {
        let identity = Identity { tenant: tenant.into(), principal: principal.into() };
        self.message.current.context.identity = Some(identity);
        self
    }

    /// Sets all that the bus says about it.
    pub fn context(mut self, context: Context) -> Self {
        self.message.current.context = context;
        self
    }

    /// Sets what the sender asked for.
    pub fn options(mut self, options: SendOptions) -> Self {
        self.message.current.options = options;
        self
    }

    /// Sets how long the call may still run.
    pub fn time_left(mut self, time_left: Duration) -> Self {
        self.message.current.time_left = time_left;
        self
    }

    /// Returns the message.
    pub fn build(self) -> Message {
        self.message
    }
}
