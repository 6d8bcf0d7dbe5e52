//! The one function that builds a store, and so the one place where the limits of an instance are applied.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime_wasi::WasiCtxBuilder;

use super::engine::SandboxEngine;
use super::folders;
use crate::host::{
    GuestFacts, GuestOutput, GuestStream, HostState, LogSink, LogStream, MemoryLimiter, Phase, Reclaim,
};
use crate::limits;

/// Builds a store for one instance of a guest, with every limit that a store can have.
///
/// # Errors
/// When the engine does not meter fuel: then nothing would bound the guest.
pub(super) fn build(
    engine: &SandboxEngine,
    facts: &Arc<GuestFacts>,
    env: &[(String, String)],
    sink: &LogSink,
    share: Arc<dyn Reclaim>,
) -> wasmtime::Result<Store<HostState>> {
    let output = GuestOutput::new(Arc::clone(&facts.name), Arc::clone(sink), facts.secrets.clone());
    let stream = |stream| GuestStream { output: Arc::clone(&output), stream };
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stream(LogStream::Stdout))
        .stderr(stream(LogStream::Stderr))
        .envs(env)
        .max_random_size(limits::RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    for grant in &facts.grants.files {
        folders::open(&mut wasi, grant)?;
    }
    let wasi = wasi.build();
    let limiter = MemoryLimiter::new(&facts.limits, facts.memory.clone(), engine.total_memory.clone(), share);
    let mut store = Store::new(&engine.engine, HostState::new(Arc::clone(facts), output, limiter, wasi));
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(facts.limits.host_memory_bytes_max);
    store.set_max_component_handles(limits::RESOURCES_MAX);
    // A new store has no fuel at all, and instantiating uses some: of its own, and for host calls. Initialisers of several
    // languages look at the environment, the clock or random numbers.
    store.set_fuel(facts.limits.activate_fuel)?;
    store.data_mut().begin(Phase::Idle, facts.limits.activate_fuel);
    store.fuel_async_yield_interval(Some(limits::FUEL_YIELD_INTERVAL))?;
    Ok(store)
}
