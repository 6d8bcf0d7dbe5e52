//! What stays in the instance between two messages of one worker.

use sandbus_guest::{Message, Outcome, Outgoing};

use crate::words::{first_word, number, reply, reply_sent};

#[derive(Default)]
pub(crate) struct State {
    calls: u64,
    held: Vec<Vec<u8>>,
    kept_response: Option<(String, Option<String>)>,
}

impl State {
    /// Replies how often this instance has counted.
    pub(crate) fn count(&mut self) -> Outcome {
        self.calls += 1;
        println!("count {}", self.calls);
        reply(self.calls)
    }

    /// Keeps so many bytes for good; replies how many it has.
    pub(crate) fn hold_memory(&mut self, bytes: usize) -> Outcome {
        self.held.push(Vec::with_capacity(bytes));
        reply(self.held.iter().map(Vec::capacity).sum::<usize>())
    }

    /// `hold-sleep N MS`: the same, then waits in the host.
    pub(crate) fn hold_and_sleep(&mut self, rest: &str) -> Outcome {
        let (bytes, milliseconds) = first_word(rest);
        self.hold_memory(number(bytes)?)?;
        crate::time::sleep(number(milliseconds)?)
    }

    /// Keeps where this message is to be answered, and does not answer.
    pub(crate) fn keep_response(&mut self, message: &Message) -> Outcome {
        self.kept_response = message.response_destination().map(|name| (name, message.response_id()));
        Ok(None)
    }

    /// Answers the kept one, in a call that has no right to.
    pub(crate) fn answer_kept(&mut self, text: &str) -> Outcome {
        let Some((destination, id)) = self.kept_response.take() else { return reply("nothing kept") };
        let mut answer = Outgoing::text(text);
        if let Some(id) = id {
            answer = answer.with_response_id(id);
        }
        reply_sent(answer.send(&destination))
    }
}
