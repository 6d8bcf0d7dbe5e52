//! The keys of `[guests.NAME]`.

use std::time::Duration;

use sandbus_bus::CircuitBreaker;

use super::env::{self, Variables};
use super::file_grants;
use super::guest_names::{Reference, ReferenceKind, destination_names, prefixes, set_patterns};
use super::keys::{Key, key, quoted, quoted_list};
use super::ranges;
use super::runtime_keys::{named, narrow, set, shown, shown_size};
use super::units::{grouped, show_duration};
use crate::grants::Grants;
use crate::limits;
use crate::pattern::Pattern;
use crate::settings::{GuestLimits, InstancePolicy, Instances, Quarantine};

/// A guest while it is read: paths and variables as they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct GuestDraft {
    pub(super) description: Option<String>,
    pub(super) path: Option<String>,
    pub(super) listens_to: Vec<String>,
    pub(super) grants: Grants,
    pub(super) limits: GuestLimits,
    pub(super) instances: Instances,
    pub(super) env: Variables,
    pub(super) config: Variables,
    pub(super) breaker: CircuitBreaker,
    pub(super) breaker_off: bool,
    pub(super) quarantine: Quarantine,
    pub(super) quarantine_off: bool,
    pub(super) drain: Option<Duration>,
    pub(super) build_command: Option<String>,
    pub(super) build_workdir: Option<String>,
    pub(super) disabled: bool,
    /// The names and patterns of destinations, and where they stand.
    pub(super) references: Vec<Reference>,
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
        "grants.files",
        |draft, slot| set(&mut draft.grants.files, file_grants::read(slot)),
        |draft| Some(file_grants::show(&draft.grants.files)),
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
        "batch-max",
        |draft, slot| set(&mut draft.limits.batch_messages_max, slot.count(ranges::BATCH_MESSAGES)),
        |draft| Some(shown(draft.limits.batch_messages_max)),
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
        "limits.keyvalue-bytes",
        |draft, slot| set(&mut draft.limits.keyvalue_bytes_max, slot.size(ranges::KEYVALUE_BYTES)),
        |draft| Some(shown_size(draft.limits.keyvalue_bytes_max)),
    ),
    key(
        "instances-max",
        |draft, slot| set(&mut draft.limits.instances_max, slot.count(ranges::INSTANCES)),
        |draft| Some(shown(draft.limits.instances_max)),
    ),
    key(
        "total-memory",
        |draft, slot| set(&mut draft.limits.total_memory_bytes_max, slot.size(ranges::TOTAL_MEMORY)),
        |draft| Some(shown_size(draft.limits.total_memory_bytes_max)),
    ),
    key(
        "instances.policy",
        |draft, slot| set(&mut draft.instances.policy, slot.choice(INSTANCE_POLICIES)),
        |draft| named(INSTANCE_POLICIES, draft.instances.policy),
    ),
    key(
        "instances.max-uses",
        |draft, slot| {
            let uses = slot.number_or_unlimited(ranges::INSTANCE_USES, u64::MAX);
            set(&mut draft.instances.uses_max, uses.map(|uses| Some(uses).filter(|uses| *uses != u64::MAX)));
        },
        |draft| Some(draft.instances.uses_max.map_or_else(|| quoted("unlimited"), |uses| grouped(uses, '_'))),
    ),
    key(
        "instances.max-idle",
        |draft, slot| set(&mut draft.instances.idle_max, slot.duration_or_unlimited(ranges::INSTANCE_IDLE)),
        |draft| {
            let idle = draft.instances.idle_max.map(show_duration);
            Some(quoted(idle.as_deref().unwrap_or("unlimited")))
        },
    ),
    key(
        "circuit-breaker",
        |draft, slot| {
            let keys = "`faults`, `ratio`, `window`, `cooldown`";
            draft.breaker_off |= slot.word_instead_of_table("off", keys);
        },
        |draft| draft.breaker_off.then(|| quoted("off")),
    ),
    key(
        "circuit-breaker.faults",
        |draft, slot| {
            let faults = slot.number(ranges::BREAKER_FAULTS).map(narrow);
            set_breaker(draft, faults, |breaker| &mut breaker.faults);
        },
        |draft| shown_breaker(draft, |breaker| grouped(u64::from(breaker.faults), '_')),
    ),
    key(
        "circuit-breaker.ratio",
        |draft, slot| {
            let ratio = slot.fraction(ranges::RATIO);
            set_breaker(draft, ratio, |breaker| &mut breaker.ratio);
        },
        |draft| shown_breaker(draft, |breaker| format!("{:?}", breaker.ratio)),
    ),
    key(
        "circuit-breaker.window",
        |draft, slot| {
            let window = slot.duration(ranges::BREAKER_TIME);
            set_breaker(draft, window, |breaker| &mut breaker.window);
        },
        |draft| shown_breaker(draft, |breaker| quoted(&show_duration(breaker.window))),
    ),
    key(
        "circuit-breaker.cooldown",
        |draft, slot| {
            let cooldown = slot.duration(ranges::BREAKER_TIME);
            set_breaker(draft, cooldown, |breaker| &mut breaker.cooldown);
        },
        |draft| shown_breaker(draft, |breaker| quoted(&show_duration(breaker.cooldown))),
    ),
    key(
        "quarantine",
        |draft, slot| {
            let keys = "`faults`, `ratio`, `window`, `initial`, `max`";
            draft.quarantine_off |= slot.word_instead_of_table("off", keys);
        },
        |draft| draft.quarantine_off.then(|| quoted("off")),
    ),
    key(
        "quarantine.faults",
        |draft, slot| {
            let faults = slot.number(ranges::BREAKER_FAULTS).map(narrow);
            set_quarantine(draft, faults, |quarantine| &mut quarantine.faults);
        },
        |draft| shown_quarantine(draft, |quarantine| grouped(u64::from(quarantine.faults), '_')),
    ),
    key(
        "quarantine.ratio",
        |draft, slot| {
            let ratio = slot.fraction(ranges::RATIO);
            set_quarantine(draft, ratio, |quarantine| &mut quarantine.ratio);
        },
        |draft| shown_quarantine(draft, |quarantine| format!("{:?}", quarantine.ratio)),
    ),
    key(
        "quarantine.window",
        |draft, slot| {
            let window = slot.duration(ranges::BREAKER_TIME);
            set_quarantine(draft, window, |quarantine| &mut quarantine.window);
        },
        |draft| shown_quarantine(draft, |quarantine| quoted(&show_duration(quarantine.window))),
    ),
    key(
        "quarantine.initial",
        |draft, slot| {
            let initial = slot.duration(ranges::BREAKER_TIME);
            set_quarantine(draft, initial, |quarantine| &mut quarantine.initial);
        },
        |draft| shown_quarantine(draft, |quarantine| quoted(&show_duration(quarantine.initial))),
    ),
    key(
        "quarantine.max",
        |draft, slot| {
            let max = slot.duration(ranges::BREAKER_TIME);
            set_quarantine(draft, max, |quarantine| &mut quarantine.max);
        },
        |draft| shown_quarantine(draft, |quarantine| quoted(&show_duration(quarantine.max))),
    ),
    key(
        "drain",
        |draft, slot| draft.drain = slot.duration(ranges::GRACE).or(draft.drain),
        |draft| Some(quoted(&show_duration(draft.drain.unwrap_or(limits::DRAIN)))),
    ),
    key("env", |draft, slot| env::read(&mut draft.env, slot), |draft| Some(env::show(&draft.env))),
    key("config", |draft, slot| env::read(&mut draft.config, slot), |draft| Some(env::show(&draft.config))),
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

