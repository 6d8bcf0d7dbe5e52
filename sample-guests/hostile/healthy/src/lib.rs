//! Lives beside a guest that loops, and does not notice.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Healthy {
    received: u32,
}

impl Listener for Healthy {
    fn receive(&mut self, message: &Message) -> Outcome {
        self.received += 1;
        println!("Received {}, the {}. of this worker", message.text()?, self.received);
        Ok(None)
    }
}

sandbus_guest::listener!(Healthy);
