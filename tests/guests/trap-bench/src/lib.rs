//! Traps at a message whose payload begins with `t`, and says nothing to any other.

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Trap;

impl Listener for Trap {
    fn receive(&mut self, message: &Message) -> Outcome {
        if message.payload().first() == Some(&b't') {
            // Not a panic: formatting and printing its text would be most of what is measured.
            std::process::abort();
        }
        Ok(None)
    }
}

sandbus_guest::listener!(Trap);
