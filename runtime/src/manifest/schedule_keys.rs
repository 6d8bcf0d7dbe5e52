//! The keys of `[schedules.NAME]`.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use sandbus_bus::{DestinationName, Misfire, Overlap, Value, Values, limits};

use super::env::{self, VariableValue};
use super::guest_names::{Reference, ReferenceKind};
use super::keys::{Key, key, quoted, quoted_key};
use super::ranges;
use super::runtime_keys::{named, set};
use super::slot::Slot;
use super::tree::{Kind, Place};
use super::units::show_duration;
use crate::codec::guessed_content_type;
use crate::diagnostic::{Code, Problem};

/// A schedule while it is read.
#[derive(Debug, Clone)]
pub(super) struct ScheduleDraft {
    pub(super) description: Option<String>,
    pub(super) destination: Option<Reference>,
    pub(super) every: Option<Duration>,
    pub(super) cron: Option<String>,
    pub(super) time_zone: String,
    pub(super) end: Option<SystemTime>,
    pub(super) payload: String,
    pub(super) content_type: Option<String>,
    /// In their order.
    pub(super) values: Vec<ScheduleValue>,
    pub(super) overlap: Overlap,
    pub(super) misfire: Misfire,
}

/// A value of a schedule's message, as it was written.
#[derive(Debug, Clone)]
pub(super) struct ScheduleValue {
    pub(super) key: String,
    pub(super) value: Written,
    pub(super) place: Place,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(super) enum Written {
    Plain(Value),
    /// From a variable of the host.
    Variable(VariableValue),
}

impl Default for ScheduleDraft {
    fn default() -> Self {
        Self {
            description: None,
            destination: None,
            every: None,
            cron: None,
            time_zone: "UTC".to_owned(),
            end: None,
            payload: String::new(),
            content_type: None,
            values: Vec::new(),
            overlap: Overlap::Skip,
            misfire: Misfire::Skip,
        }
    }
}

/// The keys of a schedule.
pub(super) const SCHEDULE: &[Key<ScheduleDraft>] = &[
    key(
        "description",
        |draft, slot| draft.description = slot.text(),
        |draft| draft.description.as_deref().map(quoted),
    ),
    key("destination", read_destination, |draft| {
        draft.destination.as_ref().map(|destination| quoted(&destination.text))
    }),
    key(
        "every",
        |draft, slot| draft.every = slot.duration(ranges::INTERVAL),
        |draft| draft.every.map(|every| quoted(&show_duration(every))),
    ),
    key("cron", |draft, slot| draft.cron = slot.some_text(), |draft| draft.cron.as_deref().map(quoted)),
    key(
        "timezone",
        |draft, slot| set(&mut draft.time_zone, slot.some_text()),
        |draft| draft.cron.is_some().then(|| quoted(&draft.time_zone)),
    ),
    key("end", |draft, slot| draft.end = time(slot), |draft| draft.end.map(show_time)),
    key("payload", |draft, slot| set(&mut draft.payload, slot.text()), |draft| Some(quoted(&draft.payload))),
    key(
        "content-type",
        |draft, slot| draft.content_type = content_type(slot),
        |draft| Some(quoted(draft.content_type())),
    ),
    key("values", read_values, |draft| Some(show_values(&draft.values))),
    key(
        "overlap",
        |draft, slot| set(&mut draft.overlap, slot.choice(OVERLAP)),
        |draft| named(OVERLAP, draft.overlap),
    ),
    key(
        "misfire",
        |draft, slot| set(&mut draft.misfire, slot.choice(MISFIRE)),
        |draft| named(MISFIRE, draft.misfire),
    ),
];

const OVERLAP: &[(&str, Overlap)] = &[("skip", Overlap::Skip), ("allow", Overlap::Allow)];

const MISFIRE: &[(&str, Misfire)] = &[("skip", Misfire::Skip), ("once", Misfire::Once)];

impl ScheduleDraft {
    /// What was written, or what the payload seems to be.
    pub(super) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(guessed_content_type(self.payload.as_bytes()))
    }
}

