//! The host behind the imports of `wit/`. Each function converts, calls and converts back; none decides anything.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::convert::{milliseconds, milliseconds_u32, pairs_from_wit};
use crate::bindings::batch::exports::sandbus::bus::message_listener_batch;
use crate::bindings::batch::sandbus::bus::message_batch;
use crate::bindings::listener::exports::sandbus::bus::message_listener;
use crate::bindings::listener::sandbus::bus::{current_message, destinations, message_bus, types};
use crate::destinations::{Settings, Statistics};
use crate::message::Destination;
use crate::{
    Batch, ChangeError, Context, DestinationError, Identity, Listener, Message, MessageId, Outcome, Outgoing,
    Reply, RequestError, SendError, SendOptions, Value,
};

/// What `receive` is given.
pub type WitMessage = message_listener::Message;
/// What `receive-batch` is given of each message.
pub type WitBatchedMessage = message_listener_batch::BatchedMessage;
/// What `receive` returns.
pub type WitOutcome = Result<Option<types::Reply>, types::Failure>;

/// Calls the listener with the message that the host passed in.
pub fn receive<L: Listener>(listener: &mut L, message: WitMessage) -> WitOutcome {
    let message = Message {
        destination: Destination::Own(message.destination),
        content_type: message.content_type,
        payload: message.payload,
        reply_expected: message.reply_expected,
        current: Current { index: None },
    };
    wit_outcome(listener.receive(&message))
}

fn wit_outcome(outcome: Outcome) -> WitOutcome {
    match outcome {
        Ok(reply) => Ok(reply.map(Into::into)),
        Err(failure) => Err(failure.into()),
    }
}

thread_local! {
    /// The message of the batch that is in hand, so that the host is asked only for another one.
    static IN_HAND: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Calls the listener with the messages that the host passed in together.
pub fn receive_batch<L: Listener>(
    listener: &mut L,
    destination: String,
    messages: Vec<WitBatchedMessage>,
    stop_at_failure: bool,
) -> Vec<WitOutcome> {
    IN_HAND.set(None);
    let destination: Arc<str> = destination.into();
    let message = |(index, message): (u32, WitBatchedMessage)| Message {
        destination: Destination::Shared(Arc::clone(&destination)),
        content_type: message.content_type,
        payload: message.payload,
        reply_expected: message.reply_expected,
        current: Current { index: Some(index) },
    };
    let messages = (0..).zip(messages).map(message).collect();
    let outcomes = listener.receive_batch(&Batch::new(messages, stop_at_failure));
    outcomes.into_iter().map(wit_outcome).collect()
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

/// The rest of a message that is received right now. The host keeps it; here is only which one of a batch it is.
pub(crate) struct Current {
    index: Option<u32>,
}

impl Current {
    /// Takes the message in hand, if it came with others and another one is.
    pub(crate) fn focus(&self) {
        if self.index.is_some() && self.index != IN_HAND.get() {
            IN_HAND.set(self.index);
            self.index.into_iter().for_each(message_batch::focus);
        }
    }

    pub(crate) fn id(&self) -> MessageId {
        self.focus();
        current_message::id().into()
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.focus();
        current_message::get_value(key).map(Into::into)
    }

    pub(crate) fn values(&self) -> Vec<(String, Value)> {
        self.focus();
        pairs_from_wit(current_message::values())
    }

    pub(crate) fn put_value(&self, key: &str, value: Option<Value>) -> Result<(), ChangeError> {
        self.focus();
        current_message::put_value(key, value.map(Into::into).as_ref()).map_err(Into::into)
    }

    pub(crate) fn response_destination(&self) -> Option<String> {
        self.focus();
        current_message::response_destination()
    }

    pub(crate) fn response_id(&self) -> Option<String> {
        self.focus();
        current_message::response_id()
    }

    pub(crate) fn set_response(&self, reply: Reply) -> Result<(), ChangeError> {
        self.focus();
        current_message::set_response(&reply.into()).map_err(Into::into)
    }

    pub(crate) fn context(&self) -> Context {
        self.focus();
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
        self.focus();
        current_message::options().into()
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.focus();
        milliseconds(current_message::time_left_ms().into())
    }
}
