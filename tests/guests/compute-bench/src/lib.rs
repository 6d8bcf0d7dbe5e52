//! Computes for about 20 us in each call, and replies nothing.

use std::hint::black_box;

use sandbus_guest::{Listener, Message, Outcome};

/// About 20 us on a server of 2025.
const TURNS: u64 = 16_000;

#[derive(Default)]
struct Compute(u64);

impl Listener for Compute {
    fn receive(&mut self, _message: &Message) -> Outcome {
        for turn in 0..TURNS {
            // Through memory, so that no compiler folds the turns into one.
            self.0 = black_box(self.0.rotate_left(5) ^ turn).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        Ok(None)
    }
}

sandbus_guest::listener!(Compute);
