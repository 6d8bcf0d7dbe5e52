//! Exports `message-listener-batch` without `message-listener`. It must not load.
#![allow(unsafe_code, reason = "generated")]

wit_bindgen::generate!({ path: "../../../wit", world: "batch" });

use exports::sandbus::bus::message_listener_batch::{BatchedMessage, Failure, Guest, Reply};

struct Alone;

impl Guest for Alone {
    fn receive_batch(
        _destination: String,
        messages: Vec<BatchedMessage>,
        _stop_at_failure: bool,
    ) -> Vec<Result<Option<Reply>, Failure>> {
        messages.iter().map(|_| Ok(None)).collect()
    }
}

export!(Alone);
