//! Answers the request, without knowing who waits or where.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct Charlie;

impl Listener for Charlie {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        Ok(Some(Reply::text("M4Q7CharlieMessageListener")))
    }
}

sandbus_guest::listener!(Charlie);
