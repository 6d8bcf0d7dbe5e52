//! `sandbus:bus/message-bus`: grants and budgets are checked here, before any look-up; the bus does the rest.

use std::time::Duration;

use sandbus_bus::{DEFAULT_RESPONSE, Origin, Outgoing, SendError};

use super::bindings::sandbus::bus::message_bus::Host;
use super::bindings::sandbus::bus::types as wire;
use super::convert::{outgoing, wire_reply, wire_request_error, wire_send_error};
use super::state::{HostState, Phase};

impl Host for HostState {
    async fn send(
        &mut self,
        destination: String,
        message: wire::Outgoing,
    ) -> wasmtime::Result<Result<String, wire::SendError>> {
        let sent = match self.admit(&destination, message) {
            Ok((origin, message)) => self.facts.bus.send_as(&origin, &destination, message).await,
            Err(error) => Err(error),
        };
        Ok(sent.map(|id| id.to_string()).map_err(wire_send_error))
    }

    async fn request(
        &mut self,
        destination: String,
        message: wire::Outgoing,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Result<wire::Reply, wire::RequestError>> {
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let answered = match self.admit(&destination, message) {
            Ok((origin, message)) => self.facts.bus.request_as(&origin, &destination, message, timeout).await,
            Err(error) => Err(error.into()),
        };
        Ok(answered.map(|reply| wire_reply(&reply)).map_err(wire_request_error))
    }

    async fn request_direct(
        &mut self,
        destination: String,
        message: wire::Outgoing,
        timeout_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Option<wire::Reply>, wire::RequestError>> {
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let answered = match self.admit(&destination, message) {
            Ok((origin, message)) => {
                self.facts.bus.request_direct_as(&origin, &destination, message, timeout).await
            }
            Err(error) => Err(error.into()),
        };
        Ok(answered.map(|reply| reply.as_ref().map(wire_reply)).map_err(wire_request_error))
    }
}

impl HostState {
    /// Checks what a guest wants to send, in this order: rules of form, grants, budget of the call.
    fn admit(&mut self, destination: &str, message: wire::Outgoing) -> Result<(Origin, Outgoing), SendError> {
        let message = outgoing(message)?;
        let answers = self.answers_message_in_hand(destination, &message);
        if !answers && !self.may_send(destination) {
            return Err(self.denied(destination));
        }
        if let Some(name) = &message.response_destination
            && !self.may_name_as_response_destination(name.as_str(), &message)
        {
            return Err(self.denied(name.as_str()));
        }
        self.count_send(message.size_bytes()).map_err(SendError::LimitReached)?;
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

    fn denied(&self, destination: &str) -> SendError {
        let (sender, destination) = (self.facts.name.to_string(), destination.to_owned());
        tracing::warn!(guest = %sender, %destination, code = "SB0408", "send denied: not in `grants.send`");
        SendError::Denied { sender, destination }
    }

    fn origin(&self) -> Result<Origin, SendError> {
        match self.phase() {
            Phase::Receiving(receiving) => Ok(receiving.delivery.origin()),
            Phase::Lifecycle(origin) => Ok(origin.clone()),
            Phase::Idle => Err(SendError::Invalid("nothing can be sent outside of a call".to_owned())),
        }
    }
}
