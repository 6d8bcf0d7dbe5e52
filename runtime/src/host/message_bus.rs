//! `sandbus:bus/message-bus`: grants and budgets are checked here, before any look-up; the bus does the rest.

use std::time::Duration;

use sandbus_bus::{DEFAULT_RESPONSE, ErrorText, MessageId, Origin, Outgoing, RequestError, SendError};

use super::bindings::sandbus::bus::message_bus::Host;
use super::bindings::sandbus::bus::types as wire;
use super::convert::{outgoing, wire_reply, wire_request_error, wire_send_error};
use super::crossing::Crossing;
use super::state::{HostState, Phase};

impl Host for HostState {
    async fn send(
        &mut self,
        destination: String,
        message: wire::Outgoing,
    ) -> wasmtime::Result<Result<String, wire::SendError>> {
        self.fuel.pause().await?;
        let sent = match self.admit_wire(&destination, message) {
            Ok((origin, message)) => self.facts.bus.send_as(&origin, &destination, message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &sent {
            self.say_rounds(&destination, error);
        }
        Ok(sent.map(|id| id.to_string()).map_err(wire_send_error))
    }

    async fn request(
        &mut self,
        destination: String,
        message: wire::Outgoing,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Result<wire::Reply, wire::RequestError>> {
        self.fuel.pause().await?;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let answered = match self.admit_wire(&destination, message) {
            Ok((origin, message)) => self.facts.bus.request_as(&origin, &destination, message, timeout).await,
            Err(error) => Err(error.into()),
        };
        if let Err(RequestError::NotSent(error)) = &answered {
            self.say_rounds(&destination, error);
        }
        Ok(answered.map(|reply| wire_reply(&reply)).map_err(wire_request_error))
    }

    async fn request_direct(
        &mut self,
        destination: String,
        message: wire::Outgoing,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Option<wire::Reply>, wire::RequestError>> {
        self.fuel.pause().await?;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let answered = match self.admit_wire(&destination, message) {
            Ok((origin, message)) => {
                self.facts.bus.request_direct_as(&origin, &destination, message, timeout).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(RequestError::NotSent(error)) = &answered {
            self.say_rounds(&destination, error);
        }
        Ok(answered.map(|reply| reply.as_ref().map(wire_reply)).map_err(wire_request_error))
    }
}

impl HostState {
    /// Checks what a guest wants to send, in this order: rules of form, budget of the call, grants.
    fn admit_wire(
        &mut self,
        destination: &str,
        message: wire::Outgoing,
    ) -> Result<(Origin, Outgoing), SendError> {
        self.fuel.charge_bytes(destination.len() + message.bytes());
        self.admit(destination, outgoing(message)?)
    }

    /// The same without the form, which was looked at.
    pub(super) fn admit(
        &mut self,
        destination: &str,
        message: Outgoing,
    ) -> Result<(Origin, Outgoing), SendError> {
        // Counted first: what is denied costs the call as much as what is sent, and cannot flood the log.
        self.count_send(message.size_bytes()).map_err(SendError::LimitReached)?;
        let answers = self.answers_message_in_hand(destination, &message);
        if !answers && !self.may_send(destination) {
            return Err(self.denied(destination));
        }
        if let Some(name) = &message.response_destination
            && !self.may_name_as_response_destination(name.as_str(), &message)
        {
            return Err(self.denied(name.as_str()));
        }
        Ok((self.origin()?, message))
    }

    fn may_send(&self, destination: &str) -> bool {
        self.facts.grants.send.iter().any(|grant| grant.matches(destination))
    }

    /// While a message is in hand, its response destination may be sent to under its response id, without a grant.
    fn answers_message_in_hand(&self, destination: &str, message: &Outgoing) -> bool {
        let Phase::Receiving(receiving) = self.phase() else { return false };
        let asked = receiving.delivery.message();
        asked.response_destination().is_some_and(|name| name.as_str() == destination)
            && asked.response_id().is_some()
            && asked.response_id() == message.response_id.as_deref()
    }

    /// Where a guest asks for answers, it could send itself, or it passes on the right of the message in hand.
    fn may_name_as_response_destination(&self, name: &str, message: &Outgoing) -> bool {
        name == DEFAULT_RESPONSE || self.may_send(name) || self.answers_message_in_hand(name, message)
    }

    fn denied(&mut self, destination: &str) -> SendError {
        // The name is the guest's: escaped and cut before it comes near a log.
        let (sender, destination) = (self.facts.name.to_string(), ErrorText::new(destination).to_string());
        if self.first_denial() {
            let message_id = self.message_in_hand();
            tracing::warn!(guest = %sender, %destination, message_id, code = "SB0408", "send denied: not in `grants.send`");
        }
        SendError::Denied { sender, destination }
    }

    /// Says, once in a call, that messages caused one another too often: most likely guests that were made to send to each
    /// other, which none of them can know.
    fn say_rounds(&mut self, destination: &str, error: &SendError) {
        if matches!(error, SendError::HopsExceeded { .. }) && self.first_denial() {
            let (guest, message_id) = (&*self.facts.name, self.message_in_hand());
            tracing::warn!(guest, %destination, message_id, "{error}");
        }
    }

    /// The id of the message in hand, for a log.
    fn message_in_hand(&self) -> Option<tracing::field::DisplayValue<MessageId>> {
        let Phase::Receiving(receiving) = self.phase() else { return None };
        Some(tracing::field::display(receiving.delivery.message().id()))
    }

    fn origin(&self) -> Result<Origin, SendError> {
        match self.phase() {
            Phase::Receiving(receiving) => Ok(receiving.delivery.origin()),
            Phase::Lifecycle(origin) => Ok(origin.clone()),
            Phase::Batch => Err(SendError::Invalid(
                "no message of the batch is in hand; `message-batch.focus` takes one".to_owned(),
            )),
            Phase::Idle => Err(SendError::Invalid("nothing can be sent outside of a call".to_owned())),
        }
    }
}
