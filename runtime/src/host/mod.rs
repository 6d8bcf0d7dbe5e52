//! What a guest can reach, one file per WIT import. Wire becomes domain here and only here. It knows no engine settings
//! and retries nothing.

pub(crate) mod bindings;
mod buckets;
mod convert;
mod crossing;
mod current_message;
mod destinations;
pub(crate) mod foreign;
mod fuel;
mod keyvalue;
mod left;
mod linking;
mod log_line;
mod logging;
mod memory;
mod message_batch;
mod message_bus;
mod output;
mod own_config;
mod secrets;
mod state;
mod wasi;

pub(crate) use buckets::Buckets;
pub(crate) use convert::{reply, wire_message};
#[doc(hidden)]
pub use foreign::codec as foreign_codec;
pub(crate) use fuel::HostFuel;
pub(crate) use left::{LeftLetters, Made};
pub(crate) use linking::{OFFERED, is_offered, link};
pub(crate) use log_line::tracing_sink;
pub use log_line::{LogLevel, LogLine, LogSink, LogStream};
pub(crate) use memory::{Denied, MemoryLimiter, Reclaim, TotalMemory, Whose};
pub(crate) use output::{GuestOutput, GuestStream, escaped};
pub(crate) use secrets::Secrets;
pub(crate) use state::{Changes, GuestFacts, HostState, Phase, Receiving};
