//! What a guest can reach, one file per WIT import. Wire becomes domain here and only here. It knows no engine settings
//! and retries nothing.

pub(crate) mod bindings;
mod convert;
mod current_message;
mod destinations;
mod fuel;
mod left;
mod memory;
mod message_bus;
mod output;
mod state;
mod wasi;

pub(crate) use convert::{reply, wire_message};
pub(crate) use fuel::HostFuel;
pub(crate) use left::Made;
pub(crate) use memory::{Denied, MemoryLimiter, Reclaim, TotalMemory, Whose};
pub(crate) use output::{GuestOutput, GuestStream, escaped, tracing_sink};
pub use output::{LogLine, LogSink, LogStream};
pub(crate) use state::{GuestFacts, HostState, Phase, Receiving};
pub(crate) use wasi::meter_wasi;
