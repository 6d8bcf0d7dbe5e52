//! The parts of the received message, read and changed; and what goes to standard output.

use std::time::{Duration, UNIX_EPOCH};

use sandbus_guest::{Failure, Message, Outcome, Reply, Value};
use serde_json::json;

use crate::words::{first_word, number, reply};

/// `echo [TEXT]`: the text, or all that was received.
pub(crate) fn echo(rest: &str, message: &Message) -> Reply {
    if !rest.is_empty() {
        return Reply::text(rest);
    }
    let mut reply = Reply::bytes(message.payload());
    if let Some(content_type) = message.content_type() {
        reply = reply.with_content_type(content_type);
    }
    message.values().into_iter().fold(reply, |reply, (key, value)| reply.with_value(key, value))
}

/// All that the bus says about the message, as JSON.
pub(crate) fn context(message: &Message) -> Outcome {
    let context = message.context();
    let sent_at = context.sent_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let identity = context.identity.map(|of| json!({"tenant": of.tenant, "principal": of.principal}));
    Ok(Some(Reply::json(&json!({
        "id": message.id().as_str(),
        "destination": message.destination(),
        "content_type": message.content_type(),
        "sender": context.sender,
        "sent_at_unix_ms": u64::try_from(sent_at.as_millis()).unwrap_or(u64::MAX),
        "attempt": context.attempt,
        "hop_count": context.hop_count,
        "traceparent": context.traceparent,
        "tracestate": context.tracestate,
        "identity": identity,
        "reply_expected": message.reply_expected(),
        "response_destination": message.response_destination(),
        "response_id": message.response_id(),
    }))?))
}

/// All values, as a JSON list of `[key, type, value]`; bytes as a list of numbers.
pub(crate) fn values(message: &Message) -> Outcome {
    let values: Vec<_> = message.values().into_iter().map(|(key, value)| typed(&key, &value)).collect();
    Ok(Some(Reply::json(&values)?))
}

fn typed(key: &str, value: &Value) -> serde_json::Value {
    let plain = match value {
        Value::Text(text) => json!(text),
        Value::Bool(yes) => json!(yes),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Bytes(bytes) => json!(bytes),
    };
    json!([key, value.value_type().to_string(), plain])
}

pub(crate) fn options(message: &Message) -> Outcome {
    let options = message.options();
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(Reply::json(&json!({
        "priority": options.priority,
        "deliver_after_ms": options.deliver_after.map(milliseconds),
        "expires_after_ms": options.expires_after.map(milliseconds),
        "ordering_key": options.ordering_key,
        "dedup_key": options.dedup_key,
    }))?))
}

/// Logs how many milliseconds are left until it expires, and asks for a retry.
pub(crate) fn options_then_retry(message: &Message) -> Outcome {
    println!("{}", message.options().expires_after.unwrap_or_default().as_millis());
    Err(Failure::retry("again"))
}

/// `put KEY TEXT`
pub(crate) fn put(rest: &str, message: &Message) -> Outcome {
    let (key, value) = first_word(rest);
    match message.put_value(key, value) {
        Ok(()) => reply("put"),
        Err(error) => reply(format!("error {error}")),
    }
}

/// `get KEY`: its text, `none`, or the error of the typed getter.
pub(crate) fn get(key: &str, message: &Message) -> Outcome {
    match message.text_value(key) {
        Ok(value) => reply(value.unwrap_or_else(|| "none".to_owned())),
        Err(error) => reply(format!("error {error}")),
    }
}

pub(crate) fn get_integer(key: &str, message: &Message) -> Outcome {
    match message.integer_value(key) {
        Ok(value) => reply(value.map_or_else(|| "none".to_owned(), |number| number.to_string())),
        Err(error) => reply(format!("error {error}")),
    }
}

pub(crate) fn remove(key: &str, message: &Message) -> Outcome {
    message.remove_value(key)?;
    reply("removed")
}

/// `put-sleep-get KEY MS TEXT`: whether another listener's change is seen in between.
pub(crate) fn put_sleep_get(rest: &str, message: &Message) -> Outcome {
    let (key, rest) = first_word(rest);
    let (milliseconds, value) = first_word(rest);
    message.put_value(key, value)?;
    std::thread::sleep(Duration::from_millis(number(milliseconds)?));
    let seen = message.text_value(key)?.unwrap_or_default();
    println!("saw {seen}");
    reply(seen)
}

/// `put-then-refuse KEY TEXT`: the change must be forgotten.
pub(crate) fn put_then_refuse(rest: &str, message: &Message) -> Outcome {
    put(rest, message)?;
    message.set_response("forgotten")?;
    Err(Failure::refused("after a change"))
}

pub(crate) fn set_response(text: &str, message: &Message) -> Outcome {
    match message.set_response(text) {
        Ok(()) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The returned reply counts.
pub(crate) fn set_response_and_reply(text: &str, message: &Message) -> Outcome {
    message.set_response("set")?;
    reply(text)
}

pub(crate) fn note(message: &Message) -> Outcome {
    println!("Received message payload {} at destination {}", message.text()?, message.destination());
    Ok(None)
}

/// `log N TEXT`: so many lines.
pub(crate) fn log(rest: &str) -> Outcome {
    let (count, text) = first_word(rest);
    for _ in 0..number::<u64>(count)? {
        println!("{text}");
    }
    reply("logged")
}

/// What must not reach a terminal or a log as it is.
pub(crate) fn log_raw() -> Outcome {
    print!("\u{1b}[31mred\u{1b}[0m\u{7}\r");
    println!("\nERROR forged line\u{202e}\u{0}end");
    reply("logged")
}

/// One line of so many bytes.
pub(crate) fn log_bytes(bytes: usize) -> Outcome {
    println!("{}", "x".repeat(bytes));
    reply("logged")
}

pub(crate) fn stderr(text: &str) -> Outcome {
    eprintln!("{text}");
    reply("logged")
}
