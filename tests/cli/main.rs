//! The command line, run as a program: what is typed, what is printed, with which code it ends.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]
#![allow(clippy::indexing_slicing, reason = "a test that indexes past the end has failed")]

mod program;

#[macro_use]
mod golden;

mod bad_component;
mod bad_input;
mod bench;
mod bench_errors;
mod call;
mod commands;
mod faults;
mod json;
mod run;
mod samples;
mod schedules;
mod sends;
mod signals;
mod state;
