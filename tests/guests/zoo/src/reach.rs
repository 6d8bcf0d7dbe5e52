//! Reaches for the world outside of the sandbox; replies what it got, which should be nothing.

use std::net::TcpStream;

use sandbus_guest::Outcome;

use crate::words::{first_word, reply};

/// All variables, sorted, one `KEY=VALUE` a line.
pub(crate) fn env() -> Outcome {
    let mut variables: Vec<_> = std::env::vars().map(|(key, value)| format!("{key}={value}")).collect();
    variables.sort();
    reply(variables.join("\n"))
}

pub(crate) fn read_file(path: &str) -> Outcome {
    match std::fs::read_to_string(path) {
        Ok(text) => reply(format!("read {text}")),
        Err(error) => reply(format!("error {error}")),
    }
}

/// `write-file PATH TEXT`
pub(crate) fn write_file(rest: &str) -> Outcome {
    let (path, text) = first_word(rest);
    match std::fs::write(path, text) {
        Ok(()) => reply("written"),
        Err(error) => reply(format!("error {error}")),
    }
}

/// `connect ADDRESS:PORT`
pub(crate) fn connect(address: &str) -> Outcome {
    match TcpStream::connect(address) {
        Ok(_) => reply("connected"),
        Err(error) => reply(format!("error {error}")),
    }
}
