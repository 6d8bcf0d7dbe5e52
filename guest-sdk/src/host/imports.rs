//! The host behind the imports of `wit/`. Each function converts, calls and converts back; none decides anything.

use std::time::{Duration, SystemTime};

use super::convert::{milliseconds, milliseconds_u32, pairs_from_wit};
use crate::bindings::listener::exports::sandbus::bus::message_listener;
use crate::bindings::listener::sandbus::bus::{current_message, destinations, message_bus, types};
use crate::destinations::{Settings, Statistics};
use crate::{
    ChangeError, Context, DestinationError, Identity, Listener, Message, MessageId, Outgoing, Reply,
    RequestError, SendError, SendOptions, Value,
};

/// What `receive` is given.
pub type WitMessage = message_listener::Message;
/// What `receive` returns.
pub type WitOutcome = Result<Option<types::Reply>, types::Failure>;

/// Calls the listener with the message that the host passed in.
pub fn receive<L: Listener>(listener: &mut L, message: WitMessage) -> WitOutcome {
    let message = Message {
        destination: message.destination,
        content_type: message.content_type,
        payload: message.payload,
        reply_expected: message.reply_expected,
        current: Current,
    };
    match listener.receive(&message) {
        Ok(reply) => Ok(reply.map(Into::into)),
        Err(failure) => Err(failure.into()),
    }
}

pub(crate) fn send(destination: &str, message: Outgoing) -> Result<MessageId, SendError> {
    message_bus::send(destination, &message.into()).map(MessageId::from).map_err(Into::into)
}

pub(crate) fn request(
    destination: &str,
    message: Outgoing,
    timeout: Option<Duration>,
) -> Result<Reply, RequestError> {
    let reply = message_bus::request(destination, &message.into(), timeout.map(milliseconds_u32))?;
    Ok(reply.into())
}

pub(crate) fn request_direct(
    destination: &str,
    message: Outgoing,
    timeout: Option<Duration>,
) -> Result<Option<Reply>, RequestError> {
    let reply = message_bus::request_direct(destination, &message.into(), timeout.map(milliseconds_u32))?;
    Ok(reply.map(Into::into))
}

pub(crate) fn create_destination(name: &str, settings: Settings) -> Result<(), DestinationError> {
    destinations::create(name, &settings.into()).map_err(Into::into)
}

pub(crate) fn remove_destination(name: &str) -> Result<(), DestinationError> {
    destinations::remove(name).map_err(Into::into)
}

pub(crate) fn listen(name: &str) -> Result<bool, DestinationError> {
    destinations::listen(name).map_err(Into::into)
}

pub(crate) fn stop_listening(name: &str) -> Result<bool, DestinationError> {
    destinations::stop_listening(name).map_err(Into::into)
}

pub(crate) fn statistics(name: &str) -> Result<Statistics, DestinationError> {
    destinations::statistics(name).map(Into::into).map_err(Into::into)
}

/// The rest of the message that is received right now. The host keeps it; there is nothing to hold here.
pub(crate) struct Current;

impl Current {
    pub(crate) fn id(&self) -> MessageId {
        current_message::id().into()
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        current_message::get_value(key).map(Into::into)
    }

    pub(crate) fn values(&self) -> Vec<(String, Value)> {
        pairs_from_wit(current_message::values())
    }

    pub(crate) fn put_value(&self, key: &str, value: Option<Value>) -> Result<(), ChangeError> {
        current_message::put_value(key, value.map(Into::into).as_ref()).map_err(Into::into)
    }

    pub(crate) fn response_destination(&self) -> Option<String> {
        current_message::response_destination()
    }

    pub(crate) fn response_id(&self) -> Option<String> {
        current_message::response_id()
    }

    pub(crate) fn set_response(&self, reply: Reply) -> Result<(), ChangeError> {
        current_message::set_response(&reply.into()).map_err(Into::into)
    }

    pub(crate) fn context(&self) -> Context {
        let context = current_message::context();
        Context {
            sender: context.sender,
            sent_at: SystemTime::UNIX_EPOCH + milliseconds(context.sent_at_unix_ms),
            attempt: context.attempt,
            hop_count: context.hop_count,
            traceparent: context.traceparent,
            tracestate: context.tracestate,
            identity: context.identity.map(|of| Identity { tenant: of.tenant, principal: of.principal }),
        }
    }

    pub(crate) fn options(&self) -> SendOptions {
        current_message::options().into()
    }

    pub(crate) fn time_left(&self) -> Duration {
        milliseconds(current_message::time_left_ms().into())
    }
}
