//! Sends the payload of each message on to `bench/next`.

use sandbus_guest::{Listener, Message, Outcome, Outgoing};

#[derive(Default)]
struct Forward;

impl Listener for Forward {
    fn receive(&mut self, message: &Message) -> Outcome {
        Outgoing::bytes(message.payload()).send("bench/next")?;
        Ok(None)
    }
}

sandbus_guest::listener!(Forward);
