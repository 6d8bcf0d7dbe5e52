//! Tables of keys: for each key how it is read and how it is shown, once. Reading a file, printing a manifest and listing
//! what is in force all walk the same table, so they cannot disagree about which keys there are.

use std::collections::BTreeMap;

use sandbus_bus::DestinationType;

use super::names::nearest;
use super::slot::{Findings, Slot};
use super::tree::{Entry, Kind, Place, Table};
use crate::diagnostic::{Code, Problem};

/// A key of settings `T`.
pub(super) struct Key<T: 'static> {
    /// Dotted below its owner: `retry.max-attempts`.
    pub(super) name: &'static str,
    /// The types of destination that have it; none means that every owner has it.
    pub(super) types: &'static [DestinationType],
    /// Takes the value over, or says what is wrong with it and leaves the setting alone.
    pub(super) read: fn(&mut T, &mut Slot<'_>),
    /// The value as TOML; none when it is not set.
    pub(super) show: fn(&T) -> Option<String>,
}

/// A key that every owner has.
pub(super) const fn key<T>(
    name: &'static str,
    read: fn(&mut T, &mut Slot<'_>),
    show: fn(&T) -> Option<String>,
) -> Key<T> {
    Key { name, types: &[], read, show }
}

/// Where each value comes from, by its full dotted key.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The table of defaults that it was taken from, if it was.
    pub(super) defaults: Option<&'static str>,
    pub(super) place: Place,
}

impl Origins {
    /// Where the value of a key was written.
    pub(super) fn get(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// Notes where a value was written.
    pub(super) fn set(&mut self, key: String, place: Place) {
        self.0.insert(key, Origin { defaults: None, place });
    }
}

/// An owner of keys while its table is read.
pub(super) struct Owner<'a> {
    /// As error texts begin: ``guest `validator` ``.
    pub(super) title: String,
    /// As full keys begin: `guests.validator`.
    pub(super) path: String,
    /// The type of a destination.
    pub(super) destination_type: Option<DestinationType>,
    /// The table of defaults that is read, if it is one.
    pub(super) defaults: Option<&'static str>,
    /// Keys that are read elsewhere, or not allowed here.
    pub(super) skip: &'a [&'static str],
}

impl Owner<'_> {
    /// Reads each key of `table` into `subject`.
    pub(super) fn read<T>(
        &self,
        keys: &[Key<T>],
        subject: &mut T,
        table: &Table,
        findings: &mut Findings,
        origins: &mut Origins,
    ) {
        self.walk(keys, "", table, findings, &mut |key, entry, findings| {
            let slot = Slot { owner: &self.title, key: key.name, node: &entry.node, findings };
            self.take(key, subject, slot, origins);
        });
    }

    fn take<T>(&self, key: &Key<T>, subject: &mut T, mut slot: Slot<'_>, origins: &mut Origins) {
        let place = slot.node.place.clone();
        (key.read)(subject, &mut slot);
        let origin = Origin { defaults: self.defaults, place };
        origins.0.insert(format!("{}.{}", self.path, key.name), origin);
    }

    /// Takes over from a table of defaults what this owner can have and `fits` accepts. Says nothing: the table was
    /// checked on its own before.
    pub(super) fn take_defaults<T: Clone>(
        &self,
        keys: &[Key<T>],
        subject: &mut T,
        table: &Table,
        fits: impl Fn(&T) -> bool,
        origins: &mut Origins,
    ) {
        let mut unheard = Findings::default();
        self.walk(keys, "", table, &mut unheard, &mut |key, entry, findings| {
            let before = subject.clone();
            let slot = Slot { owner: &self.title, key: key.name, node: &entry.node, findings };
            self.take(key, subject, slot, origins);
            if !fits(subject) {
                *subject = before;
                origins.0.remove(&format!("{}.{}", self.path, key.name));
            }
        });
    }

    fn can_have<T>(&self, key: &Key<T>) -> bool {
        let typed = self.destination_type.is_none_or(|found| key.types.contains(&found));
        key.types.is_empty() || typed
    }

    fn has<T>(&self, key: &Key<T>, name: &str, entry: &Entry, findings: &mut Findings) -> bool {
        if self.can_have(key) {
            return true;
        }
        let types: Vec<String> = key.types.iter().map(|name| format!("`{name}`")).collect();
        let found = self.destination_type.map_or("", DestinationType::name);
        let message = format!("{}: a {found} destination has no `{name}`", self.title);
        let problem = Problem::new(Code::KeyNotOfType, message)
            .with_help(format!("remove it; it is for destinations of type {}", types.join(" and ")));
        findings.problems.push(entry.key.mark(problem, format!("not on a {found} destination")));
        false
    }

    /// Finds the key of each value; groups of keys are tables of their own.
    fn walk<T>(
        &self,
        keys: &[Key<T>],
        prefix: &str,
        table: &Table,
        findings: &mut Findings,
        visit: &mut dyn FnMut(&Key<T>, &Entry, &mut Findings),
    ) {
        let allowed = |key: &&Key<T>| !self.skip.contains(&key.name);
        for (name, entry) in table {
            let path = format!("{prefix}{name}");
            let group = format!("{path}.");
            let in_group = keys.iter().filter(allowed).find(|key| key.name.starts_with(&group));
            if self.skip.contains(&path.as_str()) && self.defaults.is_none() {
                continue;
            }
            let single = keys.iter().filter(allowed).find(|key| key.name == path);
            // A group may have a word of its own that stands for all of it: `circuit-breaker = "off"`.
            let is_group = in_group.is_some() && entry.node.table().is_some();
            if let Some(key) = single.filter(|_| !is_group) {
                if self.has(key, key.name, entry, findings) {
                    visit(key, entry, findings);
                }
            } else if let Some(first) = in_group {
                // The keys of a group are for the same types, so its first one answers for all.
                if !self.has(first, &path, entry, findings) {
                    continue;
                }
                if let Kind::Table(below) = &entry.node.kind {
                    self.walk(keys, &group, below, findings, visit);
                } else {
                    let wanted = format!("a table with {}", listed(&children(keys, &group)));
                    Slot { owner: &self.title, key: &path, node: &entry.node, findings }
                        .wrong_type::<()>(&wanted);
                }
            } else {
                let mut known = children(keys, prefix);
                if prefix.is_empty() {
                    // Read elsewhere, but a key of this table all the same.
                    known.extend(
                        self.skip
                            .iter()
                            .copied()
                            .filter(|skipped| !known.contains(skipped))
                            .collect::<Vec<_>>(),
                    );
                }
                findings.problems.push(unknown_key(&self.title, &path, name, entry, &known));
            }
        }
    }
}

/// The problem of a key that is not known: with the nearest of the `known` ones, or all of them.
pub(super) fn unknown_key(owner: &str, path: &str, name: &str, entry: &Entry, known: &[&str]) -> Problem {
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", listed(known)),
    };
    let title = if owner.is_empty() { String::new() } else { format!("{owner}: ") };
    let problem = Problem::new(Code::UnknownKey, format!("{title}key `{path}` is not known")).with_help(help);
    entry.key.mark(problem, "not known")
}

/// The names one level below a prefix, each once.
fn children<T>(keys: &[Key<T>], prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for rest in keys.iter().filter_map(|key| key.name.strip_prefix(prefix)) {
        let name = rest.split('.').next().unwrap_or(rest);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A part of a dotted key, quoted where TOML asks for it.
pub(super) fn quoted_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text as TOML.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A list of texts as TOML.
pub(super) fn quoted_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}
