//! Has every listener receive `foo` in its own call, one after the other, and logs the last response that was set.

use sandbus_guest::{Lifecycle, Outgoing};

struct Baker;

impl Lifecycle for Baker {
    fn activate() -> Result<(), String> {
        match Outgoing::text("foo").request_direct("acme/x6n5_able", None)? {
            Some(response) => println!("Response: {}", response.text_lossy()),
            None => println!("No response"),
        }
        Ok(())
    }
}

sandbus_guest::sender!(Baker);
