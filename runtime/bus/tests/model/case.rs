//! What is generated: how the destinations are set up, and what is done to them. It runs nothing.

use proptest::prelude::*;
use sandbus_bus::{DestinationConfig, Jitter, OnFailure, OnNoListener, RejectedExecution, Workers};
use std::time::Duration;

/// One case: destinations, and operations on them.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) configs: Vec<DestinationConfig>,
    pub(crate) operations: Vec<Operation>,
}

/// Where replies to a message go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    Nowhere,
    /// A destination that takes every reply.
    Home,
    /// A destination that does not exist.
    Unknown,
}

/// Something that is done to the destination, or by the listener, of this number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Create(usize),
    Send(usize, Back),
    Request(usize, Duration),
    Register(usize, usize),
    Unregister(usize, usize),
    Pause(usize),
    Resume(usize),
    Close(usize, Duration),
    CloseNow(usize),
    Reopen(usize),
    Advance(Duration),
    Turn,
    /// Redrives the dead letters: to where they came from, or to the destination of this number.
    Redrive(usize, Option<usize>),
    DropLetters(usize),
}

pub(crate) const LISTENERS: [&str; 3] = ["a", "b", "c"];

pub(crate) fn name(destination: usize) -> String {
    format!("m/{destination}")
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn policy() -> impl Strategy<Value = RejectedExecution> {
    prop_oneof![
        Just(RejectedExecution::Abort),
        millis(1..80).prop_map(RejectedExecution::Block),
        Just(RejectedExecution::CallerRuns),
        Just(RejectedExecution::Discard),
        Just(RejectedExecution::DiscardOldest),
        Just(RejectedExecution::DeadLetter),
    ]
}

fn no_listener() -> impl Strategy<Value = OnNoListener> {
    prop_oneof![
        3 => Just(OnNoListener::Hold),
        1 => Just(OnNoListener::Reject),
        1 => Just(OnNoListener::Discard),
        1 => Just(OnNoListener::DeadLetter),
    ]
}

/// A legal configuration of one of the three types, with small bounds.
fn config(number: usize) -> impl Strategy<Value = DestinationConfig> {
    let bounds = (1usize..8, 1usize..40, 1u32..4, 1u64..60, 1usize..4);
    let chosen = (0u8..3, policy(), no_listener(), any::<bool>(), any::<bool>());
    (bounds, chosen).prop_map(move |(bounds, chosen)| {
        let (entries, bytes, attempts, delay, workers) = bounds;
        let (kind, rejected, silent, skips, paused) = chosen;
        let name = name(number);
        let mut config = match kind {
            0 => DestinationConfig::parallel(&name),
            1 => DestinationConfig::serial(&name),
            _ => DestinationConfig::synchronous(&name),
        }
        .unwrap();
        config.queue_entries_max = entries;
        config.queue_bytes_max = bytes;
        config.on_failure = if skips { OnFailure::Skip } else { OnFailure::Block };
        config.paused = paused && workers == 1;
        config.retry.attempts_max = attempts;
        config.retry.delay_initial = Duration::from_millis(delay);
        config.retry.jitter = Jitter::None;
        config.rejected_execution = rejected.clone();
        config.on_no_listener = silent;
        match kind {
            0 => {
                let keep_alive = Duration::from_secs(60);
                config.workers = Workers { core: 1, max: workers, keep_alive };
            }
            1 if rejected == RejectedExecution::CallerRuns => {
                config.rejected_execution = RejectedExecution::Abort;
            }
            2 if !matches!(silent, OnNoListener::Reject | OnNoListener::Discard) => {
                config.on_no_listener = OnNoListener::Reject;
            }
            _ => {}
        }
        config.check().unwrap();
        config
    })
}

fn operation(destinations: usize) -> impl Strategy<Value = Operation> {
    let d = move || 0..destinations;
    let l = || 0..LISTENERS.len();
    let back = prop_oneof![Just(Back::Nowhere), Just(Back::Home), Just(Back::Unknown)];
    prop_oneof![
        3 => d().prop_map(Operation::Create),
        24 => (d(), back).prop_map(|(d, back)| Operation::Send(d, back)),
        8 => (d(), millis(1..200)).prop_map(|(d, timeout)| Operation::Request(d, timeout)),
        8 => (d(), l()).prop_map(|(d, l)| Operation::Register(d, l)),
        4 => (d(), l()).prop_map(|(d, l)| Operation::Unregister(d, l)),
        2 => d().prop_map(Operation::Pause),
        4 => d().prop_map(Operation::Resume),
        2 => (d(), millis(0..100)).prop_map(|(d, drain)| Operation::Close(d, drain)),
        1 => d().prop_map(Operation::CloseNow),
        3 => d().prop_map(Operation::Reopen),
        8 => millis(0..60).prop_map(Operation::Advance),
        4 => Just(Operation::Turn),
    ]
}

/// Cases in which dead letters do not stay what they are.
pub(crate) fn redriving_cases() -> impl Strategy<Value = Case> {
    (1usize..4, any::<bool>()).prop_flat_map(|(destinations, back_only)| {
        let configs: Vec<_> = (0..destinations).map(config).collect();
        let d = move || 0..destinations;
        let elsewhere = if back_only { Just(None).boxed() } else { proptest::option::of(d()).boxed() };
        let redriving = prop_oneof![
            8 => operation(destinations),
            2 => (d(), elsewhere.clone()).prop_map(|(d, to)| Operation::Redrive(d, to)),
            1 => d().prop_map(Operation::DropLetters),
        ];
        let operations = proptest::collection::vec(redriving, 1..120);
        (configs, operations).prop_map(|(configs, operations)| Case { configs, operations })
    })
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    (1usize..5).prop_flat_map(|destinations| {
        let configs: Vec<_> = (0..destinations).map(config).collect();
        let operations = proptest::collection::vec(operation(destinations), 1..120);
        (configs, operations).prop_map(|(configs, operations)| Case { configs, operations })
    })
}
