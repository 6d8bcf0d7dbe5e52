//! Drafts to settings: paths below their folders, variables from the environment. The last step; what comes out of it is
//! not checked again.

use std::collections::BTreeMap;
use std::path::Path;

use sandbus_bus::CustomType;

use super::Manifest;
use super::check::check_references;
use super::document::Document;
use super::env::{VariableValue, Variables, host_value, warn_of_secret};
use super::guest_keys::GuestDraft;
use super::keys::{Origins, quoted_key};
use super::runtime_keys::below;
use super::schedules;
use super::slot::Findings;
use super::tree::{Node, Place};
use super::units::show_size;
use crate::diagnostic::{Code, Problem, Problems};
use crate::grants::Grants;
use crate::limits;
use crate::settings::{BuildCommand, GuestSettings};

/// What a manifest is read in: what relative paths are relative to, and what an embedder adds.
pub(super) struct Surroundings<'a> {
    /// The manifest's file, as it was named.
    pub(super) file: &'a Path,
    /// The manifest's folder.
    pub(super) base: &'a Path,
    /// Where the command was started.
    pub(super) directory: &'a Path,
    /// Destination types of the embedder.
    pub(super) types: &'a [CustomType],
}

/// A tree to a manifest.
pub(super) fn manifest(root: &Node, surroundings: &Surroundings<'_>) -> Result<Manifest, Problems> {
    let mut document = Document::read(root, surroundings.types);
    check_references(&mut document);
    let mut findings = std::mem::take(&mut document.findings);
    let mut guests = Vec::new();
    for (name, draft, _) in &mut document.guests {
        settle_paths(name, draft, &document.origins, surroundings);
        warn_of_memory(name, draft, &document.origins, &mut findings);
        guests.push(settings(name, draft, surroundings.base, &mut findings));
    }
    let mut schedules = Vec::new();
    for (name, draft, place) in &document.schedules {
        schedules.extend(schedules::config(name, draft, place, &document, &mut findings));
    }
    sort(&mut findings.problems);
    sort(&mut findings.warnings);
    Problems::check(findings.problems)?;
    let places = document.guests.iter().map(|(name, _, place)| (name.clone(), place.clone()));
    Ok(Manifest {
        file: surroundings.file.to_owned(),
        base: surroundings.base.to_owned(),
        name: document.app.name.clone(),
        runtime: document.runtime.resolved(surroundings.base),
        destinations: document.destinations.iter().map(|draft| draft.finished()).collect(),
        warnings: findings.warnings,
        guest_places: places.collect::<BTreeMap<String, Place>>(),
        guest_drafts: document.guests.into_iter().map(|(name, draft, _)| (name, draft)).collect(),
        schedule_drafts: document.schedules.into_iter().map(|(name, draft, _)| (name, draft)).collect(),
        guests,
        schedules,
        app: document.app,
        runtime_draft: document.runtime,
        destination_drafts: document.destinations,
        origins: document.origins,
    })
}

/// The tree of one `--guest` to its settings, without a look at destinations.
pub(super) fn single_guest(root: &Node, surroundings: &Surroundings<'_>) -> Result<GuestSettings, Problems> {
    let mut document = Document::read_guests_only(root);
    let mut findings = std::mem::take(&mut document.findings);
    let guest = document
        .guests
        .first()
        .map(|(name, draft, _)| settings(name, draft, surroundings.directory, &mut findings));
    sort(&mut findings.problems);
    Problems::check(findings.problems)?;
    guest.ok_or_else(|| Problems::from(Vec::new()))
}

/// The problem of a name that two flags of one kind define.
pub(super) fn given_twice(before: &[Node], node: &Node, table: &str) -> Option<Problem> {
    let (name, entry) = node.find(&[table])?.node.table()?.first()?;
    before.iter().find_map(|other| other.find(&[table, name.as_str()]))?;
    let flag = entry.key.source.name().to_owned();
    let problem = Problem::new(Code::Duplicate, format!("{flag}: `{name}` is given twice")).with_usual_help();
    Some(entry.key.mark(problem, "this is the second time"))
}

