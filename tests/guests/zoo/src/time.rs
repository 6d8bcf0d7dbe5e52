//! Calls that take time: waiting in the host, or computing.

use std::time::{Duration, Instant};

use sandbus_guest::{Message, Outcome};

use crate::words::reply;

pub(crate) fn sleep(milliseconds: u64) -> Outcome {
    std::thread::sleep(Duration::from_millis(milliseconds));
    reply("slept")
}

/// Sleeps and replies nothing.
pub(crate) fn sleep_quietly(milliseconds: u64) -> Outcome {
    std::thread::sleep(Duration::from_millis(milliseconds));
    Ok(None)
}

pub(crate) fn sleep_then_answer(milliseconds: u64) -> Outcome {
    std::thread::sleep(Duration::from_millis(milliseconds));
    reply("answered")
}

/// Sleeps in the first attempt only.
pub(crate) fn sleep_once(milliseconds: u64, message: &Message) -> Outcome {
    if message.context().attempt == 1 { sleep(milliseconds) } else { reply("awake") }
}

/// Computes for so long.
pub(crate) fn spin(milliseconds: u64) -> Outcome {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < end {}
    reply("spun")
}

/// Sleeps of 1 ns, without end: almost no fuel, and never idle.
#[inline(never)]
pub(crate) fn sleep_without_end() -> Outcome {
    loop {
        std::thread::sleep(Duration::from_nanos(1));
    }
}

pub(crate) fn time_left(message: &Message) -> Outcome {
    reply(message.time_left().as_millis())
}

/// Computes for so many turns, however long that takes.
pub(crate) fn work(turns: u64) -> Outcome {
    let mut sum = 0_u64;
    for turn in 0..turns {
        sum = std::hint::black_box(sum.rotate_left(1) ^ turn);
    }
    reply(sum)
}
