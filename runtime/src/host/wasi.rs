//! The functions of WASI that take the host's time and never wait, once more: paid for, and with a pause after as much as
//! code may use at a stretch. All other functions of WASI cost what a host call costs (`HostState::ctx`).

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, random};

use super::fuel::HostFuel;
use super::state::HostState;
use crate::limits::RANDOM_BYTES_MAX;

// The names under which `wasmtime-wasi` has them; the linker finds them for any version 0.2 that a component names.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
const WALL_CLOCK: &str = "wasi:clocks/wall-clock@0.2.12";
const RANDOM: &str = "wasi:random/random@0.2.12";
const INSECURE: &str = "wasi:random/insecure@0.2.12";

type Cx<'a> = StoreContextMut<'a, HostState>;

/// Puts these functions in the place of those that the linker has.
pub(crate) fn meter_wasi(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let metered = add(linker);
    linker.allow_shadowing(false);
    metered
}

fn add(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(MONOTONIC_CLOCK)?.func_wrap_async("now", |mut cx: Cx<'_>, (): ()| {
        Box::new(async move {
            cx.data().fuel.pause().await?;
            Ok((monotonic_clock::Host::now(&mut cx.data_mut().clocks())?,))
        })
    })?;
    linker.instance(WALL_CLOCK)?.func_wrap_async("now", |mut cx: Cx<'_>, (): ()| {
        Box::new(async move {
            cx.data().fuel.pause().await?;
            Ok((wall_clock::Host::now(&mut cx.data_mut().clocks())?,))
        })
    })?;
    let mut instance = linker.instance(RANDOM)?;
    instance.func_wrap_async("get-random-bytes", |mut cx: Cx<'_>, (bytes,): (u64,)| {
        Box::new(async move {
            pay_for_random(&cx.data().fuel, bytes).await?;
            Ok((random::Host::get_random_bytes(cx.data_mut().ctx().ctx.random(), bytes)?,))
        })
    })?;
    instance.func_wrap_async("get-random-u64", |mut cx: Cx<'_>, (): ()| {
        Box::new(async move {
            pay_for_random(&cx.data().fuel, 8).await?;
            Ok((random::Host::get_random_u64(cx.data_mut().ctx().ctx.random())?,))
        })
    })?;
    let mut instance = linker.instance(INSECURE)?;
    instance.func_wrap_async("get-insecure-random-bytes", |mut cx: Cx<'_>, (bytes,): (u64,)| {
        Box::new(async move {
            pay_for_random(&cx.data().fuel, bytes).await?;
            Ok((insecure::Host::get_insecure_random_bytes(cx.data_mut().ctx().ctx.random(), bytes)?,))
        })
    })?;
    instance.func_wrap_async("get-insecure-random-u64", |mut cx: Cx<'_>, (): ()| {
        Box::new(async move {
            pay_for_random(&cx.data().fuel, 8).await?;
            Ok((insecure::Host::get_insecure_random_u64(cx.data_mut().ctx().ctx.random())?,))
        })
    })?;
    Ok(())
}

async fn pay_for_random(fuel: &HostFuel, bytes: u64) -> wasmtime::Result<()> {
    // What is more than a call may have is refused by its size, and not by what it would cost.
    if bytes <= RANDOM_BYTES_MAX {
        fuel.charge_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    fuel.pause().await
}
