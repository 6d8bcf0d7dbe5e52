//! A listener that is built to make HTTP calls. Without a grant it must not load, and the error must name HTTP.
#![allow(unsafe_code, reason = "generated")]

use sandbus_guest::{Listener, Message, Outcome};

// A stand-in of the real interface: what is refused is the name.
wit_bindgen::generate!({
    inline: "
        package wasi:http@0.3.0;
        interface client {
            send: func(uri: string) -> u16;
        }
        world imports {
            import client;
        }
    ",
});

#[derive(Default)]
struct Fetches;

impl Listener for Fetches {
    fn receive(&mut self, message: &Message) -> Outcome {
        println!("status {}", wasi::http::client::send(message.text()?));
        Ok(None)
    }
}

sandbus_guest::listener!(Fetches);
