//! A listener that takes batches and does what it is told: the first word of a payload names the behaviour. With the variable
//! `BATCH` in its environment, that text says how a batch as a whole is dealt with. The commands stand in
//! `tests/guests/README.md`.
#![allow(clippy::panic, reason = "a panic is what the test asked for")]

use std::hint::black_box;
use std::io::Write;

use sandbus_guest::{Batch, Failure, Listener, Message, Outcome, Outgoing, Reply};

#[derive(Default)]
struct Batched {
    /// Messages of the batch that is received; 0 for a message alone.
    together: usize,
    calls: u64,
}

impl Listener for Batched {
    fn receive(&mut self, message: &Message) -> Outcome {
        if self.together == 0 {
            self.calls += 1;
        }
        let text = message.text()?;
        let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
        match command {
            "noop" => Ok(None),
            // Who received it, and with how many others.
            "echo" => Ok(Some(Reply::text(format!("{rest} of {} in call {}", self.together, self.calls)))),
            "refuse" => Err(Failure::refused(rest)),
            "retry" if message.context().attempt == 1 => Err(Failure::retry(rest)),
            "retry" => Ok(None),
            "panic" => panic!("{rest}"),
            "loop" => loop {
                black_box(0);
            },
            "send" => {
                Outgoing::text(rest).send("out")?;
                Ok(None)
            }
            "print" => {
                print!("{rest}");
                let _ = std::io::stdout().flush();
                Ok(None)
            }
            unknown => Err(Failure::refused(format!("unknown command `{unknown}`"))),
        }
    }

    fn receive_batch(&mut self, batch: &Batch) -> Vec<Outcome> {
        self.together = batch.messages().len();
        self.calls += 1;
        let outcomes = self.run(batch);
        self.together = 0;
        outcomes
    }
}

impl Batched {
    fn run(&mut self, batch: &Batch) -> Vec<Outcome> {
        let done = |count: usize| (0..count).map(|_| Ok(None)).collect();
        match std::env::var("BATCH").as_deref() {
            Ok("none") => Vec::new(),
            Ok("one") => done(1),
            Ok("too-many") => done(self.together + 1),
            Ok("panic") => panic!("all of them"),
            Ok("send-unfocused") => {
                let sent = Outgoing::text("of nobody").send("out");
                batch.messages().iter().map(|_| Err(Failure::refused(format!("{sent:?}")))).collect()
            }
            Ok("focus-beyond") => raw::focus(1_000, done(self.together)),
            Ok("unfocused") => raw::id(done(self.together)),
            // Back and forth: what was changed of a message is there when it is taken in hand again.
            Ok("back-and-forth") => {
                for message in batch.messages() {
                    let _ = message.put_value("mark", message.payload());
                }
                let mark = |message: &Message| {
                    let mark = message.bytes_value("mark").ok().flatten().unwrap_or_default();
                    Ok(Some(Reply::bytes(mark)))
                };
                batch.messages().iter().map(mark).collect()
            }
            _ => batch.each(|message| self.receive(message)),
        }
    }
}

/// The imports themselves: the SDK takes in hand what is read.
mod raw {
    #![allow(unsafe_code, reason = "generated")]
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

    use sandbus_guest::Outcome;

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package tests:raw;
            world raw {
                import sandbus:bus/message-batch@0.1.0;
                import sandbus:bus/current-message@0.1.0;
            }
        ",
        world: "tests:raw/raw",
        generate_all,
    });

    pub fn focus(index: u32, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        sandbus::bus::message_batch::focus(index);
        outcomes
    }

    pub fn id(outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let _ = sandbus::bus::current_message::id();
        outcomes
    }
}

sandbus_guest::batch_listener!(Batched);
