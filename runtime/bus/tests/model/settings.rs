//! How the destinations of a case are set up, and the settings that are put in force while they run. It runs nothing.

use std::time::Duration;

use proptest::prelude::*;
use sandbus_bus::{
    CircuitBreaker, CustomType, DestinationConfig, DestinationType, Jitter, OnFailure, OnNoListener,
    RejectedExecution, RejectionHandler, SendError, Workers,
};

use crate::case::{LISTENERS, name};
use crate::log::SharedLog;

/// What never changes about a destination while it lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) destination_type: DestinationType,
    /// Whether its type is an embedder's, which chooses among the listeners.
    pub(crate) chooses: bool,
    /// How many faults open the circuit breaker of its listeners but the first, and for how long.
    pub(crate) breaker: Option<(u32, Duration)>,
}

/// What may change.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    entries_max: usize,
    bytes_max: usize,
    message_bytes_max: usize,
    attempts_max: u32,
    retry_delay: Duration,
    workers_core: usize,
    workers_more: usize,
    rejected: Rejected,
    on_no_listener: OnNoListener,
    skips: bool,
    paused: bool,
    priority: bool,
    expires_in: Option<Duration>,
    dedup_window: Duration,
    letters_max: usize,
}

#[derive(Debug, Clone)]
enum Rejected {
    Policy(RejectedExecution),
    Handler,
}

pub(crate) fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let destination_type = prop_oneof![
        4 => Just(DestinationType::Parallel),
        4 => Just(DestinationType::Serial),
        2 => Just(DestinationType::Synchronous),
    ];
    let breaker = proptest::option::of((1u32..4, millis(5..60)));
    (destination_type, prop::bool::weighted(0.2), breaker)
        .prop_map(|(destination_type, chooses, breaker)| Shape { destination_type, chooses, breaker })
}

fn rejected() -> impl Strategy<Value = Rejected> {
    let policy = |policy| Just(Rejected::Policy(policy));
    prop_oneof![
        4 => policy(RejectedExecution::Abort),
        4 => millis(1..80).prop_map(|timeout| Rejected::Policy(RejectedExecution::Block(timeout))),
        4 => policy(RejectedExecution::CallerRuns),
        2 => policy(RejectedExecution::Discard),
        4 => policy(RejectedExecution::DiscardOldest),
        2 => policy(RejectedExecution::DeadLetter),
        2 => Just(Rejected::Handler),
    ]
}

fn on_no_listener() -> impl Strategy<Value = OnNoListener> {
    prop_oneof![
        3 => Just(OnNoListener::Hold),
        1 => Just(OnNoListener::Reject),
        1 => Just(OnNoListener::Discard),
        1 => Just(OnNoListener::DeadLetter),
    ]
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let bounds =
        (1usize..9, prop_oneof![1usize..60, Just(10_000)], prop_oneof![9 => Just(100usize), 1 => 6usize..10]);
    let retry = (1u32..4, millis(1..60));
    let workers = (1usize..3, 0usize..3);
    let policies = (rejected(), on_no_listener(), any::<bool>(), prop::bool::weighted(0.15));
    let times = (
        prop::bool::weighted(0.3),
        prop::option::weighted(0.15, millis(5..80)),
        prop_oneof![Just(Duration::from_secs(3_600)), millis(1..80)],
        prop_oneof![9 => Just(10_000usize), 1 => 1usize..6],
    );
    (bounds, retry, workers, policies, times).prop_map(|(bounds, retry, workers, policies, times)| Settings {
        entries_max: bounds.0,
        bytes_max: bounds.1,
        message_bytes_max: bounds.2,
        attempts_max: retry.0,
        retry_delay: retry.1,
        workers_core: workers.0,
        workers_more: workers.1,
        rejected: policies.0,
        on_no_listener: policies.1,
        skips: policies.2,
        paused: policies.3,
        priority: times.0,
        expires_in: times.1,
        dedup_window: times.2,
        letters_max: times.3,
    })
}

