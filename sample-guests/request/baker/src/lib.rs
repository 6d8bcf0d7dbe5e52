//! Listens where the answers go: an answer wakes the sender and reaches the listeners there too.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Baker;

impl Listener for Baker {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        Ok(None)
    }
}

sandbus_guest::listener!(Baker);
