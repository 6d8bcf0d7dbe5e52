//! Too much of something: memory, handles, random bytes, log lines, values.

use std::hint::black_box;

use sandbus_guest::{Message, Outcome, Outgoing};

use crate::words::{first_word, number, reply, reply_sent};

// The standard library has no words for these, so they are imported here by hand: whole interfaces, as published.
mod wasi {
    #![allow(unsafe_code, reason = "generated")]
    wit_bindgen::generate!({
        inline: "
            package sandbus-tests:zoo;
            world imports {
                import wasi:random/random@0.2.6;
                import wasi:clocks/monotonic-clock@0.2.6;
                import wasi:cli/stdout@0.2.6;
            }
            package wasi:cli@0.2.6 {
                interface stdout {
                    use wasi:io/streams@0.2.6.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }
            package wasi:random@0.2.6 {
                interface random {
                    get-random-bytes: func(len: u64) -> list<u8>;
                    get-random-u64: func() -> u64;
                }
            }
            package wasi:io@0.2.6 {
                interface poll {
                    resource pollable {
                        ready: func() -> bool;
                        block: func();
                    }
                    poll: func(in: list<borrow<pollable>>) -> list<u32>;
                }
                interface error {
                    resource error {
                        to-debug-string: func() -> string;
                    }
                }
                interface streams {
                    use error.{error};
                    use poll.{pollable};
                    variant stream-error { last-operation-failed(error), closed }
                    resource input-stream {
                        read: func(len: u64) -> result<list<u8>, stream-error>;
                        blocking-read: func(len: u64) -> result<list<u8>, stream-error>;
                        skip: func(len: u64) -> result<u64, stream-error>;
                        blocking-skip: func(len: u64) -> result<u64, stream-error>;
                        subscribe: func() -> pollable;
                    }
                    resource output-stream {
                        check-write: func() -> result<u64, stream-error>;
                        write: func(contents: list<u8>) -> result<_, stream-error>;
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                        flush: func() -> result<_, stream-error>;
                        blocking-flush: func() -> result<_, stream-error>;
                        subscribe: func() -> pollable;
                        write-zeroes: func(len: u64) -> result<_, stream-error>;
                        blocking-write-zeroes-and-flush: func(len: u64) -> result<_, stream-error>;
                        splice: func(src: borrow<input-stream>, len: u64) -> result<u64, stream-error>;
                        blocking-splice: func(src: borrow<input-stream>, len: u64) -> result<u64, stream-error>;
                    }
                }
            }
            package wasi:clocks@0.2.6 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.6.{pollable};
                    type instant = u64;
                    type duration = u64;
                    now: func() -> instant;
                    resolution: func() -> duration;
                    subscribe-instant: func(when: instant) -> pollable;
                    subscribe-duration: func(when: duration) -> pollable;
                }
            }
        ",
        generate_all,
    });
}

const MEBIBYTE: usize = 1024 * 1024;
const MEBIBYTES_MAX: usize = 4096;

/// Allocates until it is refused, gives it all back and replies how many bytes it had.
pub(crate) fn grow() -> Outcome {
    let mut held: Vec<Vec<u8>> = Vec::with_capacity(MEBIBYTES_MAX);
    for _ in 0..MEBIBYTES_MAX {
        let mut block = Vec::new();
        if block.try_reserve_exact(MEBIBYTE).is_err() {
            break;
        }
        held.push(black_box(block));
    }
    reply(held.len() * MEBIBYTE)
}

/// Allocates until Rust gives up, which is a trap after a growth that was denied. Writes nothing, to save fuel.
#[inline(never)]
pub(crate) fn grow_until_it_dies() -> Outcome {
    let mut held = Vec::new();
    loop {
        held.push(black_box(Vec::<u8>::with_capacity(MEBIBYTE)));
    }
}

/// `memory.fill` of 40 MiB, without end: few instructions, much work.
#[inline(never)]
pub(crate) fn fill_for_ever() -> Outcome {
    let mut block = vec![0_u8; 40 * MEBIBYTE];
    let mut byte = 0_u8;
    loop {
        byte = byte.wrapping_add(1);
        block.fill(byte);
        black_box(&mut block);
    }
}

/// Makes handles and never drops them; replies how many.
pub(crate) fn leak_handles(count: u64) -> Outcome {
    for _ in 0..count {
        std::mem::forget(wasi::wasi::clocks::monotonic_clock::subscribe_duration(u64::MAX));
    }
    reply(count)
}

