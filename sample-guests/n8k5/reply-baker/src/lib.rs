//! Sends one message when it starts and says where the answer shall go; the answer comes to its own listener.

use sandbus_guest::{Lifecycle, Listener, Message, Outcome, Outgoing};

#[derive(Default)]
struct Baker;

impl Lifecycle for Baker {
    fn activate() -> Result<(), String> {
        Outgoing::text("N8K5Baker#_activate")
            .with_response_destination("acme/n8k5_baker")
            .with_response_id("n8k5-1")
            .send("acme/n8k5_able")?;
        println!("Sent message to acme/n8k5_able");
        Ok(())
    }
}

impl Listener for Baker {
    fn receive(&mut self, message: &Message) -> Outcome {
        let id = message.response_id().unwrap_or_default();
        println!("Received message payload {} for {id}", message.text()?);
        Ok(None)
    }
}

sandbus_guest::plugin!(Baker);
