//! What is told of a fault besides its cause: where in the guest's code, what the call had used, what the guest last printed.
//! Everything in it that a guest chose is escaped, cut and masked. It stops nothing and counts nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::{Cause, Delivery, ErrorText, Fault, Message, Usage};
use wasmtime::WasmBacktrace;

use super::places::Places;
use crate::host::escaped;

/// Everything that is known of one fault.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FaultReport {
    /// Whose call was stopped.
    pub guest: Arc<str>,
    /// The first eight characters of its component's digest.
    pub build: Arc<str>,
    /// What ran: `receive`, `receive-batch`, `activate`, `deactivate`, or `instantiate` where no instance could be made.
    pub during: &'static str,
    /// The message in hand, with its destination and id; none in `activate` and `deactivate`, and where a batch had none in
    /// hand.
    pub message: Option<Arc<Message>>,
    /// The messages of the batch that the call was to receive; empty for a call for one message. None of them is blamed: each
    /// is received for itself after this.
    pub batch: Vec<Arc<Message>>,
    /// Which attempt of the delivery.
    pub attempt: Option<u32>,
    /// What stopped it, and what is known about that in one sentence.
    pub fault: Fault,
    /// The functions on the guest's stack, the innermost first, at most 20.
    pub frames: Vec<FaultFrame>,
    /// Fuel and memory of the call; the fuel is at least so much, and exact for `out-of-fuel`.
    pub usage: Usage,
    /// Fuel that the call was allowed; none where it did not begin.
    pub fuel_max: Option<u64>,
    /// How long the call took.
    pub took: Duration,
    /// The last lines that the guest printed in this call, at most 10.
    pub lines: Vec<String>,
}

/// One function on a guest's stack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultFrame {
    /// Its name as its author wrote it; none where the component has no names.
    pub function: Option<String>,
    /// Where in the component's bytes.
    pub offset: Option<usize>,
    /// File and line, `src/lib.rs:42`; none without debug information, and where this process compiled the component itself.
    pub place: Option<String>,
}

/// Takes reports of faults. It is called in the task of the call that faulted and must not wait.
pub type FaultSink = Arc<dyn Fn(&FaultReport) + Send + Sync>;

impl FaultReport {
    /// The code of its cause, the same in every release: `SB0311`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        code(self.fault.cause)
    }

    /// The frames of the guest's own code, without what its language brings along.
    pub fn own_frames(&self) -> impl Iterator<Item = &FaultFrame> {
        self.frames.iter().filter(|frame| frame.function.as_deref().is_some_and(is_own))
    }
}

impl fmt::Display for FaultFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.function, self.offset) {
            (Some(function), _) => f.write_str(function)?,
            (None, Some(offset)) => write!(f, "a function without a name, at byte {offset:#x}")?,
            (None, None) => f.write_str("a function without a name")?,
        }
        self.place.iter().try_for_each(|place| write!(f, " at {place}"))
    }
}

/// The code of a cause; the table of all codes is the command line's.
#[must_use]
pub(crate) fn code(cause: Cause) -> &'static str {
    match cause {
        Cause::Trap => "SB0310",
        Cause::OutOfFuel => "SB0311",
        Cause::Deadline => "SB0312",
        Cause::Memory => "SB0313",
        Cause::Instantiate => "SB0314",
        Cause::Processor => "SB0315",
        Cause::Interrupted => "SB0316",
    }
}

/// A sink that makes each fault a `tracing` event of the target `sandbus::fault`. Its level is `info`: one fault is a
/// delivery's end like another, and what becomes an episode is warned of by the circuit breaker and the quarantine.
pub(crate) fn tracing_faults() -> FaultSink {
    Arc::new(|report: &FaultReport| {
        let frames: Vec<String> = report.own_frames().map(ToString::to_string).collect();
        tracing::info!(
            target: "sandbus::fault",
            guest = &*report.guest,
            build = &*report.build,
            during = report.during,
            destination = report.message.as_ref().map(|message| message.destination().as_str()),
            message_id = report.message.as_ref().map(|message| tracing::field::display(message.id())),
            attempt = report.attempt,
            batch_messages = (!report.batch.is_empty()).then_some(report.batch.len()),
            batch_ids = (!report.batch.is_empty()).then(|| ids(&report.batch)),
            cause = report.fault.cause.name(),
            code = report.code(),
            fuel = report.usage.fuel,
            memory_bytes = report.usage.memory_bytes,
            took_ms = report.took.as_secs_f64() * 1e3,
            frames = frames.join(", called by "),
            "{}", report.fault.text
        );
    })
}

/// The ids of the messages of a batch.
fn ids(batch: &[Arc<Message>]) -> String {
    let ids: Vec<String> = batch.iter().map(|message| message.id().to_string()).collect();
    ids.join(" ")
}

/// What was called, and of which message.
pub(super) struct Occasion<'a> {
    pub(super) during: &'static str,
    pub(super) delivery: Option<&'a Delivery>,
    /// The message in hand, where it is not that of the delivery.
    pub(super) message: Option<Arc<Message>>,
    pub(super) batch: &'a [Delivery],
    pub(super) fuel_max: Option<u64>,
    pub(super) took: Duration,
}

