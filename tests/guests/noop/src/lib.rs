//! Receives and says nothing: the floor that the benches compare with.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Noop;

impl Listener for Noop {
    fn receive(&mut self, _message: &Message) -> Outcome {
        Ok(None)
    }
}

sandbus_guest::listener!(Noop);
