//! Replies what it receives: payload and content type.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct Echo;

impl Listener for Echo {
    fn receive(&mut self, message: &Message) -> Outcome {
        let reply = Reply::bytes(message.payload());
        Ok(Some(match message.content_type() {
            Some(content_type) => reply.with_content_type(content_type),
            None => reply,
        }))
    }
}

sandbus_guest::listener!(Echo);
