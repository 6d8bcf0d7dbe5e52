//! Which interfaces a component finds here. What it imports by name decides what is linked for it; the types are compared
//! by the engine. It grants nothing: what an interface may do is decided where it is called.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    ComponentNamedList, HasSelf, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Engine, StoreContextMut};

use super::bindings::BatchPlugin;
use super::crossing::Crossing;
use super::foreign::{spin, wasi_messaging, wasmcloud};
use super::state::HostState;
use super::wasi::meter_wasi;
use super::{keyvalue, logging, own_config};

/// The interfaces that the host offers, as errors name them; of `wasi` where no version stands any 0.2.
pub(crate) const OFFERED: [&str; 14] = [
    "sandbus:bus/types",
    "sandbus:bus/current-message",
    "sandbus:bus/message-batch",
    "sandbus:bus/message-bus",
    "sandbus:bus/destinations",
    "wasi:cli, wasi:clocks, wasi:io, wasi:random",
    "wasi:filesystem (the folders in `grants.files`: none unless granted)",
    "wasi:sockets (every connection is denied)",
    "wasi:logging/logging",
    "wasi:config/store, wasi:config/runtime",
    "wasi:keyvalue/store, wasi:keyvalue/atomics, wasi:keyvalue/batch",
    "wasmcloud:messaging/types, wasmcloud:messaging/consumer, wasmcloud:bus/lattice",
    "fermyon:spin/redis-types, fermyon:spin/redis, fermyon:spin/variables",
    "wasi:messaging/types, wasi:messaging/producer, wasi:messaging/request-reply",
];

/// Interfaces that are told apart by their types and not by their version: of drafts there are many spellings.
const BY_SHAPE: [&str; 15] = [
    "wasi:logging/logging",
    "wasi:config/store",
    "wasi:config/runtime",
    "wasi:keyvalue/store",
    "wasi:keyvalue/atomics",
    "wasi:keyvalue/batch",
    "wasmcloud:messaging/types",
    "wasmcloud:messaging/consumer",
    "wasmcloud:bus/lattice",
    "fermyon:spin/redis-types",
    "fermyon:spin/redis",
    "fermyon:spin/variables",
    "wasi:messaging/types",
    "wasi:messaging/producer",
    "wasi:messaging/request-reply",
];

/// A call's store.
pub(super) type Store<'a> = StoreContextMut<'a, HostState>;

/// Whether the host offers an interface of this name, in a version that may fit.
pub(crate) fn is_offered(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, _) = interface.split_once('/').unwrap_or((interface, ""));
    match package {
        "sandbus:bus" => version == "0.1.0" && OFFERED.contains(&interface),
        "wasi:cli" | "wasi:clocks" | "wasi:io" | "wasi:random" | "wasi:filesystem" | "wasi:sockets" => {
            version.starts_with("0.2.")
        }
        _ => BY_SHAPE.contains(&interface),
    }
}

/// Links what the host offers, for a component with these imports.
///
/// # Errors
/// What the engine says about an interface of our own, which would be a mistake of the host.
pub(crate) fn link<'a>(
    linker: &mut Linker<HostState>,
    imports: impl Iterator<Item = (&'a str, ComponentItem)>,
) -> wasmtime::Result<()> {
    let engine = &linker.engine().clone();
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    meter_wasi(linker)?;
    BatchPlugin::add_to_linker::<_, HasSelf<HostState>>(linker, HostState::called)?;
    for (import, item) in imports {
        let (interface, _) = import.split_once('@').unwrap_or((import, ""));
        if !BY_SHAPE.contains(&interface) {
            continue;
        }
        // Under the very name that the component uses: a version with `-draft` in it matches nothing but itself.
        let mut instance = linker.instance(import)?;
        match interface {
            "wasi:logging/logging" => logging::link(&mut instance)?,
            "wasi:config/store" | "wasi:config/runtime" => own_config::link(&mut instance)?,
            "wasi:keyvalue/store" => keyvalue::link_store(&mut instance)?,
            "wasi:keyvalue/atomics" => keyvalue::link_atomics(&mut instance)?,
            "wasi:keyvalue/batch" => keyvalue::link_batch(&mut instance)?,
            "wasmcloud:messaging/consumer" => wasmcloud::link_consumer(&mut instance)?,
            "wasmcloud:bus/lattice" => {
                wasmcloud::link_lattice(&mut instance, set_link_name_answers(&item, engine))?
            }
            "fermyon:spin/redis" if has_resource(&item, "connection", engine) => {
                spin::link_connection(&mut instance)?;
            }
            "fermyon:spin/redis" => spin::link_redis(&mut instance)?,
            "fermyon:spin/variables" => spin::link_variables(&mut instance)?,
            "wasi:messaging/types" => wasi_messaging::link_types(&mut instance)?,
            "wasi:messaging/producer" => wasi_messaging::link_producer(&mut instance)?,
            "wasi:messaging/request-reply" => wasi_messaging::link_request_reply(&mut instance)?,
            // Types alone: nothing is called there.
            _ => {}
        }
    }
    Ok(())
}

/// What is in an imported instance under this name.
fn inside(item: &ComponentItem, name: &str, engine: &Engine) -> Option<ComponentItem> {
    match item {
        ComponentItem::ComponentInstance(instance) => Some(instance.get_export(engine, name)?.ty),
        _ => None,
    }
}

fn has_resource(item: &ComponentItem, name: &str, engine: &Engine) -> bool {
    matches!(inside(item, name, engine), Some(ComponentItem::Resource(_)))
}

fn set_link_name_answers(item: &ComponentItem, engine: &Engine) -> bool {
    match inside(item, "set-link-name", engine) {
        Some(ComponentItem::ComponentFunc(function)) => function.results().len() > 0,
        _ => false,
    }
}

/// Offers a function. Each call of it costs what a host call costs, and what it brings, and may let others run first.
pub(super) fn offer<P, R>(
    instance: &mut LinkerInstance<'_, HostState>,
    name: &str,
    function: fn(&mut HostState, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Crossing + Lift + Send + Sync + 'static,
    R: ComponentNamedList + Lower + Send + Sync + 'static,
{
    instance.func_wrap_async(name, move |mut store: Store<'_>, parameters: P| {
        Box::new(async move {
            let state = store.data_mut();
            state.called().fuel.pay(parameters.bytes()).await?;
            function(state, parameters)
        })
    })
}

/// Offers a resource whose host's side is a `T`, which is dropped with the handle.
pub(super) fn offer_resource<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, HostState>,
    name: &str,
) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut store, rep| {
        store.data_mut().called().resources().delete(Resource::<T>::new_own(rep))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_are_offered_in_every_spelling_and_others_are_not() {
        for name in
            ["wasi:logging/logging", "wasi:logging/logging@0.1.0-draft", "wasi:config/store@0.2.0-rc.1"]
        {
            assert!(is_offered(name), "{name}");
        }
        for name in
            ["wasi:http/client@0.3.0", "wasi:logging/other", "sandbus:bus/types@0.2.0", "wasi:io/poll@0.3.0"]
        {
            assert!(!is_offered(name), "{name}");
        }
    }
}
