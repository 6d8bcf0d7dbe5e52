//! What the tests share: one engine, the built guests, a bound on every wait, and the end that every test comes to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sandbus::bus::{
    Bus, DeadLetter, DestinationConfig, DestinationStatistics, Event, EventFilter, MessageId, Observation,
    Outgoing, RequestError,
};
use sandbus::harness::{Harness, HarnessBuilder};
use sandbus::{Allocator, CompileCache, Compiler, Ended, GuestSettings, RuntimeSettings, SandboxEngine};

use crate::neighbourhood::marked;
use crate::watch;

/// The engine that all tests share; what it compiled stays on disk between runs.
pub(crate) fn engine() -> SandboxEngine {
    static ENGINE: OnceLock<SandboxEngine> = OnceLock::new();
    ENGINE.get_or_init(|| SandboxEngine::new(&runtime()).expect("the engine starts")).clone()
}

/// Settings for tests: many small platforms in one process, so that a pool of 1,000 slots each would be in the way.
pub(crate) fn runtime() -> RuntimeSettings {
    RuntimeSettings {
        state_dir: state_dir(),
        compile_cache: CompileCache::Path(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled")),
        compiler: Compiler::InProcess,
        allocator: Allocator::Pooling,
        total_instances_max: 300,
        total_memory_bytes_max: 4 << 30,
        ..RuntimeSettings::default()
    }
}

fn state_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("state")
}

/// A sample guest of this crate name, under this name in the platform.
pub(crate) fn sample(crate_name: &str, name: &str) -> GuestSettings {
    GuestSettings::new(name, format!("{}/{crate_name}.wasm", env!("SAMPLE_GUESTS")))
}

/// A test guest of this crate name, listening to these destinations.
pub(crate) fn guest(crate_name: &str, name: &str, listens_to: &[&str]) -> GuestSettings {
    let mut settings = GuestSettings::new(name, format!("{}/{crate_name}.wasm", env!("TEST_GUESTS")));
    settings.listens_to = listens_to.iter().map(ToString::to_string).collect();
    settings
}

/// A guest of this crate name that is written with another platform's SDK, listening to these destinations.
pub(crate) fn sdk_guest(crate_name: &str, name: &str, listens_to: &[&str]) -> GuestSettings {
    let mut settings = GuestSettings::new(name, format!("{}/{crate_name}.wasm", env!("SDK_GUESTS")));
    settings.listens_to = listens_to.iter().map(ToString::to_string).collect();
    settings
}

/// A harness on the shared engine.
pub(crate) fn harness() -> HarnessBuilder {
    watch::begin();
    Harness::builder().engine(engine()).runtime(runtime())
}

/// Where a neighbour listens that completes everything.
const NEIGHBOUR: &str = "neighbour";
/// Messages that it gets.
const NEIGHBOURS_MESSAGES: u64 = 20;

/// The same with a neighbour, which must have completed everything when the test ends with [`Asking::settled`].
pub(crate) fn beside_a_neighbour() -> HarnessBuilder {
    harness().destination(serial(NEIGHBOUR)).guest(zoo_that("note", NEIGHBOUR, &[NEIGHBOUR]))
}

/// Fails unless the neighbour completes all that it gets.
async fn feed_the_neighbour(harness: &Harness) {
    for _ in 0..NEIGHBOURS_MESSAGES {
        harness.send(NEIGHBOUR, marked("work")).await.expect("the neighbour's message is accepted");
    }
    harness.idle().await.expect("the platform comes to rest");
    let of = harness.figures(NEIGHBOUR);
    assert_eq!((of.completed, of.failed_total()), (NEIGHBOURS_MESSAGES, 0), "the neighbour: {of:?}");
}

pub(crate) fn serial(name: &str) -> DestinationConfig {
    DestinationConfig::serial(name).expect("a legal name")
}

pub(crate) fn parallel(name: &str) -> DestinationConfig {
    DestinationConfig::parallel(name).expect("a legal name")
}

pub(crate) fn synchronous(name: &str) -> DestinationConfig {
    DestinationConfig::synchronous(name).expect("a legal name")
}

/// Grants as a manifest would write them.
pub(crate) trait Granting {
    /// Grants sending to these names or patterns.
    fn may_send(self, patterns: &[&str]) -> Self;
}

impl Granting for GuestSettings {
    fn may_send(mut self, patterns: &[&str]) -> Self {
        self.grants.send = patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        self
    }
}

