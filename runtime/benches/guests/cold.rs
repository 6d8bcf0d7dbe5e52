//! Cold start: the built program, started as a process with a warm cache, until its first delivery.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::guests::Guest;
use crate::harness::{Bound, Failure};

const COLD: &str = "cold start of `sandbus run`";
/// What the target allows, in nanoseconds.
const COLD_MAX: f64 = 100e6;

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(COLD) {
        return Ok(());
    }
    let folder = bench.guests.scratch().join("cold");
    if !folder.exists() {
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("sandbus.toml"), manifest(&bench.guests.path(Guest::Forward)))?;
        // The first start compiles.
        until_first_delivery(&folder)?;
    }
    let took = until_first_delivery(&folder)?;
    let row = bench.table.add(COLD, None, took).noted("to the first delivery behind a guest, warm cache");
    row.aims(7, Bound::AtMost(COLD_MAX));
    Ok(())
}

fn manifest(guest: &Path) -> String {
    format!(
        "sandbus = 1\n[app]\nname = \"cold\"\n[destinations.\"bench/first\"]\ntype = \"serial\"\n[destinations.\"bench/next\"]\n\
         type = \"serial\"\n[guests.forward]\nsource = {{ path = {guest:?} }}\nlistens-to = [\"bench/first\"]\n\
         grants = {{ send = [\"bench/next\"] }}\n"
    )
}

/// The guest receives the message and sends it on to a listener of the program, which prints it.
fn until_first_delivery(folder: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_sandbus"))
        .args(["--quiet", "run", "--send", "bench/first=here", "--print", "bench/next"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = program.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let took = started.elapsed();
    let ended = program.wait_with_output()?;
    if line.trim_end() == "here" && ended.status.success() {
        return Ok(took);
    }
    Err(format!("`sandbus run` said {line:?} and {}", String::from_utf8_lossy(&ended.stderr)).into())
}
