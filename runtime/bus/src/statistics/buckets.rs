//! Counts of figures in buckets, kept in rows that are made when a figure first falls into them: what one destination measures
//! lies close together, and ten thousand idle destinations need no room for what they never see. Which figures a bucket holds,
//! and how quantiles are read, is the histogram's.

use histogram::Config;

use super::Counter;
use crate::sync::OnceLock;

/// Buckets in a row: four powers of two at eight buckets each.
const ROW: usize = 32;

type Row = Box<[Counter; ROW]>;

/// The counts of all buckets of one histogram.
#[derive(Debug)]
pub(super) struct SparseCounts(Box<[OnceLock<Row>]>);

impl SparseCounts {
    pub(super) fn new(config: &Config) -> Self {
        Self((0..config.total_buckets().div_ceil(ROW)).map(|_| OnceLock::new()).collect())
    }

    /// Adds to a bucket; one that there is not stays uncounted.
    pub(super) fn add(&self, bucket: usize, count: u64) {
        let row = self.0.get(bucket / ROW).map(|row| row.get_or_init(Box::default));
        if let Some(counter) = row.and_then(|row| row.get(bucket % ROW)) {
            counter.add(count);
        }
    }

    /// What all buckets hold, the lowest first.
    pub(super) fn read(&self, config: &Config) -> Vec<u64> {
        let mut counts = vec![0; config.total_buckets()];
        for (to, from) in counts.chunks_mut(ROW).zip(&self.0) {
            if let Some(row) = from.get() {
                to.iter_mut().zip(row.iter()).for_each(|(to, from)| *to = from.get());
            }
        }
        counts
    }

    pub(super) fn reset(&self) {
        self.0.iter().filter_map(OnceLock::get).flat_map(|row| row.iter()).for_each(Counter::reset);
    }

    /// Bytes that it takes when every row is there.
    #[cfg(test)]
    pub(super) fn bytes_max(&self) -> usize {
        self.0.len() * (size_of::<OnceLock<Row>>() + size_of::<[Counter; ROW]>())
    }
}
