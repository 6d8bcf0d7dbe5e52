//! Makes, removes, listens to and looks at destinations; replies `ok`, `true`, `false` or the error.

use sandbus_guest::destinations::{self, DestinationType, Settings};
use sandbus_guest::{Outcome, Outgoing};

use crate::words::{
    destination_error_name, first_word, number, reply, reply_managed, request_error, send_error,
};

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

/// `create-greedy NAME`: asks for more than a guest may have, in each of its ways.
pub(crate) fn create_greedy(name: &str) -> Outcome {
    let plain = || Settings::new(DestinationType::Parallel);
    let asked = [
        Settings { queue_bytes_max: Some(u64::MAX), ..plain() },
        Settings { queue_messages_max: Some(u32::MAX), ..plain() },
        Settings { workers_max: Some(1_024), ..plain() },
        Settings { workers_core: Some(1_024), workers_max: Some(1_024), ..plain() },
    ];
    let told = asked.map(|settings| match destinations::create(name, settings) {
        Ok(()) => "made".to_owned(),
        Err(error) => format!("error {} {error}", destination_error_name(&error)),
    });
    reply(told.join("\n"))
}

/// `listen-many PREFIX N`
pub(crate) fn listen_many(rest: &str) -> Outcome {
    let (prefix, count) = first_word(rest);
    let count: u32 = number(count)?;
    for begun in 0..count {
        if let Err(error) = destinations::listen(&format!("{prefix}{begun}")) {
            return reply(format!("{begun} begun, then {error}"));
        }
    }
    reply(format!("{count} begun"))
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

/// `name HEX`: does everything that takes a destination's name with this one; replies `ACT: ok` or `ACT: error NAME…` each.
pub(crate) fn everything_with(hex: &str) -> Outcome {
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map_while(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let name = String::from_utf8_lossy(&bytes);
    let managed = |result: Result<(), destinations::DestinationError>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("error {}", destination_error_name(&error)),
    };
    let sent = |result: Result<_, sandbus_guest::SendError>| match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("error {}", send_error(&error)),
    };
    let asked = Outgoing::text("x").request(&name, None);
    let asked = asked.map_or_else(|error| format!("error {}", request_error(&error)), |_| "ok".to_owned());
    let answers_there = Outgoing::text("x").with_response_destination(&*name).send("t/sink");
    let acts = [
        ("send", sent(sandbus_guest::send(&name, "x"))),
        ("request", asked),
        ("respond", sent(answers_there)),
        ("create", managed(destinations::create(&name, Settings::new(DestinationType::Serial)))),
        ("listen", managed(destinations::listen(&name).map(drop))),
        ("stop-listening", managed(destinations::stop_listening(&name).map(drop))),
        ("statistics", managed(destinations::statistics(&name).map(drop))),
        ("remove", managed(destinations::remove(&name))),
    ];
    reply(acts.map(|(act, came)| format!("{act}: {came}")).join("\n"))
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
