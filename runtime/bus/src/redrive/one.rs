//! One dead letter on its way again: back to its listener, or accepted anew. It finds none and counts none.

use std::pin::pin;
use std::sync::Arc;

use crate::bus::Shared;
use crate::call::until;
use crate::dead_letter::{DeadLetterId, DeadLetterReason};
use crate::destination::{Admitted, Destination, Refused};
use crate::error::SendError;
use crate::message::{Message, MessageId};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::policy::RejectedExecution;
use crate::statistics::RejectReason;
use crate::sync::{Instant, after};

impl Refused {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Refused::NotKept => "not-kept",
            Refused::ListenerRemoved(..) => "listener-removed",
            Refused::NotAccepted(error) => error.name(),
        }
    }

    /// Whether the next one may be taken, if it comes a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Refused::NotAccepted(SendError::QueueFull { .. }))
    }
}

impl Shared {
    /// Sends one dead letter on its way again. Refused, it stays where it is.
    pub(super) async fn redrive(
        self: &Arc<Self>,
        keeper: &str,
        id: DeadLetterId,
        to: Option<&DestinationName>,
    ) -> Result<(), Refused> {
        // By name, at its turn: its destination may have gone since it was counted, or another one may have its letters.
        let kept = |keeper: Arc<Destination>| keeper.dead_letter(id).map(|letter| (keeper, letter));
        let (keeper, letter) = self.ranks(keeper).into_iter().find_map(kept).ok_or(Refused::NotKept)?;
        tracing::debug!(message_id = %letter.message.id(), dead_letter_id = %id, destination = %keeper.name, "redrive");
        if letter.listener.is_some() && to.is_none() {
            if let Some(own_task) = keeper.redrive(id)? {
                Box::pin(keeper.run_redriven(own_task)).await;
            }
            return Ok(());
        }
        let target = self.look_up(to.unwrap_or(letter.message.destination()).as_str())?;
        let mut message = letter.message.redriven(target.name.clone());
        // A reply that was not accepted is kept as it was returned; anything else has been through the processors.
        let outbound = match letter.reason {
            DeadLetterReason::ReplyNotAccepted(_) => {
                Some(self.hooks.before_send(&target.name, &mut message.body)?)
            }
            _ => None,
        };
        message.body.response_id.clone_from(&letter.message.body.response_id);
        let sent = self.redrive_to(&target, Arc::new(message), || keeper.let_go(id)).await;
        match (sent, outbound) {
            (Ok(id), Some(outbound)) => outbound.accepted(id),
            (Err(Refused::NotAccepted(error)), Some(outbound)) => return Err(outbound.refused(error).into()),
            (sent, _) => return sent.map(drop),
        }
        Ok(())
    }

    async fn redrive_to(
        self: &Arc<Self>,
        target: &Arc<Destination>,
        message: Arc<Message>,
        leave: impl Fn() -> Result<(), Refused>,
    ) -> Result<MessageId, Refused> {
        let origin = Origin { hop_count: message.context.hop_count, ..Origin::host() };
        self.check(target, origin.hop_count, &message.body)?;
        let answers = self.answers(target, &message);
        let admitted = admit(target, &message, answers, leave).await?;
        let arrived = self.arrived(target, &message, admitted, answers);
        self.finish(target, &message, arrived, None, None).await?;
        Ok(message.id())
    }
}

/// Has `target` take `message` on, waiting for room as its policy says.
async fn admit(
    target: &Arc<Destination>,
    message: &Arc<Message>,
    answers: bool,
    leave: impl Fn() -> Result<(), Refused>,
) -> Result<Admitted, Refused> {
    let attempt = || match target.admit_redriven(message, answers, &leave) {
        Ok(Admitted::WaitForRoom(full)) => Err(full),
        ended => Ok(ended),
    };
    let full = match attempt() {
        Ok(ended) => return ended,
        Err(full) => full,
    };
    if let RejectedExecution::Block(timeout) = target.config().rejected_execution {
        let deadline = after(Instant::now(), timeout);
        let waited = until(deadline, pin!(target.when_room(|| attempt().ok()))).await;
        // Those who wait are told of room in portions; there may be some by now.
        if let Some(ended) = waited.ok().or_else(|| attempt().ok()) {
            return ended;
        }
    }
    Err(target.refused(RejectReason::QueueFull, full))
}
