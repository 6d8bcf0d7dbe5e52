//! Honest work that a payload can make dear: no fault of the listener's, and none of its neighbours'.

use sandbus_guest::{Message, Outcome};

use crate::words::reply;

/// `match PATTERN`: whether the payload matches a pattern of letters and stars. It tries every way, as many real ones do.
pub(crate) fn glob(pattern: &str, message: &Message) -> Outcome {
    reply(matches(pattern.as_bytes(), message.text()?.as_bytes()))
}

#[inline(never)]
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((b'*', rest)), None) => matches(rest, text),
        (Some((b'*', rest)), Some((_, behind))) => matches(rest, text) || matches(pattern, behind),
        (Some((wanted, rest)), Some((found, behind))) => wanted == found && matches(rest, behind),
        (Some(_), None) => false,
    }
}
