//! How long the stages of each call take. Each costs looks at the clock, so that they are measured only where somebody asked
//! for it, see [`Bus::measure_stages`](crate::Bus::measure_stages). Nothing here looks at the clock.

use std::time::Duration;

use super::Counter;
use super::histogram::{LatencyHistogram, nanos};
use super::snapshot::{Stage, Stages};
use super::staged::Run;
use crate::delivery::Delivery;
use crate::sync::Instant;

/// How many stages there are, the whole way included.
const STAGES: usize = 5;

/// The moments of one call between which its stages lie; it began when its delivery did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    /// When its instance was there; none where the worker had it already.
    pub(crate) in_hand: Option<Instant>,
    pub(crate) over: Instant,
    pub(crate) settled: Instant,
    /// Whether no other attempt follows.
    pub(crate) ended: bool,
}

impl Moments {
    /// In nanoseconds: wait in the queue, instance, guest, settling, the whole way; none for what is no part of this call.
    fn figures(&self, delivery: &Delivery) -> [Option<u64>; STAGES] {
        let Moments { in_hand, over, settled, ended } = *self;
        let (accepted, started) = (delivery.message.accepted_at(), delivery.started);
        let between = |from: Instant, to: Instant| Some(nanos(to.saturating_duration_since(from)));
        let called = in_hand.unwrap_or(started);
        [
            (delivery.attempt == 1 && delivery.worker.is_some())
                .then(|| between(accepted, started))
                .flatten(),
            between(started, called),
            between(called, over),
            between(over, settled),
            ended.then(|| between(accepted, settled)).flatten(),
        ]
    }
}

/// The stages of all calls at one destination, since somebody asked for them.
#[derive(Debug, Default)]
pub(crate) struct StageCounters([StageCounter; STAGES]);

#[derive(Debug, Default)]
struct StageCounter {
    spread: LatencyHistogram,
    total_nanos: Counter,
}

impl StageCounters {
    pub(crate) fn record(&self, delivery: &Delivery, moments: &Moments) {
        for (counter, figure) in self.0.iter().zip(moments.figures(delivery)) {
            if let Some(figure) = figure {
                counter.spread.record(Duration::from_nanos(figure));
                counter.total_nanos.add(figure);
            }
        }
    }

    pub(crate) fn read(&self) -> Stages {
        let [queue_wait, instance, guest, settle, end_to_end] = self.0.each_ref().map(|counter| {
            let total = Duration::from_nanos(counter.total_nanos.get());
            counter.spread.read().map(|spread| Stage { spread, total })
        });
        Stages { queue_wait, instance, guest, settle, end_to_end }
    }

    /// Starts from zero again.
    pub(crate) fn reset(&self) {
        for counter in &self.0 {
            counter.spread.reset();
            counter.total_nanos.reset();
        }
    }
}

/// Those of the latest calls of one worker, which it has not written yet.
#[derive(Debug, Default)]
pub(crate) struct StagedStages([(Run, u64); STAGES]);

impl StagedStages {
    pub(crate) fn record(&mut self, to: &StageCounters, delivery: &Delivery, moments: &Moments) {
        for ((staged, counter), figure) in self.0.iter_mut().zip(&to.0).zip(moments.figures(delivery)) {
            let (Some(figure), (run, total)) = (figure, staged) else { continue };
            *total = total.wrapping_add(figure);
            if let Some(before) = run.add(figure) {
                counter.spread.write(&before);
            }
        }
    }

    pub(crate) fn write(&mut self, to: &StageCounters) {
        for ((run, total), counter) in self.0.iter_mut().zip(&to.0) {
            if let Some(run) = run.take() {
                counter.total_nanos.add(std::mem::take(total));
                counter.spread.write(&run);
            }
        }
    }
}
