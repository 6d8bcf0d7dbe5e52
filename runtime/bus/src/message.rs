//! A message, immutable once accepted, and the parts that only the host sets. It knows no destination's insides.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use smol_str::SmolStr;

pub use crate::message_id::MessageId;
use crate::name::DestinationName;
use crate::outcome::Reply;
use crate::outgoing::SendOptions;
use crate::sync::{AtomicUsize, Instant, Ordering, after};
use crate::trace::{Identity, Trace};
use crate::tracked::Watch;
use crate::value::Values;

/// A message that is not yet sent: what the sender chooses.
///
/// # Examples
/// ```
/// use sandbus_bus::Outgoing;
/// let message = Outgoing::text("hello").value("n", 3)?.response_destination("acme/answers".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Outgoing {
    /// The payload; may be empty.
    pub payload: Bytes,
    /// Its media type.
    pub content_type: Option<Arc<str>>,
    /// Its values.
    pub values: Values,
    /// Where answers go; none: nobody is asked to answer.
    pub response_destination: Option<DestinationName>,
    /// The id that answers carry; none: the id of this message, when there is a response destination.
    pub response_id: Option<Arc<str>>,
    /// What else the sender asks for.
    pub options: Option<Box<SendOptions>>,
}

impl Outgoing {
    /// A message of plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::typed(text.into(), "text/plain; charset=utf-8")
    }

    /// A message of bytes without a media type.
    #[must_use]
    pub fn bytes(payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// A message of bytes with a media type.
    #[must_use]
    pub fn typed(payload: impl Into<Bytes>, content_type: &str) -> Self {
        Self { payload: payload.into(), content_type: Some(Arc::from(content_type)), ..Self::default() }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// When the key breaks a rule or there are too many values.
    pub fn value(mut self, key: &str, value: impl Into<crate::Value>) -> Result<Self, crate::ValuesError> {
        self.values.put(key, value)?;
        Ok(self)
    }

    /// Says where answers go.
    #[must_use]
    pub fn response_destination(mut self, destination: DestinationName) -> Self {
        self.response_destination = Some(destination);
        self
    }

    /// Says which id answers carry.
    #[must_use]
    pub fn response_id(mut self, id: &str) -> Self {
        self.response_id = Some(Arc::from(id));
        self
    }

    /// Payload and values together, as they count against the size limit of a message.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.payload.len() + self.values.size_bytes()
    }
}

impl From<Reply> for Outgoing {
    fn from(reply: Reply) -> Self {
        Self {
            payload: reply.payload,
            content_type: reply.content_type,
            values: reply.values,
            ..Self::default()
        }
    }
}

/// What the bus, and nobody else, says about a message.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.send_as(&Origin::named("shop"), "orders", Outgoing::text("A1")).await?;
/// let message = bus.purge("orders")?.remove(0).message;
/// let context: &Context = message.context();
/// assert_eq!((&*context.sender, context.hop_count), ("shop", 0));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The name of the guest that sent it, or `host`.
    pub sender: SmolStr,
    /// When it was accepted, by the wall clock.
    pub sent_at: SystemTime,
    /// 0 for a message that no other message caused.
    pub hop_count: u32,
    /// W3C Trace Context, when there is one.
    pub trace: Option<Arc<Trace>>,
    /// On whose behalf it was sent, when the sender knows.
    pub identity: Option<Arc<Identity>>,
}

/// An accepted message. Nothing in it changes any more.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.send("orders", Outgoing::text("A1").response_destination("answers".parse()?)).await?;
/// let message: &Message = &bus.purge("orders")?[0].message;
/// assert_eq!((message.destination().as_str(), &message.payload()[..]), ("orders", &b"A1"[..]));
/// assert!(message.response_id().is_some(), "an answer has something to name");
/// # Ok(()) }
/// ```
pub struct Message {
    pub(crate) id: MessageId,
    pub(crate) destination: DestinationName,
    pub(crate) body: Outgoing,
    pub(crate) context: Context,
    pub(crate) accepted_at: Instant,
    /// Who is told when it settles: the sender of the request that an answer to it would end, or its own sender.
    pub(crate) request: Option<Watch>,
    /// Whether this is the request itself, which is no answer to itself.
    pub(crate) asks: bool,
    /// The destinations whose listeners wait, at this moment, for this message to be answered.
    pub(crate) waits: Option<Arc<WaitChain>>,
    /// Its entries that wait in the queue; changed under the queue's lock only.
    pub(crate) entries_waiting: AtomicUsize,
}

