//! Sends one message when it starts, and forgets about it.

use sandbus_guest::{Lifecycle, send};

struct Baker;

impl Lifecycle for Baker {
    fn activate() -> Result<(), String> {
        send("acme/n8k5_able", "N8K5Baker#_activate")?;
        println!("Sent message to acme/n8k5_able");
        Ok(())
    }
}

sandbus_guest::sender!(Baker);
