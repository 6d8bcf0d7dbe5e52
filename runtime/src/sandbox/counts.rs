//! What is counted of a guest's calls, over all of its builds and destinations. It decides nothing, and costs a call that
//! ends well one counter that few others write to.

use std::array;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use sandbus_bus::Cause;

/// Counters among which the workers are spread.
const SPREAD: usize = 8;

/// Keeps its content on cache lines of its own (128 bytes: processors fetch lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

/// Calls and faults of a guest.
#[derive(Debug)]
pub(crate) struct Counts {
    calls: [Padded; SPREAD],
    faults: [AtomicU64; Cause::ALL.len()],
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { calls: array::from_fn(|_| Padded::default()), faults: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// A call has ended, on a worker of this number or in its sender's task.
    pub(super) fn call(&self, worker: Option<u32>) {
        let place = worker.unwrap_or(0) as usize % SPREAD;
        if let Some(Padded(calls)) = self.calls.get(place) {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn fault(&self, cause: Cause) {
        if let Some(faults) = self.faults.get(cause as usize) {
            faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that have ended, however they did.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.iter().map(|Padded(calls)| calls.load(Ordering::Relaxed)).sum()
    }

    /// Those that were stopped, by cause; causes without any are left out.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        let counted = Cause::ALL.iter().zip(&self.faults);
        let counted = counted.map(|(cause, count)| (cause.name(), count.load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}
