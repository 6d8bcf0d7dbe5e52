//! The keys of `[destinations.NAME]`.

use std::time::Duration;

use sandbus_bus::limits;
use sandbus_bus::{
    Cause, CustomType, DestinationConfig, DestinationType, FailureKind, Jitter, OnFailure, OnNoListener,
};
use sandbus_bus::{RejectedExecution, RetryOn};

use super::keys::{Key, key, quoted, quoted_list};
use super::ranges;
use super::runtime_keys::{named, narrow, set, shown, shown_size};
use super::slot::Slot;
use super::units::{grouped, show_duration};

/// A destination while it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DestinationDraft {
    pub(super) config: DestinationConfig,
    /// How long `rejected-execution = "block"` waits, also where another policy stands.
    pub(super) block_timeout: Duration,
    pub(super) description: Option<String>,
}

impl DestinationDraft {
    /// A destination with these settings.
    pub(super) fn of(config: DestinationConfig) -> Self {
        let block_timeout = match config.rejected_execution {
            RejectedExecution::Block(timeout) => timeout,
            _ => limits::BLOCK_TIMEOUT,
        };
        Self { config, block_timeout, description: None }
    }

    /// Whether every value is one that the type of destination can have.
    pub(super) fn fits_its_type(&self) -> bool {
        let config = &self.config;
        match config.destination_type {
            DestinationType::Parallel => true,
            DestinationType::Serial => {
                config.rejected_execution != RejectedExecution::CallerRuns
                    && (config.workers.core, config.workers.max) == (1, 1)
            }
            DestinationType::Synchronous => {
                !matches!(config.on_no_listener, OnNoListener::Hold | OnNoListener::DeadLetter)
            }
        }
    }

    /// The settings, complete.
    pub(super) fn finished(&self) -> DestinationConfig {
        let mut config = self.config.clone();
        if let RejectedExecution::Block(timeout) = &mut config.rejected_execution {
            *timeout = self.block_timeout;
        }
        config
    }
}

/// A type that a manifest may name: one of the bus's own, or one of the embedder, which runs as one of these.
#[derive(Debug, Clone)]
pub(super) struct TypeChoice {
    pub(super) base: DestinationType,
    pub(super) custom: Option<CustomType>,
}

/// The names of the types, the bus's own first.
pub(super) fn type_choices(types: &[CustomType]) -> Vec<(&str, TypeChoice)> {
    let own = DestinationType::ALL.into_iter().map(|base| (base.name(), TypeChoice { base, custom: None }));
    let custom = types
        .iter()
        .map(|custom| (custom.name(), TypeChoice { base: custom.base(), custom: Some(custom.clone()) }));
    own.chain(custom).collect()
}

const QUEUED: &[DestinationType] = &[DestinationType::Parallel, DestinationType::Serial];
const SERIAL: &[DestinationType] = &[DestinationType::Serial];

