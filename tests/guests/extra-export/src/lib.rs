//! A listener that exports something else besides. It must load: what the host does not know is none of its business.

use sandbus_guest::{Listener, Message, Outcome, Reply};

#[derive(Default)]
struct Extra;

impl Listener for Extra {
    fn receive(&mut self, _message: &Message) -> Outcome {
        Ok(Some(Reply::text("extra")))
    }
}

sandbus_guest::listener!(Extra);

mod calculator {
    #![allow(unsafe_code, reason = "generated")]

    wit_bindgen::generate!({
        inline: "
            package acme:calculator@1.0.0;
            interface add {
                add: func(a: u32, b: u32) -> u32;
            }
            world calculator {
                export add;
            }
        ",
    });

    struct Calculator;

    impl exports::acme::calculator::add::Guest for Calculator {
        fn add(a: u32, b: u32) -> u32 {
            a.wrapping_add(b)
        }
    }

    export!(Calculator);
}
