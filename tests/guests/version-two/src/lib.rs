//! Replies `two`: one of two builds that replace each other.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct VersionTwo;

impl Listener for VersionTwo {
    fn receive(&mut self, _message: &Message) -> Outcome {
        Ok(Some(Reply::text("two")))
    }
}

sandbus_guest::listener!(VersionTwo);
