//! Sends, requests and answers; each replies what came of it.
#![allow(clippy::panic, reason = "a panic is what the test asked for")]

use std::time::Duration;

use sandbus_guest::{Failure, Message, Outcome, Outgoing};

use crate::words::{first_word, number, reply, reply_answered, reply_sent, request_error, send_error};

/// `send DEST TEXT`
pub(crate) fn send(rest: &str) -> Outcome {
    let (destination, text) = first_word(rest);
    reply_sent(sandbus_guest::send(destination, text))
}

/// `send-with DEST OPTIONS TEXT`
pub(crate) fn send_with(rest: &str) -> Outcome {
    let (destination, message) = with_options(rest)?;
    reply_sent(message.send(destination))
}

/// `request-with DEST OPTIONS TEXT`
pub(crate) fn request_with(rest: &str) -> Outcome {
    let (destination, message) = with_options(rest)?;
    reply_answered(message.request(destination, None).map(Some))
}

/// OPTIONS: `deliver=MS`, `expires=MS`, `priority=N`, `order=KEY` and `dedup=KEY`, between commas.
fn with_options(rest: &str) -> Result<(&str, Outgoing), Failure> {
    let (destination, rest) = first_word(rest);
    let (options, text) = first_word(rest);
    let mut message = Outgoing::text(text);
    for (name, value) in options.split(',').filter_map(|option| option.split_once('=')) {
        message = match name {
            "deliver" => message.deliver_after(Duration::from_millis(number(value)?)),
            "expires" => message.expires_after(Duration::from_millis(number(value)?)),
            "priority" => message.with_priority(number(value)?),
            "order" => message.with_ordering_key(value),
            "dedup" => message.with_dedup_key(value),
            other => return Err(Failure::refused(format!("unknown option `{other}`"))),
        };
    }
    Ok((destination, message))
}

/// `send-values DEST KEY=TEXT...`
pub(crate) fn send_values(rest: &str) -> Outcome {
    let (destination, pairs) = first_word(rest);
    let pairs = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
    let message =
        pairs.fold(Outgoing::text("values"), |message, (key, value)| message.with_value(key, value));
    reply_sent(message.send(destination))
}

/// `send-all-types DEST`: one value of each type.
pub(crate) fn send_all_types(destination: &str) -> Outcome {
    let message = Outgoing::text("values")
        .with_value("text", "twelve")
        .with_value("boolean", true)
        .with_value("integer", i64::MIN)
        .with_value("float", 0.5)
        .with_value("bytes", vec![0, 255]);
    reply_sent(message.send(destination))
}

/// `send-respond DEST RESPONSE-DEST RESPONSE-ID TEXT`
pub(crate) fn send_respond(rest: &str) -> Outcome {
    let (destination, rest) = first_word(rest);
    let (response_destination, rest) = first_word(rest);
    let (response_id, text) = first_word(rest);
    let message =
        Outgoing::text(text).with_response_destination(response_destination).with_response_id(response_id);
    reply_sent(message.send(destination))
}

/// `send-many DEST N`: replies `N accepted`, or `M accepted, then ERROR`.
pub(crate) fn send_many(rest: &str) -> Outcome {
    let (destination, count) = first_word(rest);
    let count = number(count)?;
    for accepted in 0..count {
        if let Err(error) = sandbus_guest::send(destination, accepted.to_string()) {
            return reply(format!("{accepted} accepted, then {}", send_error(&error)));
        }
    }
    let count: u64 = count;
    reply(format!("{count} accepted"))
}

/// `send-later DEST MS N`: so many messages that are to be delivered later.
pub(crate) fn send_later(rest: &str) -> Outcome {
    let (destination, rest) = first_word(rest);
    let (milliseconds, count) = first_word(rest);
    let (later, count): (_, u64) = (Duration::from_millis(number(milliseconds)?), number(count)?);
    for accepted in 0..count {
        if let Err(error) = Outgoing::text("later").deliver_after(later).send(destination) {
            return reply(format!("{accepted} accepted, then {}", send_error(&error)));
        }
    }
    reply(format!("{count} accepted"))
}

