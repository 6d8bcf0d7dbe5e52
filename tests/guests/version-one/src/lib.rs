//! Replies `one`: one of two builds that replace each other.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct VersionOne;

impl Listener for VersionOne {
    fn receive(&mut self, _message: &Message) -> Outcome {
        Ok(Some(Reply::text("one")))
    }
}

sandbus_guest::listener!(VersionOne);
