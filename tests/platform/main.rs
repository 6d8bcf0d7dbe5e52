//! Scenarios and faults over real guests, in one binary: the engine is linked once.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]
#![allow(clippy::indexing_slicing, reason = "a test that indexes past the end has failed")]

mod crafted;
mod neighbourhood;
mod refused;
mod soak;
mod support;
mod watch;

mod batches;
mod bombs;
mod bounds;
mod breaker;
mod compiling;
mod context;
mod diagnostics;
mod examples;
mod fairness;
mod faults;
mod faults_under_load;
mod folders;
mod foreign;
mod grants;
mod hostile_boundary;
mod hostile_loading;
mod hostile_memory;
mod hostile_messages;
mod hostile_names;
mod hostile_senders;
mod hostile_structures;
mod hostile_time;
mod instances;
mod interfaces;
mod lifecycle;
mod limits;
mod loading;
mod messages;
mod options;
mod outcomes;
mod output;
mod policies;
mod quarantine;
mod replacing;
mod schedules;
mod soaks;
mod starved;
mod unloading;
