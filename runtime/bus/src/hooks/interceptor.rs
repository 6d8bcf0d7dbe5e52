//! Interceptors: they see every message before its destination is looked up, and may keep it. What they keep can go on
//! later, past them. Here is what they see; `passage` runs them.

use std::fmt;
use std::sync::{Arc, Weak};

use super::HookId;
use crate::bus::Shared;
use crate::error::SendError;
use crate::message::{MessageId, Outgoing};
use crate::origin::Origin;

/// Sees every message that is sent, before its destination is looked up: what the host and guests send, requests in both
/// modes, and replies that listeners returned. Whether the message or the destination is legal is found out behind it.
///
/// Interceptors run in the order of registration; behind one that consumes a message no other one sees it. They run in the
/// sender's task, without a lock: they must not block. One that panics, or gives back another message than it got, fails
/// the send ([`SendError::Interceptor`]); that of a returned reply makes a dead letter of it.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, Interception, Interceptor, Outgoing, Sending};
/// use std::sync::{Arc, Mutex};
///
/// /// Keeps what goes to `orders` until it is asked for.
/// #[derive(Clone, Default)]
/// struct Hold(Arc<Mutex<Vec<Sending>>>);
/// impl Interceptor for Hold {
///     fn intercept(&self, sending: Sending) -> Interception {
///         if sending.destination() != "orders" {
///             return Interception::Pass(sending);
///         }
///         self.0.lock().unwrap().push(sending);
///         Interception::Consumed
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sandbus_bus::DestinationConfig;
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// let hold = Hold::default();
/// bus.add_interceptor(hold.clone())?;
/// let id = bus.send("orders", Outgoing::text("A1")).await?;
/// assert_eq!(bus.figures().intercepted, 1);
/// let kept = std::mem::take(&mut *hold.0.lock().unwrap());
/// for sending in kept {
///     assert_eq!(sending.release().await?, id);
/// }
/// # Ok(()) }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Sees one message, and gives it back or keeps it.
    fn intercept(&self, sending: Sending) -> Interception;
}

/// What an interceptor made of a message.
#[derive(Debug)]
pub enum Interception {
    /// It goes on, as it was.
    Pass(Sending),
    /// It goes no further. Its sender gets an id, or `no-reply` for a request; the message counts as intercepted.
    Consumed,
}

/// What is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendKind {
    /// A message whose sender does not wait for an answer.
    Send,
    /// A request in default mode.
    Request,
    /// A request in direct mode.
    RequestDirect,
    /// A reply that a listener returned.
    Reply,
}

/// A message that is being sent, as an interceptor sees it. Dropping it is its end.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// struct Rename;
/// impl Interceptor for Rename {
///     fn intercept(&self, sending: Sending) -> Interception {
///         match (sending.kind(), sending.destination()) {
///             (SendKind::Send, "old/orders") => {}
///             _ => return Interception::Pass(sending),
///         }
///         println!("{} of {} is dropped", sending.id(), sending.origin().sender());
///         Interception::Consumed
///     }
/// }
/// bus.add_interceptor(Rename)?;
/// bus.send("old/orders", Outgoing::text("A1")).await?;
/// assert_eq!(bus.figures().intercepted, 1);
/// # Ok(()) }
/// ```
pub struct Sending(Box<Parts>);

pub(super) struct Parts {
    /// Weak: an interceptor that keeps messages belongs to the bus.
    pub(super) bus: Weak<Shared>,
    pub(super) id: MessageId,
    pub(super) kind: SendKind,
    pub(super) origin: Origin,
    pub(super) destination: String,
    pub(super) message: Outgoing,
    /// The interceptor that has it in hand.
    pub(super) seen_by: Option<HookId>,
}

impl Sending {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Box::new(parts))
    }

    pub(super) fn shown_to(&mut self, interceptor: HookId) {
        self.0.seen_by = Some(interceptor);
    }

    pub(super) fn seen_by(&self) -> Option<HookId> {
        self.0.seen_by
    }

    pub(super) fn parts(self) -> Parts {
        *self.0
    }

    /// The id that the message gets, and that its sender gets now if it is consumed.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.0.id
    }

    /// What is being sent.
    #[must_use]
    pub fn kind(&self) -> SendKind {
        self.0.kind
    }

    /// The destination as the sender wrote it: there may be none of this name, and it may be no name.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.0.destination
    }

    /// The message as its sender made it. The bus sets the response id of a request only when nobody consumed it.
    #[must_use]
    pub fn message(&self) -> &Outgoing {
        &self.0.message
    }

    /// Who sends it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Sends a message that was kept, unchanged, on behalf of its sender: past the interceptor that kept it, to those behind
    /// it, and then on its way. It has the id that its sender was told.
    ///
    /// What was a request is a message like any other now: its sender waits no more, and neither does this wait for an
    /// answer.
    ///
    /// # Errors
    /// As [`Bus::send`](crate::Bus::send); and when the bus is gone.
    ///
    /// # Cancel safety
    /// As [`Bus::send`](crate::Bus::send).
    pub async fn release(mut self) -> Result<MessageId, SendError> {
        let Some(bus) = self.0.bus.upgrade() else {
            return Err(SendError::Other(format!(
                "message {} cannot be released: its bus is gone",
                self.0.id
            )));
        };
        self.detach();
        self.0.kind = SendKind::Send;
        bus.pass_on(self).await
    }

    /// The parts of a message that was kept, to send something else on behalf of its sender. What is sent so is a message of
    /// its own, and all interceptors see it, the one that kept this one as well.
    #[must_use]
    pub fn into_parts(mut self) -> (Origin, String, Outgoing) {
        self.detach();
        let parts = self.parts();
        (parts.origin, parts.destination, parts.message)
    }

    /// Its sender's call went on without it: neither its deadline nor its waiting bind what is sent from now on.
    fn detach(&mut self) {
        self.0.origin.deadline = None;
        self.0.origin.waits = None;
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("id", &self.0.id)
            .field("kind", &self.0.kind)
            .field("sender", &self.0.origin.sender())
            .field("destination", &self.0.destination)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

impl<T: Interceptor + ?Sized> Interceptor for Arc<T> {
    fn intercept(&self, sending: Sending) -> Interception {
        (**self).intercept(sending)
    }
}
