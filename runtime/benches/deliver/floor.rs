//! The floor: the guest on bare wasmtime, with the engine settings of the platform and the limits of a store, and nothing
//! else. What the platform costs is measured against this.

use std::path::Path;
use std::time::{Duration, Instant};

use sandbus::RuntimeSettings;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Failure;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
use bindings::exports::sandbus::bus::message_listener::{Guest, GuestIndices, Message};

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// One warm instance.
pub(super) struct Floor {
    store: Store<Host>,
    guest: Guest,
}

impl Floor {
    pub(super) async fn new(component: &Path) -> Result<Self, Failure> {
        let engine = Engine::new(&sandbus::engine_config(&RuntimeSettings::default()))?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<Host>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let pre = linker.instantiate_pre(&component)?;
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).build();
        let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new(), limits };
        let mut store = Store::new(&engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_fuel(sandbus::limits::FUEL)?;
        store.fuel_async_yield_interval(Some(sandbus::limits::FUEL_YIELD_INTERVAL))?;
        let instance = pre.instantiate_async(&mut store).await?;
        let guest = GuestIndices::new(&pre)?.load(&mut store, &instance)?;
        Ok(Self { store, guest })
    }

    /// How long so many calls take, one after the other.
    pub(super) async fn calls(&mut self, count: u32, payload_bytes: usize) -> Result<Duration, Failure> {
        let payload = vec![b'x'; payload_bytes];
        let started = Instant::now();
        for _ in 0..count {
            self.store.set_fuel(sandbus::limits::FUEL)?;
            let message = Message {
                destination: "bench/serial",
                content_type: None,
                payload: &payload,
                reply_expected: false,
            };
            let answer = self.guest.call_receive(&mut self.store, message).await?;
            answer.map_err(|_| "the guest refused")?;
        }
        Ok(started.elapsed())
    }
}
