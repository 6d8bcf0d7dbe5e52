//! What one worker owns: an instance of each listener that it called, and the figures that it has not written yet. It takes
//! nothing from a queue and settles nothing.

use std::sync::Arc;

use crate::delivery::Delivery;
use crate::listener::{ListenerInstance, Usage};
use crate::outcome::FailureKind;
use crate::registration::{Running, Slot};
use crate::statistics::{Latencies, Moments, StageCounters, StagedCalls, StagedLatencies, StagedStages};
use crate::sync::Instant;

/// What one worker owns.
pub(crate) struct Kit {
    /// The worker's number.
    pub(crate) number: u32,
    /// What the clock said a moment ago, as long as nothing was waited for since.
    pub(crate) now: Option<Instant>,
    /// A destination has few listeners, so that a list is the quickest map.
    held: Vec<Held>,
    /// The listener whose calls this worker makes. It counts as running from the first of a row of calls to the last.
    calling: Option<Running<Arc<Slot>>>,
    latencies: StagedLatencies,
    /// Boxed, because they are measured so seldom.
    stages: Option<Box<StagedStages>>,
    /// Whether one of the instances took several messages in one call, at the last look.
    batches: bool,
}

/// What a worker has of one listener.
struct Held {
    slot: Arc<Slot>,
    /// An instance that no call uses; none while one does, or when the last one is spent.
    idle: Option<Box<dyn ListenerInstance>>,
    calls: StagedCalls,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.calls.write(&self.slot.counters);
    }
}

impl Kit {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            number,
            now: None,
            held: Vec::new(),
            calling: None,
            latencies: StagedLatencies::default(),
            stages: None,
            batches: false,
        }
    }

    fn of(&mut self, slot: &Arc<Slot>) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| Arc::ptr_eq(&held.slot, slot))
    }

    /// Takes the instance of `slot` out, if there is one that can be used.
    pub(crate) fn take(&mut self, slot: &Arc<Slot>) -> Option<Box<dyn ListenerInstance>> {
        self.of(slot).and_then(|held| held.idle.take()).filter(|instance| instance.is_usable())
    }

    /// Looks whether an instance takes several messages in one call: seldom enough that nobody else pays for it.
    pub(crate) fn look_for_batches(&mut self) {
        let mut idle = self.held.iter().filter_map(|held| held.idle.as_ref());
        self.batches = idle.any(|instance| instance.batch_max() > 1);
    }

    /// Whether there is an instance that does.
    pub(crate) fn takes_batches(&self) -> bool {
        self.batches
    }

    /// How many messages the instance of `slot` takes in one call; 1 where there is none.
    pub(crate) fn batch_max(&self, slot: &Arc<Slot>) -> usize {
        let held = self.held.iter().find(|held| Arc::ptr_eq(&held.slot, slot));
        let instance = held.and_then(|held| held.idle.as_ref()).filter(|instance| instance.is_usable());
        instance.map_or(1, |instance| instance.batch_max())
    }

    /// Keeps an instance for the next message, if it can be used again.
    pub(crate) fn keep(&mut self, slot: &Arc<Slot>, instance: Option<Box<dyn ListenerInstance>>) {
        if slot.is_removed() {
            return self.forget_removed();
        }
        match self.of(slot) {
            Some(held) => held.idle = instance,
            None => {
                // Usually it stays the only one, and there may be ten thousand workers.
                self.held.reserve_exact(1);
                self.held.push(Held {
                    slot: Arc::clone(slot),
                    idle: instance,
                    calls: StagedCalls::default(),
                });
            }
        }
    }

    /// Lets go of instances whose listener was removed, and of those that may not be used again.
    pub(crate) fn forget_removed(&mut self) {
        self.held.retain_mut(|held| {
            if held.idle.as_ref().is_some_and(|instance| !instance.is_usable()) {
                held.idle = None;
            }
            !held.slot.is_removed()
        });
    }

    /// Lets go of all instances.
    pub(crate) fn drop_instances(&mut self) {
        self.held.iter_mut().for_each(|held| held.idle = None);
    }

    /// Counts a call of a listener that ended.
    pub(crate) fn count_call(&mut self, slot: &Arc<Slot>, failure: Option<FailureKind>, usage: Usage) {
        match self.of(slot) {
            Some(held) => held.calls.end(&slot.counters, failure, usage),
            // Its first call.
            None => slot.counters.end(failure, usage),
        }
    }

    /// Counts how long the way of a message took whose call is over and settled.
    pub(crate) fn count_way(&mut self, latencies: &Latencies, delivery: &Delivery, over: Instant) {
        self.latencies.record(latencies, delivery, over);
    }

    /// Counts the stages of a call, where they are measured.
    pub(crate) fn count_stages(&mut self, to: &StageCounters, delivery: &Delivery, moments: &Moments) {
        self.stages.get_or_insert_default().record(to, delivery, moments);
    }

    /// Writes what is counted and not written: before anything is waited for.
    pub(crate) fn write(&mut self, latencies: &Latencies) {
        self.latencies.write(latencies);
        if let (Some(staged), Some(stages)) = (&mut self.stages, latencies.stages()) {
            staged.write(stages);
        }
        self.held.iter_mut().for_each(|held| held.calls.write(&held.slot.counters));
    }

    /// Begins a call, unless the listener was removed.
    pub(crate) fn begin(&mut self, slot: &Arc<Slot>) -> bool {
        if !self.calling.as_ref().is_some_and(|calling| Arc::ptr_eq(calling.slot(), slot)) {
            // The one before first: whoever removes it may wait for it alone, and this call may need what it holds.
            self.end_row();
            self.calling = Running::begin(Arc::clone(slot));
        } else if slot.is_removed() {
            self.end_row();
        }
        self.calling.is_some()
    }

    /// Ends the row of calls of one listener: before another one is called, and before anything is waited for that is no part
    /// of a call.
    pub(crate) fn end_row(&mut self) {
        if self.calling.take().is_some() {
            self.lay_down();
        }
    }

    /// Has others know that the instances here are idle: before anything is waited for between the calls of a row.
    pub(crate) fn lay_down(&mut self) {
        self.held.iter_mut().filter_map(|held| held.idle.as_mut()).for_each(|idle| idle.rest());
    }
}
