//! What a run says at its end: figures of destinations and guests, and the dead letters by reason. It counts nothing itself.

use std::collections::BTreeMap;

use sandbus_bus::{Bus, DeadLetter, DestinationStatistics, ScheduleStatus};
use serde_json::{Value as Json, json};

use super::figures::destination_json;
use super::problems::reason_text;

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
        for (count, what) in [(dropped, "dropped"), (self.sum(|each| each.duplicates), "duplicates")] {
            if count > 0 {
                out.push_str(&format!(", {count} {what}"));
            }
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
            let reason = reason_text(&letter.reason);
            let listener = letter.listener.as_deref().unwrap_or("nobody").to_owned();
            let key =
                (letter.message.destination().to_string(), listener, reason, letter.last_error.to_string());
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
            "destinations": self.statistics.iter().map(|each| self.destination_json(each)).collect::<Vec<_>>(),
            "schedules": self.schedules.iter().map(schedule_json).collect::<Vec<_>>(),
        })
    }

    fn destination_json(&self, each: &DestinationStatistics) -> Json {
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in self.letters.iter().filter(|letter| letter.message.destination().as_str() == each.name)
        {
            *reasons.entry(letter.reason.name()).or_default() += 1;
        }
        destination_json(each, &reasons)
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
        (each.aside, "its listener's circuit breaker is open, or it is in quarantine"),
        (others, each.state),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).collect()
}

/// A number with commas, for people.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