/// Turns paths of the command line into paths that mean the same from the manifest's folder.
fn settle_paths(name: &str, draft: &mut GuestDraft, origins: &Origins, surroundings: &Surroundings<'_>) {
    let Surroundings { base, directory, .. } = surroundings;
    if directory.as_os_str().is_empty() || directory == base {
        return;
    }
    let from_flag = |key: &str| {
        let origin = origins.get(&format!("guests.{}.{key}", quoted_key(name)));
        origin.is_some_and(|origin| origin.place.source.name().starts_with("--"))
    };
    for (key, path) in [("source.path", &mut draft.path), ("build.workdir", &mut draft.build_workdir)] {
        if let (Some(path), true) = (path, from_flag(key)) {
            *path = directory.join(&*path).to_string_lossy().into_owned();
        }
    }
}

/// Warns of an instance that may have more memory than all of them together: it never gets it.
fn warn_of_memory(name: &str, draft: &GuestDraft, origins: &Origins, findings: &mut Findings) {
    let (one, all) = (draft.limits.memory_bytes_max, draft.limits.total_memory_bytes_max);
    let place = |key: &str| origins.get(&format!("guests.{}.{key}", quoted_key(name)));
    if let Some(origin) = place("memory").or_else(|| place("total-memory")).filter(|_| one > all) {
        let message = format!(
            "guest `{name}`: `memory` is {} for one instance, and `total-memory` {} for all of them",
            show_size(one as u64),
            show_size(all as u64)
        );
        let problem =
            Problem::warning(Code::NoEffect, message).with_help("raise `total-memory`, or lower `memory`");
        findings.warnings.push(origin.place.mark(problem, "an instance never gets so much"));
    }
}

fn settings(name: &str, draft: &GuestDraft, base: &Path, findings: &mut Findings) -> GuestSettings {
    GuestSettings {
        name: name.to_owned(),
        path: below(base, Path::new(draft.path.as_deref().unwrap_or_default())),
        listens_to: draft.listens_to.clone(),
        grants: Grants {
            files: draft
                .grants
                .files
                .iter()
                .map(|grant| grant.with_host(below(base, grant.host_path())))
                .collect(),
            ..draft.grants.clone()
        },
        limits: draft.limits.clone(),
        instances: draft.instances.clone(),
        circuit_breaker: (!draft.breaker_off).then_some(draft.breaker),
        quarantine: (!draft.quarantine_off).then_some(draft.quarantine),
        drain: draft.drain.unwrap_or(limits::DRAIN),
        env: looked_up(name, draft, "env", &draft.env, findings),
        config: looked_up(name, draft, "config", &draft.config, findings),
        build: draft.build_command.clone().map(|command| BuildCommand {
            command,
            workdir: draft
                .build_workdir
                .as_deref()
                .map_or(base.to_owned(), |path| below(base, Path::new(path))),
        }),
        enabled: !draft.disabled,
    }
}

/// The variables of one table of a guest, those of the host looked up. A guest that is not loaded needs none.
fn looked_up(
    guest: &str,
    draft: &GuestDraft,
    table: &str,
    variables: &Variables,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let owner = format!("guest `{guest}`");
    let mut texts = BTreeMap::new();
    for (name, variable) in variables {
        let key = format!("{table}.{name}");
        if let VariableValue::Text(_) = &variable.value {
            warn_of_secret(&owner, &key, name, &variable.place, findings);
        }
        // What is not found is no problem of a guest that is not loaded.
        let mut unheard = Findings::default();
        let findings = if draft.disabled { &mut unheard } else { &mut *findings };
        if let Some(value) = host_value(&owner, &key, &variable.value, &variable.place, findings) {
            texts.insert(name.clone(), value);
        }
    }
    texts
}

/// Problems in the order of the file; those of the command line behind it, in the order in which they were found.
fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| {
        let flag = problem.source().is_some_and(|source| source.name().starts_with("--"));
        (flag, if flag { 0 } else { problem.labels().first().map_or(0, |label| label.span.start) })
    });
}
