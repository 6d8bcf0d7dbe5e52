//! sandbus beside its peers in one run: Extism for the price of a call, NATS for the price of a request. A peer that is not there
//! is skipped with a word. It decides nothing, and is no part of what must pass.
//!
//! `cargo run --release --manifest-path peers/Cargo.toml` prints one table; `-- --json`, `-- --markdown` and words that pick rows as
//! in the other benches. Extism is built with it; NATS needs a `nats-server` in `PATH`, which is started on a free port of this
//! machine alone, and ended.

#[path = "../../runtime/bus/benches/harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the benches use more of it")]
#[path = "../../runtime/benches/guests/bus_side.rs"]
mod bus_side;
#[allow(dead_code, reason = "the benches use more of it")]
#[path = "../../runtime/benches/guests/guests.rs"]
mod guests;

mod nats;
mod plugin;
mod sandbus_side;

use std::process::ExitCode;

use harness::{Asked, Bound, Failure, Table};
use nats::Nats;
use plugin::Plugin;
use sandbus_side::Own;

/// The allocator of the program `sandbus`; all that is in this process use it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXTISM_NOOP: &str = "Extism, call, noop 64 B";
const EXTISM_ECHO: &str = "Extism, call, echo 1 KiB";
const EXTISM_FUEL: &str = "Extism, call, echo 1 KiB, with fuel";
const NATS_ONE: &str = "NATS, request, echo 64 B, one in flight";
const NATS_MANY: &str = "NATS, request, echo 64 B, 64 senders";
const SENDERS: u32 = 64;

fn main() -> ExitCode {
    match Asked::from_arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: Asked) -> Result<(), Failure> {
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut own = Own::new()?;
    let mut extism = there("Extism", Plugin::build());
    let nats = there("NATS", workers.block_on(Nats::start()));
    let server = nats.as_ref().map_or("none".to_owned(), |nats| nats.version.clone());
    let extism_version = locked("extism");
    let client = locked("async-nats");
    let mut table =
        Table::new(&[("extism", &extism_version), ("nats-server", &server), ("async-nats", &client)]);
    for _ in 0..asked.rounds() {
        if let Some(extism) = &mut extism {
            calls(&asked, &mut table, extism)?;
        }
        if let Some(nats) = &nats {
            let (one, many) = (asked.count(2_000), asked.count(20_000) / SENDERS + 1);
            table.add(NATS_ONE, None, workers.block_on(nats.requests(1, one))?).noted("a native subscriber");
            table.add(NATS_MANY, None, workers.block_on(nats.requests(SENDERS, many))?);
        }
        own_rows(&asked, &mut table, &mut own, &workers)?;
    }
    if let Some(nats) = nats {
        nats.end()?;
    }
    table.print("sandbus beside its peers; ratio: of the rate of the peer", &asked);
    Ok(())
}

/// A peer, or a word on why it is not there.
fn there<T>(name: &str, peer: Result<T, Failure>) -> Option<T> {
    peer.inspect_err(|why| eprintln!("{name} is skipped: {why}")).ok()
}

fn calls(asked: &Asked, table: &mut Table, extism: &mut Plugin) -> Result<(), Failure> {
    let count = asked.count(20_000);
    let took = extism.calls("noop", 64, count)?;
    table.add(EXTISM_NOOP, None, took).noted("a warm plug-in, its defaults");
    let took = extism.calls("echo", 1024, count)?;
    table.add(EXTISM_ECHO, None, took).noted("a warm plug-in, its defaults");
    let took = extism.calls_with_fuel("echo", 1024, count)?;
    table.add(EXTISM_FUEL, None, took).noted("bounded as a guest is: fuel, memory, time");
    Ok(())
}

fn own_rows(
    asked: &Asked,
    table: &mut Table,
    own: &mut Own,
    workers: &tokio::runtime::Runtime,
) -> Result<(), Failure> {
    let count = asked.count(50_000);
    let took = workers.block_on(own.deliver(guests::Guest::Noop, 64, count))?;
    table.add("sandbus, deliver, noop 64 B", Some(EXTISM_NOOP), took).noted("beside a call of Extism");
    let took = workers.block_on(own.deliver(guests::Guest::Echo, 1024, count))?;
    let row = table.add("sandbus, deliver, echo 1 KiB", Some(EXTISM_ECHO), took);
    row.noted("beside a call of Extism").aims(8, Bound::RateAtLeast(3.0));
    let took = workers.block_on(own.direct(1024, count))?;
    let row = table.add("sandbus, request, direct, echo 1 KiB", Some(EXTISM_ECHO), took);
    row.noted("beside a call of Extism, with the answer").aims(8, Bound::RateAtLeast(3.0));
    for (name, beside, senders, count) in [
        ("sandbus, request, echo 64 B, one in flight", NATS_ONE, 1, asked.count(20_000)),
        ("sandbus, request, echo 64 B, 64 senders", NATS_MANY, SENDERS, asked.count(64_000) / SENDERS + 1),
    ] {
        let took = workers.block_on(own.requests(senders, count))?;
        table.add(name, Some(beside), took).noted("beside NATS").aims(8, Bound::RateAtLeast(20.0));
    }
    Ok(())
}

/// The version that is locked.
fn locked(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let behind =
        lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |(_, behind)| behind);
    behind.split('"').next().unwrap_or_default().to_owned()
}
