//! Takes commands apart and turns results into replies that a test can compare. Bad commands are refused, never a trap.

use std::fmt::Display;
use std::str::FromStr;

use sandbus_guest::{DestinationError, Failure, MessageId, Outcome, Reply, RequestError, SendError};

/// Splits off the first word; the rest may be empty.
pub(crate) fn first_word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

pub(crate) fn number<N>(text: &str) -> Result<N, Failure>
where
    N: FromStr,
    N::Err: Display,
{
    text.trim().parse().map_err(|why| Failure::refused(format!("`{text}` is no number: {why}")))
}

pub(crate) fn reply(text: impl Display) -> Outcome {
    Ok(Some(Reply::text(text.to_string())))
}

/// Replies `sent ID` or `error NAME: TEXT`.
pub(crate) fn reply_sent(result: Result<MessageId, SendError>) -> Outcome {
    match result {
        Ok(id) => reply(format!("sent {id}")),
        Err(error) => reply(format!("error {}", send_error(&error))),
    }
}

/// Replies `reply TEXT`, `none` or `error NAME: TEXT`.
pub(crate) fn reply_answered(result: Result<Option<Reply>, RequestError>) -> Outcome {
    match result {
        Ok(Some(answer)) => reply(format!("reply {}", answer.text_lossy())),
        Ok(None) => reply("none"),
        Err(error) => reply(format!("error {}", request_error(&error))),
    }
}

/// Replies `ok`, or what `T` is, or `error NAME: TEXT`.
pub(crate) fn reply_managed<T: Display>(result: Result<T, DestinationError>) -> Outcome {
    match result {
        Ok(done) => reply(done),
        Err(error) => reply(format!("error {}: {error}", destination_error_name(&error))),
    }
}

pub(crate) fn send_error(error: &SendError) -> String {
    let name = match error {
        SendError::NoSuchDestination => "no-such-destination",
        SendError::NoListener => "no-listener",
        SendError::QueueFull(_) => "queue-full",
        SendError::Closed => "closed",
        SendError::Paused => "paused",
        SendError::Denied => "denied",
        SendError::TooLarge(_) => "too-large",
        SendError::HopsExceeded => "hops-exceeded",
        SendError::Invalid(_) => "invalid",
        SendError::Busy => "busy",
        SendError::LimitReached(_) => "limit-reached",
        SendError::NothingToAnswer => "nothing-to-answer",
        _ => "other",
    };
    format!("{name}: {error}")
}

pub(crate) fn request_error(error: &RequestError) -> String {
    let name = match error {
        RequestError::NotSent(why) => return format!("not-sent: {}", send_error(why)),
        RequestError::Timeout => "timeout",
        RequestError::NoReply => "no-reply",
        RequestError::ListenerRefused(why) => return format!("listener-refused: {why}"),
        RequestError::ListenerFaulted(why) => return format!("listener-faulted: {why}"),
        RequestError::ListenerUnavailable => "listener-unavailable",
        RequestError::WouldDeadlock => "would-deadlock",
        _ => "other",
    };
    name.to_owned()
}

pub(crate) fn destination_error_name(error: &DestinationError) -> &'static str {
    match error {
        DestinationError::NoSuchDestination => "no-such-destination",
        DestinationError::AlreadyExists => "already-exists",
        DestinationError::Denied => "denied",
        DestinationError::Invalid(_) => "invalid",
        DestinationError::LimitReached(_) => "limit-reached",
        _ => "other",
    }
}
