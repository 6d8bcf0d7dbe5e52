//! A whole tree to drafts: walks the tables of a manifest and collects everything that is wrong with them. It reads no
//! file and looks at no guest.

use sandbus_bus::{
    ConfigError, CustomType, DestinationConfig, DestinationName, DestinationType, NameError,
    RejectedExecution,
};

use super::destination_keys::{DESTINATION, DestinationDraft, TypeChoice, type_choices};
use super::guest_keys::{GUEST, GuestDraft};
use super::keys::{Origins, Owner, quoted_key, unknown_key};
use super::names::guest_name_fault;
use super::runtime_keys::{APP, App, RUNTIME, RuntimeDraft};
use super::schedule_keys::ScheduleDraft;
use super::slot::{Findings, Slot};
use super::tree::{Entry, Kind, Node, Place, Table};
use crate::diagnostic::{Code, Problem};

/// The format of manifests that this program reads.
const FORMAT: i64 = 1;

/// The tables and keys at the top of a manifest.
const TOP: &[&str] =
    &["sandbus", "app", "runtime", "defaults", "destinations", "guests", "schedules", "tool"];

/// What a manifest says, before its parts are compared with each other.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) app: App,
    pub(super) runtime: RuntimeDraft,
    pub(super) destinations: Vec<DestinationDraft>,
    /// Every destination that is defined, also one with something wrong in it, and where.
    pub(super) defined: Vec<(String, Place)>,
    pub(super) guests: Vec<(String, GuestDraft, Place)>,
    pub(super) schedules: Vec<(String, ScheduleDraft, Place)>,
    pub(super) origins: Origins,
    pub(super) findings: Findings,
}

impl Document {
    /// Reads a tree.
    pub(super) fn read(root: &Node, types: &[CustomType]) -> Self {
        let mut document = Self::default();
        let Some(table) = root.table() else { return document };
        if let Some(problem) = format_fault(root, table) {
            let ends_here = problem.code() == Code::ManifestFormat;
            document.findings.problems.push(problem);
            if ends_here {
                return document;
            }
        }
        for (name, entry) in table {
            if !TOP.contains(&name.as_str()) {
                document.findings.problems.push(unknown_key("", name, name, entry, TOP));
            }
        }
        document.read_app(root, table);
        if let Some(table) = document.table_under(table, "runtime") {
            let owner = plain_owner("runtime");
            owner.read(RUNTIME, &mut document.runtime, table, &mut document.findings, &mut document.origins);
        }
        document.check_defaults(table);
        document.read_destinations(root, table, types);
        document.read_guests(root, table);
        document.read_schedules(table);
        document
    }

    /// Reads the guests of a tree and nothing else.
    pub(super) fn read_guests_only(root: &Node) -> Self {
        let mut document = Self::default();
        if let Some(table) = root.table() {
            document.read_guests(root, table);
        }
        document
    }