fn read_destination(draft: &mut ScheduleDraft, slot: &mut Slot<'_>) {
    let Some(text) = slot.text() else { return };
    if let Err(error) = DestinationName::new(&text) {
        let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
        slot.complain::<()>(Problem::new(Code::BadName, message), "not a name");
        return;
    }
    let place = slot.node.place.clone();
    draft.destination = Some(Reference { kind: ReferenceKind::Schedule, text, place });
}

/// A moment: TOML's own date and time, or text, in both cases with an offset from UTC.
fn time(slot: &mut Slot<'_>) -> Option<SystemTime> {
    let wanted = "a time such as 2030-01-31T00:00:00Z or 2030-01-31T00:00:00+01:00";
    let written = match &slot.node.kind {
        Kind::Time => slot.node.place.source.text().get(slot.node.place.span.clone()).map(str::to_owned),
        Kind::Text(text) | Kind::Word(text) => Some(text.clone()),
        _ => return slot.wrong_type(wanted),
    };
    match written.as_deref().unwrap_or_default().parse::<Timestamp>() {
        Ok(time) => Some(time.into()),
        Err(_) => slot.wrong_text(wanted),
    }
}

fn show_time(time: SystemTime) -> String {
    // What was read was a timestamp; only one of another millennium could not be.
    Timestamp::try_from(time).map(|time| quoted(&time.to_string())).unwrap_or_default()
}

fn content_type(slot: &mut Slot<'_>) -> Option<String> {
    let text = slot.some_text()?;
    if text.len() > limits::CONTENT_TYPE_BYTES_MAX {
        let allowed = format!("text of at most {} bytes", limits::CONTENT_TYPE_BYTES_MAX);
        return slot.illegal(&format!("{} bytes long", text.len()), &allowed);
    }
    if text.chars().any(char::is_control) {
        return slot.illegal("a text with a control character", "text without one");
    }
    Some(text)
}

fn read_values(draft: &mut ScheduleDraft, slot: &mut Slot<'_>) {
    let Kind::Table(table) = &slot.node.kind else {
        slot.wrong_type::<()>("a table such as { source = \"timer\" }");
        return;
    };
    // Checks keys and their number as they will be checked at the end, whatever the values are.
    let mut checked = Values::default();
    for (name, entry) in table {
        if let Err(error) = checked.put(name, true) {
            let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
            slot.findings.problems.push(entry.key.mark(Problem::new(Code::BadName, message), "not allowed"));
            continue;
        }
        let key = format!("{}.{name}", slot.key);
        let mut below = Slot { owner: slot.owner, key: &key, node: &entry.node, findings: slot.findings };
        if let Some(value) = written(&mut below) {
            let place = entry.node.place.clone();
            draft.values.push(ScheduleValue { key: name.clone(), value, place });
        }
    }
}

fn written(slot: &mut Slot<'_>) -> Option<Written> {
    let plain = match &slot.node.kind {
        Kind::Text(text) | Kind::Word(text) => Value::from(text.as_str()),
        Kind::Boolean(value) => Value::from(*value),
        Kind::Integer(value) => Value::from(*value),
        Kind::Float(value) => Value::from(*value),
        Kind::Table(_) => return env::variable(slot).map(Written::Variable),
        _ => return slot.wrong_type("text, a number, true or false, or { env = \"NAME\" }"),
    };
    Some(Written::Plain(plain))
}

/// The values as TOML; no secret is repeated, as in the variables of a guest.
fn show_values(values: &[ScheduleValue]) -> String {
    let shown = values.iter().map(|each| {
        let secret = sandbus_bus::is_secret_key(&each.key);
        let value = match &each.value {
            Written::Variable(variable) => env::show_one(&each.key, variable),
            Written::Plain(_) if secret => env::from_host(&each.key),
            Written::Plain(Value::Text(text)) => quoted(text),
            Written::Plain(Value::Boolean(value)) => value.to_string(),
            Written::Plain(Value::Integer(value)) => value.to_string(),
            Written::Plain(Value::Float(value)) => toml_edit::Value::from(*value).to_string(),
            // Not to be written in a manifest.
            Written::Plain(Value::Bytes(bytes)) => quoted(&format!("{} bytes", bytes.len())),
        };
        format!("{} = {value}", quoted_key(&each.key))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) }
}
