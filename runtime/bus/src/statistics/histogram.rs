//! How a figure is spread: counts in buckets of constant relative width. Recording takes no lock, and allocates only when a figure
//! is far from all before it; a histogram of something that never happens costs nothing.

use std::ops::Range;
use std::time::Duration;

use histogram::{Config, Histogram as Spread};

use super::buckets::SparseCounts;
use super::staged::Run;
use super::{Counter, Quantiles};
use crate::limits::{FUEL_COUNTED_MAX, LATENCY_COUNTED_MAX};
use crate::sync::OnceLock;

/// Eight buckets for each power of two: a figure is told at most an eighth too high.
const GROUPING_POWER: u8 = 3;
const LATENCY: Config = config(LATENCY_COUNTED_MAX.as_nanos() as u64);
const FUEL: Config = config(FUEL_COUNTED_MAX);

#[allow(clippy::panic, reason = "evaluated at compile time only, from constants")]
const fn config(largest: u64) -> Config {
    let Ok(config) = Config::new(GROUPING_POWER, largest.ilog2() as u8 + 1) else {
        panic!("the largest figure leaves room for its buckets")
    };
    config
}

/// Durations. The clock of the bus counts nanoseconds, and a call may take less than a microsecond.
#[derive(Debug, Default)]
pub(crate) struct LatencyHistogram(Histogram);

/// A duration as it is counted.
pub(super) fn nanos(latency: Duration) -> u64 {
    latency.as_secs().saturating_mul(1_000_000_000).saturating_add(latency.subsec_nanos().into())
}

/// The figures that fall into the same bucket.
pub(super) fn bucket(figure: u64) -> Range<u64> {
    let shift = (figure | 1).ilog2().saturating_sub(u32::from(GROUPING_POWER));
    let start = figure >> shift << shift;
    start..start.saturating_add(1 << shift)
}

/// The number of the bucket of a figure.
fn bucket_number(figure: u64) -> usize {
    let power = (figure | 1).ilog2();
    let row = power.saturating_sub(u32::from(GROUPING_POWER));
    // The leading bits of the figure say which it is of its power of two. The lowest powers share one width.
    let numbers = if row == 0 { figure } else { (u64::from(row) << GROUPING_POWER) + (figure >> row) };
    usize::try_from(numbers).unwrap_or(usize::MAX)
}

impl LatencyHistogram {
    pub(crate) fn record(&self, latency: Duration) {
        self.add(nanos(latency), 1);
    }

    /// Records figures that fall into one bucket.
    pub(super) fn write(&self, run: &Run) {
        let (max, count) = run.parts();
        self.add(max, count);
    }

    fn add(&self, figure: u64, count: u64) {
        self.0.add(&LATENCY, figure, count, LATENCY_COUNTED_MAX.as_nanos() as u64);
    }

    pub(crate) fn read(&self) -> Option<Quantiles<Duration>> {
        self.0.read(&LATENCY).map(|quantiles| quantiles.map(Duration::from_nanos))
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }
}

/// Fuel of calls.
#[derive(Debug, Default)]
pub(crate) struct FuelHistogram(Histogram);

impl FuelHistogram {
    pub(crate) fn record(&self, fuel: u64) {
        self.add(fuel, 1);
    }

    /// Records figures that fall into one bucket.
    pub(super) fn write(&self, run: &Run) {
        let (max, count) = run.parts();
        self.add(max, count);
    }

    fn add(&self, figure: u64, count: u64) {
        self.0.add(&FUEL, figure, count, FUEL_COUNTED_MAX);
    }

    pub(crate) fn read(&self) -> Option<Quantiles<u64>> {
        self.0.read(&FUEL)
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }
}

#[derive(Debug, Default)]
struct Histogram(OnceLock<Buckets>);

#[derive(Debug)]
struct Buckets {
    counts: SparseCounts,
    /// The largest figure, exactly.
    max: Counter,
}

impl Histogram {
    fn add(&self, config: &Config, figure: u64, count: u64, counted_max: u64) {
        let buckets =
            self.0.get_or_init(|| Buckets { counts: SparseCounts::new(config), max: Counter::default() });
        buckets.max.raise_to(figure);
        buckets.counts.add(bucket_number(figure.min(counted_max)), count);
    }

