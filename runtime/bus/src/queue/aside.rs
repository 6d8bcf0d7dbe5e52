//! What waits for a listener that is not called for a while: its deliveries stand aside, in order, and keep their place in
//! the bounds, while the other listeners go on.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entry::{Entry, Targets};
use crate::registration::Slot;
use crate::sync::Instant;

/// Deliveries that stand aside, by listener.
#[derive(Default)]
pub(super) struct Aside(Vec<(Arc<Slot>, VecDeque<Entry>)>);

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(_, entries)| entries.len()).sum()
    }

    pub(super) fn push(&mut self, slot: &Arc<Slot>, entry: Entry) {
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, slot)) {
            Some((_, entries)) => entries.push_back(entry),
            None => self.0.push((Arc::clone(slot), VecDeque::from([entry]))),
        }
    }

    /// Takes the first delivery of a listener that may be tried now, which begins its trial.
    pub(super) fn take_trial(&mut self, now: Instant) -> Option<Entry> {
        let place = self.0.iter().position(|(slot, _)| slot.breaker.begin_trial(now))?;
        let (_, entries) = self.0.get_mut(place)?;
        let mut entry = entries.pop_front();
        if let Some(Entry { targets, .. }) = &mut entry {
            match targets {
                Targets::One(target) => target.trial = true,
                Targets::Some(targets) => targets.iter_mut().for_each(|target| target.trial = true),
                Targets::Held | Targets::Current { .. } | Targets::All(_) => {}
            }
        }
        self.forget_empty();
        entry
    }

    /// When the next listener may be tried.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(slot, _)| slot.breaker.trial_due()).min()
    }

    /// Takes what waits for `slot`.
    pub(super) fn take_of(&mut self, slot: &Arc<Slot>) -> VecDeque<Entry> {
        let place = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, slot));
        place.map(|place| self.0.swap_remove(place).1).unwrap_or_default()
    }

    /// Takes all that waits.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(&mut self.0).into_iter().flat_map(|(_, entries)| entries)
    }

    /// Takes the delivery that was accepted first.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let accepted = |(_, entries): &&mut (Arc<Slot>, VecDeque<Entry>)| {
            entries.front().map(|entry| entry.message.accepted_at())
        };
        let oldest = self.0.iter_mut().min_by_key(accepted)?.1.pop_front();
        self.forget_empty();
        oldest
    }

    /// The oldest of each listener.
    pub(super) fn fronts(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter_map(|(_, entries)| entries.front())
    }

    fn forget_empty(&mut self) {
        self.0.retain(|(_, entries)| !entries.is_empty());
    }
}
