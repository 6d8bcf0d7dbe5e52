//! The way of a message past the interceptors, and of a plain send on a bus that has hooks. It decides nothing: the hooks
//! do, and then the destination.

use std::borrow::Cow;
use std::sync::Arc;

use super::interceptor::Parts;
use super::{HookId, HookSet, Interception, SendKind, Sending, caught};
use crate::bus::Shared;
use crate::destination::Destination;
use crate::error::SendError;
use crate::message::{MessageId, Outgoing};
use crate::origin::Origin;
use crate::outcome::ErrorText;
use crate::tracked::Watched;

/// What the interceptors made of a message.
pub(crate) enum Passage<'a> {
    /// It goes on, from this origin.
    On(Cow<'a, Origin>),
    /// One of them has it; this is the id that its sender gets.
    Consumed(MessageId),
}

impl Shared {
    /// Shows a message to the interceptors, if there are any.
    pub(crate) fn intercept<'a>(
        self: &Arc<Self>,
        origin: &'a Origin,
        destination: &str,
        message: &mut Outgoing,
        kind: SendKind,
    ) -> Result<Passage<'a>, SendError> {
        if !self.hooks.at_send() {
            return Ok(Passage::On(Cow::Borrowed(origin)));
        }
        let set = self.hooks.load();
        if set.interceptors.is_empty() {
            return Ok(Passage::On(Cow::Borrowed(origin)));
        }
        let sending = Sending::new(Parts {
            bus: Arc::downgrade(self),
            id: MessageId::fresh(self.clock.now()),
            kind,
            origin: origin.clone(),
            destination: destination.to_owned(),
            message: std::mem::take(message),
            seen_by: None,
        });
        let id = sending.id();
        let Some(sending) = self.run_interceptors(&set, sending, None)? else {
            return Ok(Passage::Consumed(id));
        };
        let Parts { mut origin, message: unchanged, .. } = sending.parts();
        *message = unchanged;
        origin.message_id = Some(id);
        Ok(Passage::On(Cow::Owned(origin)))
    }

    /// Shows a message to those that registered behind `after`; none when one of them kept it.
    fn run_interceptors(
        &self,
        set: &HookSet,
        mut sending: Sending,
        after: Option<HookId>,
    ) -> Result<Option<Sending>, SendError> {
        let id = sending.id();
        // Ids rise in the order of registration.
        for interceptor in set.interceptors.iter().filter(|each| Some(each.id) > after) {
            sending.shown_to(interceptor.id);
            sending = match caught(|| interceptor.hook.intercept(sending)) {
                Ok(Interception::Pass(passed)) if passed.id() == id => passed,
                Ok(Interception::Pass(_)) => {
                    let text = "it gave back another message than it got";
                    return Err(SendError::Interceptor(ErrorText::new(text)));
                }
                Ok(Interception::Consumed) => {
                    self.hooks.intercepted.add(1);
                    return Ok(None);
                }
                Err(panic) => return Err(SendError::Interceptor(ErrorText::new(&panic))),
            };
        }
        Ok(Some(sending))
    }

    /// Sends a message on a bus that has hooks.
    pub(crate) async fn send_hooked(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &str,
        mut message: Outgoing,
        watched: Watched,
    ) -> Result<MessageId, SendError> {
        match self.intercept(origin, destination, &mut message, SendKind::Send)? {
            Passage::On(origin) => self.send_processed(&origin, destination, message, watched).await,
            Passage::Consumed(id) => Ok(id),
        }
    }

    /// Sends a message that an interceptor had kept, past it.
    pub(super) async fn pass_on(self: &Arc<Self>, sending: Sending) -> Result<MessageId, SendError> {
        let id = sending.id();
        let after = sending.seen_by();
        let Some(sending) = self.run_interceptors(&self.hooks.load(), sending, after)? else {
            return Ok(id);
        };
        let Parts { mut origin, destination, message, .. } = sending.parts();
        origin.message_id = Some(id);
        // Boxed: a listener on a synchronous destination may release another one.
        Box::pin(self.send_processed(&origin, &destination, message, Watched::Nothing)).await
    }

    /// Sends a message that all interceptors let pass, with the outbound processors around it.
    async fn send_processed(
        self: &Arc<Self>,
        origin: &Origin,
        destination: &str,
        mut message: Outgoing,
        watched: Watched,
    ) -> Result<MessageId, SendError> {
        let destination = self.look_up(destination)?;
        let outbound = self.hooks.before_send(&destination.name, &mut message)?;
        let limit = Destination::inline_limit(origin.deadline);
        let sent = match self.message(&destination, origin, message, watched) {
            Ok(message) => self.bring(&destination, &message, limit).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(id) => {
                outbound.accepted(id);
                Ok(id)
            }
            Err(error) => Err(outbound.refused(error)),
        }
    }
}
