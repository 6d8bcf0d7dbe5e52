//! How a delivery that ended well is completed, and where the reply goes that its listener returned. How one is sent as a message
//! stands in `reply`.

use std::sync::Arc;
use std::time::SystemTime;

use super::Destination;
use super::flight::Flight;
use super::settle::Manner;
use crate::call::guarded;
use crate::dead_letter::DeadLetterReason;
use crate::delivery::Delivery;
use crate::entry::Content;
use crate::message::Message;
use crate::name::DestinationName;
use crate::outcome::{Answer, ErrorText, Reply};
use crate::statistics::DropReason;

impl Destination {
    /// A listener dealt with the message: its changes count, its reply goes out.
    pub(super) async fn complete(&self, flight: &mut Flight<'_>, answer: Answer, manner: Manner) {
        let Answer { reply, values, response } = answer;
        flight.change(values, response);
        match reply {
            Some(reply) if manner.is_direct() => flight.delivery.response = Some(Box::new(reply)),
            Some(reply) => self.route_reply(&flight.delivery, reply).await,
            None => {}
        }
        flight.complete(None, None);
    }

    /// Completes a delivery of which nothing is left to wait for; gives the answer back where its reply must be sent.
    pub(super) fn complete_at_once(
        &self,
        flight: &mut Flight<'_>,
        answer: Answer,
        manner: Manner,
    ) -> Result<(), Answer> {
        let Answer { reply, values, response } = answer;
        let response = match reply {
            None => response,
            Some(reply) if manner.is_direct() => Some(Box::new(reply)),
            Some(reply) => match self.reply_at_once(&flight.delivery, reply) {
                Ok(()) => response,
                Err(reply) => return Err(Answer { reply: Some(reply), values, response }),
            },
        };
        flight.complete(values, response);
        Ok(())
    }

    /// Does with a returned reply what needs no waiting: drops one that nobody wants, gives one to the sender who waits for
    /// it. Any other one comes back.
    fn reply_at_once(&self, delivery: &Delivery, reply: Reply) -> Result<(), Reply> {
        let (Some(bus), Some(destination)) = (self.bus.upgrade(), delivery.message.response_destination())
        else {
            self.drop_reply();
            return Ok(());
        };
        bus.answer_at_once(delivery, destination, reply)
    }

    fn drop_reply(&self) {
        self.counters.door.owed.add(1);
        self.counters.drop(DropReason::NoResponseDestination, 1);
    }

    /// Sends a returned reply to where the sender wants answers; one that is not accepted there becomes a dead letter here.
    async fn route_reply(&self, delivery: &Delivery, reply: Reply) {
        let reply = match self.reply_at_once(delivery, reply) {
            Ok(()) => return,
            Err(reply) => reply,
        };
        let (Some(bus), Some(destination)) = (self.bus.upgrade(), delivery.message.response_destination())
        else {
            return self.drop_reply();
        };
        // Boxed: a reply to a synchronous destination runs its listeners, whose replies run others.
        let mut sending = Box::pin(bus.send_reply(delivery, destination, reply.clone()));
        let (reason, text, unsent) = match guarded(&self.interrupt, sending.as_mut()).await {
            Ok(Ok(())) => return,
            Ok(Err((error, unsent))) => {
                (DeadLetterReason::ReplyNotAccepted(error.name()), ErrorText::new(&error.to_string()), unsent)
            }
            Err(_) => {
                let text = ErrorText::new("the destination was closed while the reply waited for room");
                (DeadLetterReason::Closed, text, unsent_reply(delivery, destination, reply, self.clock.now()))
            }
        };
        self.counters.door.owed.add(1);
        self.keep_letter(Content::sent(&unsent), None, reason, text, &self.config());
        self.events.drain_pending();
    }
}

/// A reply that was given up before any destination took it on.
fn unsent_reply(delivery: &Delivery, to: &DestinationName, reply: Reply, now: SystemTime) -> Arc<Message> {
    let message = delivery.message();
    let context = delivery.origin().context(now);
    Arc::new(Message::never_accepted(to.clone(), reply.into(), context, message.accepted_at()))
}
