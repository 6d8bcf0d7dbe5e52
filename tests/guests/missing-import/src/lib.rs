//! A listener that imports an interface that no host offers. It must not load, and the error must name the import.
#![allow(unsafe_code, reason = "generated")]

use sandbus_guest::{Listener, Message, Outcome};

wit_bindgen::generate!({
    inline: "
        package acme:printer@1.0.0;
        interface print {
            print: func(text: string);
        }
        world imports {
            import print;
        }
    ",
});

#[derive(Default)]
struct Prints;

impl Listener for Prints {
    fn receive(&mut self, message: &Message) -> Outcome {
        acme::printer::print::print(message.text()?);
        Ok(None)
    }
}

sandbus_guest::listener!(Prints);
