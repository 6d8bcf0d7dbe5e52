//! `grants.files`: folders of the host, and what a guest may do in them. Whether a folder is there is looked at when the guest
//! is loaded.

use super::keys::{quoted, unknown_key};
use super::slot::Slot;
use super::tree::{Kind, Node, Table};
use crate::diagnostic::{Code, Problem};
use crate::grants::{FileAccess, FileGrant};
use crate::limits::FILE_GRANTS_MAX;

const KEYS: &[&str] = &["host", "guest", "mode"];
const MODES: &[(&str, FileAccess)] = &[("ro", FileAccess::ReadOnly), ("rw", FileAccess::ReadWrite)];
const WANTED: &str = "a list of tables such as { host = \"./data\", guest = \"/data\", mode = \"ro\" }";

/// Reads the list. What is wrong with one of them is told, and the others are read all the same.
pub(super) fn read(slot: &mut Slot<'_>) -> Option<Vec<FileGrant>> {
    let Kind::List(items) = &slot.node.kind else { return slot.wrong_type(WANTED) };
    if items.len() > FILE_GRANTS_MAX {
        return slot.illegal(&format!("{} folders", items.len()), &format!("at most {FILE_GRANTS_MAX}"));
    }
    let mut grants: Vec<FileGrant> = Vec::new();
    for item in items {
        let Some(grant) = one(slot, item) else { continue };
        if grants.iter().any(|other| other.guest_path() == grant.guest_path()) {
            let message =
                format!("{}: `{}` has `{}` twice", slot.owner, slot.key, grant.guest_path().escape_debug());
            let problem =
                Problem::new(Code::Duplicate, message).with_help("give each folder a name of its own");
            slot.findings.problems.push(item.place.mark(problem, "this is the second time"));
            continue;
        }
        grants.push(grant);
    }
    Some(grants)
}

fn one(slot: &mut Slot<'_>, item: &Node) -> Option<FileGrant> {
    let Kind::Table(table) = &item.kind else {
        return Slot { owner: slot.owner, key: slot.key, node: item, findings: slot.findings }
            .wrong_type(WANTED);
    };
    for (name, entry) in table.iter().filter(|(name, _)| !KEYS.contains(&name.as_str())) {
        let path = format!("{}.{name}", slot.key);
        slot.findings.problems.push(unknown_key(slot.owner, &path, name, entry, KEYS));
    }
    let host = text(slot, item, table, "host");
    let guest = text(slot, item, table, "guest");
    let access = match table.get("mode") {
        None => Some(FileAccess::default()),
        Some(entry) => {
            let key = format!("{}.mode", slot.key);
            let mut below = Slot { owner: slot.owner, key: &key, node: &entry.node, findings: slot.findings };
            below.choice(MODES)
        }
    };
    match FileGrant::new(host?, guest?, access?) {
        Ok(grant) => Some(grant),
        Err(error) => {
            let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
            let place = table.get("guest").map_or(&item.place, |entry| &entry.node.place);
            let problem = Problem::new(Code::IllegalValue, message).with_help("for example \"/data\"");
            slot.findings.problems.push(place.mark(problem, "not allowed"));
            None
        }
    }
}

fn text(slot: &mut Slot<'_>, item: &Node, table: &Table, name: &str) -> Option<String> {
    let Some(entry) = table.get(name) else {
        let message = format!("{}: `{}` lacks `{name}`", slot.owner, slot.key);
        let problem = Problem::new(Code::MissingKey, message)
            .with_help("write { host = \"./data\", guest = \"/data\", mode = \"ro\" }");
        slot.findings.problems.push(item.place.mark(problem, format!("`{name}` is missing")));
        return None;
    };
    let key = format!("{}.{name}", slot.key);
    Slot { owner: slot.owner, key: &key, node: &entry.node, findings: slot.findings }.some_text()
}

/// The list as TOML.
pub(super) fn show(grants: &[FileGrant]) -> String {
    let shown: Vec<String> = grants
        .iter()
        .map(|grant| {
            let host = quoted(&grant.host_path().to_string_lossy());
            format!(
                "{{ host = {host}, guest = {}, mode = \"{}\" }}",
                quoted(grant.guest_path()),
                grant.access()
            )
        })
        .collect();
    format!("[{}]", shown.join(", "))
}
