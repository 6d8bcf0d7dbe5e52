//! How a message travels from its sender to a destination, and an answer back: the checks at the edge, the look-up, the
//! admission, the wait. What happens at the destination stands there.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use crate::bus::{Bus, Shared};
use crate::call::until;
use crate::destination::{Admitted, Destination, Inline, Manner};
use crate::error::SendError;
use crate::lend::Sleeper;
use crate::message::{Message, MessageId, Outgoing};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::policy::RejectedExecution;
use crate::registration::ListenerSet;
use crate::request::Found;
use crate::statistics::RejectReason;
use crate::sync::{AtomicUsize, Instant, after, is_current, yield_now};
use crate::tracked::{Watch, Watched};

impl Bus {
    /// Sends a message as the host and does not wait for its listeners, except on a synchronous destination.
    ///
    /// Returns its id once it is accepted: stored, and owed a settlement. Accepted is not received.
    ///
    /// # Errors
    /// Why it was not accepted; then nobody received it, and nobody will.
    ///
    /// # Cancel safety
    /// Safe on queued destinations: the message is accepted or not. On a synchronous one, stopping to wait interrupts the
    /// call that runs; what is left of the message becomes dead letters.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// let id = bus.send("orders", Outgoing::text("A1")).await?;
    /// assert_eq!(id.uuid().get_version_num(), 7);
    /// let error = bus.send("odrers", Outgoing::text("A1")).await.unwrap_err();
    /// assert_eq!(error.name(), "no-such-destination");
    /// # Ok(()) }
    /// ```
    pub fn send(
        &self,
        destination: &str,
        message: Outgoing,
    ) -> impl Future<Output = Result<MessageId, SendError>> + Send {
        // Not an `async fn`: it would move the message into one more future.
        self.shared.send(&self.shared.host, destination, message, Watched::Nothing)
    }

    /// Sends a message as `origin`.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`].
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// let shop = Origin::named("shop").with_identity(Identity::new("7", "alice")?);
    /// bus.send_as(&shop, "orders", Outgoing::text("A1")).await?;
    /// # Ok(()) }
    /// ```
    pub fn send_as(
        &self,
        origin: &Origin,
        destination: &str,
        message: Outgoing,
    ) -> impl Future<Output = Result<MessageId, SendError>> + Send {
        self.shared.send(origin, destination, message, Watched::Nothing)
    }
}

/// How far a message came without waiting.
pub(crate) enum Arrived {
    /// Queued, or settled at the door.
    Settled,
    /// Queued, and its sender, who waits for what comes of it, may run this worker at once.
    Lent(Sleeper),
    /// Queued behind so much that its sender should let others run for a moment.
    Deep,
    /// There is no room, and the sender may wait for some.
    Waits { full: SendError, answers: bool },
    /// It is not accepted again: this is the first message of its dedup key.
    Duplicate(MessageId),
    /// This task runs these listeners.
    Inline(Arc<ListenerSet>, Inline),
}

fn not_found(name: &str) -> SendError {
    match DestinationName::new(name) {
        Ok(_) => SendError::NoSuchDestination(name.to_owned()),
        Err(error) => error.into(),
    }
}

impl Shared {
    pub(crate) fn look_up(&self, name: &str) -> Result<Arc<Destination>, SendError> {
        self.find(name).ok_or_else(|| not_found(name))
    }

    pub(crate) async fn send(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &str,
        body: Outgoing,
        watched: Watched,
    ) -> Result<MessageId, SendError> {
        if self.hooks.at_send() {
            // Boxed: hooks that are not there must not make the future of every send larger.
            return Box::pin(self.send_hooked(origin, destination, body, watched)).await;
        }
        let limit = Destination::inline_limit(origin.deadline);
        let (destination, message, arrived) = {
            // Usually a message is in the queue by the end of this block, and nothing was awaited or counted up for it.
            let look = self.destinations.look_up(destination);
            let destination = look.found().ok_or_else(|| not_found(destination))?;
            let message = self.message(destination, origin, body, watched)?;
            match self.arrive(destination, &message)? {
                Arrived::Settled => return Ok(message.id()),
                Arrived::Duplicate(first) => return Ok(first),
                Arrived::Deep => {
                    let id = message.id();
                    drop((message, look));
                    yield_now().await;
                    return Ok(id);
                }
                arrived => (Arc::clone(destination), message, arrived),
            }
        };
        let first = self.finish(&destination, &message, arrived, limit, limit).await?;
        Ok(first.unwrap_or(message.id()))
    }

