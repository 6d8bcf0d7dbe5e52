//! The host's side of one instance: who the guest is, which call runs, and what that call may still do. It makes no
//! store and calls no guest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use sandbus_bus::{Bus, Delivery, MessageListener, Origin, Reply, Values};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::left::Made;
use super::output::GuestOutput;
use crate::limits;
use crate::settings::{Grants, GuestLimits};

/// What all instances of a build share.
pub(crate) struct GuestFacts {
    pub(crate) name: Arc<str>,
    pub(crate) limits: GuestLimits,
    pub(crate) grants: Grants,
    pub(crate) listens_to: Vec<String>,
    pub(crate) bus: Bus,
    /// The guest as a listener, so that it can start to listen while it runs.
    pub(crate) listener: OnceLock<Weak<dyn MessageListener>>,
    /// What it has made of destinations; shared by all of its builds.
    pub(crate) made: Arc<Made>,
}

/// The data of a store: the host's side of one instance.
pub(crate) struct HostState {
    pub(crate) facts: Arc<GuestFacts>,
    pub(crate) output: Arc<GuestOutput>,
    pub(crate) limiter: MemoryLimiter,
    phase: Phase,
    sends_left: u32,
    send_bytes_left: usize,
    /// Whether a denial was said in this call already: one call is one episode.
    denial_said: bool,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// Which call runs.
#[allow(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and lives in a store; a box would be made at every call"
)]
pub(crate) enum Phase {
    /// None. A guest that is being instantiated, or resumed after its call by mistake, is here.
    Idle,
    /// `activate` or `deactivate`.
    Lifecycle(Origin),
    /// `receive`.
    Receiving(Receiving),
}

/// The message in hand and what the guest has made of it.
pub(crate) struct Receiving {
    pub(crate) delivery: Delivery,
    /// The values after its changes; none before the first.
    pub(crate) values: Option<Values>,
    pub(crate) response: Option<Box<Reply>>,
}

impl Receiving {
    pub(crate) fn values(&self) -> &Values {
        self.values.as_ref().unwrap_or(self.delivery.values())
    }
}

impl HostState {
    pub(crate) fn new(
        facts: Arc<GuestFacts>,
        output: Arc<GuestOutput>,
        limiter: MemoryLimiter,
        wasi: WasiCtx,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_MAX);
        Self {
            facts,
            output,
            limiter,
            phase: Phase::Idle,
            sends_left: 0,
            send_bytes_left: 0,
            denial_said: false,
            wasi,
            table,
        }
    }

    /// Begins a call: its budgets are whole again.
    pub(crate) fn begin(&mut self, phase: Phase) {
        let limits = &self.facts.limits;
        self.sends_left = limits.sends_max;
        self.send_bytes_left = limits.send_bytes_max;
        self.limiter.denied = false;
        self.denial_said = false;
        let (message, worker) = match &phase {
            Phase::Receiving(receiving) => {
                (Some(Arc::clone(receiving.delivery.message())), receiving.delivery.worker())
            }
            Phase::Idle | Phase::Lifecycle(_) => (None, None),
        };
        self.output.begin(message, worker, limits.log_bytes_max);
        self.phase = phase;
    }

    /// Ends the call, and gives back what it was about.
    pub(crate) fn end(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Idle)
    }

    /// The message in hand.
    ///
    /// # Errors
    /// A trap where there is none: `current-message` is valid during `receive` only.
    pub(crate) fn receiving(&mut self) -> wasmtime::Result<&mut Receiving> {
        match &mut self.phase {
            Phase::Receiving(receiving) => Ok(receiving),
            _ => Err(wasmtime::Error::msg("`current-message` was used outside of `receive`")),
        }
    }

    /// Whether this is the first denial of the call.
    pub(crate) fn first_denial(&mut self) -> bool {
        !std::mem::replace(&mut self.denial_said, true)
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Counts one message of so many bytes against what the call may send.
    pub(crate) fn count_send(&mut self, bytes: usize) -> Result<(), String> {
        let limits = &self.facts.limits;
        if self.sends_left == 0 {
            return Err(format!("one call may send {} messages (`limits.sends`)", limits.sends_max));
        }
        if bytes > self.send_bytes_left {
            return Err(format!("one call may send {} bytes (`limits.send-bytes`)", limits.send_bytes_max));
        }
        self.sends_left -= 1;
        self.send_bytes_left -= bytes;
        Ok(())
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The linear memory of all guests together.
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

    fn reserve(&self, bytes: usize) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok()
    }
}

/// Limits the linear memories and tables of one store, summed over the store, and remembers a denial: it tells a fault
/// of the cause memory from any other trap.
pub(crate) struct MemoryLimiter {
    total: TotalMemory,
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
    tables_max: usize,
    /// The last growth, to be taken back when the engine could not make it.
    last_growth: usize,
    pub(crate) denied: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(limits: &GuestLimits, total: TotalMemory) -> Self {
        Self {
            total,
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements: 0,
            table_elements_max: limits.table_elements_max,
            tables_max: limits.tables_max,
            last_growth: 0,
            denied: false,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        self.total.used.fetch_sub(self.memory_bytes, Ordering::Relaxed);
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
        let fits = maximum.is_none_or(|maximum| desired <= maximum)
            && self.memory_bytes.saturating_add(growth) <= self.memory_bytes_max
            && self.total.reserve(growth);
        if fits {
            self.memory_bytes += growth;
            self.last_growth = growth;
        } else {
            self.denied = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        let growth = std::mem::take(&mut self.last_growth).min(self.memory_bytes);
        self.memory_bytes -= growth;
        self.total.used.fetch_sub(growth, Ordering::Relaxed);
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

    #[test]
    fn memories_are_summed_over_the_store_and_given_back_with_it() {
        let total = TotalMemory::new(150);
        let limits = GuestLimits { memory_bytes_max: 100, ..GuestLimits::default() };
        let mut first = MemoryLimiter::new(&limits, total.clone());
        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!first.memory_growing(0, 60, None).unwrap(), "a second memory counts in the same sum");
        assert!(first.denied);
        let mut second = MemoryLimiter::new(&limits, total.clone());
        assert!(!second.memory_growing(0, 91, None).unwrap(), "all guests together have 150");
        assert!(second.memory_growing(0, 90, None).unwrap());
        drop((first, second));
        assert_eq!(total.used(), 0);
    }

    #[test]
    fn a_growth_that_the_engine_could_not_make_is_taken_back() {
        let total = TotalMemory::new(1_000);
        let mut limiter = MemoryLimiter::new(&GuestLimits::default(), total.clone());
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert_eq!((limiter.memory_bytes(), total.used()), (0, 0));
    }
}
