//! Environment variables and own configuration of guests: how they are written, read, shown and looked up.

use std::collections::BTreeMap;

use super::keys::{quoted, quoted_key};
use super::slot::{Findings, Slot};
use super::tree::{Entry, Kind, Place};
use crate::diagnostic::{Code, Problem};

/// The value of an environment variable, as it was written.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) value: VariableValue,
    pub(super) place: Place,
}

/// Where the value of an environment variable comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VariableValue {
    Text(String),
    /// From a variable of the host.
    Host {
        name: String,
        default: Option<String>,
    },
}

/// Variables by their names.
pub(super) type Variables = BTreeMap<String, Variable>;

/// Reads the table of them; what is there under other names stays.
pub(super) fn read(variables: &mut Variables, slot: &mut Slot<'_>) {
    let Kind::Table(table) = &slot.node.kind else {
        slot.wrong_type::<()>("a table such as { LEVEL = \"info\" }");
        return;
    };
    for (name, entry) in table {
        let key = format!("{}.{name}", slot.key);
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{}: `{}` is not a name for a variable", slot.owner, key.escape_debug());
            slot.findings.problems.push(entry.key.mark(Problem::new(Code::BadName, message), "not a name"));
            continue;
        }
        let mut below = Slot { owner: slot.owner, key: &key, node: &entry.node, findings: slot.findings };
        if let Some(value) = variable(&mut below) {
            variables.insert(name.clone(), Variable { value, place: entry.node.place.clone() });
        }
    }
}

/// Text, or where the host has it from.
pub(super) fn variable(slot: &mut Slot<'_>) -> Option<VariableValue> {
    let node = slot.node;
    let Kind::Table(table) = &node.kind else {
        if !matches!(node.kind, Kind::Text(_) | Kind::Word(_)) {
            return slot.wrong_type("text or { env = \"NAME\", default = \"value\" }");
        }
        return slot.text().map(VariableValue::Text);
    };
    let mut below = |name: &str| -> Option<String> {
        let Entry { node, .. } = table.get(name)?;
        let key = format!("{}.{name}", slot.key);
        Slot { owner: slot.owner, key: &key, node, findings: slot.findings }.text()
    };
    let (host, default) = (below("env"), below("default"));
    for (name, entry) in table.iter().filter(|(name, _)| !matches!(name.as_str(), "env" | "default")) {
        let path = format!("{}.{name}", slot.key);
        let problem = super::keys::unknown_key(slot.owner, &path, name, entry, &["env", "default"]);
        slot.findings.problems.push(problem);
    }
    if !table.contains_key("env") {
        let message =
            format!("{}: `{}` lacks `env`, the variable that it is taken from", slot.owner, slot.key);
        return slot.complain(Problem::new(Code::MissingKey, message), "`env` is missing");
    }
    Some(VariableValue::Host { name: host?, default })
}

/// Environment variables as TOML. A secret that stands literally is shown as taken from a variable of the host, so that
/// no output repeats it.
pub(super) fn show(env: &Variables) -> String {
    let shown: Vec<String> = env
        .iter()
        .map(|(name, variable)| {
            let value = show_one(name, &variable.value);
            format!("{} = {value}", quoted_key(name))
        })
        .collect();
    if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) }
}

/// What stands under `key`, as TOML.
pub(super) fn show_one(key: &str, value: &VariableValue) -> String {
    let secret = sandbus_bus::is_secret_key(key);
    match value {
        VariableValue::Text(_) if secret => from_host(key),
        VariableValue::Text(text) => quoted(text),
        VariableValue::Host { name, default: Some(default) } if !secret => {
            format!("{{ env = {}, default = {} }}", quoted(name), quoted(default))
        }
        VariableValue::Host { name, .. } => from_host(name),
    }
}

/// Taken from a variable of the host, as TOML.
pub(super) fn from_host(variable: &str) -> String {
    format!("{{ env = {} }}", quoted(variable))
}

/// Warns of a secret that stands literally in a file.
pub(super) fn warn_of_secret(owner: &str, full: &str, key: &str, place: &Place, findings: &mut Findings) {
    if sandbus_bus::is_secret_key(key) && !place.source.name().starts_with("--") {
        let message = format!("{owner}: the secret `{full}` stands in the manifest");
        let problem = Problem::warning(Code::SecretInManifest, message).with_usual_help();
        findings.warnings.push(place.mark(problem, "anyone who reads the file reads it"));
    }
}

/// The text, looked up in the host's environment where it comes from there; says so when it is not set.
pub(super) fn host_value(
    owner: &str,
    full: &str,
    value: &VariableValue,
    place: &Place,
    findings: &mut Findings,
) -> Option<String> {
    let (name, default) = match value {
        VariableValue::Text(text) => return Some(text.clone()),
        VariableValue::Host { name, default } => (name, default),
    };
    let found = std::env::var(name).ok().or_else(|| default.clone());
    if found.is_none() {
        let message = format!("{owner}: `{full}` needs the variable `{name}`, which is not set");
        let problem = Problem::new(Code::MissingVariable, message).with_usual_help();
        findings.problems.push(place.mark(problem, "not set"));
    }
    found
}
