//! Sends ten messages to the guest that loops, and ten to the one beside it.

use sandbus_guest::{Lifecycle, send};

struct Feeder;

impl Lifecycle for Feeder {
    fn activate() -> Result<(), String> {
        for number in 1..=10 {
            send("hostile/loop", format!("message {number}"))?;
            send("hostile/healthy", format!("message {number}"))?;
        }
        Ok(())
    }
}

sandbus_guest::sender!(Feeder);
