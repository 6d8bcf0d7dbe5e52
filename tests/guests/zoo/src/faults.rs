//! Calls that do not finish, each in its own way, and calls that ask to be tried again.
#![allow(clippy::panic, reason = "a panic is what the test asked for")]
#![allow(unsafe_code, reason = "a read outside of memory and a division by zero are not to be had without")]

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbus_guest::{Failure, Message, Outcome};

use crate::words::{number, reply};

/// `retry [MS]`
pub(crate) fn retry(milliseconds: &str) -> Outcome {
    if milliseconds.is_empty() {
        return Err(Failure::retry("asked to"));
    }
    Err(Failure::retry_after("asked to", Duration::from_millis(number(milliseconds)?)))
}

/// Asks for a retry until the attempt has this number, then replies it.
pub(crate) fn retry_until(attempt: u32, message: &Message) -> Outcome {
    let now = message.context().attempt;
    if now < attempt {
        return Err(Failure::retry(format!("attempt {now} of {attempt}")));
    }
    reply(now)
}

/// Traps in the first attempt only.
pub(crate) fn fault_once(message: &Message) -> Outcome {
    let attempt = message.context().attempt;
    if attempt == 1 { panic!("first attempt") } else { reply(attempt) }
}

/// `panic-before MS`: panics as long as the wall clock shows less than so many milliseconds since 1970.
pub(crate) fn panic_before(milliseconds: &str) -> Outcome {
    let well_at = UNIX_EPOCH + Duration::from_millis(number(milliseconds)?);
    if SystemTime::now() < well_at { panic!("not well yet") } else { Ok(None) }
}

/// A text with a newline, an escape sequence and a forged log line, and as long as asked for.
pub(crate) fn panic_raw(bytes: usize) -> Outcome {
    panic!("\u{1b}[31mred\u{1b}[0m\nERROR forged line\r\n{}", "x".repeat(bytes))
}

#[inline(never)]
pub(crate) fn divide() -> Outcome {
    let divisor = black_box(0_i32);
    if divisor == 0 && black_box(false) {
        return Ok(None);
    }
    reply(divide_unchecked(black_box(1), divisor))
}

/// Without this promise rustc checks the divisor and panics; the test wants the trap of the machine instruction.
#[inline(never)]
fn divide_unchecked(dividend: i32, divisor: i32) -> i32 {
    if divisor == 0 {
        // SAFETY: there is none; the promise is broken on purpose, and WebAssembly defines what follows: a trap.
        unsafe { std::hint::unreachable_unchecked() }
    }
    dividend.wrapping_div(divisor)
}

#[inline(never)]
pub(crate) fn read_outside_memory() -> Outcome {
    let address = black_box(0xffff_fff0_usize) as *const u32;
    // SAFETY: there is none; WebAssembly defines what follows: a trap.
    reply(unsafe { address.read_volatile() })
}

#[inline(never)]
pub(crate) fn loop_for_ever() -> Outcome {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Uses up the stack in linear memory.
pub(crate) fn recurse_in_memory() -> Outcome {
    reply(deeper_in_memory(black_box(1)))
}

#[inline(never)]
fn deeper_in_memory(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    let below = if depth == u64::MAX { 0 } else { deeper_in_memory(depth + 1) };
    below ^ frame.iter().sum::<u64>()
}

/// Uses up the engine's own stack: the frames have no memory.
pub(crate) fn recurse_on_the_stack() -> Outcome {
    reply(deeper_on_the_stack(black_box(1)))
}

#[inline(never)]
fn deeper_on_the_stack(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    // Not a form that an optimiser turns into a loop.
    deeper_on_the_stack(depth + 1).rotate_left(3).wrapping_mul(depth) ^ depth
}