impl Message {
    /// A message that did not come in through the door: a reply that no destination took on, as it stands in a dead letter,
    /// or an event.
    pub(crate) fn never_accepted(
        destination: DestinationName,
        body: Outgoing,
        context: Context,
        accepted_at: Instant,
    ) -> Self {
        Self {
            id: MessageId::fresh(context.sent_at),
            destination,
            body,
            context,
            accepted_at,
            request: None,
            asks: false,
            waits: None,
            entries_waiting: AtomicUsize::new(0),
        }
    }

    /// When it may be delivered first, if its sender delayed it.
    pub(crate) fn delayed_until(&self) -> Option<Instant> {
        let delay = self.options()?.deliver_after.filter(|delay| !delay.is_zero())?;
        Some(after(self.accepted_at, delay))
    }

    /// Whether it must not run before its turn, wherever there is room: it is delayed, or in order with others of its key.
    pub(crate) fn waits_its_turn(&self) -> bool {
        self.options()
            .is_some_and(|options| options.ordering_key.is_some() || options.deliver_after.is_some())
    }

    /// The same message, under its id, to be delivered once more at `destination`. Its times count from now, its delay is
    /// over, and nobody is known to wait for it.
    pub(crate) fn redriven(&self, destination: DestinationName) -> Self {
        let mut body = self.body.clone();
        body.options = body.options.map(|mut options| {
            options.deliver_after = None;
            options
        });
        Self {
            id: self.id,
            destination,
            body,
            context: self.context.clone(),
            accepted_at: Instant::now(),
            request: self.request.clone(),
            asks: self.asks,
            waits: None,
            entries_waiting: AtomicUsize::new(0),
        }
    }

    /// The same message with another payload, for one delivery.
    pub(crate) fn with_payload(&self, payload: Bytes, content_type: Option<Arc<str>>) -> Self {
        Self {
            id: self.id,
            destination: self.destination.clone(),
            body: Outgoing { payload, content_type, ..self.body.clone() },
            context: self.context.clone(),
            accepted_at: self.accepted_at,
            request: self.request.clone(),
            asks: self.asks,
            waits: self.waits.clone(),
            entries_waiting: AtomicUsize::new(0),
        }
    }

    /// Counts an entry of this message into the queue; true for the first one.
    pub(crate) fn enter_queue(&self) -> bool {
        self.entries_waiting.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Counts an entry of this message out of the queue; true for the last one.
    pub(crate) fn leave_queue(&self) -> bool {
        self.entries_waiting.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Its id, the same in every attempt.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Where it was sent.
    #[must_use]
    pub fn destination(&self) -> &DestinationName {
        &self.destination
    }

    /// Its payload; may be empty.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.body.payload
    }

    /// The media type, as the sender gave it.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.body.content_type.as_deref()
    }

    /// The values as they were sent; a delivery has its own, which earlier listeners may have changed.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.body.values
    }

    /// Where answers go.
    #[must_use]
    pub fn response_destination(&self) -> Option<&DestinationName> {
        self.body.response_destination.as_ref()
    }

    /// The id that answers carry.
    #[must_use]
    pub fn response_id(&self) -> Option<&str> {
        self.body.response_id.as_deref()
    }

    /// What the sender asked for besides; none where it asked for nothing.
    #[must_use]
    pub fn options(&self) -> Option<&SendOptions> {
        self.body.options.as_deref()
    }

    /// What the bus says about it.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// When it was accepted, by the bus clock.
    #[must_use]
    pub fn accepted_at(&self) -> Instant {
        self.accepted_at
    }

    /// Payload and values together.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.body.size_bytes()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("destination", &self.destination)
            .field("payload_bytes", &self.body.payload.len())
            .field("content_type", &self.body.content_type)
            .field("values", &self.body.values)
            .field("response_destination", &self.body.response_destination)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// A call of `listener` waits for an answer, and so does whoever waits for that call, and so on.
#[derive(Debug)]
pub(crate) struct WaitChain {
    pub(crate) listener: SmolStr,
    /// The destination whose worker makes the call; none when its sender's task does.
    pub(crate) occupies: Option<DestinationName>,
    pub(crate) parent: Option<Arc<WaitChain>>,
}

impl WaitChain {
    /// Whether a worker of `destination` is among those who wait.
    pub(crate) fn occupies(&self, destination: &DestinationName) -> bool {
        self.any(|link| link.occupies.as_ref() == Some(destination))
    }

    /// Whether a call of `listener` is among those who wait.
    pub(crate) fn has_listener(&self, listener: &str) -> bool {
        self.any(|link| link.listener == listener)
    }

    fn any(&self, is_meant: impl Fn(&Self) -> bool) -> bool {
        let mut link = self;
        loop {
            if is_meant(link) {
                return true;
            }
            match &link.parent {
                Some(parent) => link = parent,
                None => return false,
            }
        }
    }
}
