//! Linear memory and tables, as the engine asks for them: limited over one store, over all instances of a guest and over all
//! guests. It drops nothing itself; [`Reclaim`] does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use crate::limits;
use crate::settings::GuestLimits;

/// The linear memory of several stores together.
#[derive(Debug, Clone)]
pub(crate) struct TotalMemory {
    used: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl TotalMemory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { used: Arc::default(), bytes_max }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Reserves so many bytes; as long as there is no room and something can be reclaimed, tries again.
    fn reserve(&self, bytes: usize, reclaim: impl Fn() -> bool) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        while self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_err() {
            if !reclaim() {
                return false;
            }
        }
        true
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Gives memory back that nobody uses at the moment.
pub(crate) trait Reclaim: Send + Sync {
    /// Drops the instance that has been idle longest, of this guest or of any; false when none is idle.
    fn reclaim(&self, whose: Whose) -> bool;
}

/// Over which instances something is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of one guest.
    Guest,
    /// Those of all guests.
    All,
}

/// A growth that was refused, and by which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// That of one instance.
    Instance(usize),
    /// That of several instances together.
    Together(Whose, usize),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(bytes) => write!(f, "asked for more than its {bytes} bytes of memory"),
            Self::Together(Whose::Guest, bytes) => write!(
                f,
                "asked for memory when its guest's instances had all of their {bytes} bytes (`total-memory`)"
            ),
            Self::Together(Whose::All, bytes) => write!(
                f,
                "asked for memory when all guests together had all of their {bytes} bytes \
                 (`runtime.total-memory`)"
            ),
        }
    }
}

/// Limits the linear memories and tables of one store, summed over the store, and remembers a denial: it tells a fault
/// of the cause memory from any other trap.
pub(crate) struct MemoryLimiter {
    of_guest: TotalMemory,
    of_all: TotalMemory,
    reclaim: Arc<dyn Reclaim>,
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
    tables_max: usize,
    /// The last growth, to be taken back when the engine could not make it.
    last_growth: usize,
    pub(crate) denied: Option<Denied>,
}

impl MemoryLimiter {
    pub(crate) fn new(
        limits: &GuestLimits,
        of_guest: TotalMemory,
        of_all: TotalMemory,
        reclaim: Arc<dyn Reclaim>,
    ) -> Self {
        Self {
            of_guest,
            of_all,
            reclaim,
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements: 0,
            table_elements_max: limits.table_elements_max,
            tables_max: limits.tables_max,
            last_growth: 0,
            denied: None,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn reserve(&self, bytes: usize) -> Result<(), Denied> {
        // What no other instance could make room for is beyond its own limit: nothing is dropped for it, nobody waits for it.
        let own = self.memory_bytes_max.min(self.of_guest.bytes_max).min(self.of_all.bytes_max);
        if self.memory_bytes.saturating_add(bytes) > own {
            return Err(Denied::Instance(own));
        }
        if !self.of_guest.reserve(bytes, || self.reclaim.reclaim(Whose::Guest)) {
            return Err(Denied::Together(Whose::Guest, self.of_guest.bytes_max));
        }
        if !self.of_all.reserve(bytes, || self.reclaim.reclaim(Whose::All)) {
            self.of_guest.release(bytes);
            return Err(Denied::Together(Whose::All, self.of_all.bytes_max));
        }
        Ok(())
    }

    fn release(&mut self, bytes: usize) {
        self.memory_bytes -= bytes;
        self.of_guest.release(bytes);
        self.of_all.release(bytes);
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.release(self.memory_bytes);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let reserved = match maximum {
            Some(maximum) if desired > maximum => Err(Denied::Instance(self.memory_bytes_max)),
            _ => self.reserve(growth),
        };
        match reserved {
            Ok(()) => {
                self.memory_bytes += growth;
                self.last_growth = growth;
            }
            Err(denied) => self.denied = Some(denied),
        }
        Ok(reserved.is_ok())
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let growth = std::mem::take(&mut self.last_growth).min(self.memory_bytes);
        self.release(growth);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let fits = maximum.is_none_or(|maximum| desired <= maximum)
            && self.table_elements.saturating_add(growth) <= self.table_elements_max;
        if fits {
            self.table_elements += growth;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        self.tables_max
    }

    fn memories(&self) -> usize {
        limits::MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something idle that has so many bytes of a total.
    struct Idle(TotalMemory, AtomicUsize);

    impl Reclaim for Idle {
        fn reclaim(&self, _: Whose) -> bool {
            let bytes = self.1.swap(0, Ordering::Relaxed);
            self.0.release(bytes);
            bytes > 0
        }
    }

    fn nothing_idle() -> Arc<dyn Reclaim> {
        Arc::new(Idle(TotalMemory::new(0), AtomicUsize::new(0)))
    }

    fn limiter(of_guest: &TotalMemory, of_all: &TotalMemory) -> MemoryLimiter {
        let limits = GuestLimits { memory_bytes_max: 100, ..GuestLimits::default() };
        MemoryLimiter::new(&limits, of_guest.clone(), of_all.clone(), nothing_idle())
    }

    #[test]
    fn memories_are_summed_over_the_store_and_given_back_with_it() {
        let (of_guest, total) = (TotalMemory::new(1_000), TotalMemory::new(150));
        let mut first = limiter(&of_guest, &total);
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!first.memory_growing(0, 60, None).unwrap(), "a second memory counts in the same sum");
        assert_eq!(first.denied, Some(Denied::Instance(100)));
        let mut second = limiter(&of_guest, &total);
        assert!(!second.memory_growing(0, 91, None).unwrap(), "all guests together have 150");
        assert_eq!(second.denied, Some(Denied::Together(Whose::All, 150)));
        assert_eq!(of_guest.used(), 60, "what was refused in one sum is not kept in the other");
        assert!(second.memory_growing(0, 90, None).unwrap());
        drop((first, second));
        assert_eq!((of_guest.used(), total.used()), (0, 0));
    }

    #[test]
    fn the_instances_of_a_guest_have_a_sum_of_their_own() {
        let (of_guest, total) = (TotalMemory::new(100), TotalMemory::new(1_000));
        let (mut first, mut second) = (limiter(&of_guest, &total), limiter(&of_guest, &total));
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!second.memory_growing(0, 41, None).unwrap());
        assert_eq!(second.denied, Some(Denied::Together(Whose::Guest, 100)));
        assert!(limiter(&TotalMemory::new(100), &total).memory_growing(0, 41, None).unwrap());
    }

    #[test]
    fn what_is_idle_gives_way_and_only_then_growth_is_refused() {
        let (of_guest, total) = (TotalMemory::new(1_000), TotalMemory::new(100));
        assert!(total.reserve(80, || false));
        let idle = Arc::new(Idle(total.clone(), AtomicUsize::new(80)));
        let mut hungry =
            MemoryLimiter::new(&GuestLimits::default(), of_guest, total, Arc::clone(&idle) as Arc<_>);
        assert!(!hungry.memory_growing(0, 101, None).unwrap(), "it would never fit");
        assert_eq!(idle.1.load(Ordering::Relaxed), 80, "so that nothing was dropped for it");
        assert!(hungry.memory_growing(0, 60, None).unwrap());
        assert!(!hungry.memory_growing(60, 101, None).unwrap());
    }

    #[test]
    fn a_growth_that_the_engine_could_not_make_is_taken_back() {
        let (of_guest, total) = (TotalMemory::new(1_000), TotalMemory::new(1_000));
        let mut limiter = limiter(&of_guest, &total);
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert_eq!((limiter.memory_bytes(), of_guest.used(), total.used()), (0, 0, 0));
    }
}
