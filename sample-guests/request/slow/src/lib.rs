//! Answers too late for the sender, but within its own deadline: the answer is dropped and counted, nothing is at fault.

use std::time::Duration;

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct Slow;

impl Listener for Slow {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        std::thread::sleep(Duration::from_millis(500));
        Ok(Some(Reply::text("too late")))
    }
}

sandbus_guest::listener!(Slow);
