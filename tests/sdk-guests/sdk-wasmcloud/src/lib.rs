//! A component written with wasmCloud's own SDK: it logs, counts in a bucket, reads its configuration and answers under the
//! address that it is given.
#![allow(unsafe_code, reason = "generated")]

use wasmcloud_component::wasi::config::store as config;
use wasmcloud_component::wasi::keyvalue::{atomics, store};
use wasmcloud_component::wasmcloud::messaging::{consumer, types::BrokerMessage};
use wasmcloud_component::{debug, info};

// The SDK has what a component imports; what it exports every component generates, as here.
wit_bindgen::generate!({
    inline: "
        package wasmcloud:messaging@0.2.0;
        interface types {
            record broker-message { subject: string, body: list<u8>, reply-to: option<string> }
        }
        interface handler {
            use types.{broker-message};
            handle-message: func(msg: broker-message) -> result<_, string>;
        }
        world guest {
            export handler;
        }
    ",
    with: { "wasmcloud:messaging/types@0.2.0": wasmcloud_component::wasmcloud::messaging::types },
});

struct Component;

impl exports::wasmcloud::messaging::handler::Guest for Component {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        info!("received {} bytes at {}", message.body.len(), message.subject);
        let Some(subject) = message.reply_to else { return Err("nobody asked".to_owned()) };
        let bucket = store::open("default").map_err(|error| format!("{error:?}"))?;
        let count = atomics::increment(&bucket, "messages", 1).map_err(|error| format!("{error:?}"))?;
        let greeting = config::get("greeting").map_err(|error| format!("{error:?}"))?.unwrap_or_default();
        debug!("number {count}");
        let body = format!("{greeting} {} {count}", String::from_utf8_lossy(&message.body)).into_bytes();
        consumer::publish(&BrokerMessage { subject, body, reply_to: None })
    }
}

export!(Component);
