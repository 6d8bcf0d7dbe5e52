//! Loops for ever in every call. The host stops it when its fuel is used up.

use std::hint::black_box;

use sandbus_guest::{Listener, Message, Outcome};

#[derive(Default)]
struct Loop;

impl Listener for Loop {
    fn receive(&mut self, _message: &Message) -> Outcome {
        loop_for_ever()
    }
}

#[inline(never)]
fn loop_for_ever() -> Outcome {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

sandbus_guest::listener!(Loop);
