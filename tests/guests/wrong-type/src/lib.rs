//! Exports `message-listener` under its right name with a wrong type. It must not load, and the error must name the
//! export.
#![allow(unsafe_code, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package sandbus:bus@0.1.0;
        interface message-listener {
            receive: func(text: string) -> string;
        }
        world listener {
            export message-listener;
        }
    ",
});

struct Parrot;

impl exports::sandbus::bus::message_listener::Guest for Parrot {
    fn receive(text: String) -> String {
        text
    }
}

export!(Parrot);
