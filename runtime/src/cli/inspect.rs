//! `sandbus inspect`: what a component is, what it needs, whether it loads, and what is missing if not.

use std::process::ExitCode;

use serde_json::{Value as Json, json};

use super::args::Inspect;
use super::output::Output;
use super::problems::load_problem;
use super::summary::thousands;
use crate::diagnostic::{Code, Problem, Problems};
use crate::sandbox::{Inspection, Loaded, MessagingInterface, SandboxEngine};
use crate::settings::{Allocator, CompileCache, Compiler, RuntimeSettings};

pub(super) fn inspect(inspect: &Inspect, output: &Output) -> Result<ExitCode, Problems> {
    let settings = RuntimeSettings {
        compile_cache: CompileCache::Off,
        compiler: Compiler::own_executable(),
        allocator: Allocator::OnDemand,
        ..RuntimeSettings::default()
    };
    let engine = SandboxEngine::new(&settings)
        .map_err(|error| Problem::caused_by(Code::EngineFailed, "cannot set up the engine", &error))?;
    let seen = engine.inspect(&inspect.source).map_err(|error| load_problem(&error))?;
    let name = inspect.source.file_name().and_then(|name| name.to_str()).unwrap_or("guest.wasm").to_owned();
    if inspect.suggest {
        let text = suggestion(&name, &inspect.source.display().to_string(), &seen);
        // What does not load cannot be suggested.
        seen.loaded.map_err(|error| load_problem(&error))?;
        return Ok(output.document(&json!({ "kind": "inspect", "v": 1, "manifest": text }), text.trim_end()));
    }
    let said = output.document(&document(&name, &seen), text(&name, &seen).trim_end());
    match seen.loaded {
        Ok(_) => Ok(said),
        // The answer is there; why it does not load, and what to do, stands beside it.
        Err(error) => Ok(output.fail(&load_problem(&error).into())),
    }
}

fn document(name: &str, seen: &Inspection) -> Json {
    let names: Vec<&str> = seen.imports.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<&str> =
        seen.imports.iter().filter(|(_, offered)| !offered).map(|(name, _)| name.as_str()).collect();
    let loaded = seen.loaded.as_ref().ok();
    let figures = &seen.figures;
    json!({
        "kind": "inspect", "v": 1, "file": name, "bytes": seen.bytes.len(), "sha256": &*seen.digest,
        "producers": seen.producers, "exports": seen.exports, "imports": names, "missing_imports": missing,
        "listener": loaded.map(|loaded| loaded.is_listener()),
        "messaging": taken(seen), "batches": loaded.map(Loaded::takes_batches),
        "lifecycle": loaded.map(|loaded| loaded.has_lifecycle()), "loads": loaded.is_some(),
        "error": seen.loaded.as_ref().err().map(ToString::to_string),
        "functions": figures.functions, "function_largest_bytes": figures.function_bytes_largest,
        "locals": figures.locals, "parts": figures.parts, "instances": figures.instances,
        "types": figures.types, "core_imports": figures.imports, "core_exports": figures.exports,
        "globals": figures.globals, "segments": figures.segments, "elements": figures.elements,
        "name_bytes": figures.name_bytes,
    })
}

/// The interface by which the component receives.
fn taken(seen: &Inspection) -> Option<&'static str> {
    seen.loaded.as_ref().ok().and_then(Loaded::messaging_interface).map(MessagingInterface::name)
}

fn text(name: &str, seen: &Inspection) -> String {
    let kib = seen.bytes.len().div_ceil(1024);
    let build: String = seen.digest.chars().take(8).collect();
    let producers = seen.producers.join(", ");
    let mut out =
        format!("{name}   {kib} KiB   component   sha256:{build}…   {producers}").trim_end().to_owned();
    out.push('\n');
    let taken = taken(seen);
    let passed_over = seen.loaded.as_ref().map_or(&[][..], |loaded| loaded.passed_over.as_slice());
    for export in &seen.exports {
        let what = match export.split('@').next() {
            _ if passed_over.contains(export) => "not used: another interface comes first",
            Some("sandbus:bus/lifecycle") => "it is activated and deactivated",
            Some("sandbus:bus/message-listener") => "it is a listener",
            Some("sandbus:bus/message-listener-batch") => "it takes batches",
            interface if interface.is_some() && interface == taken => "it is a listener",
            _ => "not used by the host",
        };
        out.push_str(&format!("  exports   {export:<42} {what}\n"));
    }
    for (import, offered) in &seen.imports {
        let what = if *offered { provided(import) } else { "missing: the host does not offer it" };
        out.push_str(&format!("  imports   {import:<42} {what}\n"));
    }
    let figures = &seen.figures;
    out.push_str(&format!(
        "  has       {} functions, the largest of {} bytes; {} parts, {} types, {} imports, {} exports in all\n",
        thousands(figures.functions as u64),
        thousands(figures.function_bytes_largest as u64),
        thousands(figures.parts as u64),
        thousands(figures.types as u64),
        thousands(figures.imports as u64),
        thousands(figures.exports as u64),
    ));
    out.push_str(if seen.loaded.is_ok() { "  loads     yes\n" } else { "  loads     no\n" });
    out
}

/// What an import that the host offers can do, and what that needs.
fn provided(import: &str) -> &'static str {
    match import.split(['/', '@']).next() {
        Some("wasi:filesystem") => "provided: the folders in grants.files, none unless granted",
        Some("wasi:sockets") => "provided, every connection is denied",
        _ if sends(import) => "provided; a send also needs an entry in grants.send",
        Some("sandbus:bus") if import.contains("destinations") => {
            "provided; granted by grants.create and grants.listen"
        }
        _ => "provided",
    }
}

/// Whether an import is one that a component sends with.
fn sends(import: &str) -> bool {
    let interface = import.split('@').next().unwrap_or(import);
    [
        "sandbus:bus/message-bus",
        "wasmcloud:messaging/consumer",
        "fermyon:spin/redis",
        "wasi:messaging/producer",
        "wasi:messaging/request-reply",
    ]
    .contains(&interface)
}

/// A manifest that runs the component.
fn suggestion(file: &str, path: &str, seen: &Inspection) -> String {
    let name = file.strip_suffix(".wasm").unwrap_or(file).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let listens = seen.loaded.as_ref().is_ok_and(Loaded::is_listener);
    let sends = seen.imports.iter().any(|(import, _)| sends(import));
    let mut out = format!("sandbus = 1\n\n[app]\nname = \"{name}\"\n");
    if listens {
        out.push_str(&format!("\n[destinations.{name}]\ntype = \"parallel\"\n"));
    }
    out.push_str(&format!("\n[guests.{name}]\nsource = {{ path = \"{path}\" }}\n"));
    if listens {
        out.push_str(&format!("listens-to = [\"{name}\"]\n"));
    }
    if sends {
        out.push_str("# it can send: name the destinations that it may send to\ngrants = { send = [] }\n");
    }
    out
}
