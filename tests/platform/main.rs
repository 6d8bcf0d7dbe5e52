//! Scenarios and faults over real guests, in one binary: the engine is linked once.

mod examples;
mod support;
