//! Density: many guests of one component, each on a destination of its own. Measured in a process that does nothing else, so
//! that its memory is theirs: this program starts itself, with the number in a variable.

#![allow(clippy::indexing_slicing, reason = "what a JSON document lacks is null")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sandbus::bus::{DestinationConfig, Outgoing};
use sandbus::{
    CompileCache, Compiler, GuestSettings, Platform, PlatformConfig, RuntimeSettings, SandboxEngine,
};
use serde_json::{Value, json};

use crate::Bench;
use crate::guests::Guest;
use crate::harness::{Bound, Failure, Unit};

/// Tells a child process how many guests it is to make, where the component lies, and where the cache.
const VARIABLE: &str = "SANDBUS_BENCH_DENSITY";
/// How long the processor time of idle guests is looked at.
const IDLE: Duration = Duration::from_secs(2);
/// What the target allows.
const READY_MAX_NANOS: f64 = 5e9;
const EACH_BYTES_MAX: f64 = 40.0 * 1024.0;
const IDLE_PERCENT_MAX: f64 = 1.0;

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    for (count, shown, is_target) in [(1_000, "1,000", false), (10_000, "10,000", true)] {
        let [ready, listeners, idle_listeners, called, each, idle] = [
            "guests, ready",
            "idle listeners, memory each",
            "idle listeners, processor",
            "guests, first call of each",
            "live instances, memory each",
            "live instances, processor",
        ]
        .map(|what| format!("{shown} {what}"));
        if !bench.asked.wants_any(&[&ready, &listeners, &idle_listeners, &called, &each, &idle]) {
            continue;
        }
        let figures = measured_by_a_child(bench, bench.asked.count(count))?;
        if let Some(why) = figures["stopped"].as_str() {
            bench.table.row(&ready, Unit::Nanoseconds).noted(&format!("not measured: {why}"));
            continue;
        }
        let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
        let tables = figure("page_table_bytes") / 1024.0;
        let noted = format!("beyond one; page tables: {tables:.1} KiB more, which are not in it");
        let table = &mut bench.table;
        let aim = |row: &mut crate::harness::Row, most| {
            if is_target {
                row.aims(6, Bound::AtMost(most));
            }
        };
        let row = table
            .figure(&ready, None, Unit::Nanoseconds, figure("ready_ns"))
            .noted("all of them, warm cache");
        aim(row, READY_MAX_NANOS);
        table.figure(&listeners, None, Unit::Bytes, figure("listener_bytes")).noted("before the first call");
        let of_listeners = figure("idle_listeners_percent");
        table.figure(&idle_listeners, None, Unit::Percent, of_listeners).noted("of one core, all together");
        table
            .figure(&called, None, Unit::Nanoseconds, figure("called_ns"))
            .noted("all of them, instances made");
        aim(table.figure(&each, None, Unit::Bytes, figure("instance_bytes")).noted(&noted), EACH_BYTES_MAX);
        let row = table.figure(&idle, None, Unit::Percent, figure("idle_percent"));
        aim(row.noted("of one core, all together"), IDLE_PERCENT_MAX);
    }
    Ok(())
}

fn measured_by_a_child(bench: &Bench, count: u32) -> Result<Value, Failure> {
    let asked = json!({
        "count": count, "component": bench.guests.path(Guest::Noop), "cache": bench.guests.cache(),
    });
    let child = Command::new(std::env::current_exe()?).env(VARIABLE, asked.to_string()).output()?;
    if child.status.success() {
        return Ok(serde_json::from_slice(&child.stdout)?);
    }
    let said = String::from_utf8_lossy(&child.stderr);
    Ok(json!({ "stopped": said.trim() }))
}

/// What a child process was asked for; none where this is no child.
pub(crate) fn asked_of_a_child() -> Option<Result<(), Failure>> {
    let asked = std::env::var(VARIABLE).ok()?;
    Some(answer(&asked))
}

