//! Figures of a destination and of its listeners as JSON, under the names of the interface. It counts nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbus_bus::{DestinationStatistics, ListenerStatistics, Quantiles};
use serde_json::{Value as Json, json};

/// All figures of one destination; `kept`: the dead letters that it keeps, by reason.
pub(super) fn destination_json(each: &DestinationStatistics, kept: &BTreeMap<&str, u64>) -> Json {
    let listeners: Vec<Json> = each.listeners.iter().map(listener_json).collect();
    let mut out = json!({
        "name": each.name, "type": each.destination_type.name(), "state": each.state,
        "pending_messages": each.pending, "pending_bytes": each.pending_bytes,
        "held_messages": each.held, "aside_messages": each.aside,
        "oldest_waiting_ms": each.oldest_waiting.map(millis),
        "workers_active": each.workers_active, "workers_current": each.workers_current,
        "workers_largest": each.workers_largest, "workers_core": each.workers_core, "workers_max": each.workers_max,
        "accepted": each.accepted, "duplicates": each.duplicates, "owed": each.owed, "finished": each.finished,
        "delivered": each.delivered, "completed": each.completed, "reported": each.reported,
        "listener_removed": each.listener_removed, "waiting": each.waiting, "running": each.running,
        "retried": each.retried, "failed": each.failed, "rejected": each.rejected, "dropped": each.dropped,
        "dead_letters": each.dead_letters, "dead_letters_kept": each.dead_letters_kept,
        "dead_letters_by_reason": kept, "redriven": each.redriven,
        "listeners": listeners,
    });
    for (name, spread) in
        [("queue_wait", each.queue_wait), ("call", each.call), ("end_to_end", each.end_to_end)]
    {
        put_quantiles(&mut out, name, "_ms", spread, millis);
    }
    out
}

fn listener_json(each: &ListenerStatistics) -> Json {
    let mut out = json!({
        "name": each.name, "calls": each.calls, "done": each.done, "failed": each.failed,
        "instances_made": each.instances_made, "instance_age_ms": each.instance_age.map(millis),
        "fuel_total": each.fuel_total, "memory_max_bytes": each.memory_bytes_max,
    });
    put_quantiles(&mut out, "fuel", "", each.fuel, |fuel| fuel);
    if let Json::Object(out) = &mut out {
        // A number also where no call told its fuel: it is older than the others.
        out.insert("fuel_max".to_owned(), json!(each.fuel_max));
    }
    out
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Puts `NAME_p50`, `NAME_p90`, `NAME_p99` and `NAME_max`; nothing was recorded: null, so that the names are always there.
pub(super) fn put_quantiles<T, N: Into<Json>>(
    out: &mut Json,
    name: &str,
    unit: &str,
    spread: Option<Quantiles<T>>,
    number: impl Fn(T) -> N,
) {
    let Json::Object(out) = out else { return };
    let parts = match spread {
        Some(Quantiles { p50, p90, p99, max, .. }) => [p50, p90, p99, max].map(|part| number(part).into()),
        None => [Json::Null, Json::Null, Json::Null, Json::Null],
    };
    for (part, figure) in ["p50", "p90", "p99", "max"].into_iter().zip(parts) {
        out.insert(format!("{name}_{part}{unit}"), figure);
    }
}
