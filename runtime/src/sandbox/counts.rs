//! What is counted of a guest's calls, over all of its builds and destinations. It decides nothing. A call writes a counter
//! that its instance has for itself; whoever reads adds them up.

use std::array;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandbus_bus::Cause;

/// Calls and faults of a guest.
#[derive(Debug)]
pub(crate) struct Counts {
    faults: [AtomicU64; Cause::ALL.len()],
    /// Guards the calls of all instances; locked when one comes or goes, and to read.
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// Of instances that are gone, or never were.
    gone: u64,
    live: Vec<Arc<OwnCalls>>,
}

/// The calls of one instance, on cache lines of its own (128 bytes: processors fetch lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct OwnCalls(AtomicU64);

/// The counter of one instance.
#[derive(Debug)]
pub(super) struct Counter {
    counts: Arc<Counts>,
    /// None of an instance that is there for one call.
    own: Option<Arc<OwnCalls>>,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { faults: array::from_fn(|_| AtomicU64::new(0)), calls: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter of a new instance.
    pub(super) fn counter(self: &Arc<Self>) -> Counter {
        let own = Arc::<OwnCalls>::default();
        self.lock().live.push(Arc::clone(&own));
        Counter { counts: Arc::clone(self), own: Some(own) }
    }

    /// The counter of an instance that has one call: a counter of its own would be made and forgotten for each message.
    pub(super) fn single(self: &Arc<Self>) -> Counter {
        Counter { counts: Arc::clone(self), own: None }
    }

    /// A call came to its end for which there was no instance.
    pub(super) fn call_without_instance(&self) {
        self.lock().gone += 1;
    }

    pub(super) fn fault(&self, cause: Cause) {
        if let Some(faults) = self.faults.get(cause as usize) {
            faults.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that have ended, however they did.
    pub(crate) fn calls(&self) -> u64 {
        let calls = self.lock();
        calls.gone + calls.live.iter().map(|own| own.0.load(Ordering::Relaxed)).sum::<u64>()
    }

    /// Those that were stopped, by cause; causes without any are left out.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        let counted = Cause::ALL.iter().zip(&self.faults);
        let counted = counted.map(|(cause, count)| (cause.name(), count.load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl Counter {
    /// A call of the instance has ended.
    pub(super) fn call(&mut self) {
        self.calls(1);
    }

    /// A call of the instance has ended that received so many messages.
    pub(super) fn calls(&mut self, calls: u64) {
        match self.own.as_deref() {
            // Nobody else writes it, so that nothing has to be locked on the way.
            Some(OwnCalls(own)) => own.store(own.load(Ordering::Relaxed) + calls, Ordering::Relaxed),
            None => self.counts.lock().gone += calls,
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let Some(own) = &self.own else { return };
        let mut calls = self.counts.lock();
        calls.gone += own.0.load(Ordering::Relaxed);
        calls.live.retain(|live| !Arc::ptr_eq(live, own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_added_up_over_instances_that_live_and_that_are_gone() {
        let counts = Arc::new(Counts::new());
        let (mut first, mut second) = (counts.counter(), counts.counter());
        first.call();
        first.call();
        second.call();
        assert_eq!(counts.calls(), 3);
        drop(first);
        counts.call_without_instance();
        counts.single().call();
        assert_eq!((counts.calls(), counts.lock().live.len()), (5, 1));
    }
}
