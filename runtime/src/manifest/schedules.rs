//! Schedules: from their tables to what the bus takes, with everything that is wrong about them. It starts none.

use std::time::{Duration, SystemTime};

use sandbus_bus::{DestinationName, Outgoing, ScheduleConfig, ScheduleError, Trigger, Value, Values};

use super::destination_keys::DestinationDraft;
use super::document::Document;
use super::env::{VariableValue, host_value, warn_of_secret};
use super::keys::{Owner, quoted_key};
use super::schedule_keys::{SCHEDULE, ScheduleDraft, Written};
use super::slot::Findings;
use super::tree::{Place, Table};
use crate::diagnostic::{Code, Problem};

/// Stands for an interval that is missing, so that the rest is checked all the same.
const STAND_IN: Duration = Duration::from_secs(3_600);

impl Document {
    /// Reads `[schedules]`.
    pub(super) fn read_schedules(&mut self, table: &Table) {
        let Some(all) = self.table_under(table, "schedules") else { return };
        for (name, entry) in all {
            let Some(below) = self.table_under(all, name) else { continue };
            let owner = Owner {
                title: title(name),
                path: path(name),
                destination_type: None,
                defaults: None,
                skip: &[],
            };
            let mut draft = ScheduleDraft::default();
            owner.read(SCHEDULE, &mut draft, below, &mut self.findings, &mut self.origins);
            self.schedules.push((name.clone(), draft, entry.key.clone()));
        }
    }
}

fn title(name: &str) -> String {
    format!("schedule `{name}`")
}

fn path(name: &str) -> String {
    format!("schedules.{}", quoted_key(name))
}

/// A schedule as the bus takes it. What is wrong with it goes to `findings`; what comes back then is not to be used.
pub(super) fn config(
    name: &str,
    draft: &ScheduleDraft,
    place: &Place,
    document: &Document,
    findings: &mut Findings,
) -> Option<ScheduleConfig> {
    let place_of = |key: &str| {
        let origin = document.origins.get(&format!("{}.{key}", path(name)));
        origin.map(|origin| origin.place.clone())
    };
    missing_keys(name, place, &place_of, findings);
    let destination = draft.destination.as_ref().map_or("x", |reference| reference.text.as_str());
    let destination = DestinationName::new(destination).ok()?;
    let message = message(name, draft, findings);
    let mut config = match (&draft.every, &draft.cron) {
        (Some(every), _) => ScheduleConfig::every(name, destination, *every, message),
        (None, Some(text)) => ScheduleConfig::cron(name, destination, text, message),
        (None, None) => ScheduleConfig::every(name, destination, STAND_IN, message),
    }
    .in_time_zone(&draft.time_zone);
    config.end = draft.end;
    config.overlap = draft.overlap;
    config.misfire = draft.misfire;
    check(&config, place, &place_of, findings);
    check_size(&config, document, place_of("payload").as_ref().unwrap_or(place), findings);
    Some(config)
}

/// Says that its destination would turn each of its messages away.
fn check_size(config: &ScheduleConfig, document: &Document, place: &Place, findings: &mut Findings) {
    let named = |draft: &&DestinationDraft| draft.config.name == config.destination;
    let Some(destination) = document.destinations.iter().find(named) else { return };
    let (size, size_max) = (config.message.size_bytes(), destination.config.message_bytes_max);
    if size > size_max {
        let message = format!(
            "{}: its message has {size} bytes; `{}` takes {size_max} (`max-message-size`)",
            title(&config.name),
            config.destination
        );
        findings.problems.push(place.mark(Problem::new(Code::IllegalValue, message), "too large"));
    }
}

fn missing_keys(
    name: &str,
    place: &Place,
    place_of: &dyn Fn(&str) -> Option<Place>,
    findings: &mut Findings,
) {
    let title = title(name);
    if place_of("destination").is_none() {
        let problem = Problem::new(Code::MissingKey, format!("{title}: `destination` is missing"))
            .with_help("say where it sends: destination = \"NAME\"");
        findings.problems.push(place.mark(problem, "sends nowhere"));
    }
    match (place_of("every"), place_of("cron")) {
        (Some(every), Some(cron)) => {
            let later = if every.span.start > cron.span.start { every } else { cron };
            let problem = Problem::new(Code::KeysExclude, format!("{title}: it has both `every` and `cron`"))
                .with_usual_help();
            findings.problems.push(later.mark(problem, "only one of the two"));
        }
        (None, None) => {
            let problem = Problem::new(Code::MissingKey, format!("{title}: `every` or `cron` is missing"))
                .with_help("say when it sends: every = \"30s\", or cron = \"*/5 * * * *\"");
            findings.problems.push(place.mark(problem, "never sends"));
        }
        (Some(_), None) => {
            if let Some(zone) = place_of("timezone") {
                let problem = Problem::warning(Code::NoEffect, format!("{title}: `timezone` has no effect"))
                    .with_help("an interval has no time of day; it belongs to `cron`");
                findings.warnings.push(zone.mark(problem, "has no effect"));
            }
        }
        (None, Some(_)) => {}
    }
}

/// Has the bus check it; what is wrong is replaced by something that is not, so that all of it is told.
fn check(
    config: &ScheduleConfig,
    place: &Place,
    place_of: &dyn Fn(&str) -> Option<Place>,
    findings: &mut Findings,
) {
    let mut config = config.clone();
    let now = SystemTime::now();
    while let Err(error) = config.check(now) {
        let (code, key) = match &error {
            ScheduleError::Name { .. } => {
                "x".clone_into(&mut config.name);
                (Code::BadName, "")
            }
            ScheduleError::Cron { .. } | ScheduleError::NeverFires { .. } => {
                config.trigger = Trigger::Every(STAND_IN);
                (Code::IllegalValue, "cron")
            }
            ScheduleError::TimeZone { .. } => {
                config = config.in_time_zone("UTC");
                (Code::IllegalValue, "timezone")
            }
            ScheduleError::EndPassed { .. } => {
                config.end = None;
                (Code::IllegalValue, "end")
            }
            // The range of the key is that of the bus; the others are of a bus that has schedules already.
            ScheduleError::Interval { .. }
            | ScheduleError::AlreadyExists(_)
            | ScheduleError::NoSuchSchedule(_)
            | ScheduleError::TooMany(_) => return,
        };
        let place = place_of(key).unwrap_or_else(|| place.clone());
        findings.problems.push(place.mark(Problem::new(code, error.to_string()), "not allowed"));
    }
}

/// The message that it sends each time.
fn message(name: &str, draft: &ScheduleDraft, findings: &mut Findings) -> Outgoing {
    let mut values = Values::default();
    for each in &draft.values {
        let key = format!("values.{}", each.key);
        if let Written::Plain(_) | Written::Variable(VariableValue::Text(_)) = &each.value {
            warn_of_secret(&title(name), &key, &each.key, &each.place, findings);
        }
        let value = match &each.value {
            Written::Plain(value) => Some(value.clone()),
            Written::Variable(variable) => {
                host_value(&title(name), &key, variable, &each.place, findings).map(Value::from)
            }
        };
        if let Some(value) = value {
            // The key was checked when it was read.
            let _ = values.put(&each.key, value);
        }
    }
    let mut message = Outgoing::typed(draft.payload.clone(), draft.content_type());
    message.values = values;
    message
}
