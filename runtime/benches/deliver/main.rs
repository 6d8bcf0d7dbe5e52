//! What one delivery costs beside a bare wasmtime call: `floor` and `deliver` in one run, round about, and their ratio.
//!
//! - floor: the same guest and WIT on bare wasmtime, `call_async`, fuel and limits on, one thread, no bus.
//! - deliver: one serial destination whose queue never runs empty, its one worker calling the guest. The queue is filled in
//!   portions while nothing is delivered, and only the delivering is timed.
//! - send and deliver: the same with one sender that runs beside the worker, both timed together.
//!
//! `cargo bench -p sandbus --bench deliver` prints the table; with `-- --json` one JSON document.

mod bus_side;
mod floor;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sandbus::{BuildCommand, GuestSettings};

/// The allocator of the program, so that floor and deliver use what a user of it gets.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of the payload.
const PAYLOAD_BYTES: usize = 64;
/// Rounds; each measures floor and deliver once, so that a slow moment of the machine meets both.
const ROUNDS: usize = 9;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    // `cargo test --benches` passes `--test`: run everything once, quickly, so that the bench cannot rot.
    let smoke = std::env::args().any(|argument| argument == "--test");
    let (calls, rounds) = if smoke { (2_000, 1) } else { (200_000, ROUNDS) };
    let guest = guest()?;
    let bare = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut floor = bare.block_on(floor::Floor::new(&guest.path))?;
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut floors, mut delivers, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        floors.push(bare.block_on(floor.calls(calls, PAYLOAD_BYTES))?);
        delivers.push(workers.block_on(bus_side::deliver(&guest, calls, PAYLOAD_BYTES))?);
        both.push(workers.block_on(bus_side::send_and_deliver(&guest, calls, PAYLOAD_BYTES))?);
    }
    report(median(&mut floors), median(&mut delivers), median(&mut both), calls);
    Ok(())
}

/// The guest that does nothing, built where it lives.
fn guest() -> Result<GuestSettings, Failure> {
    let guests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/guests");
    let path = guests.join("target/wasm32-wasip2/release/noop.wasm");
    let mut guest = GuestSettings::new("noop", path);
    guest.build = Some(BuildCommand {
        command: "cargo build --release --locked --target wasm32-wasip2 -p noop".to_owned(),
        workdir: guests,
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(sandbus::build(&guest))?;
    Ok(guest)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn report(floor: Duration, deliver: Duration, both: Duration, calls: u32) {
    let each = |total: Duration| total.as_secs_f64() * 1e9 / f64::from(calls);
    let (floor, deliver, both) = (each(floor), each(deliver), each(both));
    let (ratio, ratio_both) = (floor / deliver, floor / both);
    if std::env::args().any(|argument| argument == "--json") {
        let line = format!(
            r#"{{"kind":"bench","v":1,"floor_ns":{floor:.1},"deliver_ns":{deliver:.1},"ratio":{ratio:.3},"send_and_deliver_ns":{both:.1},"ratio_send_and_deliver":{ratio_both:.3}}}"#
        );
        println!("{line}");
        return;
    }
    println!("guest noop, payload {PAYLOAD_BYTES} B, median of rounds of {calls} messages");
    println!("  floor    {floor:>8.0} ns a call      bare wasmtime, fuel and limits on, one thread");
    println!("  deliver  {deliver:>8.0} ns a message   one serial destination, its queue never empty");
    println!("  ratio    {ratio:>8.2}               of the floor's rate");
    println!("  with one sender beside it  {both:.0} ns a message, ratio {ratio_both:.2}");
}
