//! What is generated: destinations, and what is done to them. It runs nothing.

use std::time::Duration;

use proptest::prelude::*;
use sandbus_bus::SendOptions;

use crate::settings::{Settings, Shape, millis, settings, shape};

/// One case: destinations, and operations on them.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) places: Vec<(Shape, Settings)>,
    pub(crate) home: Home,
    /// What is there from the start: destinations with the listeners of these numbers.
    pub(crate) opening: Vec<Option<Vec<usize>>>,
    pub(crate) operations: Vec<Operation>,
}

/// The destination that takes replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// It takes every reply.
    Wide,
    /// It has room for one, and turns the others away.
    Narrow,
    /// It has room for one, and the others wait.
    Waiting(Duration),
}

/// Where replies to a message go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    Nowhere,
    Home,
    /// A destination that does not exist.
    Unknown,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Letters {
    All,
    Reason(&'static str),
    Listener(usize),
    /// So many of them, the oldest first, where they are redriven.
    Oldest(usize),
}

/// Where dead letters are redriven to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    Back,
    Place(usize),
    Home,
}

/// Which of two destinations of one name is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The one that senders see.
    Shown,
    /// The one behind it.
    Hidden,
}

/// Something that is done to the destination, or by the listener, of this number.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Create(usize),
    Destroy(usize),
    /// Another destination of the same name takes the place of this one.
    Replace(usize, Shape, Box<Settings>),
    /// One of the two goes.
    Unreplace(usize, Gone),
    /// The last one: whether its sender follows it to its end.
    Send(usize, Option<Box<SendOptions>>, Back, bool),
    /// As many as that at once.
    Burst(usize, usize, Back),
    Request(usize, Option<Box<SendOptions>>, Duration),
    Direct(usize, Duration),
    /// The oldest sender that still waits goes away.
    Cancel,
    Register(usize, usize),
    Unregister(usize, usize),
    Pause(usize),
    Resume(usize),
    Inline(usize, bool),
    Tune(usize, Box<Settings>),
    /// Settings that are not legal.
    Mistune(usize),
    Purge(usize),
    Redrive(Option<usize>, To, Letters),
    DropLetters(Option<usize>, Letters),
    /// A reply under an id that nobody ever had.
    Forge,
    Close(usize, Duration),
    CloseNow(usize),
    Reopen(usize),
    Advance(Duration),
    Turn,
}

impl Operation {
    /// Its name, for the tally.
    pub(crate) fn name(&self) -> String {
        let told = format!("{self:?}");
        told.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }
}

pub(crate) const LISTENERS: [&str; 3] = ["a", "b", "c"];
pub(crate) const HOME: &str = "m/home";

pub(crate) fn name(destination: usize) -> String {
    format!("m/{destination}")
}

fn key(prefix: &'static str, count: usize) -> impl Strategy<Value = std::sync::Arc<str>> {
    (0..count).prop_map(move |key| format!("{prefix}{key}").into())
}

/// Mostly one or two options; some meetings of them are not legal.
fn options() -> impl Strategy<Value = Option<Box<SendOptions>>> {
    let options = (
        prop::option::weighted(0.3, 0u8..10),
        prop::option::weighted(0.15, millis(0..60)),
        prop::option::weighted(0.2, millis(1..120)),
        prop::option::weighted(0.4, key("order-", 2)),
        prop::option::weighted(0.25, key("once-", 3)),
    );
    let options = options.prop_map(|(priority, deliver_after, expires_after, ordering_key, dedup_key)| {
        Box::new(SendOptions { priority, deliver_after, expires_after, ordering_key, dedup_key })
    });
    prop::option::weighted(0.6, options)
}

fn letters() -> impl Strategy<Value = Letters> {
    let reason = prop::sample::select(vec![
        "expired",
        "refused",
        "retry",
        "deadline",
        "trap",
        "closed",
        "no-listener",
    ]);
    prop_oneof![
        3 => Just(Letters::All),
        2 => reason.prop_map(Letters::Reason),
        1 => (0..LISTENERS.len()).prop_map(Letters::Listener),
        2 => (1usize..4).prop_map(Letters::Oldest),
    ]
}

