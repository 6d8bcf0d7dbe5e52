//! The functions of WASI that take the host's time and never wait, or take as much as a guest gives them, once more: paid for,
//! and with a pause after as much as code may use at a stretch. All other functions of WASI cost what a host call costs (`HostState::ctx`).

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::cli::environment;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, random};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;
use wasmtime_wasi::p2::{DynOutputStream, DynPollable, Network};
use wasmtime_wasi_io::bindings::wasi::io::poll;
use wasmtime_wasi_io::bindings::wasi::io::streams::{self, HostOutputStream, StreamError};

use super::crossing::Crossing;
use super::fuel::HostFuel;
use super::state::HostState;
use crate::limits::RANDOM_BYTES_MAX;

// The names under which `wasmtime-wasi` has them; the linker finds them for any version 0.2 that a component names.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";
const WALL_CLOCK: &str = "wasi:clocks/wall-clock@0.2.12";
const RANDOM: &str = "wasi:random/random@0.2.12";
const INSECURE: &str = "wasi:random/insecure@0.2.12";

const POLL: &str = "wasi:io/poll@0.2.12";
const STREAMS: &str = "wasi:io/streams@0.2.12";
const ENVIRONMENT: &str = "wasi:cli/environment@0.2.12";
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";

type Pollable = Resource<DynPollable>;
type Write = (Resource<DynOutputStream>, Vec<u8>);
type Cx<'a> = StoreContextMut<'a, HostState>;

/// Puts these functions in the place of those that the linker has.
pub(crate) fn meter_wasi(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let metered =
        add_clocks_and_random(linker).and_then(|()| add_streams(linker)).and_then(|()| add_names(linker));
    linker.allow_shadowing(false);
    metered
}

fn add_clocks_and_random(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
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

/// What takes as long as what it is given.
fn add_streams(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(POLL)?.func_wrap_async("poll", |mut cx: Cx<'_>, (pollables,): (Vec<Pollable>,)| {
        Box::new(async move {
            // One that is ready may be asked for a million times.
            cx.data().fuel.pay(pollables.len() << 10).await?;
            Ok((poll::Host::poll(cx.data_mut().ctx().table, pollables).await?,))
        })
    })?;
    let mut instance = linker.instance(STREAMS)?;
    instance.func_wrap_async("[method]output-stream.write", |mut cx: Cx<'_>, (stream, bytes): Write| {
        Box::new(async move {
            cx.data().fuel.pay(bytes.len()).await?;
            let table = cx.data_mut().ctx().table;
            let written = HostOutputStream::write(table, stream, bytes);
            Ok((told(table, written)?,))
        })
    })?;
    instance.func_wrap_async(
        "[method]output-stream.blocking-write-and-flush",
        |mut cx: Cx<'_>, (stream, bytes): Write| {
            Box::new(async move {
                cx.data().fuel.pay(bytes.len()).await?;
                let table = cx.data_mut().ctx().table;
                let written = HostOutputStream::blocking_write_and_flush(table, stream, bytes).await;
                Ok((told(table, written)?,))
            })
        },
    )?;
    Ok(())
}

fn add_names(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(ENVIRONMENT)?.func_wrap_async("get-environment", |mut cx: Cx<'_>, (): ()| {
        Box::new(async move {
            let variables = environment::Host::get_environment(&mut cx.data_mut().cli())?;
            cx.data().fuel.pay(variables.bytes()).await?;
            Ok((variables,))
        })
    })?;
    type Looked = (Result<Resource<ResolveAddressStream>, ErrorCode>,);
    linker.instance(LOOKUP)?.func_wrap_async(
        "resolve-addresses",
        |mut cx: Cx<'_>, (network, name): (Resource<Network>, String)| {
            Box::new(async move {
                cx.data().fuel.pay(name.len()).await?;
                cx.data_mut().ctx().table.get(&network)?;
                // No guest may look a name up, so that nothing is done with it.
                Ok::<Looked, wasmtime::Error>((Err(ErrorCode::AccessDenied),))
            })
        },
    )?;
    Ok(())
}

/// What a guest is told of a write; an error of the host is a trap.
fn told(
    table: &mut ResourceTable,
    written: Result<(), wasmtime_wasi::p2::StreamError>,
) -> wasmtime::Result<Result<(), StreamError>> {
    match written {
        Ok(()) => Ok(Ok(())),
        Err(error) => Ok(Err(streams::Host::convert_stream_error(table, error)?)),
    }
}

async fn pay_for_random(fuel: &HostFuel, bytes: u64) -> wasmtime::Result<()> {
    // What is more than a call may have is refused by its size, and not by what it would cost.
    if bytes <= RANDOM_BYTES_MAX {
        fuel.charge_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    fuel.pause().await
}
