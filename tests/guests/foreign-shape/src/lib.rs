//! A component that exports a known name with another type: an earlier form of `wasi:messaging@0.2.0-draft`, whose handler takes a
//! list. It must not load, and the error must name the difference.
#![allow(unsafe_code, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package wasi:messaging@0.2.0-draft;
        interface incoming-handler {
            handle: func(messages: list<string>) -> result<_, string>;
        }
        world guest {
            export incoming-handler;
        }
    ",
});

struct Component;

impl exports::wasi::messaging::incoming_handler::Guest for Component {
    fn handle(messages: Vec<String>) -> Result<(), String> {
        println!("{messages:?}");
        Ok(())
    }
}

export!(Component);
