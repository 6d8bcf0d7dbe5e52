//! The environment variables of a guest: how they are written, read and shown. It looks none of them up.

use std::collections::BTreeMap;

use super::guest_keys::GuestDraft;
use super::keys::{quoted, quoted_key};
use super::slot::Slot;
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

/// Reads the table of them.
pub(super) fn read(draft: &mut GuestDraft, slot: &mut Slot<'_>) {
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
            draft.env.insert(name.clone(), Variable { value, place: entry.node.place.clone() });
        }
    }
}

fn variable(slot: &mut Slot<'_>) -> Option<VariableValue> {
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
pub(super) fn show(env: &BTreeMap<String, Variable>) -> String {
    let shown: Vec<String> = env
        .iter()
        .map(|(name, variable)| {
            let secret = sandbus_bus::is_secret_key(name);
            let value = match &variable.value {
                VariableValue::Text(_) if secret => format!("{{ env = {} }}", quoted(name)),
                VariableValue::Text(text) => quoted(text),
                VariableValue::Host { name, default: Some(default) } if !secret => {
                    format!("{{ env = {}, default = {} }}", quoted(name), quoted(default))
                }
                VariableValue::Host { name, .. } => format!("{{ env = {} }}", quoted(name)),
            };
            format!("{} = {value}", quoted_key(name))
        })
        .collect();
    if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) }
}
