//! `wasi:config`, under both its names: a guest reads what its own `config` says, and nothing else.

use wasmtime::component::{ComponentType, LinkerInstance, Lower};

use super::linking::offer;
use super::state::HostState;

/// What a read can fail with; here none does.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type is the interface's; what is in memory can always be read")]
enum ConfigError {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Read<T> = wasmtime::Result<(Result<T, ConfigError>,)>;

fn get(state: &mut HostState, (key,): (String,)) -> Read<Option<String>> {
    let value = state.facts.config.get(&key).cloned();
    state.fuel.charge_bytes(value.as_ref().map_or(0, String::len));
    Ok((Ok(value),))
}

fn get_all(state: &mut HostState, (): ()) -> Read<Vec<(String, String)>> {
    let config = &state.facts.config;
    state.fuel.charge_bytes(config.iter().map(|(key, value)| key.len() + value.len()).sum());
    Ok((Ok(config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),))
}

pub(super) fn link(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer(instance, "get", get)?;
    offer(instance, "get-all", get_all)
}