impl Occasion<'_> {
    pub(super) fn report(
        self,
        (guest, build): (&Arc<str>, &Arc<str>),
        fault: &Fault,
        usage: Usage,
        frames: Vec<FaultFrame>,
        lines: Vec<String>,
    ) -> FaultReport {
        FaultReport {
            guest: Arc::clone(guest),
            build: Arc::clone(build),
            during: self.during,
            message: self.message.or_else(|| self.delivery.map(|delivery| Arc::clone(delivery.message()))),
            batch: self.batch.iter().map(|delivery| Arc::clone(delivery.message())).collect(),
            attempt: self.delivery.map(Delivery::attempt),
            fault: fault.clone(),
            frames,
            usage,
            fuel_max: self.fuel_max,
            took: self.took,
            lines,
        }
    }
}

/// The functions on the stack, the innermost first.
pub(super) fn frames(error: &wasmtime::Error, places: &Places) -> Vec<FaultFrame> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frame = |frame: &wasmtime::FrameInfo| FaultFrame {
        function: frame.func_name().map(readable),
        offset: frame.module_offset(),
        place: frame.module_offset().and_then(|offset| places.at(offset)),
    };
    backtrace.frames().iter().map(frame).collect()
}

/// Characters of a function's name that are told.
const NAME_CHARS_MAX: usize = 200;

/// A function name as its author wrote it, without the hash that the compiler put behind it, and without what steers a
/// terminal: a component may have any names.
pub(super) fn readable(name: &str) -> String {
    // Cut first: demangling a name of 100 kB is work that nobody needs.
    let cut: String = name.chars().take(4 * NAME_CHARS_MAX).collect();
    let demangled: String =
        format!("{:#}", rustc_demangle::demangle(&cut)).chars().take(NAME_CHARS_MAX).collect();
    escaped(&demangled)
}

/// Beginnings of names that say nothing about the guest's own code.
const MACHINERY: [&str; 17] = [
    "core::",
    "std::",
    "alloc::",
    "__rust",
    "rust_",
    "_start",
    "abort",
    "wit_bindgen",
    "cabi_",
    "wasi_",
    "<alloc::",
    "<core::",
    "<std::",
    "__wasi",
    "__cabi",
    "dlmalloc",
    "sandbus:",
];

/// Whether a function is of the guest's own code.
pub(super) fn is_own(name: &str) -> bool {
    !MACHINERY.iter().any(|machinery| name.starts_with(machinery))
}

/// The text with `mask` over it, if that changes anything.
pub(super) fn masked(text: ErrorText, mask: impl FnOnce(&str) -> Option<String>) -> ErrorText {
    match mask(text.as_str()) {
        Some(masked) => ErrorText::new(&masked),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hash() {
        assert_eq!(readable("_ZN4shop11order_total17hbb11407c3b816d90E"), "shop::order_total");
        assert_eq!(readable("shop::hello"), "shop::hello");
    }

    #[test]
    fn h42_a_function_name_of_100_kb_with_escape_sequences_is_cut_and_escaped() {
        let name = format!("\u{1b}[31m\nERROR forged\u{202e}{}", "x".repeat(100_000));
        let told = readable(&name);
        assert!(told.len() <= 1_024 && told.starts_with("\\u{1b}[31m\\nERROR forged\\u{202e}xxx"), "{told}");
    }

    #[test]
    fn u5_a_fault_is_one_event_with_its_fields() {
        // Whoever searches a log does it by field, not by sentence.
        use std::io::Write;
        use std::sync::Mutex;
        #[derive(Clone, Default)]
        struct Written(Arc<Mutex<Vec<u8>>>);
        impl Write for Written {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).with_ansi(false).finish();
        let called = Occasion {
            during: "activate",
            delivery: None,
            message: None,
            batch: &[],
            fuel_max: Some(9),
            took: Duration::from_millis(3),
        };
        let frame = FaultFrame { function: Some("shop::total".to_owned()), offset: Some(7), place: None };
        let fault = Fault::new(Cause::OutOfFuel, "used all of its 9 fuel");
        let usage = Usage { fuel: Some(9), memory_bytes: Some(64) };
        let (guest, build) = (Arc::from("shop"), Arc::from("0123abcd"));
        let report = called.report((&guest, &build), &fault, usage, vec![frame], Vec::new());
        tracing::subscriber::with_default(subscriber, || tracing_faults()(&report));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let event: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        let fields = &event["fields"];
        assert_eq!(event["target"], "sandbus::fault");
        for (field, wanted) in [
            ("guest", "shop"),
            ("build", "0123abcd"),
            ("during", "activate"),
            ("cause", "out-of-fuel"),
            ("code", "SB0311"),
            ("frames", "shop::total"),
            ("message", "used all of its 9 fuel"),
        ] {
            assert_eq!(fields[field], wanted, "{field}");
        }
        assert_eq!((fields["fuel"].as_u64(), fields["memory_bytes"].as_u64()), (Some(9), Some(64)));
    }
}