const INSTANCE_POLICIES: &[(&str, InstancePolicy)] = &[
    ("per-worker", InstancePolicy::PerWorker),
    ("per-message", InstancePolicy::PerMessage),
    ("single", InstancePolicy::Single),
];

/// Takes a part of the breaker over; to say one of them is to have a breaker.
fn set_breaker<T>(draft: &mut GuestDraft, value: Option<T>, part: impl Fn(&mut CircuitBreaker) -> &mut T) {
    if let Some(value) = value {
        *part(&mut draft.breaker) = value;
        draft.breaker_off = false;
    }
}

fn shown_breaker(draft: &GuestDraft, part: impl Fn(&CircuitBreaker) -> String) -> Option<String> {
    (!draft.breaker_off).then(|| part(&draft.breaker))
}

/// The same for the quarantine.
fn set_quarantine<T>(draft: &mut GuestDraft, value: Option<T>, part: impl Fn(&mut Quarantine) -> &mut T) {
    if let Some(value) = value {
        *part(&mut draft.quarantine) = value;
        draft.quarantine_off = false;
    }
}

fn shown_quarantine(draft: &GuestDraft, part: impl Fn(&Quarantine) -> String) -> Option<String> {
    (!draft.quarantine_off).then(|| part(&draft.quarantine))
}

fn show_fuel(fuel: u64) -> String {
    if fuel == limits::FUEL_UNLIMITED { quoted("unlimited") } else { grouped(fuel, '_') }
}