impl Shape {
    /// The circuit breaker of the listener of this number; the first one has none, so that somebody always goes on.
    pub(crate) fn breaker_of(&self, listener: usize) -> Option<CircuitBreaker> {
        let (faults, cooldown) = self.breaker.filter(|_| listener > 0)?;
        Some(CircuitBreaker { faults, ratio: 0.0, window: Duration::from_secs(3_600), cooldown })
    }
}

/// Whether an embedder's type has this listener receive the message of this number.
pub(crate) fn is_chosen(number: u64, listener: usize) -> bool {
    !(number + listener as u64).is_multiple_of(3)
}

/// The embedder's type, which chooses by the number that is the payload.
pub(crate) fn custom_type(base: DestinationType) -> CustomType {
    CustomType::new("some", base, |message, names| {
        let number = number_of(message.payload());
        let listener = |name: &str| LISTENERS.iter().position(|known| *known == name).unwrap();
        let chosen = |place: &usize| is_chosen(number, listener(names[*place]));
        (0..names.len()).filter(chosen).collect()
    })
    .unwrap()
}

/// The number that a payload is.
pub(crate) fn number_of(payload: &[u8]) -> u64 {
    std::str::from_utf8(payload).unwrap().trim().parse().unwrap()
}

/// Whether the handler of rejected messages keeps this one, so that its sender learns nothing.
pub(crate) fn handler_keeps(number: u64) -> bool {
    number.is_multiple_of(2)
}

fn handler(log: &SharedLog) -> RejectionHandler {
    let log = log.clone();
    RejectionHandler::new(move |message, full: SendError| {
        let number = number_of(message.payload());
        log.lock().unwrap().handled.push(number);
        if handler_keeps(number) { Ok(()) } else { Err(full) }
    })
}

impl Settings {
    /// The same with room for everything that a case can send.
    pub(crate) fn wide(&self) -> Self {
        Self { entries_max: 10_000, bytes_max: 1_000_000, ..self.clone() }
    }

    /// A legal configuration of the destination of this number.
    pub(crate) fn config(
        &self,
        number: usize,
        shape: &Shape,
        custom: &CustomType,
        log: &SharedLog,
    ) -> DestinationConfig {
        let mut config = DestinationConfig::with_type(shape.destination_type, &name(number)).unwrap();
        config.custom_type = shape.chooses.then(|| custom.clone());
        config.queue_entries_max = self.entries_max;
        config.queue_bytes_max = self.bytes_max;
        config.message_bytes_max = self.message_bytes_max;
        config.on_failure = if self.skips { OnFailure::Skip } else { OnFailure::Block };
        config.paused = self.paused;
        config.retry.attempts_max = self.attempts_max;
        config.retry.delay_initial = self.retry_delay;
        config.retry.jitter = Jitter::None;
        config.rejected_execution = match &self.rejected {
            Rejected::Policy(policy) => policy.clone(),
            Rejected::Handler => RejectedExecution::Handler(handler(log)),
        };
        config.on_no_listener = self.on_no_listener;
        config.dedup_window = self.dedup_window;
        config.dead_letters.letters_max = self.letters_max;
        if shape.destination_type.is_queued() {
            config.priority = self.priority;
            config.expires_in = self.expires_in;
        }
        match shape.destination_type {
            DestinationType::Parallel => {
                let (core, max) = (self.workers_core, self.workers_core + self.workers_more);
                config.workers = Workers { core, max, keep_alive: Duration::from_secs(60) };
            }
            DestinationType::Serial if config.rejected_execution == RejectedExecution::CallerRuns => {
                config.rejected_execution = RejectedExecution::Abort;
            }
            DestinationType::Synchronous
                if !matches!(self.on_no_listener, OnNoListener::Reject | OnNoListener::Discard) =>
            {
                config.on_no_listener = OnNoListener::Reject;
            }
            _ => {}
        }
        config.check().unwrap();
        config
    }
}
