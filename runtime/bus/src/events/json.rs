//! An event as JSON, as it stands in the messages of `sandbus/events`: snake_case keys, the names of events and causes in
//! kebab-case.

use serde_json::{Map, Value, json};

use super::Event;
use crate::config::Workers;

impl Event {
    /// The event as a JSON object, with its name under `event`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
        put("event", json!(self.name()));
        if let Some(destination) = self.destination() {
            put("destination", json!(destination.as_str()));
        }
        if let Some(listener) = self.listener() {
            put("listener", json!(listener));
        }
        if let Some(guest) = self.guest() {
            put("guest", json!(guest));
        }
        match self {
            Event::DestinationAdded { destination_type, ranking, .. }
            | Event::DestinationRemoved { destination_type, ranking, .. } => {
                put("destination_type", json!(destination_type.name()));
                put("ranking", json!(ranking));
            }
            Event::ListenerFaulted { message_id, attempt, cause, text, .. } => {
                put("message_id", json!(message_id.to_string()));
                put("attempt", json!(attempt));
                put("cause", json!(cause.name()));
                put("text", json!(text.as_str()));
            }
            Event::GuestLoaded { build, .. } | Event::GuestActivated { build, .. } => {
                put("build", json!(build.as_deref()));
            }
            Event::GuestReplaced { before, build, .. } => {
                put("before", json!(before.as_deref()));
                put("build", json!(build.as_deref()));
            }
            Event::GuestQuarantined { text, .. } | Event::GuestLoadFailed { text, .. } => {
                put("text", json!(text.as_str()));
            }
            Event::WorkerPoolResized { before, after, .. } => {
                put("before", workers(*before));
                put("after", workers(*after));
            }
            Event::DeadLettersLeft { count, .. } | Event::EventsMissed { count } => {
                put("count", json!(count));
            }
            Event::ListenerRegistered { .. }
            | Event::ListenerUnregistered { .. }
            | Event::GuestUnloaded { .. }
            | Event::GuestRecovered { .. }
            | Event::QueueFull { .. }
            | Event::QueueRecovered { .. } => {}
        }
        Value::Object(out)
    }
}

fn workers(workers: Workers) -> Value {
    let keep_alive = u64::try_from(workers.keep_alive.as_millis()).unwrap_or(u64::MAX);
    json!({ "workers_core": workers.core, "workers_max": workers.max, "keep_alive_ms": keep_alive })
}
