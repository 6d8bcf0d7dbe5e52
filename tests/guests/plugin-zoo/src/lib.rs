//! A plugin whose start and end do what the variables `ACTIVATE` and `DEACTIVATE` in its environment say; see
//! `tests/guests/README.md`. Its listener replies what it receives.

mod stale;

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbus_guest::{Lifecycle, Listener, Message, Outcome, Outgoing, Reply, destinations};

/// How often `activate` ran on this instance.
static ACTIVATIONS: AtomicU32 = AtomicU32::new(0);

#[derive(Default)]
struct PluginZoo;

impl Lifecycle for PluginZoo {
    fn activate() -> Result<(), String> {
        println!("activate");
        ACTIVATIONS.fetch_add(1, Ordering::Relaxed);
        run(&std::env::var("ACTIVATE").unwrap_or_default())
    }

    fn deactivate() {
        println!("deactivate");
        if let Err(error) = run(&std::env::var("DEACTIVATE").unwrap_or_default()) {
            println!("deactivate failed: {error}");
        }
    }
}

impl Listener for PluginZoo {
    fn receive(&mut self, message: &Message) -> Outcome {
        let text = message.text()?;
        println!("receive {text}");
        if text == "activations" {
            println!("activations {}", ACTIVATIONS.load(Ordering::Relaxed));
        }
        if text == "panic" {
            panic!("asked to");
        }
        Ok(Some(Reply::bytes(message.payload())))
    }
}

sandbus_guest::plugin!(PluginZoo);

/// Runs commands, one after the other: `COMMAND; COMMAND`.
fn run(commands: &str) -> Result<(), String> {
    commands.split("; ").try_for_each(run_one)
}

fn run_one(command: &str) -> Result<(), String> {
    let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
    let (place, text) = rest.split_once(' ').unwrap_or((rest, ""));
    match command {
        "" | "ok" => Ok(()),
        "error" => Err(rest.to_owned()),
        "activations" => {
            println!("activations {}", ACTIVATIONS.load(Ordering::Relaxed));
            Ok(())
        }
        "panic" => panic!("{rest}"),
        "loop" => loop_for_ever(),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(number(rest)?));
            Ok(())
        }
        "send" => {
            let id = sandbus_guest::send(place, text)?;
            println!("sent {id}");
            Ok(())
        }
        "send-many" => {
            for _ in 0..number(text)? {
                sandbus_guest::send(place, "again")?;
            }
            Ok(())
        }
        "request" => {
            let reply = Outgoing::text(text).request(place, None)?;
            println!("reply {}", reply.text_lossy());
            Ok(())
        }
        "listen" => {
            println!("listens {}", destinations::listen(place)?);
            Ok(())
        }
        "stop-listening" => {
            println!("stops {}", destinations::stop_listening(place)?);
            Ok(())
        }
        "remove" => {
            destinations::remove(place)?;
            Ok(())
        }
        "create" => {
            destinations::create(place, destinations::Settings::new(destinations::DestinationType::Serial))?;
            Ok(())
        }
        "stale" => stale::read_a_message_that_is_not_there(),
        unknown => Err(format!("unknown command `{unknown}`")),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|why| format!("`{text}` is no number: {why}"))
}

#[inline(never)]
fn loop_for_ever() -> Result<(), String> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
