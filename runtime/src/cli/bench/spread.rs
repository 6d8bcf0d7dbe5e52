//! How the times are spread that senders see themselves: as the bus spreads its own, so that a row of theirs can stand
//! beside one of the bus. Each sender has one; they are added up at the end.

use std::time::Duration;

use histogram::{Config, Histogram};
use sandbus_bus::{Quantiles, limits::LATENCY_COUNTED_MAX};

/// Eight buckets for each power of two, as in the bus: a time is told at most an eighth too high.
const GROUPING_POWER: u8 = 3;

/// Times that a sender saw.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    counts: Option<Histogram>,
    max: u64,
    count: u64,
    pub(super) total: Duration,
}

impl Default for Spread {
    fn default() -> Self {
        let counted_max = LATENCY_COUNTED_MAX.as_nanos() as u64;
        // It is within what the crate takes; without it there would be no quantiles, and nothing else would be lost.
        let config = Config::new(GROUPING_POWER, counted_max.ilog2() as u8 + 1);
        let counts = config.ok().map(|config| Histogram::with_config(&config));
        Self { counts, max: 0, count: 0, total: Duration::ZERO }
    }
}

impl Spread {
    pub(super) fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.max = self.max.max(nanos);
        self.count += 1;
        self.total = self.total.saturating_add(time);
        if let Some(counts) = &mut self.counts {
            // It is within the bounds, so that there is a bucket.
            let _ = counts.increment(nanos.min(LATENCY_COUNTED_MAX.as_nanos() as u64));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        if let (Some(counts), Some(others)) = (&mut self.counts, &other.counts) {
            // Both are made alike, and count less than a `u64` holds.
            let _ = counts.checked_add_assign(others);
        }
    }

    /// None while nothing was recorded.
    pub(super) fn read(&self) -> Option<Quantiles<Duration>> {
        let read = self.counts.as_ref()?.quantiles(&[0.5, 0.9, 0.99]).ok()??;
        let mut ends = read.entries().values().map(|bucket| Duration::from_nanos(bucket.end().min(self.max)));
        let (p50, p90, p99) = (ends.next()?, ends.next()?, ends.next()?);
        Some(Quantiles { p50, p90, p99, max: Duration::from_nanos(self.max), count: self.count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_several_senders_are_spread_as_if_one_had_seen_them_all() {
        let (mut one, mut other, mut all) = (Spread::default(), Spread::default(), Spread::default());
        assert_eq!(all.read(), None);
        for micros in 1..=1_000 {
            let time = Duration::from_micros(micros);
            if micros % 3 == 0 {
                one.record(time)
            } else {
                other.record(time)
            }
            all.record(time);
        }
        one.add(&other);
        assert_eq!((one.read(), one.total), (all.read(), all.total));
        let read = one.read().unwrap();
        assert_eq!((read.count, read.max), (1_000, Duration::from_micros(1_000)));
        let exact = Duration::from_micros(500);
        assert!(read.p50 >= exact && read.p50 <= exact + exact / 8, "{:?}", read.p50);
    }
}
