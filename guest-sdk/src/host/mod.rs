//! The host, as the rest of this crate sees it: functions over this crate's own types. On WebAssembly they are imports,
//! elsewhere the test double; nothing above this module knows which.

#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
mod imports;

#[cfg(target_arch = "wasm32")]
pub(crate) use imports::{
    Current, create_destination, listen, remove_destination, request, request_direct, send, statistics,
    stop_listening,
};
#[cfg(target_arch = "wasm32")]
pub use imports::{WitBatchedMessage, WitMessage, WitOutcome, receive, receive_batch};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{
    Current, create_destination, listen, remove_destination, request, request_direct, send, statistics,
    stop_listening,
};
