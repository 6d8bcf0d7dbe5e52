//! `sandbus inspect`: what a component is, what it needs, whether it loads.

use std::process::ExitCode;

use serde_json::json;

use super::args::Inspect;
use super::output::Output;
use super::problems::load_problem;
use crate::diagnostic::{Code, Problem, Problems};
use crate::sandbox::{Loaded, SandboxEngine};
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
    let loaded = engine.load(&inspect.source).map_err(|error| load_problem(&error))?;
    let name = inspect.source.file_name().and_then(|name| name.to_str()).unwrap_or("guest.wasm").to_owned();
    if inspect.suggest {
        let text = suggestion(&name, &inspect.source.display().to_string(), &loaded);
        return Ok(output.document(&json!({ "kind": "inspect", "v": 1, "manifest": text }), text.trim_end()));
    }
    let json = json!({
        "kind": "inspect", "v": 1, "file": name, "bytes": loaded.bytes, "sha256": &*loaded.digest,
        "exports": loaded.exports, "imports": loaded.imports,
        "listener": loaded.is_listener(), "lifecycle": loaded.has_lifecycle(), "loads": true,
    });
    Ok(output.document(&json, text(&name, &loaded).trim_end()))
}

fn text(name: &str, loaded: &Loaded) -> String {
    let kib = loaded.bytes.div_ceil(1024);
    let mut out = format!("{name}   {kib} KiB   component   sha256:{}…\n", loaded.build());
    for export in &loaded.exports {
        let what = match export.split('@').next() {
            Some("sandbus:bus/message-listener") => "it is a listener",
            Some("sandbus:bus/lifecycle") => "it is activated and deactivated",
            _ => "not used by the host",
        };
        out.push_str(&format!("  exports   {export:<42} {what}\n"));
    }
    for import in &loaded.imports {
        let what = match import.split(['/', '@']).next() {
            Some("wasi:filesystem") => "provided, without any directory",
            Some("wasi:sockets") => "provided, every connection is denied",
            Some("sandbus:bus") if import.contains("message-bus") => {
                "provided; a send also needs an entry in grants.send"
            }
            Some("sandbus:bus") if import.contains("destinations") => {
                "provided; granted by grants.create and grants.listen"
            }
            _ => "provided",
        };
        out.push_str(&format!("  imports   {import:<42} {what}\n"));
    }
    out.push_str("  loads     yes\n");
    out
}

/// A manifest that runs the component.
fn suggestion(file: &str, path: &str, loaded: &Loaded) -> String {
    let name = file.strip_suffix(".wasm").unwrap_or(file).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let sends = loaded.imports.iter().any(|import| import.starts_with("sandbus:bus/message-bus"));
    let mut out = format!("sandbus = 1\n\n[app]\nname = \"{name}\"\n");
    if loaded.is_listener() {
        out.push_str(&format!("\n[destinations.{name}]\ntype = \"parallel\"\n"));
    }
    out.push_str(&format!("\n[guests.{name}]\nsource = {{ path = \"{path}\" }}\n"));
    if loaded.is_listener() {
        out.push_str(&format!("listens-to = [\"{name}\"]\n"));
    }
    if sends {
        out.push_str("# it can send: name the destinations that it may send to\ngrants = { send = [] }\n");
    }
    out
}