    /// The same for a stamped message whose destination is found.
    pub(crate) async fn bring(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        message: &Arc<Message>,
        limit: Option<Instant>,
    ) -> Result<MessageId, SendError> {
        match self.arrive(destination, message)? {
            Arrived::Settled => Ok(message.id()),
            Arrived::Duplicate(first) => Ok(first),
            Arrived::Deep => {
                yield_now().await;
                Ok(message.id())
            }
            arrived => {
                let first = self.finish(destination, message, arrived, limit, limit).await?;
                Ok(first.unwrap_or(message.id()))
            }
        }
    }

    /// Stamps a message, after checking what its sender chose.
    pub(crate) fn message(
        &self,
        destination: &Destination,
        origin: &Origin,
        mut body: Outgoing,
        watched: Watched,
    ) -> Result<Arc<Message>, SendError> {
        self.check(destination, origin.hop_count, &body)?;
        let asks = matches!(watched, Watched::Request(_));
        let accepted_at = Instant::now();
        let sent_at = self.clock.at(accepted_at);
        let id = origin.message_id.unwrap_or_else(|| MessageId::fresh(sent_at));
        let request = match (&watched, &body.response_id) {
            (Watched::Request(request), _) => Some(Arc::clone(request)),
            (_, Some(response_id)) => self.requests.find(response_id),
            _ => None,
        };
        if body.response_destination.is_some() && body.response_id.is_none() {
            body.response_id = Some(Arc::from(id.to_string()));
        }
        // Whoever waits for an answer to this message waits through it; for what is sent and forgotten nobody does.
        let waits = match (asks, destination.destination_type.is_queued(), &request) {
            (true, _, _) | (false, false, _) => origin.waits.clone(),
            // Passed on with the id of a request: its sender waits through this message, whoever passes it on does not.
            (false, true, Some(_)) => origin.waits_of_message.clone(),
            (false, true, None) => None,
        };
        let request = match watched {
            // Nobody waits through it for its settlement: whoever follows a message can do something else meanwhile.
            Watched::Send(tracker) => Some(Watch::Send(Arc::new(tracker.with_request(request)))),
            Watched::Nothing | Watched::Request(_) => request.map(Watch::Request),
        };
        Ok(Arc::new(Message {
            id,
            destination: destination.name.clone(),
            body,
            context: origin.context(sent_at),
            accepted_at,
            request,
            asks,
            waits,
            entries_waiting: AtomicUsize::new(0),
        }))
    }

    /// Brings a stamped message to its destination: into the queue, through this task, or to whoever waits for it.
    ///
    /// `room_limit` bounds the wait for room, `call_limit` the calls in this task.
    pub(crate) async fn deliver_to(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        message: &Arc<Message>,
        room_limit: Option<Instant>,
        call_limit: Option<Instant>,
    ) -> Result<(), SendError> {
        match self.arrive(destination, message)? {
            Arrived::Settled | Arrived::Deep | Arrived::Duplicate(_) => Ok(()),
            arrived => self.finish(destination, message, arrived, room_limit, call_limit).await.map(drop),
        }
    }

    /// The part of it that waits for nothing.
    fn arrive(&self, destination: &Arc<Destination>, message: &Arc<Message>) -> Result<Arrived, SendError> {
        let answers = self.answers(destination, message);
        let admitted = destination.admit_once(message, answers)?;
        Ok(self.arrived(destination, message, admitted, answers))
    }