/// The zoo under this name, listening to these destinations.
pub(crate) fn zoo(name: &str, listens_to: &[&str]) -> GuestSettings {
    guest("zoo", name, listens_to)
}

/// The zoo as a listener that does this one thing, whatever it receives.
pub(crate) fn zoo_that(command: &str, name: &str, listens_to: &[&str]) -> GuestSettings {
    let mut settings = zoo(name, listens_to);
    settings.env.insert("ZOO".to_owned(), command.to_owned());
    settings
}

/// A plugin whose `activate` and `deactivate` do what these commands say.
pub(crate) fn plugin(name: &str, activate: &str, deactivate: &str) -> GuestSettings {
    let mut settings = guest("plugin_zoo", name, &[]);
    settings.env.insert("ACTIVATE".to_owned(), activate.to_owned());
    settings.env.insert("DEACTIVATE".to_owned(), deactivate.to_owned());
    settings
}

/// What a test asks of a running harness.
pub(crate) trait Asking {
    /// Sends a text; it must be accepted.
    async fn tell(&self, destination: &str, text: &str) -> MessageId;
    /// Requests with a text; the reply as text.
    async fn ask(&self, destination: &str, text: &str) -> Result<String, RequestError>;
    /// The same for a request that must be answered.
    async fn answer(&self, destination: &str, text: &str) -> String;
    /// The one dead letter of a destination.
    fn letter(&self, destination: &str) -> DeadLetter;
    /// The figures of a destination that exists.
    fn figures(&self, destination: &str) -> DestinationStatistics;
    /// Comes to rest, shuts down and checks the accounting law at every destination.
    async fn settled(self) -> Ended;
}

impl Asking for Harness {
    async fn tell(&self, destination: &str, text: &str) -> MessageId {
        self.send(destination, Outgoing::text(text)).await.expect("the message is accepted")
    }

    async fn ask(&self, destination: &str, text: &str) -> Result<String, RequestError> {
        let reply = self.request(destination, Outgoing::text(text)).await?;
        Ok(String::from_utf8_lossy(&reply.payload).into_owned())
    }

    async fn answer(&self, destination: &str, text: &str) -> String {
        self.ask(destination, text).await.unwrap_or_else(|error| panic!("{destination} `{text}`: {error}"))
    }

    fn letter(&self, destination: &str) -> DeadLetter {
        let mut letters = self.dead_letters(destination);
        assert_eq!(letters.len(), 1, "dead letters of {destination}: {letters:?}");
        letters.remove(0)
    }

    fn figures(&self, destination: &str) -> DestinationStatistics {
        self.statistics(destination).unwrap_or_else(|| panic!("no destination {destination}"))
    }

    async fn settled(self) -> Ended {
        self.idle().await.expect("the platform comes to rest");
        if self.bus().has_destination(NEIGHBOUR) {
            feed_the_neighbour(&self).await;
        }
        watch::lines_are_harmless(&self.logs());
        watch::nothing_forbidden_was_logged();
        let ended = self.end().await;
        for each in &ended.statistics {
            assert!(each.adds_up(), "the accounting law is broken: {each:?}");
            assert_eq!((each.waiting, each.running), (0, 0), "left behind: {each:?}");
        }
        ended
    }
}

/// Waits until `so` holds.
pub(crate) async fn eventually(what: &str, so: impl Fn() -> bool) {
    let holds = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(60), holds).await;
    assert!(held.is_ok(), "never: {what}");
}

/// What observers are told of guests and their faults, as texts: `guest-loaded g`.
pub(crate) struct Told {
    told: Arc<Mutex<Vec<String>>>,
    _observation: Observation,
}

impl Told {
    pub(crate) fn by(bus: &Bus) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        let observation = bus.observe(EventFilter::All, move |event: &Event| {
            let text = match event {
                Event::ListenerFaulted { listener, cause, .. } => format!("faulted {listener} {cause}"),
                Event::ListenerUnregistered { listener, destination } => {
                    format!("unregistered {listener} {destination}")
                }
                event => match event.guest() {
                    Some(guest) => format!("{} {guest}", event.name()),
                    None => return,
                },
            };
            kept.lock().unwrap().push(text);
        });
        let observation = observation.expect("there is room for an observer");
        Self { told, _observation: observation }
    }

    /// What was told since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.told.lock().unwrap().iter().any(|told| told == text)
    }
}
