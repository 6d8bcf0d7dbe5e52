//! What a listener sees of one attempt to have it receive one message. It settles nothing: the bus does, when the call ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;

use crate::message::{Message, WaitChain};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::sync::Instant;
use crate::value::Values;

/// One attempt to have one listener receive one message. Cloning it copies pointers.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.register("orders", listener_fn("stock", |delivery: Delivery| async move {
///     match (delivery.text(), delivery.attempt()) {
///         (None, _) => Outcome::refused("not a text"),
///         (Some("A1"), 1) => Outcome::retry("the warehouse sleeps"),
///         (Some(article), _) => Outcome::reply(Reply::text(format!("{article} sent"))),
///     }
/// }))?;
/// assert_eq!(bus.request("orders", Outgoing::text("A2"), None).await?.payload, "A2 sent");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) values: Values,
    pub(crate) response: Option<Box<Reply>>,
    pub(crate) listener: SmolStr,
    pub(crate) attempt: u32,
    pub(crate) worker: Option<u32>,
    pub(crate) started: Instant,
    pub(crate) deadline: Instant,
    /// Whether somebody waits in direct mode for what is set as response.
    pub(crate) direct: bool,
}

impl Delivery {
    /// The message, as it was accepted, or as an inbound processor gave it on.
    #[must_use]
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        self.message.payload()
    }

    /// Its payload as text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.message.payload()).ok()
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.message.content_type()
    }

    /// The destination that it was sent to.
    #[must_use]
    pub fn destination(&self) -> &DestinationName {
        self.message.destination()
    }

    /// The values, with what earlier listeners of a serial or synchronous destination changed.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// What an earlier listener of a serial or synchronous destination set as response.
    #[must_use]
    pub fn response(&self) -> Option<&Reply> {
        self.response.as_deref()
    }

    /// The listener that receives it.
    #[must_use]
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// 1 when the message comes to this listener for the first time.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number of the worker that makes the call; none when the sender's own task does.
    #[must_use]
    pub fn worker(&self) -> Option<u32> {
        self.worker
    }

    /// When the call began, by the bus clock.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether a call of the listener of this name waits for this one: it asked for it, or somebody did whom it asked.
    #[must_use]
    pub fn is_awaited_by(&self, listener: &str) -> bool {
        self.message.waits.as_ref().is_some_and(|waits| waits.has_listener(listener))
    }

    /// When the call must have ended, by the bus clock.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether a reply goes anywhere.
    #[must_use]
    pub fn reply_expected(&self) -> bool {
        self.direct || self.message.response_destination().is_some()
    }

    /// The text of the fault of a call that did not end by its deadline.
    #[must_use]
    pub fn deadline_text(&self) -> String {
        let allowed: Duration = self.deadline.saturating_duration_since(self.started);
        format!("deadline of {} ms passed", allowed.as_millis())
    }

    /// The same with another payload, for an inbound processor. All else stays: id, context, the request that waits for an
    /// answer. The message as it was accepted stays, too; it is what a retry begins with and a dead letter keeps.
    #[must_use]
    pub fn with_payload(mut self, payload: impl Into<Bytes>, content_type: Option<&str>) -> Self {
        let payload = payload.into();
        self.message = Arc::new(self.message.with_payload(payload, content_type.map(Arc::from)));
        self
    }

    /// The same with other values, for an inbound processor.
    #[must_use]
    pub fn with_values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// Whether both are the same attempt to have the same listener receive the same message.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.message.id() == other.message.id()
            && self.listener == other.listener
            && (self.attempt, self.started) == (other.attempt, other.started)
    }

    /// Who sends what is sent while this delivery is handled: the listener, one hop further, on the same behalf.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.create(DestinationConfig::serial("shipping")?)?;
    /// let onwards = bus.clone();
    /// bus.register("orders", listener_fn("stock", move |delivery: Delivery| {
    ///     let bus = onwards.clone();
    ///     async move {
    ///         // Trace, identity and hop count go on with what it causes.
    ///         let message = Outgoing::bytes(delivery.payload().clone());
    ///         match bus.send_as(&delivery.origin(), "shipping", message).await {
    ///             Ok(_) => Outcome::done(),
    ///             Err(error) => Outcome::retry(error.to_string()),
    ///         }
    ///     }
    /// }))?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn origin(&self) -> Origin {
        let context = self.message.context();
        Origin {
            sender: self.listener.clone(),
            identity: context.identity.clone(),
            trace: context.trace.clone(),
            hop_count: context.hop_count.saturating_add(1),
            deadline: Some(self.deadline),
            waits: Some(self.waits()),
            waits_of_message: self.message.waits.clone(),
            message_id: None,
        }
    }

    /// Those who wait for this delivery, and its own call.
    fn waits(&self) -> Arc<WaitChain> {
        let occupies = self.worker.map(|_| self.message.destination.clone());
        Arc::new(WaitChain { listener: self.listener.clone(), occupies, parent: self.message.waits.clone() })
    }
}