    pub(crate) fn arrived(
        &self,
        destination: &Destination,
        message: &Message,
        admitted: Admitted,
        answers: bool,
    ) -> Arrived {
        let nobody_listens = matches!(admitted, Admitted::Unheard);
        match admitted {
            Admitted::WaitForRoom(full) => return Arrived::Waits { full, answers },
            Admitted::Duplicate(first) => return Arrived::Duplicate(first),
            _ => {}
        }
        if answers || destination.name.is_reserved() {
            self.answer(destination, message, nobody_listens);
        }
        match admitted {
            Admitted::Inline(listeners, inline) => Arrived::Inline(listeners, inline),
            Admitted::Queued { deep: true } => Arrived::Deep,
            Admitted::Lent(sleeper) => Arrived::Lent(sleeper),
            _ => Arrived::Settled,
        }
    }

    /// The part of it that waits: for room, and for listeners that this task runs. Answers the id of the first message of
    /// its dedup key, if it is a duplicate.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        destination: &Arc<Destination>,
        message: &Arc<Message>,
        arrived: Arrived,
        room_limit: Option<Instant>,
        call_limit: Option<Instant>,
    ) -> Result<Option<MessageId>, SendError> {
        let arrived = match arrived {
            Arrived::Waits { full, answers } => {
                let admitted = destination.wait_for_room(message, answers, full, room_limit).await?;
                self.arrived(destination, message, admitted, answers)
            }
            arrived => arrived,
        };
        match arrived {
            Arrived::Inline(listeners, inline) => {
                let manner = match inline {
                    Inline::Synchronous => Manner::Synchronous(call_limit),
                    Inline::NoRoom => Manner::CallerRuns(call_limit),
                    Inline::Test => Manner::Inline(call_limit),
                };
                Box::pin(destination.run_inline(message, listeners, manner)).await;
                Ok(None)
            }
            Arrived::Duplicate(first) => Ok(Some(first)),
            // On another runtime the worker would look for its timers in vain; there it is woken as usual.
            Arrived::Lent(sleeper) if is_current(&self.runtime) => {
                sleeper.run_here();
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Whether somebody waits at this destination for a message of this response id.
    pub(crate) fn answers(&self, destination: &Destination, message: &Message) -> bool {
        if message.asks {
            return false;
        }
        let waiting = message.response_id().and_then(|id| self.requests.find(id));
        waiting.is_some_and(|tracker| tracker.response_destination == destination.name)
    }

    /// Wakes whoever waits for this message; settles it where nobody else was owed it.
    fn answer(&self, destination: &Destination, message: &Message, nobody_listens: bool) {
        let reply = || Reply {
            payload: message.payload().clone(),
            content_type: message.body.content_type.clone(),
            values: message.values().clone(),
        };
        let found = self.requests.answer(&destination.name, message.response_id().unwrap_or_default(), reply);
        if nobody_listens {
            let dropped = match found {
                Found::Answered => None,
                Found::Nobody(reason) => Some(reason),
            };
            destination.end_unheard(message, dropped);
        }
    }
}

impl Destination {
    /// Waits for room, as the policy `block` allows, and then takes the message on.
    async fn wait_for_room(
        self: &Arc<Self>,
        message: &Arc<Message>,
        is_answer: bool,
        full: SendError,
        limit: Option<Instant>,
    ) -> Result<Admitted, SendError> {
        let config = self.config();
        let RejectedExecution::Block(timeout) = config.rejected_execution else { return Err(full) };
        let allowed = after(Instant::now(), timeout);
        let deadline = limit.map_or(allowed, |limit| limit.min(allowed));
        let mut last = full;
        let admitted = until(
            deadline,
            pin!(self.when_room(|| match self.admit_once(message, is_answer) {
                Ok(Admitted::WaitForRoom(full)) => {
                    last = full;
                    None
                }
                ended => Some(ended),
            })),
        )
        .await;
        match admitted {
            Ok(admitted) => admitted,
            // Those who wait are told of room in portions; there may be some by now.
            Err(_) => match self.admit_once(message, is_answer) {
                Ok(Admitted::WaitForRoom(_)) => {
                    self.counters.reject(RejectReason::QueueFull);
                    Err(last)
                }
                ended => ended,
            },
        }
    }
}
