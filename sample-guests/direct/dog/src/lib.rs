//! Sets its own name as the response of a direct request.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Dog;

impl Listener for Dog {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        message.set_response("X6N5DogMessageListener")?;
        Ok(None)
    }
}

sandbus_guest::listener!(Dog);
