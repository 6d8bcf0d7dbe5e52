//! How a reply that a listener returned is sent: by the host, as a message like any other. Where it goes and what becomes
//! of one that is not accepted stands at the destination of the request.

use std::sync::Arc;

use crate::bus::Shared;
use crate::check::short;
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::hooks::{Passage, SendKind};
use crate::limits::CONTENT_TYPE_BYTES_MAX;
use crate::message::{Message, Outgoing};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::tracked::{Watch, Watched};

impl Shared {
    /// Sends a reply that a listener returned. On failure the message that was not accepted comes back with the reason.
    pub(crate) async fn send_reply(
        self: &Arc<Self>,
        delivery: &Delivery,
        to: &DestinationName,
        reply: Reply,
    ) -> Result<(), (SendError, Arc<Message>)> {
        let mut origin = delivery.origin();
        // The host sends it: the listener's call is over, and so is its deadline.
        origin.deadline = None;
        let mut body = Outgoing::from(reply);
        body.response_id = delivery.message().body.response_id.clone();
        // What did not get in is kept as the listener returned it, whatever processors made of it.
        let returned = body.clone();
        self.send_returned(&origin, to, body).await.map_err(|error| {
            let context = origin.context(self.clock.now());
            let accepted_at = delivery.message().accepted_at();
            (error, Arc::new(Message::never_accepted(to.clone(), returned, context, accepted_at)))
        })
    }

    /// Gives a reply to the sender who waits for it, where that sender alone would ever see it as a message: at the built-in
    /// destination, to which nobody listens, on a bus without hooks. Counted as if it had been one. Otherwise the reply comes
    /// back, to be sent.
    pub(crate) fn answer_at_once(
        &self,
        delivery: &Delivery,
        to: &DestinationName,
        reply: Reply,
    ) -> Result<(), Reply> {
        let message = delivery.message();
        let Some(Watch::Request(tracker)) = &message.request else { return Err(reply) };
        let is_its_answer = tracker.response_destination == *to
            && message.response_id().is_some_and(|id| id == &*tracker.id)
            && to.is_reserved()
            && !self.hooks.at_send();
        let Some(destination) = self.find(to.as_str()).filter(|_| is_its_answer) else { return Err(reply) };
        // What would be refused is refused as a message, with a reason that is kept.
        let is_accepted = message.context().hop_count < self.config.hops_max
            && reply.size_bytes() <= destination.message_bytes_max()
            && short("content type", &reply.content_type, CONTENT_TYPE_BYTES_MAX).is_ok();
        if is_accepted { destination.answer_unheard(tracker, reply) } else { Err(reply) }
    }

    async fn send_returned(
        self: &Arc<Self>,
        origin: &Origin,
        to: &DestinationName,
        mut body: Outgoing,
    ) -> Result<(), SendError> {
        let response_id = body.response_id.clone();
        let origin = match self.intercept(origin, to.as_str(), &mut body, SendKind::Reply)? {
            Passage::On(origin) => origin,
            Passage::Consumed(_) => return Ok(()),
        };
        let destination = self.look_up(to.as_str())?;
        let outbound = self.hooks.before_send(&destination.name, &mut body)?;
        // Without it nobody could tell what it answers.
        body.response_id = response_id;
        let message = self.message(&destination, &origin, body, Watched::Nothing);
        let sent = match &message {
            Ok(message) => self.deliver_to(&destination, message, None, None).await,
            Err(error) => Err(error.clone()),
        };
        match (sent, message) {
            (Ok(()), Ok(message)) => {
                outbound.accepted(message.id());
                Ok(())
            }
            (Err(error), _) | (_, Err(error)) => Err(outbound.refused(error)),
        }
    }
}
