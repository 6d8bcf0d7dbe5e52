//! Sets its own name as the response of a direct request.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Charlie;

impl Listener for Charlie {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        message.set_response("X6N5CharlieMessageListener")?;
        Ok(None)
    }
}

sandbus_guest::listener!(Charlie);
