//! Synchronous senders: default mode, which waits for the first answer, and direct mode, which runs the listeners itself.
//! How a message reaches its destination stands in `send`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Bus, Shared};
use crate::call::until;
use crate::destination::{Destination, Manner};
use crate::error::{RequestError, SendError};
use crate::hooks::{Passage, SendKind};
use crate::limits::CALLER_RESERVE;
use crate::message::{MessageId, Outgoing, WaitChain};
use crate::name::{DEFAULT_RESPONSE, DestinationName};
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::request::Waiting;
use crate::sync::{Instant, after};
use crate::tracked::Watched;
use crate::types::DestinationType;

impl Bus {
    /// Sends a message as the host in default mode and waits for the first answer, for `timeout` or as long as the
    /// destination is configured.
    ///
    /// # Errors
    /// Why there is no answer; told as soon as none can come any more.
    ///
    /// # Cancel safety
    /// The message stays accepted; an answer to it is dropped and counted.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::reply(Reply::text("7 left")) }))?;
    /// let reply = bus.request("orders", Outgoing::text("A1"), None).await?;
    /// assert_eq!(reply.payload, "7 left");
    /// # Ok(()) }
    /// ```
    pub async fn request(
        &self,
        destination: &str,
        message: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Reply, RequestError> {
        self.request_as(&self.shared.host, destination, message, timeout).await
    }

    /// The same as `origin`; never longer than shortly before the origin's own deadline.
    ///
    /// # Errors
    /// As [`Bus::request`].
    ///
    /// # Cancel safety
    /// As [`Bus::request`].
    pub async fn request_as(
        &self,
        origin: &Origin,
        destination: &str,
        message: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Reply, RequestError> {
        self.shared.request(origin, destination, message, timeout).await
    }

    /// Has every listener receive the message in this task, one after the other, without the queue, as the host.
    ///
    /// Returns the last answer that was set, or none if there is none and no listener failed.
    ///
    /// # Errors
    /// The failure that settled last, where there is no answer.
    ///
    /// # Cancel safety
    /// Stopping to wait interrupts the call that runs; what is left of the message becomes dead letters.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::synchronous("prices")?)?;
    /// bus.register("prices", listener_fn("list", |_| async { Outcome::reply(Reply::text("12")) }))?;
    /// let price = bus.request_direct("prices", Outgoing::text("A1"), None).await?;
    /// assert_eq!(price.ok_or("nobody answered")?.payload, "12");
    /// # Ok(()) }
    /// ```
    pub async fn request_direct(
        &self,
        destination: &str,
        message: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Option<Reply>, RequestError> {
        self.request_direct_as(&self.shared.host, destination, message, timeout).await
    }

    /// The same as `origin`; never longer than shortly before the origin's own deadline.
    ///
    /// # Errors
    /// As [`Bus::request_direct`].
    ///
    /// # Cancel safety
    /// As [`Bus::request_direct`].
    pub async fn request_direct_as(
        &self,
        origin: &Origin,
        destination: &str,
        message: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Option<Reply>, RequestError> {
        self.shared.request_direct(origin, destination, message, timeout).await
    }
}

/// How long a synchronous sender waits.
struct Wait {
    timeout: Duration,
    deadline: Instant,
}

impl Shared {
    async fn request(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &str,
        mut body: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Reply, RequestError> {
        let origin = match self.intercept(origin, destination, &mut body, SendKind::Request)? {
            Passage::On(origin) => origin,
            Passage::Consumed(_) => return Err(RequestError::NoReply),
        };
        let destination = self.look_up(destination)?;
        if destination.listeners().is_empty() {
            return Err(destination.nobody_listens().into());
        }
        if would_deadlock(&origin, &destination) {
            return Err(RequestError::WouldDeadlock);
        }
        let wait = Wait::new(&origin, timeout, &destination);
        let outbound = self.hooks.before_send(&destination.name, &mut body)?;
        let waiting = match self.ask(&origin, &destination, body, wait.deadline).await {
            Ok((waiting, id)) => {
                outbound.accepted(id);
                waiting
            }
            Err(error) => return Err(outbound.refused(error).into()),
        };
        match waiting.try_answered() {
            // The listener ran in this task and was stopped for the sender's sake: to the sender that is a timeout.
            Some(Err(RequestError::ListenerFaulted(_))) if Instant::now() >= wait.deadline => {
                return Err(wait.timed_out());
            }
            Some(answered) => return answered,
            None => {}
        }
        let answered = until(wait.deadline, pin!(waiting.answered())).await.ok();
        answered.or_else(|| waiting.leave()).unwrap_or_else(|| Err(wait.timed_out()))
    }

    /// Sends a request on its way, under an id of its own. The answer may be there already when this returns.
    async fn ask(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &Arc<Destination>,
        mut body: Outgoing,
        deadline: Instant,
    ) -> Result<(Waiting<'_>, MessageId), SendError> {
        let response_destination = self.response_destination(body.response_destination.take())?;
        let waiting = self.requests.open(response_destination.clone())?;
        body.response_destination = Some(response_destination);
        body.response_id = Some(Arc::clone(&waiting.tracker.id));
        let message =
            self.message(destination, origin, body, Watched::Request(Arc::clone(&waiting.tracker)))?;
        self.deliver_to(destination, &message, Some(deadline), Some(deadline)).await?;
        Ok((waiting, message.id()))
    }

    /// An absent or unknown response destination becomes the built-in one.
    fn response_destination(&self, asked: Option<DestinationName>) -> Result<DestinationName, SendError> {
        match asked {
            Some(name) if self.find(name.as_str()).is_some() => Ok(name),
            _ => Ok(self.look_up(DEFAULT_RESPONSE)?.name.clone()),
        }
    }

    async fn request_direct(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &str,
        mut body: Outgoing,
        timeout: Option<Duration>,
    ) -> Result<Option<Reply>, RequestError> {
        let origin = match self.intercept(origin, destination, &mut body, SendKind::RequestDirect)? {
            Passage::On(origin) => origin,
            Passage::Consumed(_) => return Err(RequestError::NoReply),
        };
        let destination = self.look_up(destination)?;
        if origin.waits.as_ref().is_some_and(|waits| awaits_itself(waits, &destination)) {
            return Err(RequestError::WouldDeadlock);
        }
        let wait = Wait::new(&origin, timeout, &destination);
        let outbound = self.hooks.before_send(&destination.name, &mut body)?;
        let admitted = self.message(&destination, &origin, body, Watched::Nothing).and_then(|mut message| {
            if let Some(message) = Arc::get_mut(&mut message) {
                message.waits.clone_from(&origin.waits);
            }
            let listeners = destination.admit_direct(&message)?;
            Ok((message, listeners))
        });
        let (message, listeners) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Err(outbound.refused(error).into()),
        };
        let manner = Manner::Direct(Some(wait.deadline));
        let end = Box::pin(destination.run_inline(&message, listeners, manner)).await;
        outbound.accepted(message.id());
        match (end.response, end.failure) {
            (Some(response), _) => Ok(Some(*response)),
            (None, None) => Ok(None),
            (None, Some(_)) if Instant::now() >= wait.deadline => Err(wait.timed_out()),
            (None, Some(failure)) => Err(failure),
        }
    }
}

impl Wait {
    fn new(origin: &Origin, timeout: Option<Duration>, destination: &Destination) -> Self {
        let timeout = timeout.unwrap_or_else(|| destination.config().request_timeout);
        let now = Instant::now();
        let asked = after(now, timeout);
        let own = origin.deadline.map(|own| own.checked_sub(CALLER_RESERVE).unwrap_or(own));
        let deadline = own.map_or(asked, |own| own.min(asked));
        let timeout = if deadline == asked { timeout } else { deadline.saturating_duration_since(now) };
        Self { timeout, deadline }
    }

    fn timed_out(&self) -> RequestError {
        RequestError::Timeout(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Whether the answer would have to come from a call that waits for it: on the one worker of a serial destination, or of a
/// listener that is called one message at a time.
fn would_deadlock(origin: &Origin, destination: &Destination) -> bool {
    let Some(waits) = &origin.waits else { return false };
    let serial = destination.destination_type == DestinationType::Serial;
    (serial && waits.occupies(&destination.name)) || awaits_itself(waits, destination)
}

fn awaits_itself(waits: &WaitChain, destination: &Destination) -> bool {
    let listeners = destination.listeners();
    listeners.iter().any(|slot| waits.has_listener(&slot.name) && slot.listener.is_single())
}
