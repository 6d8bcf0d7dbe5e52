//! Sends every message of `t/a` on to `t/b`, with payload, content type and values.

use sandbus_guest::{Listener, Message, Outcome, Outgoing};

#[derive(Default)]
struct Forward;

impl Listener for Forward {
    fn receive(&mut self, message: &Message) -> Outcome {
        Outgoing::copy_of(message).send("t/b")?;
        Ok(None)
    }
}

sandbus_guest::listener!(Forward);
