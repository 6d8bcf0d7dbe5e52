//! The floor: guests on bare wasmtime, with the engine settings of the platform and the limits of a store, and nothing else.
//! What the platform costs is measured against this.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sandbus::RuntimeSettings;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::guests::{Guest, Guests};
use crate::harness::Failure;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
use bindings::exports::sandbus::bus::message_listener;
use message_listener::{GuestIndices, Message};

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

/// All guests that were asked for so far, compiled and linked, each with a warm instance once it was called.
pub(crate) struct Floors {
    engine: Engine,
    linker: Linker<Host>,
    ready: HashMap<Guest, Ready>,
    warm: HashMap<Guest, Instance>,
}

/// A component that is compiled and linked.
#[derive(Clone)]
struct Ready {
    pre: InstancePre<Host>,
    indices: GuestIndices,
}

/// A live instance.
struct Instance {
    store: Store<Host>,
    guest: message_listener::Guest,
}

impl Floors {
    pub(crate) fn new(settings: &RuntimeSettings) -> Result<Self, Failure> {
        let engine = Engine::new(&sandbus::engine_config(settings))?;
        let mut linker = Linker::<Host>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        Ok(Self { engine, linker, ready: HashMap::new(), warm: HashMap::new() })
    }

    fn ready(&mut self, guests: &Guests, guest: Guest) -> Result<Ready, Failure> {
        if let Some(ready) = self.ready.get(&guest) {
            return Ok(ready.clone());
        }
        let component = Component::from_file(&self.engine, guests.path(guest))?;
        let pre = self.linker.instantiate_pre(&component)?;
        let indices = GuestIndices::new(&pre)?;
        let ready = Ready { pre, indices };
        self.ready.insert(guest, ready.clone());
        Ok(ready)
    }

    /// How long so many calls of a warm instance take, one after the other, with these payloads in turn.
    pub(crate) async fn calls(
        &mut self,
        guests: &Guests,
        guest: Guest,
        payloads: &[Vec<u8>],
        count: u32,
    ) -> Result<Duration, Failure> {
        let ready = self.ready(guests, guest)?;
        let mut instance = match self.warm.remove(&guest) {
            Some(warm) => warm,
            None => ready.instance(&self.engine).await?,
        };
        let started = Instant::now();
        for payload in payloads.iter().cycle().take(count as usize) {
            instance.call(payload).await?;
        }
        let took = started.elapsed();
        self.warm.insert(guest, instance);
        Ok(took)
    }

    /// How long it takes to make an instance, call it and drop it, so many times.
    pub(crate) async fn fresh(
        &mut self,
        guests: &Guests,
        guest: Guest,
        payload: &[u8],
        count: u32,
    ) -> Result<Duration, Failure> {
        let ready = self.ready(guests, guest)?;
        let started = Instant::now();
        for _ in 0..count {
            ready.instance(&self.engine).await?.call(payload).await?;
        }
        Ok(started.elapsed())
    }

    /// How long it takes so many times to call an instance that traps, drop it, make another one and call that.
    pub(crate) async fn recoveries(&mut self, guests: &Guests, count: u32) -> Result<Duration, Failure> {
        let ready = self.ready(guests, Guest::Trap)?;
        let mut instance = ready.instance(&self.engine).await?;
        let started = Instant::now();
        for _ in 0..count {
            if instance.call(b"t").await.is_ok() {
                return Err("the guest did not trap".into());
            }
            drop(instance);
            instance = ready.instance(&self.engine).await?;
            instance.call(b"x").await?;
        }
        Ok(started.elapsed())
    }
}

impl Ready {
    async fn instance(&self, engine: &Engine) -> Result<Instance, Failure> {
        let limits = StoreLimitsBuilder::new().memory_size(sandbus::limits::MEMORY_BYTES_MAX).build();
        let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new(), limits };
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_fuel(sandbus::limits::FUEL)?;
        store.fuel_async_yield_interval(Some(sandbus::limits::FUEL_YIELD_INTERVAL))?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        let guest = self.indices.load(&mut store, &instance)?;
        Ok(Instance { store, guest })
    }
}

impl Instance {
    async fn call(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.store.set_fuel(sandbus::limits::FUEL)?;
        let message =
            Message { destination: "bench/serial", content_type: None, payload, reply_expected: false };
        let answer = self.guest.call_receive(&mut self.store, message).await?;
        answer.map_err(|_| "the guest refused")?;
        Ok(())
    }
}
