//! How a listener comes to a destination and goes: what was held becomes its own, what was queued for it is settled. Which
//! destinations it comes to is the registry's business.

use std::sync::Arc;

use super::{Destination, State};
use crate::config::DestinationConfig;
use crate::entry::{Removed, Target, Targets};
use crate::error::DestinationError;
use crate::limits::LISTENERS_MAX;
use crate::listener::MessageListener;
use crate::registration::Slot;
use crate::sync::Ordering;
use crate::types::DestinationType;

/// Whether a registration changed anything.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let stock = || listener_fn("stock", |_| async { Outcome::done() });
/// assert_eq!(bus.register("orders", stock())?, Registered::WhenItAppears);
/// bus.create(DestinationConfig::serial("orders")?)?;
/// assert_eq!(bus.register("orders", stock())?, Registered::Already);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The listener receives from now on.
    Now,
    /// A listener of this name was there already; nothing changed.
    Already,
    /// The destination does not exist yet; the listener attaches when it appears.
    WhenItAppears,
}

/// A listener that was taken away, and what was queued for it.
#[must_use = "what was queued is to be settled"]
pub(crate) struct Taken {
    pub(crate) slot: Arc<Slot>,
    owed: Vec<Removed>,
    config: Arc<DestinationConfig>,
}

impl Destination {
    /// Has `listener` receive from now on. What was held for a first listener is owed to it.
    pub(crate) fn register(
        self: &Arc<Self>,
        listener: Arc<dyn MessageListener>,
    ) -> Result<Registered, DestinationError> {
        let mut state = self.state();
        if state.listeners.iter().any(|slot| &*slot.name == listener.name()) {
            return Ok(Registered::Already);
        }
        if state.listeners.len() >= LISTENERS_MAX {
            return Err(DestinationError::TooManyListeners(self.name.clone(), LISTENERS_MAX));
        }
        state.gather_fixed();
        let suspended = listener.is_suspended();
        let slot = Slot::new(listener);
        if suspended {
            slot.breaker.suspend();
        }
        Arc::make_mut(&mut state.listeners).push(Arc::clone(&slot));
        let delayed = self.name_held(&mut state, &slot);
        let ready = state.queue.ready_len();
        self.rouse(state, ready);
        if delayed {
            self.rouse_for_retry();
        }
        Ok(Registered::Now)
    }

    /// Has what was held be owed to its first listener. Answers whether some of it waits for its time.
    fn name_held(&self, state: &mut State, slot: &Arc<Slot>) -> bool {
        let mut delayed = false;
        for mut entry in state.queue.take_held() {
            entry.listeners = 1;
            let due = entry.message.delayed_until();
            entry.targets = match (self.destination_type, due) {
                (DestinationType::Serial, None) => Targets::All(Arc::clone(&state.listeners)),
                (DestinationType::Serial, _) => Targets::Some(vec![Target::first_at(slot, due)]),
                _ => Targets::One(Target::first_at(slot, due)),
            };
            match due {
                Some(due) => state.queue.push_waiting(entry, due),
                None => state.queue.push(entry),
            }
            delayed |= due.is_some();
        }
        delayed
    }

    /// Takes `listener` away, if it is there: no call of it begins any more. What was queued for it comes back to be settled.
    pub(crate) fn take_listener(&self, listener: &str) -> Option<Taken> {
        let mut state = self.state();
        let place = state.listeners.iter().position(|slot| &*slot.name == listener)?;
        state.gather_fixed();
        let slot = Arc::make_mut(&mut state.listeners).remove(place);
        slot.mark_removed();
        self.unheard.store(false, Ordering::Relaxed);
        let owed = state.queue.remove_listener(&slot);
        // Until they are settled they count as running: whoever closes, or waits for rest, must see them.
        self.counters.running.add(owed.len() as u64);
        Some(Taken { slot, owed, config: Arc::clone(&state.config) })
    }

    /// Settles what was queued for a listener that was taken away.
    pub(crate) fn settle_taken(&self, taken: &Taken) {
        taken.slot.let_go();
        for entry in &taken.owed {
            self.settle_removed(entry.content(), &entry.target, entry.listeners, &taken.config);
        }
        self.counters.running.sub(taken.owed.len() as u64);
        self.tell_change();
        self.tell_room(self.state());
        // Workers that sleep keep instances of it; awake, they let go of them.
        self.wake_all_workers();
    }
}
