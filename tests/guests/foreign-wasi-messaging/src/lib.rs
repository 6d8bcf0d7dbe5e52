//! A component for `wasi:messaging@0.2.0-draft` in its final form that knows nothing of this platform. The commands stand in
//! `tests/guests/README.md`.
#![allow(unsafe_code, reason = "generated")]

#[path = "../../foreign/commands.rs"]
mod commands;

use std::cell::RefCell;

use exports::wasi::messaging::incoming_handler::Guest;
use wasi::messaging::producer;
use wasi::messaging::request_reply::{self, RequestOptions};
use wasi::messaging::types::{Client, Error, Message};

wit_bindgen::generate!({ path: "wit", world: "guest", generate_all });

thread_local! {
    /// Messages that outlive their calls.
    static KEPT: RefCell<Vec<Message>> = const { RefCell::new(Vec::new()) };
}

struct Component;

fn text(error: Error) -> String {
    match error {
        Error::Timeout => "timeout".to_owned(),
        Error::Connection(text) => format!("connection: {text}"),
        Error::PermissionDenied(text) => format!("permission-denied: {text}"),
        Error::Other(text) => format!("other: {text}"),
    }
}

fn client() -> Result<Client, String> {
    Client::connect("any").map_err(text)
}

impl commands::Host for Message {
    fn publish(&self, to: &str, _: Option<&str>, payload: &[u8]) -> Result<(), String> {
        let message = Message::new(payload);
        message.set_content_type("text/plain");
        message.add_metadata("by", "wasi");
        producer::send(&client()?, to, message).map_err(text)
    }

    fn request(&self, to: &str, timeout_ms: u32, payload: &[u8]) -> Result<String, String> {
        let options = RequestOptions::new();
        options.set_timeout_ms(timeout_ms);
        let message = Message::new(payload);
        let replies = request_reply::request(&client()?, to, &message, Some(options)).map_err(text)?;
        let shown: Vec<String> = replies
            .iter()
            .map(|reply| format!("{} {}", String::from_utf8_lossy(&reply.data()), reply.describe()))
            .collect();
        Ok(shown.join(","))
    }

    fn answer(&self, text_of_it: &str) -> Result<(), String> {
        request_reply::reply(self, Message::new(text_of_it.as_bytes())).map_err(text)
    }

    fn describe(&self) -> String {
        let none = || "none".to_owned();
        let metadata = self.metadata().unwrap_or_default();
        let pairs: Vec<String> = metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "topic {} content-type {} metadata {}",
            self.topic().unwrap_or_else(none),
            self.content_type().unwrap_or_else(none),
            pairs.join(",")
        )
    }
}

impl Guest for Component {
    fn handle(message: Message) -> Result<(), Error> {
        use commands::Host as _;
        let done = match message.data().as_slice() {
            b"keep" => {
                KEPT.with_borrow_mut(|kept| kept.push(message));
                Ok(())
            }
            b"answer-kept" => match KEPT.with_borrow_mut(Vec::pop) {
                Some(kept) => message.answer(&commands::sent(kept.answer("too late"))),
                None => Err("nothing kept".to_owned()),
            },
            b"hoard" => loop {
                KEPT.with_borrow_mut(|kept| kept.push(Message::new(&[b'x'; 100_000])));
            },
            b"hoard-metadata" => loop {
                message.add_metadata(&"k".repeat(1_000), &"v".repeat(100_000));
            },
            b"expect-two" => {
                let options = RequestOptions::new();
                options.set_expected_replies(2);
                let asked = client().and_then(|client| {
                    request_reply::request(&client, "t/next", &message, Some(options)).map_err(text)
                });
                message.answer(&commands::sent(asked.map(drop)))
            }
            b"change" => {
                message.set_data(b"changed");
                message.set_metadata(&[("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
                message.remove_metadata("a");
                message.set_content_type("text/x-changed");
                message.answer(&format!(
                    "{} {}",
                    String::from_utf8_lossy(&message.data()),
                    message.describe()
                ))
            }
            data => commands::run(data, &message),
        };
        done.map_err(Error::Other)
    }
}

export!(Component);
