//! The scenarios of `scenarios.md` that the bus alone can show, with native listeners, and the hard corners of
//! `semantics.md`. A test is named by the id of its scenario and by what it finds; nothing here waits for real time.

// Under the feature `shuttle` the bus runs in `concurrency.rs` and nowhere else.
#![cfg(not(feature = "shuttle"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests themselves do"
)]

mod support;

mod batches;
mod builder;
mod context;
mod dead_letters;
mod errors;
mod events;
mod hooks;
mod life;
mod message;
mod processors;
mod queue;
mod ranking;
mod readiness;
mod registry;
mod snapshots;
mod stages;
mod statistics;
mod sync;
mod tracked;
mod types;

mod breaker;
mod clock;
mod deadlock;
mod embedder;
mod firings;
mod lending;
mod order;
mod policies;
mod races;
mod removal;
mod replies;
mod rest;
mod retries;
mod schedule;
mod schedule_times;
mod times;
mod tuning;
mod wall_clock;
mod warnings;
