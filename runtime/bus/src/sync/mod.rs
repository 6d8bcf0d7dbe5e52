//! The primitives that the bus waits, counts, locks, spawns, yields and tells time with; one place, so that the feature
//! `shuttle` can swap them all. What they are used for stands elsewhere.
//!
//! `plain` is what everybody runs. `shuttled` is for `tests/concurrency.rs`, which decides in it what runs next and when
//! time passes; a primitive that a file takes from somewhere else is one that this test does not see. `Arc` and `arc-swap`
//! are taken from elsewhere all the same, see `docs/decisions/0014-shuttle-on-the-shipped-code.md`.

#[cfg(not(feature = "shuttle"))]
mod plain;
#[cfg(feature = "shuttle")]
pub(crate) mod shuttled;
mod wakers;

#[cfg(not(feature = "shuttle"))]
use plain as primitives;
#[cfg(feature = "shuttle")]
use shuttled as primitives;

pub use primitives::Instant;
pub(crate) use primitives::{
    AtomicBool, AtomicU64, AtomicUsize, Handle, HashMap, JoinSet, MutexGuard, Ordering, RandomState, Sleep,
    is_current, sleep_until, yield_now,
};
/// Made once and then only read: what is raced for holds nothing yet, so that no schedule can tell who made it.
pub(crate) use std::sync::OnceLock;
pub(crate) use wakers::{Seat, Wakers};

/// The moment `duration` from `now`; a duration too long for the clock is as good as a century.
pub(crate) fn after(now: Instant, duration: std::time::Duration) -> Instant {
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3_600);
    now.checked_add(duration).unwrap_or_else(|| now + CENTURY)
}

/// A mutex around a few lines without `.await`. A panic under it does not poison it: what it guards is counters
/// and queues, each step of which leaves them whole.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(primitives::RawMutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(primitives::RawMutex::new(value))
    }

    /// The lock if nobody has it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
