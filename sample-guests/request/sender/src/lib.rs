//! Asks twice: once it is answered, once it does not wait long enough. Neither is a fault.

use std::time::Duration;

use sandbus_guest::{Lifecycle, Outgoing, RequestError};

struct Sender;

impl Lifecycle for Sender {
    fn activate() -> Result<(), String> {
        let reply = Outgoing::text("foo")
            .with_response_destination("acme/m4q7_baker")
            .request("acme/m4q7_able", Duration::from_secs(10))?;
        println!("Response: {}", reply.text_lossy());

        match Outgoing::text("foo").request("acme/m4q7_slow", Duration::from_millis(200)) {
            Ok(reply) => println!("Response: {}", reply.text_lossy()),
            Err(RequestError::Timeout) => println!("No reply received for message: foo"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

sandbus_guest::sender!(Sender);
