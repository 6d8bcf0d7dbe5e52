//! From flags and files to the settings of a platform: one manifest, with what the command line says laid over it.

use std::path::{Path, PathBuf};

use super::args::{Global, Run};
use super::output::Output;
use super::problems::build_problem;
use crate::diagnostic::{Code, Problem, Problems};
use crate::manifest::{MANIFEST_FILE, Manifest, Overrides, find_manifest};

/// The manifest that `run` is to run.
pub(super) fn for_run(run: &Run, global: &Global) -> Result<Manifest, Problems> {
    let (components, manifest) = sort_sources(run, global)?;
    let mut overrides = Overrides {
        destinations: run.destinations.clone(),
        guests: run.guests.clone(),
        settings: run.settings.clone(),
        types: Vec::new(),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
    };
    for component in &components {
        overrides.guests.push(guest_spec(component, &components, &run.destinations));
    }
    let load = |overrides: &Overrides| match &manifest {
        Some(file) => Manifest::load_with(file, overrides),
        None => Manifest::from_overrides(overrides),
    };
    let loaded = load(&overrides)?;
    let limits = limits_for_all(run, &loaded);
    if limits.is_empty() {
        return Ok(loaded);
    }
    overrides.settings.extend(limits);
    load(&overrides)
}

/// Tells components from manifests; a folder stands for the manifest in it.
fn sort_sources(run: &Run, global: &Global) -> Result<(Vec<PathBuf>, Option<PathBuf>), Problems> {
    let mut components = Vec::new();
    let mut manifests: Vec<PathBuf> = global.manifest.clone().into_iter().collect();
    for source in &run.sources {
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
    let alone = components.is_empty() && run.guests.is_empty() && run.destinations.is_empty();
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

/// `--fuel`, `--memory` and `--deadline` of `run` hold for every guest, as a flag wins over a file.
fn limits_for_all(run: &Run, manifest: &Manifest) -> Vec<String> {
    let flags = [("fuel", &run.fuel), ("memory", &run.memory), ("deadline", &run.deadline)];
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
