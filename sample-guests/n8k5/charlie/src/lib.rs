//! Logs what it receives, and answers when the sender wants an answer.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct Charlie;

impl Listener for Charlie {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("Received message payload {}", message.text()?);
        Ok(message.reply_expected().then(|| Reply::text("N8K5CharlieMessageListener")))
    }
}

sandbus_guest::listener!(Charlie);
