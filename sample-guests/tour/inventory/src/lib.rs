//! Counts what the task needs, and says so.

use sandbus_guest::{Listener, Message, Outcome, Reply};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Task {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    roadie_response: &'static str,
}

#[derive(Default)]
struct Inventory;

impl Listener for Inventory {
    fn receive(&mut self, message: &Message) -> Outcome {
        let task: Task = message.json()?;
        println!("Inventory received task {}", task.name);
        Ok(Some(Reply::json(&Answer { roadie_response: "Yes" })?))
    }
}

sandbus_guest::listener!(Inventory);
