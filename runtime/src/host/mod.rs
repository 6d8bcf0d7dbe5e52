//! What a guest can reach, one file per WIT import. Wire becomes domain here and only here. It knows no engine settings
//! and retries nothing.

pub(crate) mod bindings;
mod convert;
mod current_message;
mod destinations;
mod left;
mod message_bus;
mod output;
mod state;

pub(crate) use convert::{reply, wire_message};
pub(crate) use left::Made;
pub(crate) use output::{GuestOutput, GuestStream, escaped, tracing_sink};
pub use output::{LogLine, LogSink, LogStream};
pub(crate) use state::{GuestFacts, HostState, MemoryLimiter, Phase, Receiving, TotalMemory};