fn answer(asked: &str) -> Result<(), Failure> {
    let asked: Value = serde_json::from_str(asked)?;
    let text = |name: &str| PathBuf::from(asked[name].as_str().unwrap_or_default());
    let count = usize::try_from(asked["count"].as_u64().unwrap_or(0))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{}", runtime.block_on(measure(count, text("component"), text("cache")))?);
    Ok(())
}

async fn measure(count: usize, component: PathBuf, cache: PathBuf) -> Result<Value, Failure> {
    let settings = RuntimeSettings {
        compile_cache: CompileCache::Path(cache),
        compiler: Compiler::InProcess,
        total_instances_max: count + 1,
        // A small Rust guest has a little more than 1 MiB, of which it touches some pages.
        total_memory_bytes_max: (count + 1) << 21,
        ..RuntimeSettings::default()
    };
    let engine = SandboxEngine::new(&settings)?;
    // One guest first, for what all of them share: code, threads, the allocator's own.
    let one = start(&engine, &settings, &component, 1).await?;
    call_each(&one, 1).await?;
    let before = Memory::now();
    let started = Instant::now();
    let many = start(&engine, &settings, &component, count).await?;
    let ready = started.elapsed();
    let loaded = Memory::now();
    let idle_listeners = idle_percent().await;
    let started = Instant::now();
    call_each(&many, count).await?;
    let called = started.elapsed();
    if engine.instances() != count + 1 {
        return Err(format!("{} of {count} instances are alive", engine.instances()).into());
    }
    let live = Memory::now();
    let idle = idle_percent().await;
    many.shutdown().await;
    one.shutdown().await;
    let each = |bytes: f64| bytes / count as f64;
    Ok(json!({
        "ready_ns": ready.as_nanos() as u64,
        "listener_bytes": each(loaded.resident - before.resident),
        "idle_listeners_percent": idle_listeners,
        "called_ns": called.as_nanos() as u64,
        "instance_bytes": each(live.resident - before.resident),
        "page_table_bytes": each(live.page_tables - before.page_tables),
        "idle_percent": idle,
    }))
}

fn destination(number: usize) -> String {
    format!("density/{number}")
}

async fn start(
    engine: &SandboxEngine,
    settings: &RuntimeSettings,
    component: &Path,
    count: usize,
) -> Result<Platform, Failure> {
    let mut config = PlatformConfig { runtime: settings.clone(), save_left: false, ..Default::default() };
    for number in 0..count {
        config.destinations.push(DestinationConfig::serial(&destination(number))?);
        let mut guest = GuestSettings::new(format!("g{number}"), component);
        guest.listens_to = vec![destination(number)];
        config.guests.push(guest);
    }
    Ok(Platform::start_on(engine.clone(), config).await?)
}

async fn call_each(platform: &Platform, count: usize) -> Result<(), Failure> {
    for number in 0..count {
        platform.bus().send(&destination(number), Outgoing::bytes(vec![b'x'; 64])).await?;
    }
    platform.bus().idle().await;
    crate::harness::scaling::completed(platform.bus(), count as u64)
}

/// Of this process, in bytes.
struct Memory {
    resident: f64,
    page_tables: f64,
}

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        Self {
            resident: kib("VmRSS:").unwrap_or(f64::NAN) * 1024.0,
            page_tables: kib("VmPTE:").unwrap_or(f64::NAN) * 1024.0,
        }
    }
}

/// What this process uses of one core while nothing is sent.
async fn idle_percent() -> f64 {
    // What the calls left to do is over by then.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (before, started) = (processor_nanos(), Instant::now());
    tokio::time::sleep(IDLE).await;
    (processor_nanos() - before) / started.elapsed().as_nanos() as f64 * 100.0
}

/// Processor time of all threads so far.
fn processor_nanos() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let of = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(|thread| of(thread.ok()?.path())).sum()
}
