//! Between the generated types and this crate's own. A duration that has no number in milliseconds becomes the largest.

use std::time::Duration;

use crate::bindings::listener::sandbus::bus::{
    current_message, destinations as wit_destinations, types as wit,
};
use crate::destinations::{DestinationType, Settings, Statistics};
use crate::{
    ChangeError, DestinationError, Failure, Outgoing, QueueFull, QueueUnit, Reply, RequestError, SendError,
    SendOptions, TooLarge, Value,
};

pub(super) fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

pub(super) fn milliseconds_u32(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn milliseconds_u64(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn pairs_from_wit(values: Vec<(String, wit::Value)>) -> Vec<(String, Value)> {
    values.into_iter().map(|(key, value)| (key, value.into())).collect()
}

fn pairs_to_wit(values: Vec<(String, Value)>) -> Vec<(String, wit::Value)> {
    values.into_iter().map(|(key, value)| (key, value.into())).collect()
}

impl From<Value> for wit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Bool(yes) => Self::Boolean(yes),
            Value::Integer(number) => Self::Integer(number),
            Value::Float(number) => Self::Float(number),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Text(text) => Self::Text(text),
            wit::Value::Boolean(yes) => Self::Bool(yes),
            wit::Value::Integer(number) => Self::Integer(number),
            wit::Value::Float(number) => Self::Float(number),
            wit::Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<Reply> for wit::Reply {
    fn from(reply: Reply) -> Self {
        Self { payload: reply.payload, content_type: reply.content_type, values: pairs_to_wit(reply.values) }
    }
}

impl From<wit::Reply> for Reply {
    fn from(reply: wit::Reply) -> Self {
        Self {
            payload: reply.payload,
            content_type: reply.content_type,
            values: pairs_from_wit(reply.values),
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(reason) => Self::Refused(reason),
            Failure::Retry { reason, after } => {
                Self::Retry(wit::RetryAdvice { reason, after_ms: after.map(milliseconds_u32) })
            }
        }
    }
}

impl From<Outgoing> for wit::Outgoing {
    fn from(message: Outgoing) -> Self {
        Self {
            payload: message.payload,
            content_type: message.content_type,
            values: pairs_to_wit(message.values),
            response_destination: message.response_destination,
            response_id: message.response_id,
            options: message.options.map(Into::into),
        }
    }
}

impl From<SendOptions> for wit::SendOptions {
    fn from(options: SendOptions) -> Self {
        Self {
            priority: options.priority,
            deliver_after_ms: options.deliver_after.map(milliseconds_u64),
            expires_after_ms: options.expires_after.map(milliseconds_u64),
            ordering_key: options.ordering_key,
            dedup_key: options.dedup_key,
        }
    }
}

impl From<wit::SendOptions> for SendOptions {
    fn from(options: wit::SendOptions) -> Self {
        Self {
            priority: options.priority,
            deliver_after: options.deliver_after_ms.map(milliseconds),
            expires_after: options.expires_after_ms.map(milliseconds),
            ordering_key: options.ordering_key,
            dedup_key: options.dedup_key,
        }
    }
}

impl From<wit::SendError> for SendError {
    fn from(error: wit::SendError) -> Self {
        match error {
            wit::SendError::NoSuchDestination => Self::NoSuchDestination,
            wit::SendError::NoListener => Self::NoListener,
            wit::SendError::QueueFull(full) => Self::QueueFull(full.into()),
            wit::SendError::Closed => Self::Closed,
            wit::SendError::Paused => Self::Paused,
            wit::SendError::Denied => Self::Denied,
            wit::SendError::TooLarge(sizes) => Self::TooLarge(sizes.into()),
            wit::SendError::HopsExceeded => Self::HopsExceeded,
            wit::SendError::Invalid(why) => Self::Invalid(why),
            wit::SendError::Busy => Self::Busy,
            wit::SendError::LimitReached(limit) => Self::LimitReached(limit),
            wit::SendError::Other(why) => Self::Other(why),
        }
    }
}

impl From<wit::QueueFull> for QueueFull {
    fn from(full: wit::QueueFull) -> Self {
        let unit = match full.unit {
            wit::QueueUnit::Messages => QueueUnit::Messages,
            wit::QueueUnit::Bytes => QueueUnit::Bytes,
        };
        Self { pending: full.pending, pending_max: full.pending_max, unit }
    }
}

impl From<wit::TooLarge> for TooLarge {
    fn from(sizes: wit::TooLarge) -> Self {
        Self { message_bytes: sizes.message_bytes, message_bytes_max: sizes.message_bytes_max }
    }
}

impl From<wit::RequestError> for RequestError {
    fn from(error: wit::RequestError) -> Self {
        match error {
            wit::RequestError::NotSent(why) => Self::NotSent(why.into()),
            wit::RequestError::Timeout => Self::Timeout,
            wit::RequestError::NoReply => Self::NoReply,
            wit::RequestError::ListenerRefused(why) => Self::ListenerRefused(why),
            wit::RequestError::ListenerFaulted(why) => Self::ListenerFaulted(why),
            wit::RequestError::ListenerUnavailable => Self::ListenerUnavailable,
            wit::RequestError::WouldDeadlock => Self::WouldDeadlock,
        }
    }
}

impl From<current_message::ChangeError> for ChangeError {
    fn from(error: current_message::ChangeError) -> Self {
        match error {
            current_message::ChangeError::TooLarge(sizes) => Self::TooLarge(sizes.into()),
            current_message::ChangeError::Invalid(why) => Self::Invalid(why),
        }
    }
}

impl From<Settings> for wit_destinations::Settings {
    fn from(settings: Settings) -> Self {
        Self {
            destination_type: match settings.destination_type {
                DestinationType::Parallel => wit_destinations::DestinationType::Parallel,
                DestinationType::Serial => wit_destinations::DestinationType::Serial,
                DestinationType::Synchronous => wit_destinations::DestinationType::Synchronous,
                DestinationType::Custom(name) => wit_destinations::DestinationType::Custom(name),
            },
            queue_messages_max: settings.queue_messages_max,
            queue_bytes_max: settings.queue_bytes_max,
            workers_core: settings.workers_core,
            workers_max: settings.workers_max,
        }
    }
}

impl From<wit_destinations::DestinationError> for DestinationError {
    fn from(error: wit_destinations::DestinationError) -> Self {
        match error {
            wit_destinations::DestinationError::NoSuchDestination => Self::NoSuchDestination,
            wit_destinations::DestinationError::AlreadyExists => Self::AlreadyExists,
            wit_destinations::DestinationError::Denied => Self::Denied,
            wit_destinations::DestinationError::Invalid(why) => Self::Invalid(why),
            wit_destinations::DestinationError::LimitReached(limit) => Self::LimitReached(limit),
            wit_destinations::DestinationError::Other(why) => Self::Other(why),
        }
    }
}

impl From<wit_destinations::DestinationStatistics> for Statistics {
    fn from(numbers: wit_destinations::DestinationStatistics) -> Self {
        Self {
            listeners: numbers.listeners,
            workers_active: numbers.workers_active,
            workers_current: numbers.workers_current,
            pending: numbers.pending,
            pending_bytes: numbers.pending_bytes,
            oldest_waiting: numbers.oldest_waiting_ms.map(milliseconds),
            accepted: numbers.accepted,
            rejected: numbers.rejected,
            delivered: numbers.delivered,
            completed: numbers.completed,
            failed: numbers.failed,
            retried: numbers.retried,
            dropped: numbers.dropped,
            dead_letters: numbers.dead_letters,
        }
    }
}
