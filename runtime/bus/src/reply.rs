//! How a reply that a listener returned is sent: by the host, as a message like any other. Where it goes and what becomes
//! of one that is not accepted stands at the destination of the request.

use std::sync::Arc;

use crate::bus::Shared;
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::hooks::{Passage, SendKind};
use crate::message::{Message, Outgoing};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::outcome::Reply;
use crate::tracked::Watched;

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
