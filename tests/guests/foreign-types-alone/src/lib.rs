//! A component that exports the handlers of two messaging interfaces and imports the types of one alone: nothing to send with.
#![allow(unsafe_code, reason = "generated")]

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
            export fermyon:spin/inbound-redis;
        }
        package fermyon:spin {
            interface redis-types {
                enum error { success, error }
                type payload = list<u8>;
            }
            interface inbound-redis {
                use redis-types.{payload, error};
                handle-message: func(message: payload) -> result<_, error>;
            }
        }
    ",
    generate_all,
});

use exports::fermyon::spin::inbound_redis::{self, Payload};
use exports::wasmcloud::messaging::handler;

struct Component;

impl handler::Guest for Component {
    fn handle_message(message: handler::BrokerMessage) -> Result<(), String> {
        println!("wasmcloud {}", String::from_utf8_lossy(&message.body));
        Ok(())
    }
}

impl inbound_redis::Guest for Component {
    fn handle_message(message: Payload) -> Result<(), inbound_redis::Error> {
        println!("spin {}", String::from_utf8_lossy(&message));
        Ok(())
    }
}

export!(Component);
