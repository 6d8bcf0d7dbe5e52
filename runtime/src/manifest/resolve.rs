//! Drafts to settings: paths below their folders, variables from the environment. The last step; what comes out of it is
//! not checked again.

use std::collections::BTreeMap;
use std::path::Path;

use sandbus_bus::CustomType;

use super::Manifest;
use super::check::check_references;
use super::document::Document;
use super::env::VariableValue;
use super::guest_keys::GuestDraft;
use super::keys::{Origins, quoted_key};
use super::runtime_keys::below;
use super::slot::Findings;
use super::tree::{Node, Place};
use crate::diagnostic::{Code, Problem, Problems};
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
        guests.push(settings(name, draft, surroundings.base, &mut findings));
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
        guests,
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

fn settings(name: &str, draft: &GuestDraft, base: &Path, findings: &mut Findings) -> GuestSettings {
    GuestSettings {
        name: name.to_owned(),
        path: below(base, Path::new(draft.path.as_deref().unwrap_or_default())),
        listens_to: draft.listens_to.clone(),
        grants: draft.grants.clone(),
        limits: draft.limits.clone(),
        circuit_breaker: (!draft.breaker_off).then_some(draft.breaker),
        env: environment(name, draft, findings),
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

/// The variables of a guest, those of the host looked up. A guest that is not loaded needs none.
fn environment(guest: &str, draft: &GuestDraft, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, variable) in &draft.env {
        let value = match &variable.value {
            VariableValue::Text(text) => {
                if sandbus_bus::is_secret_key(name) && !variable.place.source.name().starts_with("--") {
                    let message = format!("guest `{guest}`: the secret `env.{name}` stands in the manifest");
                    let problem = Problem::warning(Code::SecretInManifest, message).with_usual_help();
                    findings
                        .warnings
                        .push(variable.place.mark(problem, "anyone who reads the file reads it"));
                }
                Some(text.clone())
            }
            VariableValue::Host { name: host, default } => std::env::var(host).ok().or(default.clone()),
        };
        match (value, &variable.value) {
            (Some(value), _) => {
                env.insert(name.clone(), value);
            }
            (None, VariableValue::Host { name: host, .. }) if !draft.disabled => {
                let message =
                    format!("guest `{guest}`: `env.{name}` needs the variable `{host}`, which is not set");
                let problem = Problem::new(Code::MissingVariable, message).with_usual_help();
                findings.problems.push(variable.place.mark(problem, "not set"));
            }
            _ => {}
        }
    }
    env
}

/// Problems in the order of the file; those of the command line behind it, in the order in which they were found.
fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| {
        let flag = problem.source().is_some_and(|source| source.name().starts_with("--"));
        (flag, if flag { 0 } else { problem.labels().first().map_or(0, |label| label.span.start) })
    });
}
