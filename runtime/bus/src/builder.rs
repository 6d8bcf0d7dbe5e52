//! One chain that builds a message and sends it. A step that cannot be done is told at the end; nothing is sent then.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::error::{BuildError, RequestError, SendError};
use crate::message::{MessageId, Outgoing};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::value::Value;

impl Bus {
    /// Begins a message that the chain's end sends.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Reply, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("stock/check")?)?;
    /// # bus.register("stock/check", listener_fn("stock", |_| async { Outcome::reply(Reply::text("7")) }))?;
    /// use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// let reply = bus.message().to("stock/check").text("A1").value("warehouse", 3).timeout(second).request().await?;
    /// assert_eq!(reply.payload, "7");
    /// let error = bus.message().text("A1").send().await.unwrap_err();
    /// assert_eq!(error.to_string(), "the message has no destination: say `to`, or `reply_to`");
    /// # Ok(()) }
    /// ```
    pub fn message(&self) -> MessageBuilder<'_> {
        MessageBuilder {
            bus: self,
            origin: None,
            destination: None,
            message: Outgoing::default(),
            timeout: None,
            error: None,
        }
    }
}

/// A message on its way to being sent; [`Bus::message`] begins one.
///
/// Of two steps that say the same the later one counts. A step that cannot be done, a name or a value that breaks a rule,
/// is told by the chain's end; of several the first.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
/// let order = bus.message().json(&["A1", "A2"]).value("priority customer", true).ordering_key("alice");
/// order.to("orders").send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent before `send`, `request` or `request_direct`"]
pub struct MessageBuilder<'a> {
    bus: &'a Bus,
    /// None: the host.
    origin: Option<Origin>,
    destination: Option<DestinationName>,
    message: Outgoing,
    timeout: Option<Duration>,
    /// Why the first step that could not be done could not.
    error: Option<BuildError>,
}

/// What to send.
impl MessageBuilder<'_> {
    /// Sets a payload of plain text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.content(Outgoing::text(text))
    }

    /// Sets a payload of JSON.
    pub fn json(self, content: &impl Serialize) -> Self {
        match Outgoing::json(content) {
            Ok(message) => self.content(message),
            Err(error) => self.failed("json", &error),
        }
    }

    /// Sets a payload of bytes with a media type.
    pub fn payload(self, payload: impl Into<Bytes>, content_type: &str) -> Self {
        self.content(Outgoing::typed(payload, content_type))
    }

    /// Sets a payload of bytes without a media type.
    pub fn bytes(self, payload: impl Into<Bytes>) -> Self {
        self.content(Outgoing::bytes(payload))
    }

    /// Puts a value; one that was there under the key is replaced.
    pub fn value(mut self, key: &str, value: impl Into<Value>) -> Self {
        match self.message.values.put(key, value) {
            Ok(()) => self,
            Err(error) => self.failed("value", &error),
        }
    }

    /// Removes a value; nothing there is no error.
    pub fn without_value(self, key: &str) -> Self {
        self.part(|message| message.without_value(key))
    }

    /// Takes a message over: all that its sender chose, in the place of all that was said of the message before. Where it
    /// goes and who sends it stay.
    pub fn like(self, message: impl Into<Outgoing>) -> Self {
        self.part(|_| message.into())
    }

    /// Asks for a priority: 0 to 9, 9 is delivered first. Without it, 4.
    pub fn priority(self, priority: u8) -> Self {
        self.part(|message| message.priority(priority))
    }

    /// Asks not to be delivered before so long after acceptance.
    pub fn deliver_after(self, wait: Duration) -> Self {
        self.part(|message| message.deliver_after(wait))
    }

    /// Asks to become a dead letter when its turn has not come so long after acceptance.
    pub fn expires_after(self, wait: Duration) -> Self {
        self.part(|message| message.expires_after(wait))
    }

    /// Asks to be received in order, one at a time, with other messages of this key.
    pub fn ordering_key(self, key: &str) -> Self {
        self.part(|message| message.ordering_key(key))
    }

    /// Asks not to be accepted again when a message of this key was accepted a short while ago.
    pub fn dedup_key(self, key: &str) -> Self {
        self.part(|message| message.dedup_key(key))
    }

    /// Payload and content type; the rest stays.
    fn content(mut self, content: Outgoing) -> Self {
        self.message.payload = content.payload;
        self.message.content_type = content.content_type;
        self
    }

    fn part(mut self, change: impl FnOnce(Outgoing) -> Outgoing) -> Self {
        self.message = change(self.message);
        self
    }

    fn failed(mut self, step: &'static str, reason: &dyn fmt::Display) -> Self {
        self.error.get_or_insert_with(|| BuildError::Step { step, reason: reason.to_string() });
        self
    }
}

