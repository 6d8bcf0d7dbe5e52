//! The keys of `[guests.NAME]`.

use std::collections::BTreeMap;

use super::keys::{Key, key, quoted, quoted_key, quoted_list};
use super::ranges;
use super::runtime_keys::{narrow, set, shown, shown_size};
use super::slot::Slot;
use super::tree::{Entry, Kind, Place};
use super::units::{grouped, show_duration};
use crate::diagnostic::{Code, Problem};
use crate::limits;
use crate::pattern::Pattern;
use crate::settings::{Grants, GuestLimits};

/// A guest while it is read: paths and variables as they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct GuestDraft {
    pub(super) description: Option<String>,
    pub(super) path: Option<String>,
    pub(super) listens_to: Vec<String>,
    pub(super) grants: Grants,
    pub(super) limits: GuestLimits,
    pub(super) env: BTreeMap<String, Variable>,
    pub(super) build_command: Option<String>,
    pub(super) build_workdir: Option<String>,
    pub(super) disabled: bool,
    /// The names and patterns of destinations, and where they stand.
    pub(super) references: Vec<Reference>,
}

/// A destination's name or a pattern, where a guest names it.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) kind: ReferenceKind,
    pub(super) text: String,
    pub(super) place: Place,
}

/// As what a guest names a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferenceKind {
    ListensTo,
    Send,
    Listen,
}

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

/// The keys of a guest.
pub(super) const GUEST: &[Key<GuestDraft>] = &[
    key(
        "source.path",
        |draft, slot| draft.path = slot.some_text(),
        |draft| draft.path.as_deref().map(quoted),
    ),
    key(
        "description",
        |draft, slot| draft.description = slot.text(),
        |draft| draft.description.as_deref().map(quoted),
    ),
    key(
        "listens-to",
        |draft, slot| {
            let Some(names) = destination_names(draft, slot, ReferenceKind::ListensTo) else { return };
            draft.listens_to = names;
        },
        |draft| Some(quoted_list(draft.listens_to.iter().map(String::as_str))),
    ),
    key(
        "grants.send",
        |draft, slot| set_patterns(draft, slot, ReferenceKind::Send),
        |draft| Some(quoted_list(draft.grants.send.iter().map(Pattern::as_str))),
    ),
    key(
        "grants.listen",
        |draft, slot| set_patterns(draft, slot, ReferenceKind::Listen),
        |draft| Some(quoted_list(draft.grants.listen.iter().map(Pattern::as_str))),
    ),
    key(
        "grants.create",
        |draft, slot| set(&mut draft.grants.create, prefixes(slot)),
        |draft| Some(quoted_list(draft.grants.create.iter().map(String::as_str))),
    ),
    key(
        "fuel",
        |draft, slot| {
            set(&mut draft.limits.fuel, slot.number_or_unlimited(ranges::FUEL, limits::FUEL_UNLIMITED));
        },
        |draft| Some(show_fuel(draft.limits.fuel)),
    ),
    key(
        "deadline",
        |draft, slot| set(&mut draft.limits.deadline, slot.duration(ranges::DEADLINE)),
        |draft| Some(quoted(&show_duration(draft.limits.deadline))),
    ),
    key(
        "memory",
        |draft, slot| set(&mut draft.limits.memory_bytes_max, slot.size(ranges::MEMORY)),
        |draft| Some(shown_size(draft.limits.memory_bytes_max)),
    ),
    key(
        "limits.activate-fuel",
        |draft, slot| {
            let fuel = slot.number_or_unlimited(ranges::FUEL, limits::FUEL_UNLIMITED);
            set(&mut draft.limits.activate_fuel, fuel);
        },
        |draft| Some(show_fuel(draft.limits.activate_fuel)),
    ),
    key(
        "limits.activate-deadline",
        |draft, slot| set(&mut draft.limits.activate_deadline, slot.duration(ranges::DEADLINE)),
        |draft| Some(quoted(&show_duration(draft.limits.activate_deadline))),
    ),
    key(
        "limits.tables",
        |draft, slot| set(&mut draft.limits.tables_max, slot.count(ranges::TABLES)),
        |draft| Some(shown(draft.limits.tables_max)),
    ),
    key(
        "limits.table-elements",
        |draft, slot| set(&mut draft.limits.table_elements_max, slot.count(ranges::TABLE_ELEMENTS)),
        |draft| Some(shown(draft.limits.table_elements_max)),
    ),
    key(
        "limits.host-memory",
        |draft, slot| set(&mut draft.limits.host_memory_bytes_max, slot.size(ranges::HOST_MEMORY)),
        |draft| Some(shown_size(draft.limits.host_memory_bytes_max)),
    ),
    key(
        "limits.sends",
        |draft, slot| set(&mut draft.limits.sends_max, slot.number(ranges::SENDS).map(narrow)),
        |draft| Some(grouped(u64::from(draft.limits.sends_max), '_')),
    ),
    key(
        "limits.send-bytes",
        |draft, slot| set(&mut draft.limits.send_bytes_max, slot.size(ranges::SEND_BYTES)),
        |draft| Some(shown_size(draft.limits.send_bytes_max)),
    ),
    key(
        "limits.log-bytes",
        |draft, slot| set(&mut draft.limits.log_bytes_max, slot.size(ranges::LOG_BYTES)),
        |draft| Some(shown_size(draft.limits.log_bytes_max)),
    ),
    key(
        "instances-max",
        |draft, slot| set(&mut draft.limits.instances_max, slot.count(ranges::INSTANCES)),
        |draft| Some(shown(draft.limits.instances_max)),
    ),
    key("env", read_env, |draft| Some(show_env(&draft.env))),
    key(
        "build.command",
        |draft, slot| draft.build_command = slot.some_text(),
        |draft| draft.build_command.as_deref().map(quoted),
    ),
    key(
        "build.workdir",
        |draft, slot| draft.build_workdir = slot.some_text(),
        |draft| draft.build_workdir.as_deref().map(quoted),
    ),
    key(
        "enabled",
        |draft, slot| set(&mut draft.disabled, slot.boolean().map(|enabled| !enabled)),
        |draft| Some((!draft.disabled).to_string()),
    ),
];

