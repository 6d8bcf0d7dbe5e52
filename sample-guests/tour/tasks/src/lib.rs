//! The tour manager: announces a task when it starts, goes on at once, and logs each answer as it comes.

use sandbus_guest::{Lifecycle, Listener, Message, Outcome, Outgoing};
use serde::{Deserialize, Serialize};

const ROADIES: &str = "tour/roadie/setup";
const ANSWERS: &str = "tour/manager/task";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    name: &'static str,
    description: &'static str,
    status: &'static str,
    response_destination_name: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    roadie_response: String,
}

#[derive(Default)]
struct Tasks {
    answers: u32,
}

impl Lifecycle for Tasks {
    fn activate() -> Result<(), String> {
        let task = Task {
            name: "Set up the stage",
            description: "Lights, drums and amplifiers",
            status: "open",
            response_destination_name: ANSWERS,
        };
        let message = Outgoing::json(&task).map_err(|error| error.to_string())?;
        message.with_response_destination(ANSWERS).send(ROADIES)?;
        println!("Sent task {} to {ROADIES}", task.name);
        Ok(())
    }
}

impl Listener for Tasks {
    fn receive(&mut self, message: &Message) -> Outcome {
        let answer: Answer = message.json()?;
        self.answers += 1;
        println!("Answer {} from {}: {}", self.answers, message.context().sender, answer.roadie_response);
        Ok(None)
    }
}

sandbus_guest::plugin!(Tasks);
