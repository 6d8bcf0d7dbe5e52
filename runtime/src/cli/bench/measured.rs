//! What a bench found: what its senders counted, and what the bus counted between two looks. It prints nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbus_bus::{DestinationStatistics, DropReason, ListenerStatistics, Quantiles, Stage};

use super::super::args::Mode;
use super::plan::Plan;
use super::senders::Tally;

/// How a bench ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// All was sent, and nothing runs any more.
    Done,
    /// A signal came.
    Interrupted,
    /// A send was refused for a reason that would refuse each one.
    GaveUp,
    /// All was sent, and not all was dealt with in time.
    NotDrained,
}

impl How {
    pub(super) fn name(self) -> &'static str {
        match self {
            How::Done => "done",
            How::Interrupted => "interrupted",
            How::GaveUp => "gave-up",
            How::NotDrained => "not-drained",
        }
    }
}

/// One line of the table: a stage, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// As it stands in JSON.
    pub(super) name: &'static str,
    pub(super) spread: Option<Quantiles<Duration>>,
    pub(super) mean: Option<Duration>,
    /// Its part of the time of all messages from end to end.
    pub(super) share: Option<f64>,
    /// Its part of what the calls took: without the wait in the queue, which tells how many waited.
    pub(super) work_share: Option<f64>,
}

/// What one listener did meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) calls: u64,
    pub(super) instances_made: u64,
    pub(super) fuel_mean: Option<f64>,
    /// Of all its calls, a warm-up included.
    pub(super) fuel: Option<Quantiles<u64>>,
}

/// What a bench found.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) how: How,
    pub(super) destination_type: &'static str,
    /// From the first send until nothing ran any more, or until somebody ended it.
    pub(super) elapsed: Duration,
    pub(super) tally: Tally,
    pub(super) owed: u64,
    pub(super) completed: u64,
    pub(super) retried: u64,
    pub(super) dead_letters: u64,
    pub(super) listener_removed: u64,
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) failed: BTreeMap<&'static str, u64>,
    pub(super) dropped: BTreeMap<&'static str, u64>,
    pub(super) rows: Vec<Row>,
    pub(super) listeners: Vec<Called>,
}

impl Measured {
    pub(super) fn new(
        plan: &Plan,
        how: How,
        elapsed: Duration,
        tally: Tally,
        before: &DestinationStatistics,
        after: &DestinationStatistics,
    ) -> Self {
        let mut rows = vec![senders_row(plan.mode, &tally)];
        rows.extend(stage_rows(after));
        Self {
            how,
            destination_type: after.destination_type.name(),
            elapsed,
            tally,
            owed: after.owed - before.owed,
            completed: after.completed - before.completed,
            retried: after.retried - before.retried,
            dead_letters: after.dead_letters - before.dead_letters,
            listener_removed: after.listener_removed - before.listener_removed,
            waiting: after.waiting,
            running: after.running,
            failed: since(&before.failed, &after.failed),
            dropped: since(&before.dropped, &after.dropped),
            rows,
            listeners: listeners(before, after),
        }
    }

    /// Whether every message that was to be sent got in, was received by each listener, and, where it asked, was answered.
    pub(super) fn is_complete(&self) -> bool {
        // A reply that nobody asked for is owed, and dropped, in the destination that made it.
        let replies = self.dropped.get(DropReason::NoResponseDestination.name()).copied().unwrap_or(0);
        let all_received = self.completed + replies >= self.owed;
        self.how == How::Done
            && all_received
            && self.tally.rejected.is_empty()
            && self.tally.unanswered.is_empty()
    }

    /// Pairs of a message and a listener that were completed in a second.
    pub(super) fn completed_per_second(&self) -> f64 {
        per_second(self.completed, self.elapsed)
    }

    pub(super) fn sent_per_second(&self) -> f64 {
        per_second(self.tally.sent, self.elapsed)
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// What the senders saw themselves.
fn senders_row(mode: Mode, tally: &Tally) -> Row {
    let spread = tally.took.read();
    let name = match mode {
        Mode::Send => "send",
        Mode::Request => "request",
    };
    Row {
        name,
        spread,
        mean: spread.map(|spread| mean(tally.took.total, spread.count)),
        share: None,
        work_share: None,
    }
}

fn stage_rows(after: &DestinationStatistics) -> impl Iterator<Item = Row> {
    let stages = after.stages;
    let whole = stages.and_then(|stages| stages.end_to_end).map(|stage| stage.total.as_secs_f64());
    let work = stages.map(|stages| {
        let parts = [stages.instance, stages.guest, stages.settle].into_iter().flatten();
        parts.map(|stage| stage.total.as_secs_f64()).sum::<f64>()
    });
    let part = |stage: Option<Stage>, of: Option<f64>| {
        let of = of.filter(|of| *of > 0.0)?;
        Some(stage?.total.as_secs_f64() / of)
    };
    let row = move |name: &'static str, stage: Option<Stage>| Row {
        name,
        spread: stage.map(|stage| stage.spread),
        mean: stage.map(|stage| stage.mean()),
        share: part(stage, whole),
        work_share: match name {
            "instance" | "guest" | "settle" => part(stage, work),
            _ => None,
        },
    };
    let of = move |stage: fn(&sandbus_bus::Stages) -> Option<Stage>| stages.as_ref().and_then(stage);
    [
        row("queue_wait", of(|stages| stages.queue_wait)),
        row("instance", of(|stages| stages.instance)),
        row("guest", of(|stages| stages.guest)),
        row("settle", of(|stages| stages.settle)),
        row("end_to_end", of(|stages| stages.end_to_end)),
    ]
    .into_iter()
}

fn mean(total: Duration, count: u64) -> Duration {
    total.div_f64(count.max(1) as f64)
}

fn since(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let earlier = |name: &str| before.get(name).copied().unwrap_or(0);
    let more = after.iter().map(|(name, count)| (*name, count.saturating_sub(earlier(name))));
    more.filter(|(_, count)| *count > 0).collect()
}

fn listeners(before: &DestinationStatistics, after: &DestinationStatistics) -> Vec<Called> {
    let called = |now: &ListenerStatistics| {
        let then = before.listeners.iter().find(|then| then.name == now.name);
        let since = |of: fn(&ListenerStatistics) -> u64| of(now).saturating_sub(then.map_or(0, of));
        let calls = since(|listener| listener.calls);
        let fuel = since(|listener| listener.fuel_total);
        Called {
            name: now.name.clone(),
            calls,
            instances_made: since(|listener| listener.instances_made),
            fuel_mean: now.fuel.filter(|_| calls > 0).map(|_| fuel as f64 / calls as f64),
            fuel: now.fuel,
        }
    };
    after.listeners.iter().map(called).collect()
}
