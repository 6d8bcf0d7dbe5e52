//! A listener that does what it is told: the first word of the payload names the behaviour, the rest is its argument.
//! With the variable `ZOO` in its environment, that text is the command and the payload is only a payload, so that
//! two of these on one destination can behave differently. The commands stand in `tests/guests/README.md`.

mod bombs;
mod costly;
mod faults;
mod parts;
mod places;
mod reach;
mod sending;
mod state;
mod time;
mod words;

use sandbus_guest::{Failure, Listener, Message, Outcome, Reply};

use crate::state::State;
use crate::words::{first_word, number};

#[derive(Default)]
struct Zoo {
    state: State,
}

impl Listener for Zoo {
    fn receive(&mut self, message: &Message) -> Outcome {
        match std::env::var("ZOO") {
            Ok(command) => self.run(&command, message),
            Err(_) => self.run(message.text()?, message),
        }
    }
}

sandbus_guest::listener!(Zoo);

impl Zoo {
    fn run(&mut self, text: &str, message: &Message) -> Outcome {
        let (command, rest) = first_word(text);
        match command {
            // How a call can end.
            "noop" => Ok(None),
            "echo" => Ok(Some(parts::echo(rest, message))),
            "refuse" => Err(Failure::refused(rest)),
            "retry" => faults::retry(rest),
            "retry-once" => faults::retry_until(2, message),
            "retry-until" => faults::retry_until(number(rest)?, message),
            "fault-once" => faults::fault_once(message),
            // Faults.
            "panic" => panic!("{rest}"),
            "panic-before" => faults::panic_before(rest),
            "panic-raw" => faults::panic_raw(number(rest)?),
            "divide" => faults::divide(),
            "oob" => faults::read_outside_memory(),
            "unreachable" => std::process::abort(),
            "exit" => std::process::exit(3),
            "loop" => faults::loop_for_ever(),
            "recurse" => faults::recurse_in_memory(),
            "recurse-engine" => faults::recurse_on_the_stack(),
            // Time.
            "sleep" => time::sleep(number(rest)?),
            "sleep-quietly" => time::sleep_quietly(number(rest)?),
            "sleep-answer" => time::sleep_then_answer(number(rest)?),
            "sleep-once" => time::sleep_once(number(rest)?, message),
            "spin" => time::spin(number(rest)?),
            "work" => time::work(number(rest)?),
            "spin-sleep" => time::sleep_without_end(),
            "match" => costly::glob(rest, message),
            "time-left" => time::time_left(message),
            // What is too much.
            "grow" => bombs::grow(),
            "abort-memory" => bombs::grow_until_it_dies(),
            "hold" => self.state.hold_memory(number(rest)?),
            "hold-sleep" => self.state.hold_and_sleep(rest),
            "fill" => bombs::fill_for_ever(),
            "handles" => bombs::leak_handles(number(rest)?),
            "random" => bombs::random(number(rest)?),
            "spam-clock" => bombs::spam_clock(),
            "random-often" => bombs::random_often(rest),
            "spam-wall-clock" => bombs::spam_wall_clock(),
            "spam-random" => bombs::spam_random(number(rest)?),
            "spam-message" => bombs::spam_message(message),
            "spam-write" => bombs::spam_write(number(rest)?),
            "spam-poll" => bombs::spam_poll(number(rest)?),
            "spam-key" => bombs::spam_key(number(rest)?, message),
            "spam-name" => bombs::spam_name(number(rest)?),
            "spam-bad-send" => bombs::spam_bad_send(number(rest)?),
            "spam-log" => bombs::spam_log(),
            "reply-big" => Ok(Some(Reply::bytes(vec![b'x'; number(rest)?]))),
            "put-many" => bombs::put_many(number(rest)?, message),
            "put-key" => bombs::put_long_key(number(rest)?, message),
            "put-big" => bombs::put_big(number(rest)?, message),
            "send-values-many" => bombs::send_many_values(rest),
            // Parts of the message.
            "context" => parts::context(message),
            "values" => parts::values(message),
            "options" => parts::options(message),
            "options-then-retry" => parts::options_then_retry(message),
            "put" => parts::put(rest, message),
            "get" => parts::get(rest, message),
            "get-integer" => parts::get_integer(rest, message),
            "remove-value" => parts::remove(rest, message),
            "put-sleep-get" => parts::put_sleep_get(rest, message),
            "put-then-refuse" => parts::put_then_refuse(rest, message),
            "set-response" => parts::set_response(rest, message),
            "set-response-and-reply" => parts::set_response_and_reply(rest, message),
            // Sending.
            "send" => sending::send(rest),
            "send-with" => sending::send_with(rest),
            "send-values" => sending::send_values(rest),
            "send-all-types" => sending::send_all_types(rest),
            "send-respond" => sending::send_respond(rest),
            "send-many" => sending::send_many(rest),
            "send-later" => sending::send_later(rest),
            "sleep-send" => sending::sleep_then_send(rest),
            "send-endless" => sending::send_endless(rest),
            "send-big" => sending::send_big(rest),
            "send-then-trap" => sending::send_then_trap(rest, message),
            "pass-on-then-panic" => sending::pass_on_then_panic(rest, message),
            "forward" => sending::forward(rest, message),
            "fork" => sending::fork(rest, message),
            "forge" => sending::forge(rest),
            "request" => sending::request(rest),
            "request-with" => sending::request_with(rest),
            "request-many" => sending::request_many(rest),
            "direct" => sending::direct(rest),
            "answer" => sending::answer(rest, message),
            "answer-twice" => sending::answer_twice(rest, message),
            "keep-response" => self.state.keep_response(message),
            "answer-kept" => self.state.answer_kept(rest),
            // State.
            "count" => self.state.count(),
            // Output.
            "note" => parts::note(message),
            "log" => parts::log(rest),
            "log-raw" => parts::log_raw(),
            "log-bytes" => parts::log_bytes(number(rest)?),
            "stderr" => parts::stderr(rest),
            // Destinations.
            "create-greedy" => places::create_greedy(rest),
            "listen-many" => places::listen_many(rest),
            "create" => places::create(rest),
            "create-many" => places::create_many(rest),
            "remove" => places::remove(rest),
            "listen" => places::listen(rest),
            "stop-listening" => places::stop_listening(rest),
            "name" => places::everything_with(rest),
            "stats" => places::stats(rest),
            // The world outside.
            "env" => reach::env(),
            "read-file" => reach::read_file(rest),
            "write-file" => reach::write_file(rest),
            "connect" => reach::connect(rest),
            unknown => Err(Failure::refused(format!("unknown command `{unknown}`"))),
        }
    }
}
