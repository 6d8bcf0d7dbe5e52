//! Where the stages of a call are measured: only at a destination for which somebody asked for it. Elsewhere this is one
//! branch, without a look at the clock.

use super::Destination;
use crate::delivery::Delivery;
use crate::kit::Kit;
use crate::statistics::Moments;
use crate::sync::Instant;

impl Destination {
    /// From now on the stages of its calls are measured, from zero.
    pub(crate) fn measure_stages(&self) {
        self.counters.latencies.begin_stages();
    }

    /// The moment, where the stages are measured.
    pub(super) fn measured_now(&self) -> Option<Instant> {
        self.counters.latencies.stages().map(|_| Instant::now())
    }

    /// Counts the stages of a call that was settled just now, and answers when that was; none where they are not measured.
    pub(super) fn measure(
        &self,
        delivery: &Delivery,
        kit: Option<&mut Kit>,
        in_hand: Option<Instant>,
        over: Instant,
        ended: bool,
    ) -> Option<Instant> {
        let stages = self.counters.latencies.stages()?;
        let settled = Instant::now();
        let moments = Moments { in_hand, over, settled, ended };
        match kit {
            Some(kit) => kit.count_stages(stages, delivery, &moments),
            None => stages.record(delivery, &moments),
        }
        Some(settled)
    }
}
