//! A component that exports something else: neither a listener nor a sender. It must not load, and the error must say
//! which exports are looked for.
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
