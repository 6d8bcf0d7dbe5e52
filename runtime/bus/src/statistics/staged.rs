//! Figures that one worker has not written where all read them yet: of many in the same bucket one write is made. They are
//! written at the latest when the worker waits for anything, so that nobody looks at old figures for long.

use std::ops::Range;

use super::histogram::{LatencyHistogram, bucket, nanos};
use super::{Latencies, ListenerCounters};
use crate::delivery::Delivery;
use crate::listener::Usage;
use crate::outcome::FailureKind;
use crate::sync::Instant;

/// Figures of one histogram that fall into one bucket.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The figures of the bucket: from this one on, and before that one.
    start: u64,
    end: u64,
    count: u64,
    max: u64,
}

impl Run {
    /// Adds a figure; what is given back begins no longer and is to be written.
    pub(super) fn add(&mut self, figure: u64) -> Option<Run> {
        if (self.start..self.end).contains(&figure) {
            self.count += 1;
            self.max = self.max.max(figure);
            return None;
        }
        self.begin(figure)
    }

    #[cold]
    fn begin(&mut self, figure: u64) -> Option<Run> {
        let Range { start, end } = bucket(figure);
        let before = std::mem::replace(self, Run { start, end, count: 1, max: figure });
        (before.count > 0).then_some(before)
    }

    pub(super) fn take(&mut self) -> Option<Run> {
        (self.count > 0).then(|| std::mem::take(self))
    }

    /// The largest figure and how many there are.
    pub(super) fn parts(&self) -> (u64, u64) {
        (self.max, self.count)
    }
}

/// How long the parts of the way of the latest messages took.
#[derive(Debug, Default)]
pub(crate) struct StagedLatencies {
    queue_wait: Run,
    call: Run,
    end_to_end: Run,
}

impl StagedLatencies {
    /// The first call of a message's listener is over, and settled in the same moment.
    pub(crate) fn record(&mut self, to: &Latencies, delivery: &Delivery, over: Instant) {
        let wait = nanos(delivery.started.saturating_duration_since(delivery.message.accepted_at()));
        let call = nanos(over.saturating_duration_since(delivery.started));
        let stage = |run: &mut Run, histogram: &LatencyHistogram, figure: u64| {
            if let Some(before) = run.add(figure) {
                histogram.write(&before);
            }
        };
        if delivery.attempt == 1 {
            stage(&mut self.queue_wait, &to.queue_wait, wait);
        }
        stage(&mut self.call, &to.call, call);
        stage(&mut self.end_to_end, &to.end_to_end, wait.saturating_add(call));
    }

    pub(crate) fn write(&mut self, to: &Latencies) {
        let staged = [
            (&mut self.queue_wait, &to.queue_wait),
            (&mut self.call, &to.call),
            (&mut self.end_to_end, &to.end_to_end),
        ];
        for (run, histogram) in staged {
            if let Some(run) = run.take() {
                histogram.write(&run);
            }
        }
    }
}

/// What the latest calls of one listener used.
#[derive(Debug, Default)]
pub(crate) struct StagedCalls {
    done: u64,
    fuel_total: u64,
    fuel: Run,
    memory_max: u64,
}

impl StagedCalls {
    /// A call ended. One that failed is written at once, with those before it: whoever counts faults needs them.
    pub(crate) fn end(&mut self, to: &ListenerCounters, failure: Option<FailureKind>, usage: Usage) {
        if failure.is_some() {
            self.write(to);
            return to.end(failure, usage);
        }
        self.done += 1;
        if let Some(fuel) = usage.fuel {
            self.fuel_total = self.fuel_total.wrapping_add(fuel);
            if let Some(before) = self.fuel.add(fuel) {
                to.fuel.write(&before);
            }
        }
        self.memory_max = self.memory_max.max(usage.memory_bytes.unwrap_or(0));
    }

    pub(crate) fn write(&mut self, to: &ListenerCounters) {
        if self.done == 0 {
            return;
        }
        let StagedCalls { done, fuel_total, mut fuel, memory_max } = std::mem::take(self);
        if let Some(run) = fuel.take() {
            to.fuel_total.add(fuel_total);
            to.fuel.write(&run);
        }
        to.memory_max.raise_to(memory_max);
        to.done.add(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_staged_comes_out_as_if_each_figure_had_been_recorded() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let spread = random.u32(0..64);
            let figures = (0..random.usize(1..40)).map(|_| random.u64(..) >> spread >> random.u32(0..2));
            compare(&figures.collect::<Vec<_>>());
        }
    }

    fn compare(figures: &[u64]) {
        let (staged, direct) = (LatencyHistogram::default(), LatencyHistogram::default());
        let mut run = Run::default();
        for figure in figures.iter().copied() {
            direct.record(Duration::from_nanos(figure));
            if let Some(before) = run.add(figure) {
                staged.write(&before);
            }
        }
        staged.write(&run.take().unwrap());
        assert!(run.take().is_none());
        assert_eq!(staged.read(), direct.read());
    }
}