/// Where to, from whom, and where answers go.
impl MessageBuilder<'_> {
    /// Says where the message goes.
    pub fn to(mut self, destination: &str) -> Self {
        match DestinationName::new(destination) {
            Ok(name) => self.destination = Some(name),
            Err(error) => return self.failed("to", &error),
        }
        self
    }

    /// Answers what was received: sends to its response destination, under its response id, as its listener. No other part
    /// of it is taken. When it has no response destination the chain's end says so.
    pub fn reply_to(mut self, request: &Delivery) -> Self {
        let message = request.message();
        let Some(destination) = message.response_destination() else {
            self.error.get_or_insert(BuildError::NothingToAnswer(message.id()));
            return self;
        };
        self.destination = Some(destination.clone());
        self.message.response_id.clone_from(&message.body.response_id);
        self.origin = Some(request.origin());
        self
    }

    /// Says where answers go.
    pub fn response_destination(mut self, destination: &str) -> Self {
        match DestinationName::new(destination) {
            Ok(name) => self.message.response_destination = Some(name),
            Err(error) => return self.failed("response_destination", &error),
        }
        self
    }

    /// Says which id answers carry. Without it, the id of this message; a request replaces it.
    pub fn response_id(self, id: &str) -> Self {
        self.part(|message| message.response_id(id))
    }

    /// Sends as `origin`. Without it, as the host; after [`MessageBuilder::reply_to`], as the listener.
    pub fn as_origin(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// How long to wait for an answer; a message that is only sent has no use for it. Without it, as the destination says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// The end of the chain.
impl MessageBuilder<'_> {
    /// The message as it was built, without sending it. It needs no destination.
    ///
    /// # Errors
    /// Why a step could not be done.
    pub fn build(self) -> Result<Outgoing, BuildError> {
        self.error.map_or(Ok(self.message), Err)
    }

    /// Sends the message, as [`Bus::send_as`] does, and returns its id.
    ///
    /// # Errors
    /// [`SendError::NotBuilt`] when a step could not be done or the destination is missing; else as [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`].
    pub async fn send(self) -> Result<MessageId, SendError> {
        let ready = self.ready()?;
        ready.bus.send_as(&ready.origin, ready.destination.as_str(), ready.message).await
    }

    /// Sends the message in default mode, as [`Bus::request_as`] does, and returns the first answer.
    ///
    /// # Errors
    /// As [`MessageBuilder::send`] and [`Bus::request`].
    ///
    /// # Cancel safety
    /// As [`Bus::request`].
    pub async fn request(self) -> Result<Reply, RequestError> {
        let ready = self.ready()?;
        let destination = ready.destination.as_str();
        ready.bus.request_as(&ready.origin, destination, ready.message, ready.timeout).await
    }

    /// Sends the message in direct mode, as [`Bus::request_direct_as`] does, and returns the last response.
    ///
    /// # Errors
    /// As [`MessageBuilder::send`] and [`Bus::request_direct`].
    ///
    /// # Cancel safety
    /// As [`Bus::request_direct`].
    pub async fn request_direct(self) -> Result<Option<Reply>, RequestError> {
        let ready = self.ready()?;
        let destination = ready.destination.as_str();
        ready.bus.request_direct_as(&ready.origin, destination, ready.message, ready.timeout).await
    }
}

/// A message that was built without a mistake.
struct Ready<'a> {
    bus: &'a Bus,
    origin: Origin,
    destination: DestinationName,
    message: Outgoing,
    timeout: Option<Duration>,
}

impl<'a> MessageBuilder<'a> {
    fn ready(self) -> Result<Ready<'a>, SendError> {
        let Self { bus, origin, destination, message, timeout, error } = self;
        match (error, destination) {
            (Some(error), _) => Err(error.into()),
            (None, None) => Err(BuildError::MissingDestination.into()),
            (None, Some(destination)) => {
                let origin = origin.unwrap_or_else(|| bus.shared.host.clone());
                Ok(Ready { bus, origin, destination, message, timeout })
            }
        }
    }
}

impl fmt::Debug for MessageBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBuilder")
            .field("destination", &self.destination)
            .field("message", &self.message)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
