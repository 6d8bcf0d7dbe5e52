//! The shipped bus under shuttle: its own tasks, locks, atomics and timers, in orders of events that a scheduler chooses.
//!
//! ```sh
//! cargo test -p sandbus-bus --features shuttle --test concurrency
//! ```
//!
//! Each test runs its story under a random scheduler and under PCT, which prefers a few changes of task at unlikely places.
//! `SANDBUS_SHUTTLE_RUNS` multiplies how often (1), `SANDBUS_SHUTTLE_SEED` is the seed of both (fixed, so that a run in CI
//! is the same each time). A story that fails, or in which everybody waits for ever, prints the schedule of that run.
//!
//! To replay it, give the schedule, or a file that holds it, and the name of the test that printed it:
//!
//! ```sh
//! SANDBUS_SHUTTLE_REPLAY=91010… cargo test -p sandbus-bus --features shuttle --test concurrency -- <test> --nocapture
//! ```
//!
//! A schedule holds for the sources that it was made with: it says which task went on at each lock and each atomic.
//! What shuttle cannot show stands in `docs/decisions/0014-shuttle-on-the-shipped-code.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "concurrency/support.rs"]
mod support;

#[path = "concurrency/keys.rs"]
mod keys;
#[path = "concurrency/lending.rs"]
mod lending;
#[path = "concurrency/pool.rs"]
mod pool;
#[path = "concurrency/removal.rs"]
mod removal;
#[path = "concurrency/replies.rs"]
mod replies;
#[path = "concurrency/rest.rs"]
mod rest;
#[path = "concurrency/room.rs"]
mod room;
