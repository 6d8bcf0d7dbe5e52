//! Scenarios and faults over real guests, in one binary: the engine is linked once.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it expects")]

mod examples;
mod support;
