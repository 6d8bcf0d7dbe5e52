//! Sets up what the task asks for, and says so.

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
struct Setup;

impl Listener for Setup {
    fn receive(&mut self, message: &Message) -> Outcome {
        let task: Task = message.json()?;
        println!("Setup received task {}", task.name);
        Ok(Some(Reply::json(&Answer { roadie_response: "Yes" })?))
    }
}

sandbus_guest::listener!(Setup);
