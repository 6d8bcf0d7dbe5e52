//! A listener that imports a name that the host offers, with another type: `increment` of `wasi:keyvalue@0.2.0-draft2` takes
//! a signed number. It must not load, and the error must name the difference.
#![allow(unsafe_code, reason = "generated")]

use sandbus_guest::{Listener, Message, Outcome};

wit_bindgen::generate!({
    inline: "
        package wasi:keyvalue@0.2.0-draft2;
        interface store {
            variant error { no-such-store, access-denied, other(string) }
            resource bucket {}
            open: func(identifier: string) -> result<bucket, error>;
        }
        interface atomics {
            use store.{bucket, error};
            increment: func(bucket: borrow<bucket>, key: string, delta: s64) -> result<s64, error>;
        }
        world imports {
            import atomics;
        }
    ",
});

#[derive(Default)]
struct Counts;

impl Listener for Counts {
    fn receive(&mut self, message: &Message) -> Outcome {
        if let Ok(bucket) = wasi::keyvalue::store::open(message.text()?) {
            let _ = wasi::keyvalue::atomics::increment(&bucket, "n", -1);
        }
        Ok(None)
    }
}

sandbus_guest::listener!(Counts);
