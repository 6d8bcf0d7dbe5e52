//! Wire form to domain and back. Whatever a guest gave is data here: checked, or refused with the rule it breaks.

use std::sync::Arc;
use std::time::Duration;

use sandbus_bus as bus;
use sandbus_bus::{
    Delivery, DestinationName, Outgoing, QueueUnit, RequestError, SendError, SendOptions, Values,
};

use super::bindings::exports::sandbus::bus::message_listener as export;
use super::bindings::sandbus::bus::types as wire;

/// Types alone have no functions to offer.
impl wire::Host for super::state::HostState {}

/// The lean record that `receive` gets, borrowed from the delivery.
pub(crate) fn wire_message(delivery: &Delivery) -> export::Message<'_> {
    export::Message {
        destination: delivery.destination().as_str(),
        content_type: delivery.content_type(),
        payload: delivery.payload(),
        reply_expected: delivery.reply_expected(),
    }
}

pub(super) fn value(value: wire::Value) -> bus::Value {
    match value {
        wire::Value::Text(text) => text.into(),
        wire::Value::Boolean(value) => bus::Value::Boolean(value),
        wire::Value::Integer(value) => bus::Value::Integer(value),
        wire::Value::Float(value) => bus::Value::Float(value),
        wire::Value::Bytes(bytes) => bytes.into(),
    }
}

pub(super) fn wire_value(value: &bus::Value) -> wire::Value {
    match value {
        bus::Value::Text(text) => wire::Value::Text(text.to_string()),
        bus::Value::Boolean(value) => wire::Value::Boolean(*value),
        bus::Value::Integer(value) => wire::Value::Integer(*value),
        bus::Value::Float(value) => wire::Value::Float(*value),
        bus::Value::Bytes(bytes) => wire::Value::Bytes(bytes.to_vec()),
    }
}

fn values(pairs: Vec<(String, wire::Value)>) -> Result<Values, bus::ValuesError> {
    let mut values = Values::default();
    for (key, each) in pairs {
        values.put(&key, value(each))?;
    }
    Ok(values)
}

pub(super) fn wire_values(values: &Values) -> Vec<(String, wire::Value)> {
    values.iter().map(|(key, value)| (key.to_owned(), wire_value(value))).collect()
}

/// A reply, also one that `receive` returned; or the rule that it breaks.
pub(crate) fn reply(reply: wire::Reply) -> Result<bus::Reply, String> {
    let content_type_bytes = reply.content_type.as_ref().map_or(0, String::len);
    let bytes_max = bus::limits::CONTENT_TYPE_BYTES_MAX;
    if content_type_bytes > bytes_max {
        return Err(format!("the content type has {content_type_bytes} bytes; it may have {bytes_max}"));
    }
    Ok(bus::Reply {
        payload: reply.payload.into(),
        content_type: reply.content_type.map(Arc::from),
        values: values(reply.values).map_err(|error| error.to_string())?,
    })
}

pub(super) fn wire_reply(reply: &bus::Reply) -> wire::Reply {
    wire::Reply {
        payload: reply.payload.to_vec(),
        content_type: reply.content_type.as_deref().map(str::to_owned),
        values: wire_values(&reply.values),
    }
}

pub(super) fn outgoing(message: wire::Outgoing) -> Result<Outgoing, SendError> {
    let invalid = |error: bus::ValuesError| SendError::Invalid(error.to_string());
    Ok(Outgoing {
        payload: message.payload.into(),
        content_type: message.content_type.map(Arc::from),
        values: values(message.values).map_err(invalid)?,
        response_destination: message
            .response_destination
            .as_deref()
            .map(DestinationName::new)
            .transpose()?,
        response_id: message.response_id.map(Arc::from),
        options: message.options.map(|asked| Box::new(options(asked))),
    })
}

fn options(options: wire::SendOptions) -> SendOptions {
    SendOptions {
        priority: options.priority,
        deliver_after: options.deliver_after_ms.map(Duration::from_millis),
        expires_after: options.expires_after_ms.map(Duration::from_millis),
        ordering_key: options.ordering_key.map(Arc::from),
        dedup_key: options.dedup_key.map(Arc::from),
    }
}

/// What the sender asked for; both durations are what is left of them now.
pub(super) fn wire_options(options: &SendOptions, since_acceptance: Duration) -> wire::SendOptions {
    let left = |duration: Option<Duration>| {
        let left = duration?.checked_sub(since_acceptance).filter(|left| !left.is_zero())?;
        // Rounded up: what is left is never nothing.
        Some(u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
    };
    wire::SendOptions {
        priority: options.priority,
        deliver_after_ms: left(options.deliver_after),
        expires_after_ms: left(options.expires_after),
        ordering_key: options.ordering_key.as_deref().map(str::to_owned),
        dedup_key: options.dedup_key.as_deref().map(str::to_owned),
    }
}

pub(super) fn wire_send_error(error: SendError) -> wire::SendError {
    match error {
        SendError::NoSuchDestination(_) => wire::SendError::NoSuchDestination,
        SendError::NoListener(_) => wire::SendError::NoListener,
        SendError::QueueFull { pending, pending_max, unit, .. } => {
            let unit = match unit {
                QueueUnit::Messages => wire::QueueUnit::Messages,
                QueueUnit::Bytes => wire::QueueUnit::Bytes,
            };
            wire::SendError::QueueFull(wire::QueueFull { pending, pending_max, unit })
        }
        SendError::Closed(_) => wire::SendError::Closed,
        SendError::Paused(_) => wire::SendError::Paused,
        SendError::Denied { .. } => wire::SendError::Denied,
        SendError::TooLarge { bytes, bytes_max, .. } => {
            wire::SendError::TooLarge(too_large(bytes, bytes_max))
        }
        SendError::HopsExceeded { .. } => wire::SendError::HopsExceeded,
        SendError::Invalid(text) => wire::SendError::Invalid(text),
        SendError::Busy { .. } => wire::SendError::Busy,
        SendError::LimitReached(text) => wire::SendError::LimitReached(text),
        error @ (SendError::Interceptor(_) | SendError::Processor(_)) => {
            wire::SendError::Other(error.to_string())
        }
        SendError::NotBuilt(error) => wire::SendError::Invalid(error.to_string()),
        SendError::Other(text) => wire::SendError::Other(text),
    }
}

pub(super) fn too_large(bytes: u64, bytes_max: u64) -> wire::TooLarge {
    wire::TooLarge { message_bytes: bytes, message_bytes_max: bytes_max }
}

pub(super) fn wire_request_error(error: RequestError) -> wire::RequestError {
    match error {
        RequestError::NotSent(error) => wire::RequestError::NotSent(wire_send_error(error)),
        RequestError::Timeout(_) => wire::RequestError::Timeout,
        RequestError::NoReply => wire::RequestError::NoReply,
        RequestError::ListenerRefused(text) => wire::RequestError::ListenerRefused(text.to_string()),
        RequestError::ListenerFaulted(fault) => {
            wire::RequestError::ListenerFaulted(format!("{}: {}", fault.cause, fault.text))
        }
        RequestError::ListenerUnavailable => wire::RequestError::ListenerUnavailable,
        RequestError::WouldDeadlock => wire::RequestError::WouldDeadlock,
    }
}