/// `sleep-send MS DEST TEXT`: says that it began, waits, sends, and says what came of it.
pub(crate) fn sleep_then_send(rest: &str) -> Outcome {
    let (milliseconds, rest) = first_word(rest);
    let (destination, text) = first_word(rest);
    println!("began");
    std::thread::sleep(Duration::from_millis(number(milliseconds)?));
    match sandbus_guest::send(destination, text) {
        Ok(_) => println!("sent"),
        Err(error) => println!("not sent: {}", send_error(&error)),
    }
    Ok(None)
}

/// `send-endless DEST`: goes on whatever the answer is.
#[inline(never)]
pub(crate) fn send_endless(destination: &str) -> Outcome {
    loop {
        let _ = sandbus_guest::send(destination, "again");
    }
}

/// `send-big DEST BYTES`
pub(crate) fn send_big(rest: &str) -> Outcome {
    let (destination, bytes) = first_word(rest);
    reply_sent(sandbus_guest::send(destination, vec![b'x'; number(bytes)?]))
}

/// `send-then-trap DEST TEXT`: what it sent stays, what it changed is forgotten.
pub(crate) fn send_then_trap(rest: &str, message: &Message) -> Outcome {
    let (destination, text) = first_word(rest);
    sandbus_guest::send(destination, text)?;
    message.put_value("changed", true)?;
    message.set_response("forgotten")?;
    panic!("after a send");
}

/// `forward DEST`: payload and values; a send that fails fails the call.
pub(crate) fn forward(destination: &str, message: &Message) -> Outcome {
    Outgoing::copy_of(message).send(destination)?;
    Ok(None)
}

/// `pass-on-then-panic DEST`: has somebody else answer, and does not finish itself.
pub(crate) fn pass_on_then_panic(destination: &str, message: &Message) -> Outcome {
    let mut passed = Outgoing::copy_of(message);
    if let Some(place) = message.response_destination() {
        passed = passed.with_response_destination(place);
    }
    if let Some(id) = message.response_id() {
        passed = passed.with_response_id(id);
    }
    passed.send(destination)?;
    panic!("after it was passed on");
}

/// `fork DEST`: two for one.
pub(crate) fn fork(destination: &str, message: &Message) -> Outcome {
    forward(destination, message)?;
    forward(destination, message)
}

/// `forge DEST N`: so many messages with made-up response ids.
pub(crate) fn forge(rest: &str) -> Outcome {
    let (destination, count) = first_word(rest);
    let count: u64 = number(count)?;
    for number in 0..count {
        let message = Outgoing::text("forged").with_response_id(format!("forged-{number}"));
        if let Err(error) = message.send(destination) {
            return reply(format!("{number} accepted, then {}", send_error(&error)));
        }
    }
    reply(format!("{count} accepted"))
}

/// `request DEST MS TEXT`
pub(crate) fn request(rest: &str) -> Outcome {
    let (destination, rest) = first_word(rest);
    let (milliseconds, text) = first_word(rest);
    let timeout = Duration::from_millis(number(milliseconds)?);
    reply_answered(Outgoing::text(text).request(destination, timeout).map(Some))
}

/// `request-many DEST N TEXT`: one after the other.
pub(crate) fn request_many(rest: &str) -> Outcome {
    let (destination, rest) = first_word(rest);
    let (count, text) = first_word(rest);
    let count: u64 = number(count)?;
    for answered in 0..count {
        if let Err(error) = sandbus_guest::request(destination, text) {
            return reply(format!("{answered} answered, then {}", request_error(&error)));
        }
    }
    reply(format!("{count} answered"))
}

/// `direct DEST TEXT`
pub(crate) fn direct(rest: &str) -> Outcome {
    let (destination, text) = first_word(rest);
    reply_answered(Outgoing::text(text).request_direct(destination, None))
}

/// `answer [TEXT]`: sends the answer itself and returns nothing.
pub(crate) fn answer(rest: &str, message: &Message) -> Outcome {
    answer_with(rest, message).reply_to(message)?;
    Ok(None)
}

/// `answer-twice TEXT`: the second one is a duplicate.
pub(crate) fn answer_twice(rest: &str, message: &Message) -> Outcome {
    answer(rest, message)?;
    answer(rest, message)
}

fn answer_with(text: &str, message: &Message) -> Outgoing {
    if text.is_empty() { Outgoing::bytes(message.payload()) } else { Outgoing::text(text) }
}
