//! What the host says while tests run: every event of its log, and every fault that the bus tells. Each text is looked at as
//! it comes: no control character, nothing that was marked as a payload or a secret. It changes nothing.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sandbus::LogLine;
use sandbus::bus::{Bus, Cause, DestinationStatistics, Event, EventFilter, MessageId, Observation};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Stands in payloads that no log of the host may show.
pub(crate) const A_PAYLOAD: &str = "payload-that-no-log-shows";
/// Stands in values that no log of the host may show.
pub(crate) const A_SECRET: &str = "secret-that-no-log-shows";
/// Bytes of a guest's line, and of a text about a fault.
pub(crate) const TEXT_BYTES_MAX: usize = 1_024;
/// Log events that are kept; what comes later is looked at and forgotten.
const KEPT_MAX: usize = 100_000;

/// One event of the host's log: level, and fields as `name=value`.
#[derive(Debug, Clone)]
pub(crate) struct HostLine {
    pub(crate) level: Level,
    pub(crate) text: String,
}

#[derive(Default)]
struct HostLog {
    lines: Vec<HostLine>,
    forbidden: Vec<String>,
}

fn log() -> &'static Mutex<HostLog> {
    static LOG: OnceLock<Mutex<HostLog>> = OnceLock::new();
    LOG.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Kept);
        tracing::subscriber::set_global_default(subscriber)
            .expect("nobody else reads the log of these tests");
        Mutex::default()
    })
}

/// Begins to read the host's log, once.
pub(crate) fn begin() {
    log();
}

/// The host's lines about this, as `name=value`.
pub(crate) fn host_lines(about: &str) -> Vec<HostLine> {
    log().lock().unwrap().lines.iter().filter(|line| line.text.contains(about)).cloned().collect()
}

/// Fails if any line of the host's log, of any test so far, held what none may hold.
pub(crate) fn nothing_forbidden_was_logged() {
    let forbidden = &log().lock().unwrap().forbidden;
    assert!(forbidden.is_empty(), "in the host's log: {forbidden:?}");
}

/// Fails if a guest's lines are too long or would steer a terminal.
pub(crate) fn lines_are_harmless(lines: &[LogLine]) {
    for line in lines {
        assert!(line.text.len() <= TEXT_BYTES_MAX, "{} bytes: {}", line.text.len(), line.text);
        is_harmless(&line.text);
    }
}

fn is_harmless(text: &str) {
    assert!(!text.contains(char::is_control), "a control character in {text:?}");
}

struct Kept;

impl<S: Subscriber> Layer<S> for Kept {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("sandbus")
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut log = log().lock().unwrap();
        if [A_PAYLOAD, A_SECRET].iter().any(|mark| text.0.contains(mark)) || text.0.contains(char::is_control)
        {
            log.forbidden.push(text.0.clone());
        }
        if log.lines.len() < KEPT_MAX {
            log.lines.push(HostLine { level: *event.metadata().level(), text: text.0 });
        }
    }
}

/// Fields as they are, unescaped: what writes a log may or may not escape them.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{}={value} ", field.name());
    }
}

/// A fault as the bus told it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Faulted {
    pub(crate) listener: Arc<str>,
    pub(crate) destination: String,
    pub(crate) message_id: MessageId,
    pub(crate) attempt: u32,
    pub(crate) cause: Cause,
    pub(crate) text: String,
}

/// Every fault that is told from now on.
pub(crate) struct Faults {
    told: Arc<Mutex<Vec<Faulted>>>,
    _observation: Observation,
}

impl Faults {
    pub(crate) fn of(bus: &Bus) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        let observation = bus.observe(EventFilter::All, move |event: &Event| {
            if let Event::ListenerFaulted { listener, destination, message_id, attempt, cause, text } = event
            {
                kept.lock().unwrap().push(Faulted {
                    listener: Arc::clone(listener),
                    destination: destination.to_string(),
                    message_id: *message_id,
                    attempt: *attempt,
                    cause: *cause,
                    text: text.to_string(),
                });
            }
        });
        Self { told, _observation: observation.expect("room for an observer") }
    }

    /// All that were told so far.
    pub(crate) fn told(&self) -> Vec<Faulted> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until as many were told as the destinations have counted, and fails if it is not each exactly once.
    pub(crate) async fn are_those_of(&self, figures: &[DestinationStatistics]) {
        let counted: u64 = figures.iter().map(faults_counted).sum();
        // Whoever tells events at that moment may do so on another thread.
        until("every fault is told", || self.told.lock().unwrap().len() as u64 >= counted).await;
        let told = self.told();
        for fault in &told {
            assert!(fault.text.len() <= TEXT_BYTES_MAX, "{fault:?}");
            is_harmless(&fault.text);
        }
        for each in figures {
            for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::Interrupted) {
                let told = told.iter().filter(|fault| fault.destination == each.name && fault.cause == cause);
                let counted = each.failed.get(cause.name()).copied().unwrap_or_default();
                assert_eq!(told.count() as u64, counted, "{cause} at {}", each.name);
            }
        }
    }
}

/// Faults that a destination has counted, without interrupts of the host, which are not told.
fn faults_counted(of: &DestinationStatistics) -> u64 {
    let causes = Cause::ALL.into_iter().filter(|cause| *cause != Cause::Interrupted);
    causes.filter_map(|cause| of.failed.get(cause.name())).sum()
}

/// Waits until `so` holds.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let holds = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), holds).await.is_ok(), "never: {what}");
}
