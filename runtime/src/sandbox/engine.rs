//! One engine for all guests: which WebAssembly is on, how it is metered, where instances get their memory. The reasons
//! for each setting stand beside it; the figures in `docs/performance.md`.

use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::cache::Cache;
use super::compile::Elsewhere;
use super::in_use::InUse;
use super::pool::Pool;
use super::report::{FaultSink, tracing_faults};
use crate::host::TotalMemory;
use crate::limits;
use crate::settings::{Allocator, CompileCache, RuntimeSettings};

/// The engine, and what all guests share besides: instance slots, memory, the cache of compiled components.
#[derive(Clone)]
pub struct SandboxEngine {
    pub(super) engine: Engine,
    pub(super) pool: Pool,
    pub(super) total_memory: TotalMemory,
    pub(super) cache: Option<Cache>,
    /// What is loaded at this moment.
    pub(super) in_use: InUse,
    /// Where components are compiled; none: in this process.
    pub(super) elsewhere: Option<Elsewhere>,
    pub(super) component_bytes_max: usize,
    /// Takes the reports of faults of the guests that run on this clone.
    pub(super) faults: FaultSink,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the settings, or the machine does.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// The pool needs more memory mappings than the machine allows.
    #[error(
        "`runtime.total-instances` is {instances}, which needs about {needed} memory mappings; this machine allows \
         {allowed} (`vm.max_map_count`)"
    )]
    Mappings {
        /// What is configured.
        instances: usize,
        /// Mappings that so many instances need.
        needed: usize,
        /// Mappings that the machine allows a process.
        allowed: usize,
    },
    /// The cache's directory.
    #[error(transparent)]
    Cache(#[from] super::cache::CacheError),
}

/// Memory mappings of one pooled instance (measured).
const MAPPINGS_PER_INSTANCE: usize = 6;

impl SandboxEngine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// When the settings do not fit the machine, or the cache's directory cannot be used.
    pub fn new(settings: &RuntimeSettings) -> Result<Self, EngineError> {
        if settings.allocator == Allocator::Pooling {
            check_mappings(settings.total_instances_max)?;
        }
        let engine =
            Engine::new(&config(settings)).map_err(|error| EngineError::Engine(format!("{error:#}")))?;
        let hash = engine_hash(&engine);
        let cache = match &settings.compile_cache {
            CompileCache::Off => None,
            CompileCache::Auto => Some(Cache::open(&settings.state_dir.join("cache"), hash)?),
            CompileCache::Path(path) => Some(Cache::open(path, hash)?),
        };
        Ok(Self {
            engine,
            pool: Pool::new(settings.total_instances_max),
            total_memory: TotalMemory::new(settings.total_memory_bytes_max),
            cache,
            in_use: InUse::default(),
            elsewhere: Elsewhere::new(settings, hash),
            component_bytes_max: settings.component_bytes_max,
            faults: tracing_faults(),
        })
    }

    /// The same engine, whose guests have their faults told to `sink`.
    #[must_use]
    pub(crate) fn telling_faults_to(mut self, sink: FaultSink) -> Self {
        self.faults = sink;
        self
    }

    /// Linear memory of all live instances together, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.total_memory.used()
    }

    /// Live instances.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.pool.taken()
    }
}

/// What machine code depends on besides the component: the engine's version and settings.
pub(super) fn engine_hash(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn check_mappings(instances: usize) -> Result<(), EngineError> {
    let allowed =
        std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok());
    let needed = instances.saturating_mul(MAPPINGS_PER_INSTANCE);
    match allowed {
        Some(allowed) if needed > allowed => Err(EngineError::Mappings { instances, needed, allowed }),
        // Where the number cannot be read there is no such bound, or none that can be told.
        _ => Ok(()),
    }
}

/// The engine's settings; also the benches' floor uses them, so that both measure the same machine code.
#[must_use]
pub fn config(settings: &RuntimeSettings) -> Config {
    let mut config = Config::new();
    // Fuel makes a guest yield and ends it; a deadline outside the store ends one that waits. Epochs would add cost and
    // end nothing more.
    config.consume_fuel(true);
    config.operator_cost(operator_cost());
    // No `async func` in the world yet; leaving its machinery out makes a call about a quarter cheaper.
    config.concurrency_support(false);
    config.max_wasm_stack(settings.stack_bytes_max);
    config.async_stack_size(limits::FIBER_STACK_BYTES.max(settings.stack_bytes_max * 4));
    config.wasm_backtrace_max_frames(NonZeroUsize::new(limits::BACKTRACE_FRAMES_MAX));
    // A hostile guest's debug information is not parsed in this process.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    // What shipped languages need is on, whatever else is off: less to attack, and load errors instead of surprises.
    config.wasm_multi_memory(true);
    config.wasm_memory64(false);
    // `MemoryLimiter` hears of each growth before it; of memories with pages of another size the engine tells it only after.
    config.wasm_custom_page_sizes(false);
    config.wasm_relaxed_simd(false);
    config.wasm_tail_call(false);
    if settings.allocator == Allocator::Pooling {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings.total_instances_max)));
    }
    config
}

fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    // At the default of 1, 50 M fuel of `memory.grow(0)` hold a core for 620 ms; so for 7 ms.
    cost.MemoryGrow = 255;
    cost.TableGrow = 255;
    cost
}

fn pool(instances_max: usize) -> PoolingAllocationConfig {
    let instances = u32::try_from(instances_max).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    // A number that the pool compares, and nothing that it reserves.
    pool.total_core_instances(
        instances.saturating_mul(u32::try_from(limits::CORE_INSTANCES_MAX).unwrap_or(u32::MAX)),
    );
    pool.total_memories(instances);
    pool.total_tables(instances.saturating_mul(limits::TABLES_PER_SLOT));
    pool.total_stacks(instances);
    pool.max_core_instances_per_component(u32::try_from(limits::CORE_INSTANCES_MAX).unwrap_or(u32::MAX));
    pool.max_memories_per_component(u32::try_from(limits::MEMORIES_MAX).unwrap_or(u32::MAX));
    pool.max_tables_per_component(u32::try_from(limits::TABLES_MAX).unwrap_or(u32::MAX));
    // One module may have as many as its component: the default of 1 would turn away what the limits allow.
    pool.max_memories_per_module(u32::try_from(limits::MEMORIES_MAX).unwrap_or(u32::MAX));
    pool.max_tables_per_module(u32::try_from(limits::TABLES_MAX).unwrap_or(u32::MAX));
    pool.table_elements(limits::TABLE_ELEMENTS_MAX);
    // A slot has room for the largest memory there is; what a guest may use of it is its limiter's business.
    pool.max_memory_size(1 << 32);
    // Resetting a slot by looking at which pages were touched is the only way that gets faster with a second thread.
    pool.linear_memory_keep_resident(2 << 20);
    pool.table_keep_resident(2 << 20);
    pool.pagemap_scan(Enabled::Auto);
    pool.max_unused_warm_slots(0);
    pool
}