/// Reads a list of names or patterns and notes where each stands. A name that stands twice is a problem.
fn references(
    draft: &mut GuestDraft,
    slot: &mut Slot<'_>,
    kind: ReferenceKind,
) -> Option<Vec<(String, Place)>> {
    let texts = slot.texts()?;
    draft.references.retain(|reference| reference.kind != kind);
    let mut unique: Vec<(String, Place)> = Vec::new();
    for (text, place) in texts {
        if unique.iter().any(|(other, _)| *other == text) {
            let message = format!("{}: `{}` has `{text}` twice", slot.owner, slot.key);
            let problem = Problem::new(Code::Duplicate, message).with_help("remove one of the two");
            slot.findings.problems.push(place.mark(problem, "this is the second time"));
        } else {
            unique.push((text, place));
        }
    }
    Some(unique)
}

fn destination_names(
    draft: &mut GuestDraft,
    slot: &mut Slot<'_>,
    kind: ReferenceKind,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (text, place) in references(draft, slot, kind)? {
        if let Err(error) = sandbus_bus::DestinationName::new(&text) {
            let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
            slot.findings.problems.push(place.mark(Problem::new(Code::BadName, message), "not a name"));
            continue;
        }
        names.push(text.clone());
        draft.references.push(Reference { kind, text, place });
    }
    Some(names)
}

fn set_patterns(draft: &mut GuestDraft, slot: &mut Slot<'_>, kind: ReferenceKind) {
    let Some(texts) = references(draft, slot, kind) else { return };
    let mut patterns = Vec::new();
    for (text, place) in texts {
        match text.parse::<Pattern>() {
            Ok(pattern) => {
                patterns.push(pattern);
                draft.references.push(Reference { kind, text, place });
            }
            Err(error) => {
                let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
                let problem = Problem::new(Code::BadPattern, message);
                slot.findings.problems.push(place.mark(problem, "not a pattern"));
            }
        }
    }
    match kind {
        ReferenceKind::Listen => draft.grants.listen = patterns,
        ReferenceKind::Send | ReferenceKind::ListensTo => draft.grants.send = patterns,
    }
}

/// Prefixes of names: `acme/`. What is before the last `/` must be a name.
fn prefixes(slot: &mut Slot<'_>) -> Option<Vec<String>> {
    let mut prefixes = Vec::new();
    for (text, place) in slot.texts()? {
        let name = text.strip_suffix('/').unwrap_or(&text);
        match sandbus_bus::DestinationName::for_creation(name) {
            Ok(_) => prefixes.push(text),
            Err(error) => {
                let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
                let problem = Problem::new(Code::BadName, message).with_help(
                    "write the beginning of names, for example \"acme/\"; patterns are not for `create`",
                );
                slot.findings.problems.push(place.mark(problem, "not a prefix"));
            }
        }
    }
    Some(prefixes)
}

fn read_env(draft: &mut GuestDraft, slot: &mut Slot<'_>) {
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

fn show_fuel(fuel: u64) -> String {
    if fuel == limits::FUEL_UNLIMITED { quoted("unlimited") } else { grouped(fuel, '_') }
}

/// Environment variables as TOML. A secret that stands literally is shown as taken from a variable of the host, so that
/// no output repeats it.
fn show_env(env: &BTreeMap<String, Variable>) -> String {
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
