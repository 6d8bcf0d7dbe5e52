//! The primitives of the normal build: those of `std` and tokio under the bus's names, and nothing of its own.

pub(crate) use std::collections::HashMap;
pub(crate) use std::collections::hash_map::RandomState;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex as RawMutex, MutexGuard};

pub(crate) use tokio::runtime::Handle;
pub(crate) use tokio::task::{JoinSet, yield_now};
pub use tokio::time::Instant;
pub(crate) use tokio::time::{Sleep, sleep_until};

/// Whether the caller runs on the runtime of this handle: what it polls there finds its timers.
pub(crate) fn is_current(handle: &Handle) -> bool {
    Handle::try_current().is_ok_and(|current| current.id() == handle.id())
}
