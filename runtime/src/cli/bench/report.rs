//! How what a bench found is printed: text, one JSON document, or a line of CSV for each stage. It measures nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::args::Mode;
use super::super::figures::put_quantiles;
use super::super::summary::thousands;
use super::measured::{Called, Measured, Row};
use super::plan::Plan;
use crate::diagnostic::Code;

/// What one line of CSV has.
pub(super) const CSV_COLUMNS: [&str; 10] =
    ["mode", "stage", "count", "p50_us", "p90_us", "p99_us", "max_us", "mean_us", "share", "work_share"];

/// The whole answer for people.
pub(super) fn text(plan: &Plan, found: &Measured) -> String {
    let mut lines = vec![head(plan, found)];
    lines.extend(counts(found).into_iter().map(|line| format!("  {line}")));
    lines.push(String::new());
    lines.extend(table(&found.rows));
    lines.push(String::new());
    lines.extend(found.listeners.iter().map(called));
    if plan.mode == Mode::Send && plan.per_second.is_none() && found.destination_type != "synchronous" {
        lines.push("the senders never paused: the queue wait tells how many waited; see --rate".to_owned());
    }
    lines.push(
        "figures of this machine, whose processors the workers share with the senders; measuring adds to each"
            .to_owned(),
    );
    lines.join("\n")
}

fn head(plan: &Plan, found: &Measured) -> String {
    let senders = if plan.senders == 1 { "1 sender".to_owned() } else { format!("{} senders", plan.senders) };
    let rate = plan.per_second.map(|rate| format!(", {} per second", thousands(rate))).unwrap_or_default();
    format!(
        "{} of {} bytes to {} ({}), {senders}{rate}: {}",
        plan.mode.name(),
        thousands(plan.message.size_bytes() as u64),
        plan.destination,
        found.destination_type,
        found.how.name()
    )
}

/// What became of the messages; a line only where there is something to say.
fn counts(found: &Measured) -> Vec<String> {
    let tally = &found.tally;
    let mut lines = vec![format!(
        "{} sent, {} accepted, {} completed in {}: {} per second",
        thousands(tally.sent),
        thousands(tally.accepted),
        thousands(found.completed),
        time(found.elapsed),
        thousands(found.completed_per_second().round() as u64)
    )];
    for (what, counts) in
        [("rejected", &tally.rejected), ("unanswered", &tally.unanswered), ("failed", &found.failed)]
    {
        lines.extend(by_name(what, counts));
    }
    lines.extend(by_name("dropped", &found.dropped));
    let several = [
        (found.retried, "attempts more than one were made"),
        (found.dead_letters, "became dead letters, which are not saved"),
        (found.listener_removed, "were owed to a listener that was removed"),
        (found.waiting + found.running, "were not received when it ended"),
        (tally.waited_for_room, "sends found the queue full and waited for room"),
    ];
    lines.extend(
        several
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", thousands(*count))),
    );
    if tally.late > 0 {
        let count = thousands(tally.late);
        lines.push(format!("{count} sends began late, by up to {}", time(tally.latest)));
    }
    lines
}

fn by_name(what: &str, counts: &BTreeMap<&'static str, u64>) -> Option<String> {
    let named = |(name, count): (&&str, &u64)| match Code::find(name) {
        Some(code) => format!("{} {name} ({code})", thousands(*count)),
        None => format!("{} {name}", thousands(*count)),
    };
    let all: Vec<String> = counts.iter().map(named).collect();
    (!all.is_empty()).then(|| format!("{what}: {}", all.join(", ")))
}

fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "stage", "p50", "p90", "p99", "max", "mean", "of all", "of work"
    )];
    for row in rows {
        let cell = |part: Option<Duration>| part.map_or_else(|| "-".to_owned(), time);
        let spread = row.spread;
        let parts = [
            spread.map(|spread| spread.p50),
            spread.map(|spread| spread.p90),
            spread.map(|spread| spread.p99),
            spread.map(|spread| spread.max),
            row.mean,
        ];
        let cells: String = parts.into_iter().map(|part| format!(" {:>9}", cell(part))).collect();
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 1e2))
        };
        let (share, work_share) = (percent(row.share), percent(row.work_share));
        lines.push(format!("{:<11}{cells} {share:>8} {work_share:>8}", spoken(row.name)));
    }
    lines
}