/// A key of destinations with a queue.
const fn queued(
    name: &'static str,
    read: fn(&mut DestinationDraft, &mut Slot<'_>),
    show: fn(&DestinationDraft) -> Option<String>,
) -> Key<DestinationDraft> {
    Key { name, types: QUEUED, read, show }
}

/// The keys of a destination, besides `type`.
pub(super) const DESTINATION: &[Key<DestinationDraft>] = &[
    key(
        "description",
        |draft, slot| draft.description = slot.text(),
        |draft| draft.description.as_deref().map(quoted),
    ),
    queued(
        "max-queue-size",
        |draft, slot| {
            let entries = slot.number_or_unlimited(ranges::QUEUE_ENTRIES, u64::MAX);
            set(&mut draft.config.queue_entries_max, entries.map(unlimited_usize));
        },
        |draft| Some(show_queue_size(draft.config.queue_entries_max)),
    ),
    queued(
        "max-queue-bytes",
        |draft, slot| set(&mut draft.config.queue_bytes_max, slot.size(ranges::QUEUE_BYTES)),
        |draft| Some(shown_size(draft.config.queue_bytes_max)),
    ),
    key(
        "max-message-size",
        |draft, slot| set(&mut draft.config.message_bytes_max, slot.size(ranges::MESSAGE_BYTES)),
        |draft| Some(shown_size(draft.config.message_bytes_max)),
    ),
    queued(
        "workers.core",
        |draft, slot| set(&mut draft.config.workers.core, slot.count(ranges::WORKERS)),
        |draft| Some(shown(draft.config.workers.core)),
    ),
    queued(
        "workers.max",
        |draft, slot| set(&mut draft.config.workers.max, slot.count(ranges::WORKERS)),
        |draft| Some(shown(draft.config.workers.max)),
    ),
    queued(
        "workers.keep-alive",
        |draft, slot| set(&mut draft.config.workers.keep_alive, slot.duration(ranges::WEEK)),
        |draft| Some(quoted(&show_duration(draft.config.workers.keep_alive))),
    ),
    queued(
        "rejected-execution",
        |draft, slot| set(&mut draft.config.rejected_execution, slot.choice(REJECTED_EXECUTION)),
        |draft| Some(quoted(draft.config.rejected_execution.name())),
    ),
    queued(
        "block-timeout",
        |draft, slot| set(&mut draft.block_timeout, slot.duration(ranges::DEADLINE)),
        |draft| Some(quoted(&show_duration(draft.block_timeout))),
    ),
    key(
        "on-no-listener",
        |draft, slot| set(&mut draft.config.on_no_listener, slot.choice(ON_NO_LISTENER)),
        |draft| named(ON_NO_LISTENER, draft.config.on_no_listener),
    ),
    Key {
        name: "on-failure",
        types: SERIAL,
        read: |draft, slot| set(&mut draft.config.on_failure, slot.choice(ON_FAILURE)),
        show: |draft| named(ON_FAILURE, draft.config.on_failure),
    },
    key(
        "request-timeout",
        |draft, slot| set(&mut draft.config.request_timeout, slot.duration(ranges::DEADLINE)),
        |draft| Some(quoted(&show_duration(draft.config.request_timeout))),
    ),
    queued(
        "retry.max-attempts",
        |draft, slot| set(&mut draft.config.retry.attempts_max, slot.number(ranges::ATTEMPTS).map(narrow)),
        |draft| Some(draft.config.retry.attempts_max.to_string()),
    ),
    queued(
        "retry.initial",
        |draft, slot| set(&mut draft.config.retry.delay_initial, slot.duration(ranges::WEEK)),
        |draft| Some(quoted(&show_duration(draft.config.retry.delay_initial))),
    ),
    queued(
        "retry.max",
        |draft, slot| set(&mut draft.config.retry.delay_max, slot.duration(ranges::WEEK)),
        |draft| Some(quoted(&show_duration(draft.config.retry.delay_max))),
    ),
    queued(
        "retry.multiplier",
        |draft, slot| set(&mut draft.config.retry.multiplier, slot.fraction(ranges::MULTIPLIER)),
        |draft| Some(format!("{:?}", draft.config.retry.multiplier)),
    ),
    queued(
        "retry.jitter",
        |draft, slot| set(&mut draft.config.retry.jitter, slot.choice(JITTER)),
        |draft| named(JITTER, draft.config.retry.jitter),
    ),
    queued(
        "retry.on",
        |draft, slot| set(&mut draft.config.retry.on, retry_on(slot)),
        |draft| {
            let on = draft.config.retry.on;
            let kinds = FailureKind::ALL.iter().filter(|kind| on.contains(**kind));
            Some(quoted_list(kinds.map(|kind| kind.name())))
        },
    ),
    key(
        "dead-letter.max-size",
        |draft, slot| set(&mut draft.config.dead_letters.letters_max, slot.count(ranges::DEAD_LETTERS)),
        |draft| Some(shown(draft.config.dead_letters.letters_max)),
    ),
    key(
        "dead-letter.max-bytes",
        |draft, slot| set(&mut draft.config.dead_letters.bytes_max, slot.size(ranges::QUEUE_BYTES)),
        |draft| Some(shown_size(draft.config.dead_letters.bytes_max)),
    ),
    key(
        "dead-letter.max-age",
        |draft, slot| set(&mut draft.config.dead_letters.age_max, slot.duration(ranges::DEAD_LETTER_AGE)),
        |draft| Some(quoted(&show_duration(draft.config.dead_letters.age_max))),
    ),
    queued(
        "priority",
        |draft, slot| set(&mut draft.config.priority, slot.boolean()),
        |draft| Some(draft.config.priority.to_string()),
    ),
    queued(
        "expires-in",
        |draft, slot| set(&mut draft.config.expires_in, slot.duration_or_none(ranges::EXPIRY)),
        |draft| Some(quoted(&draft.config.expires_in.map_or("none".to_owned(), show_duration))),
    ),
    key(
        "dedup-window",
        |draft, slot| set(&mut draft.config.dedup_window, slot.duration(ranges::DEDUP_WINDOW)),
        |draft| Some(quoted(&show_duration(draft.config.dedup_window))),
    ),
    key(
        "paused",
        |draft, slot| set(&mut draft.config.paused, slot.boolean()),
        |draft| Some(draft.config.paused.to_string()),
    ),
];

const REJECTED_EXECUTION: &[(&str, RejectedExecution)] = &[
    ("abort", RejectedExecution::Abort),
    ("block", RejectedExecution::Block(limits::BLOCK_TIMEOUT)),
    ("caller-runs", RejectedExecution::CallerRuns),
    ("discard", RejectedExecution::Discard),
    ("discard-oldest", RejectedExecution::DiscardOldest),
    ("dead-letter", RejectedExecution::DeadLetter),
];

const ON_NO_LISTENER: &[(&str, OnNoListener)] = &[
    ("hold", OnNoListener::Hold),
    ("reject", OnNoListener::Reject),
    ("discard", OnNoListener::Discard),
    ("dead-letter", OnNoListener::DeadLetter),
];

const ON_FAILURE: &[(&str, OnFailure)] = &[("block", OnFailure::Block), ("skip", OnFailure::Skip)];

const JITTER: &[(&str, Jitter)] = &[("full", Jitter::Full), ("none", Jitter::None)];

/// The failures that a manifest may name; a call that the host itself interrupted is never tried again.
fn retried(name: &str) -> Option<FailureKind> {
    let interrupted = FailureKind::Faulted(Cause::Interrupted);
    FailureKind::ALL.into_iter().find(|kind| kind.name() == name && *kind != interrupted)
}

fn retry_on(slot: &mut Slot<'_>) -> Option<RetryOn> {
    let mut kinds = Vec::new();
    for (name, place) in slot.texts()? {
        match retried(&name) {
            Some(kind) => kinds.push(kind),
            None => slot.illegal_item(&place, &name, &retried_names()),
        }
    }
    Some(RetryOn::of(&kinds))
}

fn retried_names() -> Vec<&'static str> {
    FailureKind::ALL.iter().map(|kind| kind.name()).filter(|name| retried(name).is_some()).collect()
}

fn unlimited_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn show_queue_size(entries: usize) -> String {
    if entries == usize::MAX { quoted("unlimited") } else { grouped(entries as u64, '_') }
}