    /// None while nothing was recorded.
    fn read(&self, config: &Config) -> Option<Quantiles<u64>> {
        let buckets = self.0.get()?;
        let counts = buckets.counts.read(config);
        let spread = Spread::from_buckets(config.grouping_power(), config.max_value_power(), counts).ok()?;
        let read = spread.quantiles(&[0.5, 0.9, 0.99]).ok()??;
        // Read last and written first: what a reader sees counted is not above it.
        let max = buckets.max.get();
        let mut ends = read.entries().values().map(|bucket| bucket.end().min(max));
        let (p50, p90, p99) = (ends.next()?, ends.next()?, ends.next()?);
        let count = u64::try_from(read.total_count()).unwrap_or(u64::MAX);
        Some(Quantiles { p50, p90, p99, max, count })
    }

    fn reset(&self) {
        if let Some(buckets) = self.0.get() {
            buckets.counts.reset();
            buckets.max.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HISTOGRAM_BYTES_MAX;

    fn quantiles_of(figures: impl IntoIterator<Item = u64>) -> Quantiles<u64> {
        let histogram = FuelHistogram::default();
        figures.into_iter().for_each(|figure| histogram.record(figure));
        histogram.read().unwrap()
    }

    #[test]
    fn a_figure_is_told_at_most_an_eighth_too_high_and_never_too_low() {
        for power in 0..40 {
            for eighths in 8..16_u64 {
                for figure in [(eighths << power) / 8, ((eighths + 1) << power) / 8] {
                    let figure = figure.min(FUEL_COUNTED_MAX);
                    // A larger one beside it, so that the exact largest one hides nothing.
                    let told = quantiles_of([figure, u64::MAX]).p50;
                    assert!(told >= figure && told - figure <= figure / 8, "{figure} is told as {told}");
                }
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let quantiles = quantiles_of(1..=1_000);
        assert_eq!((quantiles.max, quantiles.count), (1_000, 1_000));
        for (told, exact) in [(quantiles.p50, 500), (quantiles.p90, 900), (quantiles.p99, 990)] {
            assert!((exact..=exact + exact / 8).contains(&told), "{exact} is told as {told}");
        }
        let one = quantiles_of([7_777]);
        assert_eq!((one.p50, one.p99, one.max, one.count), (7_777, 7_777, 7_777, 1));
    }

    #[test]
    fn what_is_beyond_the_range_counts_in_the_last_bucket_and_stands_in_the_largest() {
        let latency = LatencyHistogram::default();
        latency.record(Duration::MAX);
        latency.record(Duration::ZERO);
        let quantiles = latency.read().unwrap();
        assert_eq!((quantiles.p50, quantiles.p99), (Duration::ZERO, LATENCY_COUNTED_MAX));
        assert_eq!((quantiles.max, quantiles.count), (Duration::from_nanos(u64::MAX), 2));
    }

    #[test]
    fn nothing_is_there_before_the_first_figure_and_after_a_reset() {
        let histogram = FuelHistogram::default();
        assert!(histogram.0.0.get().is_none() && histogram.read().is_none());
        histogram.record(5);
        histogram.reset();
        assert_eq!(histogram.read(), None);
        histogram.record(3);
        assert_eq!(histogram.read().unwrap().max, 3);
    }

    #[test]
    fn a_histogram_takes_no_more_than_its_bound() {
        // With every bucket in use; `tests/memory.rs` sees the allocator's side of it.
        for config in [LATENCY, FUEL] {
            let bytes = SparseCounts::new(&config).bytes_max() + size_of::<Histogram>();
            assert!(bytes <= HISTOGRAM_BYTES_MAX, "{bytes}");
        }
    }

    #[test]
    fn a_figure_is_in_the_bucket_in_which_the_library_looks_for_it() {
        let figures = (0..48).flat_map(|power| [-1, 0, 1, 77].map(|near: i64| (1_i64 << power) + near));
        for figure in figures.filter_map(|figure| u64::try_from(figure).ok()) {
            let mut spread = Spread::with_config(&LATENCY);
            spread.increment(figure).unwrap();
            let place = spread.as_slice().iter().position(|count| *count == 1);
            assert_eq!(Some(bucket_number(figure)), place, "{figure}");
            assert!(bucket(figure).contains(&figure));
        }
    }
}