fn traffic(destinations: usize) -> BoxedStrategy<Operation> {
    let d = move || 0..destinations;
    let back = prop_oneof![2 => Just(Back::Nowhere), 3 => Just(Back::Home), 1 => Just(Back::Unknown)];
    prop_oneof![
        3 => (d(), 2usize..7, back.clone()).prop_map(|(d, count, back)| Operation::Burst(d, count, back)),
        24 => (d(), options(), back, prop::bool::weighted(0.3))
            .prop_map(|(d, options, back, follow)| Operation::Send(d, options, back, follow)),
        7 => (d(), options(), millis(1..200)).prop_map(|(d, options, timeout)| Operation::Request(d, options, timeout)),
        4 => (d(), millis(1..120)).prop_map(|(d, timeout)| Operation::Direct(d, timeout)),
        2 => Just(Operation::Cancel),
        1 => Just(Operation::Forge),
        10 => millis(0..60).prop_map(Operation::Advance),
        5 => Just(Operation::Turn),
    ]
    .boxed()
}

fn life(destinations: usize) -> BoxedStrategy<Operation> {
    let d = move || 0..destinations;
    let l = || 0..LISTENERS.len();
    prop_oneof![
        14 => d().prop_map(Operation::Create),
        1 => d().prop_map(Operation::Destroy),
        3 => (d(), shape(), settings())
            .prop_map(|(d, shape, settings)| Operation::Replace(d, shape, Box::new(settings))),
        4 => (d(), prop_oneof![Just(Gone::Shown), Just(Gone::Hidden)])
            .prop_map(|(d, gone)| Operation::Unreplace(d, gone)),
        8 => (d(), l()).prop_map(|(d, l)| Operation::Register(d, l)),
        4 => (d(), l()).prop_map(|(d, l)| Operation::Unregister(d, l)),
        2 => d().prop_map(Operation::Pause),
        5 => d().prop_map(Operation::Resume),
        2 => (d(), millis(0..100)).prop_map(|(d, drain)| Operation::Close(d, drain)),
        1 => d().prop_map(Operation::CloseNow),
        16 => d().prop_map(Operation::Reopen),
    ]
    .boxed()
}

fn operator(destinations: usize) -> BoxedStrategy<Operation> {
    let d = move || 0..destinations;
    let one = move || prop::option::weighted(0.8, d());
    let to = prop_oneof![5 => Just(To::Back), 2 => d().prop_map(To::Place), 1 => Just(To::Home)];
    prop_oneof![
        3 => (d(), prop::bool::weighted(0.4)).prop_map(|(d, inline)| Operation::Inline(d, inline)),
        4 => (d(), settings()).prop_map(|(d, settings)| Operation::Tune(d, Box::new(settings))),
        1 => d().prop_map(Operation::Mistune),
        3 => d().prop_map(Operation::Purge),
        6 => (one(), to, letters()).prop_map(|(d, to, letters)| Operation::Redrive(d, to, letters)),
        2 => (one(), letters()).prop_map(|(d, letters)| Operation::DropLetters(d, letters)),
    ]
    .boxed()
}

fn operation(destinations: usize) -> impl Strategy<Value = Operation> {
    prop_oneof![56 => traffic(destinations), 34 => life(destinations), 16 => operator(destinations)]
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    (1usize..4).prop_flat_map(|destinations| {
        let places: Vec<_> = (0..destinations).map(|_| (shape(), settings())).collect();
        let home = prop_oneof![
            2 => Just(Home::Wide),
            2 => Just(Home::Narrow),
            1 => millis(1..30).prop_map(Home::Waiting),
        ];
        let listeners = prop::sample::subsequence(vec![0usize, 1, 2], 0..=3);
        let opening = proptest::collection::vec(prop::option::weighted(0.85, listeners), destinations);
        let operations = proptest::collection::vec(operation(destinations), 1..150);
        (places, home, opening, operations).prop_map(|(places, home, opening, operations)| Case {
            places,
            home,
            opening,
            operations,
        })
    })
}
