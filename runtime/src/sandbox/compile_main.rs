//! The compiling process: it limits itself before it reads a byte of the component, compiles, answers, ends. It knows
//! nothing of guests, and opens no file.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime::Engine;

use super::cache::Compiled;
use super::compile::{ARGUMENT, Order, answer};
use super::debug_lines;
use super::engine::{config, engine_hash};
use crate::limits;
use crate::settings::{Allocator, RuntimeSettings};

/// Compiles what another process of this library gives this one, if that is what it was started for; else does nothing. To
/// be called first in the `main` of a program that [`Compiler::Program`](crate::Compiler::Program) names.
///
/// # Examples
/// ```
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = sandbus::compiler_main_if_asked() {
///         return code;
///     }
///     // The program itself, with `RuntimeSettings { compiler: Compiler::own_executable(), .. }`.
///     std::process::ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn compiler_main_if_asked() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_none_or(|argument| argument != ARGUMENT) {
        return None;
    }
    let (kind, body) = compile();
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&[kind]).and_then(|()| stdout.write_all(&body));
    Some(match written.and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// The first byte of the answer, and the rest.
fn compile() -> (u8, Vec<u8>) {
    let text = |error: &dyn std::fmt::Display| error.to_string().into_bytes();
    let mut stdin = std::io::stdin().lock();
    let mut line = String::new();
    let order: Order = match (&mut stdin).take(4 << 10).read_line(&mut line) {
        Ok(_) => match serde_json::from_str(&line) {
            Ok(order) => order,
            Err(error) => return (answer::UNLIMITED, text(&format!("it was given no order: {error}"))),
        },
        Err(error) => return (answer::UNLIMITED, text(&error)),
    };
    if let Err(error) = limit(&order) {
        return (answer::UNLIMITED, text(&format!("it cannot limit itself: {error}")));
    }
    let settings = RuntimeSettings {
        // Machine code is the same for both allocators; a pool would be larger than the limit of memory.
        allocator: Allocator::OnDemand,
        stack_bytes_max: order.stack_bytes_max,
        ..RuntimeSettings::default()
    };
    let engine = match Engine::new(&config(&settings)) {
        Ok(engine) => engine,
        Err(error) => return failed(&error),
    };
    if engine_hash(&engine) != order.engine_hash {
        return (answer::OTHER_ENGINE, Vec::new());
    }
    let mut component = Vec::new();
    if let Err(error) = stdin.read_to_end(&mut component) {
        return (answer::UNLIMITED, text(&error));
    }
    match engine.precompile_component(&component) {
        Ok(code) => (answer::COMPILED, Compiled::new(&code, &debug_lines::places(&component)).into_bytes()),
        Err(error) => failed(&error),
    }
}

fn failed(error: &wasmtime::Error) -> (u8, Vec<u8>) {
    let text = format!("{error:#}");
    // The operating system's own words for a mapping that the limit forbids.
    if text.contains("os error 12") {
        return (answer::NO_MEMORY, Vec::new());
    }
    let cut: String = text.chars().take(limits::LOG_LINE_BYTES_MAX).collect();
    (answer::INVALID, cut.into_bytes())
}

/// Limits this process. No file may be written; the end leaves no core.
fn limit(order: &Order) -> rustix::io::Result<()> {
    // Besides what is mapped already: an allocator may have reserved much more than it uses.
    lower(Resource::As, mapped_bytes().saturating_add(order.memory_bytes_max), 0)?;
    // At the first number it is told, at the second it is killed: only the first tells what ended it.
    lower(Resource::Cpu, order.cpu_seconds_max, 1)?;
    lower(Resource::Core, 0, 0)?;
    lower(Resource::Fsize, 0, 0)?;
    // Where the priority cannot be lowered it is as low as it may be.
    let _ = rustix::process::nice(19);
    Ok(())
}

/// Address space of this process, in bytes; nothing where the system does not tell.
fn mapped_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = size.and_then(|size| size.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

/// Sets a limit for good, and a little later the last one. What is limited more already stays so.
fn lower(resource: Resource, value: u64, more: u64) -> rustix::io::Result<()> {
    let maximum = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(value.saturating_add(more));
    setrlimit(resource, Rlimit { current: Some(value.min(maximum)), maximum: Some(maximum) })
}
