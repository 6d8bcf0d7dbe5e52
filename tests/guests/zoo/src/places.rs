//! Makes, removes, listens to and looks at destinations; replies `ok`, `true`, `false` or the error.

use sandbus_guest::Outcome;
use sandbus_guest::destinations::{self, DestinationType, Settings};

use crate::words::{first_word, number, reply, reply_managed};

/// `create NAME [TYPE]`: serial unless told.
pub(crate) fn create(rest: &str) -> Outcome {
    let (name, destination_type) = first_word(rest);
    let destination_type = match destination_type {
        "" | "serial" => DestinationType::Serial,
        "parallel" => DestinationType::Parallel,
        "synchronous" => DestinationType::Synchronous,
        other => DestinationType::Custom(other.to_owned()),
    };
    reply_managed(destinations::create(name, Settings::new(destination_type)).map(|()| "ok"))
}

/// `create-many PREFIX N`
pub(crate) fn create_many(rest: &str) -> Outcome {
    let (prefix, count) = first_word(rest);
    let count: u32 = number(count)?;
    for made in 0..count {
        if let Err(error) =
            destinations::create(&format!("{prefix}{made}"), Settings::new(DestinationType::Serial))
        {
            return reply(format!("{made} made, then {error}"));
        }
    }
    reply(format!("{count} made"))
}

pub(crate) fn remove(name: &str) -> Outcome {
    reply_managed(destinations::remove(name).map(|()| "ok"))
}

pub(crate) fn listen(name: &str) -> Outcome {
    reply_managed(destinations::listen(name))
}

pub(crate) fn stop_listening(name: &str) -> Outcome {
    reply_managed(destinations::stop_listening(name))
}

/// `stats NAME`: `listeners L pending P accepted A completed C failed F`
pub(crate) fn stats(name: &str) -> Outcome {
    reply_managed(destinations::statistics(name).map(|of| {
        format!(
            "listeners {} pending {} accepted {} completed {} failed {}",
            of.listeners, of.pending, of.accepted, of.completed, of.failed
        )
    }))
}
