//! Settings as text: the manifest that equals them, and the list of every value in force with its origin. Both walk the
//! tables of keys that reading walks. Only what differs from a default is written into a manifest.

use sandbus_bus::{DestinationConfig, DestinationType};

use super::Manifest;
use super::destination_keys::{DESTINATION, DestinationDraft};
use super::guest_keys::{GUEST, GuestDraft};
use super::keys::{Key, quoted, quoted_key};
use super::runtime_keys::{APP, App, RUNTIME, RuntimeDraft};
use super::schedule_keys::{SCHEDULE, ScheduleDraft};

/// One value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// The dotted key: `destinations."orders/priced".on-failure`.
    pub key: String,
    /// The value as TOML; secrets are masked.
    pub value: String,
    /// `default`, `sandbus.toml:LINE`, `defaults.destination (sandbus.toml:LINE)` or `--dest on the command line`.
    pub origin: String,
}

/// The manifest that equals these settings. It reads back as the same, except that a secret is not repeated: it is written
/// as taken from the environment variable of its name.
#[must_use]
pub fn to_toml(manifest: &Manifest) -> String {
    let mut out = String::from("sandbus = 1\n");
    push_table(&mut out, "app", &[], &differing(APP, None, &manifest.app, &App::default()));
    let runtime = differing(RUNTIME, None, &manifest.runtime_draft, &RuntimeDraft::default());
    if !runtime.is_empty() {
        push_table(&mut out, "runtime", &[], &runtime);
    }
    for draft in &manifest.destination_drafts {
        let found = draft.config.destination_type;
        let lines = differing(DESTINATION, Some(found), draft, &untouched(draft));
        let title = format!("destinations.{}", quoted_key(draft.config.name.as_str()));
        push_table(&mut out, &title, &[format!("type = {}", quoted(draft.config.type_name()))], &lines);
    }
    for (name, draft) in &manifest.guest_drafts {
        let lines = differing(GUEST, None, draft, &GuestDraft::default());
        push_table(&mut out, &format!("guests.{}", quoted_key(name)), &[], &lines);
    }
    for (name, draft) in &manifest.schedule_drafts {
        let lines = differing(SCHEDULE, None, draft, &ScheduleDraft::default());
        push_table(&mut out, &format!("schedules.{}", quoted_key(name)), &[], &lines);
    }
    out
}

/// Every value in force and where it comes from.
#[must_use]
pub fn effective(manifest: &Manifest) -> Vec<EffectiveValue> {
    let mut list = Vec::new();
    push_effective(&mut list, manifest, "app", APP, None, &manifest.app);
    push_effective(&mut list, manifest, "runtime", RUNTIME, None, &manifest.runtime_draft);
    for draft in &manifest.destination_drafts {
        let path = format!("destinations.{}", quoted_key(draft.config.name.as_str()));
        let found = draft.config.destination_type;
        list.push(effective_value(manifest, format!("{path}.type"), quoted(draft.config.type_name())));
        push_effective(&mut list, manifest, &path, DESTINATION, Some(found), draft);
    }
    for (name, draft) in &manifest.guest_drafts {
        push_effective(&mut list, manifest, &format!("guests.{}", quoted_key(name)), GUEST, None, draft);
    }
    for (name, draft) in &manifest.schedule_drafts {
        let path = format!("schedules.{}", quoted_key(name));
        push_effective(&mut list, manifest, &path, SCHEDULE, None, draft);
    }
    list
}

fn push_effective<T>(
    list: &mut Vec<EffectiveValue>,
    manifest: &Manifest,
    path: &str,
    keys: &[Key<T>],
    found: Option<DestinationType>,
    subject: &T,
) {
    for key in keys.iter().filter(|key| is_for(key, found)) {
        if let Some(value) = (key.show)(subject) {
            list.push(effective_value(manifest, format!("{path}.{}", key.name), value));
        }
    }
}

fn effective_value(manifest: &Manifest, key: String, value: String) -> EffectiveValue {
    let origin = match manifest.origins.get(&key) {
        None => "default".to_owned(),
        Some(origin) => match origin.defaults {
            Some(table) => format!("{table} ({})", origin.place.origin()),
            None => origin.place.origin(),
        },
    };
    EffectiveValue { key, value, origin }
}

/// The same destination with nothing set.
fn untouched(draft: &DestinationDraft) -> DestinationDraft {
    let name = draft.config.name.as_str();
    let fresh = DestinationConfig::with_type(draft.config.destination_type, name);
    // The name was checked when the draft was made; with any other name everything would be written out.
    DestinationDraft::of(fresh.unwrap_or_else(|_| draft.config.clone()))
}

fn is_for<T>(key: &Key<T>, found: Option<DestinationType>) -> bool {
    key.types.is_empty() || found.is_none_or(|found| key.types.contains(&found))
}

/// The keys whose values are not those of `fresh`, and the values.
fn differing<T>(
    keys: &[Key<T>],
    found: Option<DestinationType>,
    subject: &T,
    fresh: &T,
) -> Vec<(&'static str, String)> {
    let keys = keys.iter().filter(|key| is_for(key, found));
    let shown = keys.map(|key| (key.name, (key.show)(subject), (key.show)(fresh)));
    shown
        .filter(|(_, value, usual)| value != usual)
        .filter_map(|(name, value, _)| Some((name, value?)))
        .collect()
}

/// A table with its lines; the keys of a group stand in one line.
fn push_table(out: &mut String, title: &str, first: &[String], values: &[(&'static str, String)]) {
    out.push_str(&format!("\n[{title}]\n"));
    for line in first {
        out.push_str(&format!("{line}\n"));
    }
    let group_of = |name: &'static str| name.split_once('.').map(|(group, _)| group);
    for chunk in values.chunk_by(|(a, _), (b, _)| group_of(a).is_some() && group_of(a) == group_of(b)) {
        let Some((name, value)) = chunk.first() else { continue };
        match group_of(name) {
            None => out.push_str(&format!("{name} = {value}\n")),
            Some(group) => {
                let inner: Vec<String> = chunk
                    .iter()
                    .map(|(name, value)| format!("{} = {value}", name.rsplit('.').next().unwrap_or(name)))
                    .collect();
                out.push_str(&format!("{group} = {{ {} }}\n", inner.join(", ")));
            }
        }
    }
}
