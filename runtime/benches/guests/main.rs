//! What messages cost with guests, each row beside the same guest on bare wasmtime in the same run: one table. It decides
//! nothing: a target that is not met is said, and no error.
//!
//! - floor: the same guest and WIT on bare wasmtime, `call_async`, fuel and limits on, one thread, no bus.
//! - deliver: one serial destination whose queue never runs empty, its one worker calling the guest. The queue is filled in
//!   portions while nothing is delivered, and only the delivering is timed.
//! - send and deliver: the same with one sender that runs beside the worker, both timed together.
//!
//! `cargo bench -p sandbus` prints the table; with `-- --json` one JSON document, with `-- --markdown` a part of a page.
//! Words after `--` pick rows by name.

#[path = "../../bus/benches/harness/mod.rs"]
mod harness;

mod batch;
mod bus_side;
mod cold;
mod deliver;
mod density;
mod floor;
mod guests;
mod instances;
mod request;
mod scale;

use std::collections::HashSet;
use std::process::ExitCode;

use sandbus::{CompileCache, Compiler, RuntimeSettings, SandboxEngine};
use tokio::runtime::Runtime;

use floor::Floors;
use guests::{Guest, Guests};
use harness::{Asked, Failure, Table};

/// The allocator of the program, so that floor and platform use what a user of it gets.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Live instances that the rows may have at once; those of the density have an engine of their own.
const INSTANCES_MAX: usize = 2_000;
const MEMORY_BYTES_MAX: usize = 8 << 30;

fn main() -> ExitCode {
    let done = match density::asked_of_a_child() {
        Some(child) => child,
        None => Asked::from_arguments().and_then(run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: Asked) -> Result<(), Failure> {
    let mut bench = Bench::new(asked)?;
    for round in 0..bench.asked.rounds() {
        bench.measured.clear();
        deliver::round(&mut bench)?;
        batch::round(&mut bench)?;
        request::round(&mut bench)?;
        instances::round(&mut bench)?;
        // These take longer, and differ less.
        if round.is_multiple_of(3) {
            scale::round(&mut bench)?;
        }
        cold::round(&mut bench)?;
        if round == 0 {
            density::round(&mut bench)?;
        }
    }
    let title = "sandbus with guests; payload 64 B unless said; median of the rounds; ratio: of the rate of the same \
                 guest on bare wasmtime unless said";
    bench.table.print(title, &bench.asked);
    Ok(())
}

/// What all rows share.
struct Bench {
    asked: Asked,
    table: Table,
    guests: Guests,
    settings: RuntimeSettings,
    engine: SandboxEngine,
    floors: Floors,
    /// For the floor: one thread and nothing beside it.
    bare: Runtime,
    /// For the platform, as a program on this machine would have it.
    workers: Runtime,
    /// The floors that were measured in this round.
    measured: HashSet<String>,
}

impl Bench {
    fn new(asked: Asked) -> Result<Self, Failure> {
        let guests = Guests::build()?;
        let settings = settings(&guests, INSTANCES_MAX);
        Ok(Self {
            asked,
            table: Table::new(&[("wasmtime", &wasmtime_version())]),
            engine: SandboxEngine::new(&settings)?,
            floors: Floors::new(&settings)?,
            guests,
            settings,
            bare: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            workers: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
            measured: HashSet::new(),
        })
    }

    /// Runs `work` in a task like any other: what it makes ready usually runs next on the same thread.
    fn on_workers<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.workers.block_on(self.workers.spawn(work))?
    }

    /// Measures what a call of the guest takes on bare wasmtime, once a round, and returns the name of its row.
    fn floor(&mut self, guest: Guest, payload_bytes: usize) -> Result<String, Failure> {
        let name = format!("floor, {}", guest.with_payload(payload_bytes));
        if self.measured.insert(name.clone()) {
            let count = self.asked.count(guest.count(payload_bytes));
            let payload = guest.payload(payload_bytes);
            let took = self.bare.block_on(self.floors.calls(&self.guests, guest, &[payload], count))?;
            self.table.add(&name, None, took / count).noted("a call");
        }
        Ok(name)
    }

    /// The same where each of so many payloads lies somewhere else in memory, as those of messages do.
    fn floor_of_many(&mut self, guest: Guest, payload_bytes: usize, payloads: u32) -> Result<(), Failure> {
        let beside = format!("floor, {}", guest.with_payload(payload_bytes));
        let name = format!("{beside}, a payload each");
        if self.measured.insert(name.clone()) {
            let count = self.asked.count(guest.count(payload_bytes));
            let payloads = vec![guest.payload(payload_bytes); payloads as usize];
            let took = self.bare.block_on(self.floors.calls(&self.guests, guest, &payloads, count))?;
            self.table.add(&name, Some(&beside), took / count).noted("of as many as wait, in turn");
        }
        Ok(())
    }
}

/// What floor and platform have in common. Nothing is compiled twice: the platforms share a cache.
fn settings(guests: &Guests, instances_max: usize) -> RuntimeSettings {
    RuntimeSettings {
        compile_cache: CompileCache::Path(guests.cache().to_owned()),
        compiler: Compiler::InProcess,
        total_instances_max: instances_max,
        total_memory_bytes_max: MEMORY_BYTES_MAX.max(instances_max << 21),
        ..RuntimeSettings::default()
    }
}

/// The version that is locked; the crate does not say it.
fn wasmtime_version() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let behind = lock.split_once("name = \"wasmtime\"\nversion = \"").map_or("", |(_, behind)| behind);
    behind.split('"').next().unwrap_or_default().to_owned()
}