/// The name of a figure as people read it.
pub(super) fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

fn called(listener: &Called) -> String {
    let fuel = match (listener.fuel, listener.fuel_mean) {
        (Some(fuel), Some(mean)) => format!(
            ", fuel {} on average, p50 {}, max {}",
            thousands(mean.round() as u64),
            thousands(fuel.p50),
            thousands(fuel.max)
        ),
        _ => String::new(),
    };
    let made = thousands(listener.instances_made);
    format!("{}: {} calls{fuel}, {made} instances made", listener.name, thousands(listener.calls))
}

/// A time with three digits or so.
fn time(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    match nanos {
        ..10e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.1} us", nanos / 1e3),
        ..10e9 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.1} s", nanos / 1e9),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// All of it as one document.
pub(super) fn document(plan: &Plan, found: &Measured) -> Json {
    let tally = &found.tally;
    let mut out = json!({
        "kind": "bench", "v": 1, "ended": found.how.name(), "is_complete": found.is_complete(),
        "destination": plan.destination, "type": found.destination_type, "mode": plan.mode.name(),
        "payload_bytes": plan.message.payload.len(), "senders": plan.senders, "rate_per_s": plan.per_second,
        "warmup_ms": plan.warm_up.map(|time| time.as_secs_f64() * 1e3),
        "after_ms": found.elapsed.as_secs_f64() * 1e3,
        "sent": tally.sent, "accepted": tally.accepted, "rejected": tally.rejected,
        "answered": (plan.mode == Mode::Request).then_some(tally.answered), "unanswered": tally.unanswered,
        "waited_for_room": tally.waited_for_room,
        "late": tally.late, "latest_ms": tally.latest.as_secs_f64() * 1e3,
        "owed": found.owed, "completed": found.completed, "retried": found.retried, "failed": found.failed,
        "dead_letters": found.dead_letters, "dropped": found.dropped,
        "listener_removed": found.listener_removed, "waiting": found.waiting, "running": found.running,
        "sent_per_s": found.sent_per_second(), "completed_per_s": found.completed_per_second(),
        "listeners": found.listeners.iter().map(called_document).collect::<Vec<_>>(),
    });
    for row in &found.rows {
        put_quantiles(&mut out, row.name, "_us", row.spread, micros);
        if let Json::Object(out) = &mut out {
            out.insert(format!("{}_count", row.name), json!(row.spread.map_or(0, |spread| spread.count)));
            out.insert(format!("{}_mean_us", row.name), json!(row.mean.map(micros)));
            out.insert(format!("{}_share", row.name), json!(row.share));
            out.insert(format!("{}_work_share", row.name), json!(row.work_share));
        }
    }
    out
}

fn called_document(listener: &Called) -> Json {
    let mut out = json!({
        "name": listener.name, "calls": listener.calls, "instances_made": listener.instances_made,
        "fuel_mean": listener.fuel_mean,
    });
    put_quantiles(&mut out, "fuel", "", listener.fuel, |fuel| fuel);
    out
}

/// A line for each stage, below one with the names of the columns.
pub(super) fn csv(plan: &Plan, found: &Measured) -> String {
    let mut lines = vec![CSV_COLUMNS.join(",")];
    for row in &found.rows {
        let number = |time: Option<Duration>| time.map(|time| micros(time).to_string()).unwrap_or_default();
        let spread = row.spread;
        let cells = [
            plan.mode.name().to_owned(),
            row.name.to_owned(),
            spread.map_or(0, |spread| spread.count).to_string(),
            number(spread.map(|spread| spread.p50)),
            number(spread.map(|spread| spread.p90)),
            number(spread.map(|spread| spread.p99)),
            number(spread.map(|spread| spread.max)),
            number(row.mean),
            row.share.map(|share| share.to_string()).unwrap_or_default(),
            row.work_share.map(|share| share.to_string()).unwrap_or_default(),
        ];
        lines.push(cells.join(","));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_in_which_it_has_few_digits() {
        for (nanos, wanted) in [
            (0, "0 ns"),
            (661, "661 ns"),
            (9_999, "9999 ns"),
            (12_340, "12.3 us"),
            (4_500_000, "4.5 ms"),
            (45_000_000, "45.0 ms"),
            (12_000_000_000, "12.0 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), wanted);
        }
    }
}