/// Asks for so many random bytes; replies how many came.
pub(crate) fn random(bytes: u64) -> Outcome {
    reply(wasi::wasi::random::random::get_random_bytes(bytes).len())
}

#[inline(never)]
pub(crate) fn spam_clock() -> Outcome {
    loop {
        black_box(wasi::wasi::clocks::monotonic_clock::now());
    }
}

/// `random-often BYTES N`: asks N times for so many random bytes.
pub(crate) fn random_often(rest: &str) -> Outcome {
    let (bytes, count) = first_word(rest);
    let bytes = number(bytes)?;
    for _ in 0..number::<u32>(count)? {
        black_box(wasi::wasi::random::random::get_random_bytes(bytes));
    }
    reply("had")
}

/// Asks for so many random bytes, without end.
#[inline(never)]
pub(crate) fn spam_random(bytes: u64) -> Outcome {
    loop {
        black_box(wasi::wasi::random::random::get_random_bytes(bytes));
    }
}

/// Reads the wall clock without end.
#[inline(never)]
pub(crate) fn spam_wall_clock() -> Outcome {
    loop {
        black_box(std::time::SystemTime::now());
    }
}

/// Asks for something of the message in hand, without end.
#[inline(never)]
pub(crate) fn spam_message(message: &Message) -> Outcome {
    loop {
        black_box(message.id());
    }
}

/// Writes so many bytes at a time to standard output, past what its check allows, without end.
#[inline(never)]
pub(crate) fn spam_write(bytes: usize) -> Outcome {
    let (out, bytes) = (wasi::wasi::cli::stdout::get_stdout(), vec![b'x'; bytes]);
    loop {
        let _ = black_box(out.write(&bytes));
    }
}

/// Waits for one thing that is ready, named so many times, without end.
#[inline(never)]
pub(crate) fn spam_poll(times: usize) -> Outcome {
    let ready = wasi::wasi::clocks::monotonic_clock::subscribe_duration(0);
    let all = vec![&ready; times];
    loop {
        black_box(wasi::wasi::io::poll::poll(&all));
    }
}

/// Asks for a value whose key has so many bytes, without end.
#[inline(never)]
pub(crate) fn spam_key(bytes: usize, message: &Message) -> Outcome {
    let key = "k".repeat(bytes);
    loop {
        black_box(message.value(&key));
    }
}

/// Asks for the figures of a destination whose name is so many slashes, without end.
#[inline(never)]
pub(crate) fn spam_name(bytes: usize) -> Outcome {
    let name = "/".repeat(bytes);
    loop {
        let _ = black_box(sandbus_guest::destinations::statistics(&name));
    }
}

/// Sends so many bytes under a key that is none, without end.
#[inline(never)]
pub(crate) fn spam_bad_send(bytes: usize) -> Outcome {
    let message = Outgoing::bytes(vec![b'x'; bytes]).with_value("", 1);
    loop {
        let _ = black_box(message.clone().send("t/a"));
    }
}

#[inline(never)]
pub(crate) fn spam_log() -> Outcome {
    loop {
        println!();
    }
}

/// Puts so many values; replies how many were taken and why the first other one was not.
pub(crate) fn put_many(count: usize, message: &Message) -> Outcome {
    for number in 0..count {
        if let Err(error) = message.put_value(&format!("k{number}"), 1) {
            return reply(format!("{number} put, then {error}"));
        }
    }
    reply(format!("{count} put"))
}

pub(crate) fn put_long_key(bytes: usize, message: &Message) -> Outcome {
    reply_put(message.put_value(&"k".repeat(bytes), 1))
}

pub(crate) fn put_big(bytes: usize, message: &Message) -> Outcome {
    reply_put(message.put_value("big", vec![b'x'; bytes]))
}

/// `send-values-many DEST N`: one message with so many values, all empty.
pub(crate) fn send_many_values(rest: &str) -> Outcome {
    let (destination, count) = first_word(rest);
    let mut message = Outgoing::text("many values");
    for number in 0..number::<u32>(count)? {
        message = message.with_value(number.to_string(), "");
    }
    reply_sent(message.send(destination))
}

fn reply_put(result: Result<(), sandbus_guest::ChangeError>) -> Outcome {
    match result {
        Ok(()) => reply("put"),
        Err(error) => reply(format!("error {error}")),
    }
}