    /// The table under a key; says so when it is something else.
    pub(super) fn table_under<'a>(&mut self, table: &'a Table, name: &str) -> Option<&'a Table> {
        let entry = table.get(name)?;
        if let Kind::Table(below) = &entry.node.kind {
            return Some(below);
        }
        Slot { owner: "manifest", key: name, node: &entry.node, findings: &mut self.findings }
            .wrong_type("a table")
    }

    fn read_app(&mut self, root: &Node, table: &Table) {
        let below = self.table_under(table, "app");
        if let Some(below) = below {
            let owner = plain_owner("app");
            owner.read(APP, &mut self.app, below, &mut self.findings, &mut self.origins);
        }
        let place = table.get("app").map_or(&root.place, |entry| &entry.key);
        let named = below.is_some_and(|below| below.contains_key("name"));
        if !named && table.get("app").is_none_or(|entry| entry.node.table().is_some()) {
            let problem = Problem::new(Code::MissingKey, "`app.name` is missing")
                .with_help("give the application a name:  [app]  name = \"my-app\"");
            self.findings.problems.push(place.mark(problem, "here"));
        }
    }

    /// Checks the tables of defaults on their own, once.
    fn check_defaults(&mut self, table: &Table) {
        let Some(defaults) = self.table_under(table, "defaults") else { return };
        for (name, entry) in defaults.iter().filter(|(name, _)| !DEFAULTS.contains(&name.as_str())) {
            let known = ["destination", "guest"];
            let path = format!("defaults.{name}");
            self.findings.problems.push(unknown_key("", &path, name, entry, &known));
        }
        let mut unused = Origins::default();
        if let Some(below) = self.table_under(defaults, "destination")
            && let Ok(config) = DestinationConfig::parallel("x")
        {
            let owner = defaults_owner("defaults.destination", &[]);
            let mut probe = DestinationDraft::of(config);
            owner.read(DESTINATION, &mut probe, below, &mut self.findings, &mut unused);
        }
        if let Some(below) = self.table_under(defaults, "guest") {
            let owner = defaults_owner("defaults.guest", GUEST_WITHOUT_DEFAULT);
            owner.read(GUEST, &mut GuestDraft::default(), below, &mut self.findings, &mut unused);
        }
    }

    fn read_destinations(&mut self, root: &Node, table: &Table, types: &[CustomType]) {
        let Some(all) = self.table_under(table, "destinations") else { return };
        let defaults = root.find(&["defaults", "destination"]).and_then(|entry| entry.node.table());
        for (name, entry) in all {
            self.defined.push((name.clone(), entry.key.clone()));
            if let Some(below) = self.table_under(all, name) {
                let legal = self.check_destination_name(name, entry);
                let found = self.destination_type(name, entry, below, types);
                // Without a legal name or type the keys are checked all the same, on a stand-in that is thrown away.
                let stand_in = if legal { name.as_str() } else { "x" };
                let draft = self.read_destination(name, stand_in, found.as_ref(), below, defaults, entry);
                if legal && found.is_some() {
                    self.destinations.extend(draft);
                }
            }
        }
    }

    fn check_destination_name(&mut self, name: &str, entry: &Entry) -> bool {
        let Err(error) = DestinationName::for_creation(name) else { return true };
        let code =
            if matches!(error, NameError::Reserved { .. }) { Code::ReservedName } else { Code::BadName };
        self.findings.problems.push(entry.key.mark(Problem::new(code, error.to_string()), "not allowed"));
        false
    }

    fn destination_type(
        &mut self,
        name: &str,
        entry: &Entry,
        table: &Table,
        types: &[CustomType],
    ) -> Option<TypeChoice> {
        let title = format!("destination `{name}`");
        let Some(found) = table.get("type") else {
            let problem = Problem::new(Code::MissingKey, format!("{title}: `type` is missing"))
                .with_help("add type = \"parallel\", \"serial\" or \"synchronous\"");
            self.findings.problems.push(entry.key.mark(problem, "has no type"));
            return None;
        };
        let place = found.node.place.clone();
        self.origins.set(format!("destinations.{}.type", quoted_key(name)), place);
        Slot { owner: &title, key: "type", node: &found.node, findings: &mut self.findings }
            .choice(&type_choices(types))
    }

    fn read_destination(
        &mut self,
        name: &str,
        stand_in: &str,
        found: Option<&TypeChoice>,
        table: &Table,
        defaults: Option<&Table>,
        entry: &Entry,
    ) -> Option<DestinationDraft> {
        let base = found.map_or(DestinationType::Parallel, |found| found.base);
        let mut config = DestinationConfig::with_type(base, stand_in).ok()?;
        config.custom_type = found.and_then(|found| found.custom.clone());
        let mut draft = DestinationDraft::of(config);
        let path = format!("destinations.{}", quoted_key(name));
        let title = format!("destination `{name}`");
        let mut owner = Owner {
            title,
            path,
            destination_type: found.map(|found| found.base),
            defaults: Some("defaults.destination"),
            skip: &["type"],
        };
        if let (Some(defaults), true) = (defaults, found.is_some()) {
            let fits = DestinationDraft::fits_its_type;
            owner.take_defaults(DESTINATION, &mut draft, defaults, fits, &mut self.origins);
        }
        owner.defaults = None;
        owner.read(DESTINATION, &mut draft, table, &mut self.findings, &mut self.origins);
        if let (Err(error), true) = (draft.config.check(), found.is_some()) {
            self.illegal_together(&owner.path, entry, &error);
        }
        self.warn_of_block_timeout(&owner, &draft);
        Some(draft)
    }

    /// A value that is legal alone but not beside the others or on this type.
    fn illegal_together(&mut self, path: &str, entry: &Entry, error: &ConfigError) {
        // A name and a type were looked at where they stand.
        let ConfigError::Setting { setting, .. } = error else { return };
        let keys = ["", ".max", ".core"].map(|part| format!("{path}.{setting}{part}"));
        let origin = keys.iter().find_map(|key| self.origins.get(key));
        let place = origin.map_or(&entry.key, |origin| &origin.place);
        let problem = place.mark(Problem::new(Code::IllegalValue, error.to_string()), "not allowed");
        self.findings.problems.push(problem);
    }

    fn warn_of_block_timeout(&mut self, owner: &Owner<'_>, draft: &DestinationDraft) {
        let Some(origin) = self.origins.get(&format!("{}.block-timeout", owner.path)) else { return };
        let blocks = matches!(draft.config.rejected_execution, RejectedExecution::Block(_));
        if blocks || origin.defaults.is_some() {
            return;
        }
        let message = format!("{}: `block-timeout` has no effect", owner.title);
        let problem = Problem::warning(Code::NoEffect, message)
            .with_help("it belongs to rejected-execution = \"block\"");
        self.findings.warnings.push(origin.place.mark(problem, "has no effect"));
    }

    fn read_guests(&mut self, root: &Node, table: &Table) {
        let Some(all) = self.table_under(table, "guests") else { return };
        let defaults = root.find(&["defaults", "guest"]).and_then(|entry| entry.node.table());
        for (name, entry) in all {
            let Some(below) = self.table_under(all, name) else { continue };
            if let Some((code, message)) = guest_name_fault(name) {
                let problem = Problem::new(code, message).with_usual_help();
                self.findings.problems.push(entry.key.mark(problem, "not allowed"));
            }
            let path = format!("guests.{}", quoted_key(name));
            let title = format!("guest `{name}`");
            let mut owner = Owner {
                title,
                path,
                destination_type: None,
                defaults: Some("defaults.guest"),
                skip: GUEST_WITHOUT_DEFAULT,
            };
            let mut draft = GuestDraft::default();
            if let Some(defaults) = defaults {
                owner.take_defaults(GUEST, &mut draft, defaults, |_| true, &mut self.origins);
            }
            owner.defaults = None;
            owner.skip = &[];
            owner.read(GUEST, &mut draft, below, &mut self.findings, &mut self.origins);
            self.check_guest(&owner.title, &draft, below, entry);
            self.guests.push((name.clone(), draft, entry.key.clone()));
        }
    }

    fn check_guest(&mut self, title: &str, draft: &GuestDraft, table: &Table, entry: &Entry) {
        let source = table.get("source");
        let has_path = source.is_some_and(|source| match source.node.table() {
            Some(below) => below.contains_key("path"),
            None => true,
        });
        if !has_path {
            let problem = Problem::new(Code::MissingKey, format!("{title}: `source.path` is missing"))
                .with_help("say where its component is: source = { path = \"guest.wasm\" }");
            let place = source.map_or(&entry.key, |source| &source.key);
            self.findings.problems.push(place.mark(problem, "has no path"));
        }
        let builds = draft.build_workdir.is_some();
        if let (Some(build), true, None) = (table.get("build"), builds, &draft.build_command)
            && build.node.table().is_some_and(|below| !below.contains_key("command"))
        {
            let problem = Problem::new(Code::MissingKey, format!("{title}: `build.command` is missing"))
                .with_help("without a command there is nothing to build");
            self.findings.problems.push(build.key.mark(problem, "has no command"));
        }
    }
}

