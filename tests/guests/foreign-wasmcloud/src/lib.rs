//! A component for `wasmcloud:messaging@0.2.0` that knows nothing of this platform. The commands stand in
//! `tests/guests/README.md`.
#![allow(unsafe_code, reason = "generated")]

#[path = "../../foreign/commands.rs"]
mod commands;

use std::cell::RefCell;

use exports::wasmcloud::messaging::handler::Guest;
use wasmcloud::bus1_0_0::lattice as lattice_1;
use wasmcloud::bus2_0_1::lattice as lattice_2;
use wasmcloud::messaging::consumer;
use wasmcloud::messaging::types::BrokerMessage;

wit_bindgen::generate!({ path: "wit", world: "guest", generate_all });

thread_local! {
    /// A reply address that outlives its call.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Component;

struct InHand {
    subject: String,
    reply_to: Option<String>,
}

impl commands::Host for InHand {
    fn publish(&self, to: &str, reply_to: Option<&str>, payload: &[u8]) -> Result<(), String> {
        consumer::publish(&BrokerMessage {
            subject: to.to_owned(),
            body: payload.to_vec(),
            reply_to: reply_to.map(str::to_owned),
        })
    }

    fn request(&self, to: &str, timeout_ms: u32, payload: &[u8]) -> Result<String, String> {
        let answer = consumer::request(to, payload, timeout_ms)?;
        Ok(format!("{} from {}", String::from_utf8_lossy(&answer.body), answer.subject))
    }

    fn answer(&self, text: &str) -> Result<(), String> {
        match &self.reply_to {
            Some(inbox) => self.publish(inbox, None, text.as_bytes()),
            None => Err("nobody asked".to_owned()),
        }
    }

    fn describe(&self) -> String {
        format!("subject {} reply-to {}", self.subject, self.reply_to.as_deref().unwrap_or("none"))
    }
}

impl Guest for Component {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        use commands::Host as _;
        let BrokerMessage { subject, body, reply_to } = message;
        let in_hand = InHand { subject, reply_to };
        match body.as_slice() {
            b"keep" => {
                KEPT.set(in_hand.reply_to);
                Ok(())
            }
            b"answer-kept" => {
                let kept = KEPT.take().ok_or("nothing kept")?;
                in_hand.answer(&commands::sent(in_hand.publish(&kept, None, b"too late")))
            }
            b"pass-on" => {
                // Somebody else answers instead, under the address that was given here.
                in_hand.publish("t/next", in_hand.reply_to.as_deref(), b"echo by another")
            }
            b"link" => {
                let target = || lattice_1::CallTargetInterface::new("wasmcloud", "messaging", "consumer");
                lattice_1::set_link_name("other", vec![target(), target()]);
                let target = lattice_2::CallTargetInterface::new("wasmcloud", "messaging", "consumer");
                lattice_2::set_link_name("other", vec![target])?;
                in_hand.answer("linked")
            }
            body => commands::run(body, &in_hand),
        }
    }
}

export!(Component);
