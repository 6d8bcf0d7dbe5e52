//! What the command line says of faults of guests: each kind once as text, each one as an event with `--json`. It counts
//! nothing; the summary at the end does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use sandbus_bus::Cause;
use serde_json::{Value as Json, json};

use super::output::Output;
use super::problems::cause_code;
use super::summary::thousands;
use crate::diagnostic::Problem;
use crate::sandbox::{FaultFrame, FaultReport, FaultSink};

/// Kinds of faults that one run tells; a guest that fails in ever new ways is not told for ever.
const KINDS_MAX: usize = 100;
/// Frames that a text names.
const FRAMES_NAMED: usize = 5;

/// Says each kind of fault once: guest, cause and function. With `--json`, each fault.
pub(super) fn told(output: Output) -> FaultSink {
    if output.json {
        Arc::new(|report: &FaultReport| eprintln!("{}", document(report)))
    } else {
        told_once(output)
    }
}

/// Says each kind of fault once, also with `--json`.
pub(super) fn told_once(output: Output) -> FaultSink {
    let kinds = Mutex::new(BTreeSet::new());
    Arc::new(move |report: &FaultReport| {
        let frame = report.own_frames().next().or(report.frames.first()).map(ToString::to_string);
        let kind = (report.guest.to_string(), report.code(), frame);
        let mut kinds = kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS_MAX || !kinds.insert(kind) {
            return;
        }
        if output.json { eprintln!("{}", document(report)) } else { output.warn(&problem(report)) }
    })
}

/// Keeps the last fault, for a command that says it in its own words.
pub(super) fn kept() -> (FaultSink, Arc<Mutex<Option<FaultReport>>>) {
    let last = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&last);
    let sink = move |report: &FaultReport| {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
    };
    (Arc::new(sink), last)
}

fn problem(report: &FaultReport) -> Problem {
    let how = match report.fault.cause {
        Cause::Trap => "trapped",
        Cause::OutOfFuel => "ran out of fuel",
        Cause::Deadline => "passed its deadline",
        Cause::Memory => "was denied memory",
        Cause::Instantiate => "could not be instantiated",
        Cause::Processor => "got nothing from a processor",
        Cause::Interrupted => "was interrupted",
    };
    let about = match (&report.message, report.attempt) {
        (Some(message), Some(attempt)) => {
            format!("on message {} at {} (attempt {attempt})", message.id(), message.destination())
        }
        (Some(message), None) if !report.batch.is_empty() => {
            let (count, id, name) = (report.batch.len(), message.id(), message.destination());
            format!("on a batch of {count} messages at {name}, with {id} in hand; none of them is blamed")
        }
        (None, None) if let Some(first) = report.batch.first() => {
            let (count, name) = (report.batch.len(), first.destination());
            format!("on a batch of {count} messages at {name}, with none in hand; none of them is blamed")
        }
        _ => format!("in `{}`", report.during),
    };
    let text = format!("guest `{}` {how} {about}: {}", report.guest, report.fault.text);
    let problem = Problem::warning(cause_code(report.fault.cause), text);
    let problem = notes(problem, report);
    if report.fuel_max.is_some() { problem.with_note("used", used(report)) } else { problem }
}

/// Where in the guest's code it was.
pub(super) fn notes(problem: Problem, report: &FaultReport) -> Problem {
    let own: Vec<&FaultFrame> = report.own_frames().take(FRAMES_NAMED).collect();
    let shown = if own.is_empty() { report.frames.iter().take(FRAMES_NAMED).collect() } else { own };
    let names: Vec<String> = shown.iter().map(ToString::to_string).collect();
    // The text itself names the first functions.
    if names.iter().all(|name| report.fault.text.as_str().contains(name.as_str())) {
        return problem;
    }
    problem.with_note("where", names.join(", called by "))
}

fn used(report: &FaultReport) -> String {
    let least = if report.fault.cause == Cause::OutOfFuel { "" } else { "at least " };
    let (fuel, fuel_max) = (report.usage.fuel.unwrap_or_default(), report.fuel_max.unwrap_or_default());
    let kib = report.usage.memory_bytes.unwrap_or_default() / 1024;
    let (fuel, fuel_max) = (thousands(fuel), thousands(fuel_max));
    let time = report.took.as_secs_f64() * 1e3;
    format!("fuel {least}{fuel} of {fuel_max}   memory {kib} KiB   time {time:.1} ms")
}

/// The ids of the messages of a batch; none for a call for one message.
fn batch_ids(report: &FaultReport) -> Option<Vec<String>> {
    let ids = || report.batch.iter().map(|message| message.id().to_string()).collect();
    (!report.batch.is_empty()).then(ids)
}

/// A fault under the names of the interface.
pub(super) fn document(report: &FaultReport) -> Json {
    let frames: Vec<Json> = report
        .frames
        .iter()
        .map(
            |frame| json!({ "function": frame.function, "offset_bytes": frame.offset, "place": frame.place }),
        )
        .collect();
    json!({
        "kind": "event", "v": 1, "event": "fault",
        "guest": &*report.guest, "build": &*report.build, "during": report.during,
        "destination": report.message.as_ref().map(|message| message.destination().as_str()),
        "message_id": report.message.as_ref().map(|message| message.id().to_string()),
        "batch_ids": batch_ids(report), "attempt": report.attempt, "cause": report.fault.cause.name(), "code": report.code(),
        "text": report.fault.text.as_str(), "frames": frames,
        "fuel": report.usage.fuel, "fuel_max": report.fuel_max,
        "memory_bytes": report.usage.memory_bytes, "time_ms": report.took.as_secs_f64() * 1e3,
        "last_lines": report.lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_report_is_that_of_the_table() {
        for cause in Cause::ALL {
            assert_eq!(crate::sandbox::fault_code(cause), cause_code(cause).as_str(), "{cause}");
        }
    }
}
