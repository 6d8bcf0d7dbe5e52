//! From flags and files to a platform: one manifest, with what the command line says laid over it, built and started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{Built, Global};
use super::faults;
use super::output::Output;
use super::problems::{build_problem, start_problem};
use crate::diagnostic::{Code, Problem, Problems};
use crate::manifest::{MANIFEST_FILE, Manifest, Overrides, find_manifest};
use crate::platform::{GuestState, Platform, PlatformConfig};
use crate::settings::{Compiler, RuntimeSettings};

/// The manifest that these stand for.
pub(super) fn manifest(sources: &[PathBuf], built: &Built, global: &Global) -> Result<Manifest, Problems> {
    let (components, manifest) = sort_sources(sources, built, global)?;
    let mut overrides = Overrides {
        destinations: built.destinations.clone(),
        guests: built.guests.clone(),
        settings: built.settings.clone(),
        types: Vec::new(),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
    };
    for component in &components {
        overrides.guests.push(guest_spec(component, &components, &built.destinations));
    }
    let load = |overrides: &Overrides| match &manifest {
        Some(file) => Manifest::load_with(file, overrides),
        None => Manifest::from_overrides(overrides),
    };
    let loaded = load(&overrides)?;
    let limits = limits_for_all(built, &loaded);
    if limits.is_empty() {
        return Ok(loaded);
    }
    overrides.settings.extend(limits);
    load(&overrides)
}

/// Tells components from manifests; a folder stands for the manifest in it.
fn sort_sources(
    sources: &[PathBuf],
    built: &Built,
    global: &Global,
) -> Result<(Vec<PathBuf>, Option<PathBuf>), Problems> {
    let mut components = Vec::new();
    let mut manifests: Vec<PathBuf> = global.manifest.clone().into_iter().collect();
    for source in sources {
        if source.is_dir() {
            manifests.push(source.join(MANIFEST_FILE));
        } else if source.extension().is_some_and(|ending| ending == "toml") {
            manifests.push(source.clone());
        } else {
            components.push(source.clone());
        }
    }
    if manifests.len() > 1 {
        let shown: Vec<String> = manifests.iter().map(|path| path.display().to_string()).collect();
        let text = format!("one run takes one manifest, and these are {}: {}", shown.len(), shown.join(", "));
        return Err(Problem::new(Code::Usage, text).into());
    }
    let alone = components.is_empty() && built.guests.is_empty() && built.destinations.is_empty();
    let found = match manifests.pop() {
        None if alone => Some(nearest()?),
        other => other,
    };
    Ok((components, found))
}

/// The nearest manifest, here or above.
pub(super) fn nearest() -> Result<PathBuf, Problems> {
    let here = std::env::current_dir().unwrap_or_default();
    find_manifest(&here).ok_or_else(|| {
        let text = format!("no `{MANIFEST_FILE}` in `{}` or above it", here.display());
        Problem::new(Code::NoManifest, text).with_usual_help().into()
    })
}

/// A component that was named alone: with one `--dest` it listens there.
fn guest_spec(component: &Path, all: &[PathBuf], destinations: &[String]) -> String {
    let name = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or("guest");
    let mut spec = format!("{}=\"{}\"", super::call::guest_name(name), component.display());
    if let ([_], [destination]) = (all, destinations) {
        let destination = destination.split(['=', ',']).next().unwrap_or_default();
        spec.push_str(&format!(",listens-to={destination}"));
    }
    spec
}

/// `--fuel`, `--memory` and `--deadline` hold for every guest, as a flag wins over a file.
fn limits_for_all(built: &Built, manifest: &Manifest) -> Vec<String> {
    let flags = [("fuel", &built.fuel), ("memory", &built.memory), ("deadline", &built.deadline)];
    let mut settings = Vec::new();
    for guest in &manifest.guests {
        for (key, value) in flags {
            if let Some(value) = value {
                settings.push(format!("guests.\"{}\".{key}={value}", guest.name));
            }
        }
    }
    settings
}

/// Builds each guest that says how; the command itself decides whether anything is to be done.
pub(super) async fn build_guests(manifest: &Manifest, output: &Output) -> Result<(), Problems> {
    let guests: Vec<_> =
        manifest.guests.iter().filter(|guest| guest.enabled && guest.build.is_some()).collect();
    let count = guests.len();
    for (place, guest) in guests.into_iter().enumerate() {
        output.note(&format!("  build   {} ({} of {count})", guest.name, place + 1));
        crate::platform::build(guest).await.map_err(|error| build_problem(&error))?;
        if !guest.path.exists() {
            let written = manifest.written_path(&guest.name).unwrap_or_default();
            let text = format!("the build of guest `{}` made no `{written}`", guest.name);
            let problem = Problem::new(Code::BuildMadeNothing, text).with_usual_help();
            return Err(manifest.mark_guest(problem, &guest.name, "source.path", "this file").into());
        }
    }
    Ok(())
}

/// Whether the manifest has a destination of this name, or a guest could make it: found before anything is started.
pub(super) fn known_destination(manifest: &Manifest, flag: &str, name: &str) -> Result<(), Problem> {
    let defined = manifest.destinations.iter().any(|destination| destination.name.as_str() == name);
    let makeable =
        manifest.guests.iter().flat_map(|guest| &guest.grants.create).any(|prefix| name.starts_with(prefix));
    if defined || makeable || name.starts_with(sandbus_bus::RESERVED_PREFIX) {
        return Ok(());
    }
    let text = format!("{flag}: no destination is called `{name}`");
    let names: Vec<&str> =
        manifest.destinations.iter().map(|destination| destination.name.as_str()).collect();
    let nearest = names.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let problem = Problem::new(Code::NoSuchDestination, text);
    Err(match nearest {
        Some(near) if strsim::jaro(near, name) > 0.7 => problem.with_help(format!("did you mean `{near}`?")),
        _ => problem.with_help(format!("there are {}", names.join(", "))),
    })
}

/// The platform that a manifest stands for.
pub(super) fn config(manifest: &Manifest, output: &Output) -> PlatformConfig {
    PlatformConfig {
        runtime: RuntimeSettings { compiler: Compiler::own_executable(), ..manifest.runtime.clone() },
        types: Vec::new(),
        destinations: manifest.destinations.clone(),
        guests: manifest.guests.clone(),
        schedules: manifest.schedules.clone(),
        save_left: true,
        log_sink: output.guest_lines(),
        fault_sink: faults::told(*output),
    }
}

/// Starts it, or says what is wrong with the manifest that it comes from.
pub(super) async fn start(manifest: &Manifest, config: PlatformConfig) -> Result<Platform, Problems> {
    Platform::start(config).await.map_err(|error| match start_problem(&error) {
        (problem, Some(guest)) => manifest.mark_guest(problem, guest, "source.path", "this guest").into(),
        (problem, None) => problem.into(),
    })
}

/// What is said of a platform that has started.
pub(super) fn ready(platform: &Platform, after: Duration) -> String {
    let destinations = platform.bus().destinations().iter().filter(|name| !name.is_reserved()).count();
    let guests = platform.guests().iter().filter(|guest| guest.state == GuestState::Active).count();
    let schedules = match platform.bus().schedules().len() {
        0 => String::new(),
        count => format!(", {count} schedules"),
    };
    format!("  ready   in {} ms: {destinations} destinations, {guests} guests{schedules}", after.as_millis())
}