const DEFAULTS: &[&str] = &["destination", "guest", "description"];
/// What each guest has of its own.
const GUEST_WITHOUT_DEFAULT: &[&str] = &["source", "source.path"];

fn plain_owner(path: &str) -> Owner<'static> {
    Owner {
        title: format!("[{path}]"),
        path: path.to_owned(),
        destination_type: None,
        defaults: None,
        skip: &[],
    }
}

fn defaults_owner(path: &'static str, skip: &'static [&'static str]) -> Owner<'static> {
    Owner { defaults: Some(path), skip, ..plain_owner(path) }
}

/// What is wrong with `sandbus = 1`, the format of the file.
fn format_fault(root: &Node, table: &Table) -> Option<Problem> {
    let Some(entry) = table.get("sandbus") else {
        let problem = Problem::new(Code::MissingKey, "`sandbus` is missing, the format of this file")
            .with_help("write `sandbus = 1` as the first line");
        return Some(root.place.mark(problem, "here"));
    };
    match &entry.node.kind {
        Kind::Integer(FORMAT) => None,
        Kind::Integer(other) => {
            let text = format!("the manifest is of format {other}; this program reads format {FORMAT}");
            let problem = Problem::new(Code::ManifestFormat, text).with_usual_help();
            Some(entry.node.place.mark(problem, "not known to this program"))
        }
        other => {
            let text = format!("`sandbus` is {}; it must be {FORMAT}, the format of this file", other.name());
            Some(entry.node.place.mark(Problem::new(Code::WrongType, text), other.name()))
        }
    }
}
