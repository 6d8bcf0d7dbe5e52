//! What a run says at its end: figures of destinations and guests, and the dead letters by reason. It counts nothing itself.

use std::collections::BTreeMap;

use sandbus_bus::{Bus, DeadLetter, DestinationStatistics, ScheduleStatus};
use serde_json::{Value as Json, json};

use super::problems::failure_code;
use sandbus_bus::DeadLetterReason;

/// The figures at the end of a run.
pub(super) struct Summary {
    statistics: Vec<DestinationStatistics>,
    letters: Vec<DeadLetter>,
    /// Dead letters of destinations that guests removed; nothing more is known of them here.
    pub(super) letters_of_removed: usize,
    /// Messages that wait for something that will not come by itself.
    pub(super) waiting: u64,
    guests: Vec<String>,
    schedules: Vec<ScheduleStatus>,
}

impl Summary {
    pub(super) fn new(bus: &Bus, guests: Vec<String>) -> Self {
        let statistics = bus.all_statistics();
        let letters = statistics.iter().flat_map(|each| bus.dead_letters(&each.name)).collect();
        let waiting = statistics.iter().map(|each| each.pending as u64).sum();
        Self { statistics, letters, letters_of_removed: 0, waiting, guests, schedules: bus.schedules() }
    }

    fn sum(&self, of: impl Fn(&DestinationStatistics) -> u64) -> u64 {
        self.statistics.iter().map(of).sum()
    }

    fn dead_letters(&self) -> usize {
        self.letters.len() + self.letters_of_removed
    }

    /// Whether everything was dealt with.
    pub(super) fn is_clean(&self) -> bool {
        self.dead_letters() == 0 && self.waiting == 0
    }

    /// `2 accepted, 2 completed, 0 dead letters`, and below it what is not as it should be.
    pub(super) fn text(&self) -> String {
        let accepted = self.sum(|each| each.accepted);
        let completed = self.sum(|each| each.completed);
        let mut out =
            format!("{accepted} accepted, {completed} completed, {} dead letters", self.dead_letters());
        let dropped = self.sum(|each| each.dropped.values().sum());
        if dropped > 0 {
            out.push_str(&format!(", {dropped} dropped"));
        }
        for (guest, line) in self.guest_lines() {
            out.push_str(&format!("\n  guest {guest:<12} {line}"));
        }
        for schedule in &self.schedules {
            out.push_str(&format!("\n  schedule {:<9} {}", schedule.name, firings(schedule)));
        }
        for ((destination, listener, reason, error), count) in self.letter_groups() {
            out.push_str(&format!("\n  dead  {count} at {destination} for {listener}: {reason}: {error}"));
        }
        if self.letters_of_removed > 0 {
            let count = self.letters_of_removed;
            out.push_str(&format!("\n  dead  {count} of destinations that guests removed"));
        }
        for each in &self.statistics {
            for (count, why) in waiting(each) {
                out.push_str(&format!("\n  waits {count} at {} ({why})", each.name));
            }
        }
        out
    }

    /// Calls of each guest over all destinations.
    fn guest_lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for guest in &self.guests {
            let (mut calls, mut done) = (0, 0);
            let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
            for listener in
                self.statistics.iter().flat_map(|each| &each.listeners).filter(|each| each.name == *guest)
            {
                calls += listener.calls;
                done += listener.done;
                for (kind, count) in &listener.failed {
                    *failed.entry(kind).or_default() += count;
                }
            }
            let kinds: String = failed.iter().map(|(kind, count)| format!(", {count} {kind}")).collect();
            lines.push((guest.clone(), format!("{calls} calls: {done} done{kinds}")));
        }
        lines
    }

    fn letter_groups(&self) -> BTreeMap<(String, String, String, String), u64> {
        let mut groups = BTreeMap::new();
        for letter in &self.letters {
            let code = match letter.reason {
                DeadLetterReason::Failed(kind) => format!("{} ({})", kind, failure_code(kind).as_str()),
                ref other => other.to_string(),
            };
            let listener = letter.listener.as_deref().unwrap_or("nobody").to_owned();
            let key =
                (letter.message.destination().to_string(), listener, code, letter.last_error.to_string());
            *groups.entry(key).or_default() += 1;
        }
        groups
    }

    pub(super) fn json(&self) -> Json {
        json!({
            "accepted": self.sum(|each| each.accepted),
            "completed": self.sum(|each| each.completed),
            "dead_letters": self.dead_letters(),
            "waiting": self.waiting,
            "destinations": self.statistics.iter().map(destination_json).collect::<Vec<_>>(),
            "schedules": self.schedules.iter().map(schedule_json).collect::<Vec<_>>(),
        })
    }
}

/// `3 fired`, and behind it what did not come to a message, if anything.
fn firings(schedule: &ScheduleStatus) -> String {
    let mut out = format!("{} fired", schedule.fired);
    for (count, what) in [(schedule.skipped, "skipped"), (schedule.missed, "missed")] {
        if count > 0 {
            out.push_str(&format!(", {count} {what}"));
        }
    }
    for (error, count) in &schedule.errors {
        out.push_str(&format!(", {count} {error}"));
    }
    out
}

fn schedule_json(each: &ScheduleStatus) -> Json {
    json!({
        "name": each.name, "destination": each.destination.as_str(), "state": each.state.name(),
        "fired": each.fired, "skipped": each.skipped, "missed": each.missed, "errors": each.errors,
    })
}

/// What waits at a destination, by what it waits for.
fn waiting(each: &DestinationStatistics) -> Vec<(usize, &'static str)> {
    let others = each.pending.saturating_sub(each.held + each.aside);
    let counts = [
        (each.held, "no listener"),
        (each.aside, "its listener's circuit breaker is open"),
        (others, each.state),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).collect()
}

/// The figures of one destination under the names of the interface.
pub(super) fn destination_json(each: &DestinationStatistics) -> Json {
    let listeners: Vec<Json> = each
        .listeners
        .iter()
        .map(|listener| {
            json!({
                "name": listener.name, "calls": listener.calls, "done": listener.done, "failed": listener.failed,
                "instances_made": listener.instances_made, "fuel_max": listener.fuel_max,
                "memory_max_bytes": listener.memory_bytes_max,
            })
        })
        .collect();
    json!({
        "name": each.name, "type": each.destination_type.name(), "state": each.state,
        "pending_messages": each.pending, "pending_bytes": each.pending_bytes,
        "held_messages": each.held, "aside_messages": each.aside,
        "oldest_waiting_ms": each.oldest_waiting.map(|age| age.as_secs_f64() * 1e3),
        "workers_active": each.workers_active, "workers_current": each.workers_current,
        "workers_largest": each.workers_largest, "workers_core": each.workers_core, "workers_max": each.workers_max,
        "accepted": each.accepted, "delivered": each.delivered, "completed": each.completed,
        "retried": each.retried, "failed": each.failed, "rejected": each.rejected, "dropped": each.dropped,
        "dead_letters": each.dead_letters, "listeners": listeners,
    })
}
