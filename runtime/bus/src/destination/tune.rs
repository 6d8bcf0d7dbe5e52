//! Changing a destination while it runs: its settings, what waits, and whether senders run the listeners themselves. No
//! message is lost by any of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::Destination;
use crate::config::{ConfigError, DestinationConfig};
use crate::dead_letter::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::entry::{Entry, Target, Targets, pairs_of};
use crate::events::Event;
use crate::request::never_received;
use crate::statistics::DropReason;
use crate::sync::{Instant, Ordering};

impl Destination {
    /// Puts `config` in force: all of it, or nothing and why. Whether the destination is paused does not change.
    pub(crate) fn reconfigure(self: &Arc<Self>, config: DestinationConfig) -> Result<(), ConfigError> {
        config.check()?;
        let mut state = self.state();
        let fixed = |setting| ConfigError::Fixed { destination: self.name.clone(), setting };
        if config.destination_type != self.destination_type || config.custom_type != self.custom_type {
            return Err(fixed("type"));
        }
        self.message_bytes_max.store(config.message_bytes_max, Ordering::Relaxed);
        if config.priority != state.config.priority {
            // What is claimed was taken in the old order.
            state.gather();
            state.queue.set_priorities(config.priority);
        }
        let (before, after) = (state.config.workers, config.workers);
        // Let go of outside of the lock: it may hold the last of an embedder's function.
        let _before = std::mem::replace(&mut state.config, Arc::new(config));
        if before != after && !state.hidden {
            self.events.push(|| Event::WorkerPoolResized { destination: self.name.clone(), before, after });
        }
        self.end_episode(&mut state);
        let ready = state.queue.ready_len();
        self.rouse(state, ready);
        // Workers that sleep have another keep-alive, or are too many; senders may have room now.
        self.wake_all_workers();
        self.wake_those_who_want_room();
        self.events.drain_pending();
        Ok(())
    }

    /// Takes out everything that waits, counted as dropped; gives it to the caller, the oldest first.
    pub(crate) fn purge(self: &Arc<Self>) -> Vec<DeadLetter> {
        let taken = {
            let mut state = self.state();
            state.gather_fixed();
            let taken = state.queue.take_all();
            self.counters.drop(DropReason::Purged, pairs_of(&taken));
            taken
        };
        let mut letters = Vec::new();
        for entry in &taken {
            letters.extend(purged(entry, self.clock.now()));
            entry.targets.give_up_trials();
            self.counters.finished.add(1);
            self.end_pairs(&entry.message, entry.targets.pairs(), || {
                Some(never_received("purged before anybody received it"))
            });
        }
        // One of them may have been a trial, which another one is to be now.
        self.rouse_for_trial();
        self.tell_room(self.state());
        self.wake_those_who_want_room();
        self.tell_change();
        letters
    }

    /// Has a listener stand aside, or not any more. Answers whether it listens here.
    pub(crate) fn suspend(self: &Arc<Self>, listener: &str, suspended: bool) -> bool {
        let state = self.state();
        let Some(slot) = state.listeners.iter().find(|slot| &*slot.name == listener).cloned() else {
            return false;
        };
        if suspended {
            slot.breaker.suspend();
        } else if slot.breaker.release() {
            self.return_aside(state, &slot);
        }
        true
    }

    /// Lets go of a listener's instances that may not be used again; workers that sleep wake up for it.
    pub(crate) fn forget_instances(&self, listener: &str) {
        let slot = self.listeners().iter().find(|slot| &*slot.name == listener).cloned();
        if let Some(slot) = slot {
            slot.forget_unusable();
            self.wake_all_workers();
        }
    }

    /// Has senders run the listeners in their own task from now on, or not any more. What waits stays with the workers.
    pub(crate) fn set_inline(&self, inline: bool) {
        self.state().inline = inline;
    }
}

/// What an entry was owed to whom, as letters that nobody keeps.
fn purged(entry: &Entry, at: SystemTime) -> Vec<DeadLetter> {
    let letter = |target: Option<&Target>| DeadLetter::purged(entry, target, at);
    match &entry.targets {
        // Its listeners are named before anything is taken out.
        Targets::Held | Targets::Current { .. } => vec![letter(None)],
        Targets::One(target) => vec![letter(Some(target))],
        Targets::Some(targets) => targets.iter().map(|target| letter(Some(target))).collect(),
        Targets::All(set) => set.iter().map(|slot| letter(Some(&Target::first(slot)))).collect(),
    }
}

impl DeadLetter {
    fn purged(entry: &Entry, target: Option<&Target>, at: SystemTime) -> Self {
        Self {
            id: DeadLetterId::fresh(at),
            message: Arc::clone(&entry.message),
            values: entry.values.clone(),
            listener: target.map(|target| Arc::clone(&target.slot.name)),
            reason: DeadLetterReason::Purged,
            attempts: target.map_or(0, |target| target.attempt.saturating_sub(1)),
            last_error: "it was taken out of the queue".into(),
            fuel: None,
            build: target.and_then(|target| target.slot.listener.build()),
            at,
            since: Instant::now(),
        }
    }
}
