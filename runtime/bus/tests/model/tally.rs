//! What came to pass over all cases: a generator that never reaches a state is a test that cannot fail there.

use std::collections::BTreeMap;

/// How often each kind of thing happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn add(&mut self, what: &str, count: usize) {
        if count > 0 {
            *self.0.entry(what.to_owned()).or_default() += count as u64;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, count)| *self.0.entry(what).or_default() += count);
    }

    /// Those of `wanted` that happened more seldom than `least` times.
    pub(crate) fn too_seldom<'a>(&self, wanted: &[&'a str], least: u64) -> Vec<(&'a str, u64)> {
        let count = |what: &&str| self.0.get(*what).copied().unwrap_or(0);
        wanted.iter().map(|what| (*what, count(what))).filter(|(_, count)| *count < least).collect()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>9} {what}"))
    }
}
