//! One destination: its configuration, its listeners, what waits, and its life. How a message gets in, is run and is
//! settled stands in the files beside this one.

mod accept;
mod deliver;
mod flight;
mod inline;
mod letters;
mod life;
mod redrive;
mod reject;
mod report;
mod settle;
mod tune;

use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::bus::Shared;
use crate::call::Interrupt;
use crate::claim::Claim;
use crate::clock::{Clock, WallClock};
use crate::config::DestinationConfig;
use crate::dead_letter::DeadLetters;
use crate::dedup::Dedup;
use crate::entry::{Target, Targets};
use crate::error::DestinationError;
use crate::hooks::Hooks;
use crate::limits::LISTENERS_MAX;
use crate::listener::MessageListener;
use crate::name::DestinationName;
use crate::queue::Queue;
use crate::registration::{ListenerSet, Slot};
use crate::statistics::{Counters, Padded};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, Wakers};
use crate::types::CustomType;
use crate::types::DestinationType;

pub(crate) use accept::{Admitted, Inline};
pub use life::Closed;
pub(crate) use redrive::Refused;
pub(crate) use settle::Manner;

/// One destination.
pub(crate) struct Destination {
    pub(crate) name: DestinationName,
    pub(crate) destination_type: DestinationType,
    pub(crate) custom_type: Option<CustomType>,
    /// Weak, because the bus owns its destinations.
    pub(crate) bus: Weak<Shared>,
    /// Those of the bus: a delivery must not count a reference up to look at them.
    pub(crate) hooks: Arc<Hooks>,
    /// The bus's.
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) interrupt: Interrupt,
    message_bytes_max: AtomicUsize,
    /// Guards the queue, the listeners, the pool's books and the life: what one step of any of them must see whole.
    state: Padded<Mutex<State>>,
    /// What is kept, with the counters of what has left it. Taken last: under it no other lock is.
    dead_letters: Mutex<DeadLetters>,
    dedup: Mutex<Dedup>,
    /// Woken when a worker leaves or goes to sleep.
    changed: Wakers,
    /// Woken when an entry leaves the queue while somebody waits for room.
    room: Wakers,
}

/// What one step must see whole.
pub(crate) struct State {
    pub(crate) config: Arc<DestinationConfig>,
    pub(crate) life: Life,
    pub(crate) paused: bool,
    /// Whether senders run the listeners themselves, for a test.
    pub(crate) inline: bool,
    pub(crate) queue: Queue,
    pub(crate) listeners: Arc<ListenerSet>,
    pub(crate) pool: Pool,
    /// Whether the queue was full at the last attempt to enter it, so that one episode is one warning.
    full: bool,
    /// Whether somebody waits for room.
    pub(crate) room_wanted: bool,
}

/// The life of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// Takes nothing on and finishes what waits.
    Draining,
    Closed,
}

/// The books of the worker pool.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) current: usize,
    pub(crate) active: usize,
    pub(crate) largest: usize,
    pub(crate) last_number: u32,
    /// What each worker has taken to run next.
    pub(crate) claims: Vec<Arc<Claim>>,
    /// Workers that sleep, the latest last: it is woken first, so that the others can reach their keep-alive.
    pub(crate) asleep: Vec<(u32, Waker)>,
}

/// A worker that is in the books and whose task is to be started.
pub(crate) struct Started {
    number: u32,
    claim: Arc<Claim>,
}

/// Whether a registration changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The listener receives from now on.
    Now,
    /// A listener of this name was there already; nothing changed.
    Already,
    /// The destination does not exist yet; the listener attaches when it appears.
    WhenItAppears,
}

impl Destination {
    pub(crate) fn new(config: DestinationConfig, bus: Weak<Shared>) -> Arc<Self> {
        let mut state = State {
            life: Life::Open,
            paused: config.paused,
            inline: false,
            queue: Queue::default(),
            listeners: Arc::default(),
            pool: Pool::default(),
            full: false,
            room_wanted: false,
            config: Arc::new(config),
        };
        state.queue.set_priorities(state.config.priority);
        Arc::new(Self {
            name: state.config.name.clone(),
            destination_type: state.config.destination_type,
            custom_type: state.config.custom_type.clone(),
            hooks: bus.upgrade().map(|bus| Arc::clone(&bus.hooks)).unwrap_or_default(),
            clock: bus.upgrade().map_or_else(|| Clock::new(WallClock::System), |bus| bus.clock),
            bus,
            counters: Counters::default(),
            interrupt: Interrupt::default(),
            message_bytes_max: AtomicUsize::new(state.config.message_bytes_max),
            state: Padded(Mutex::new(state)),
            dead_letters: Mutex::default(),
            dedup: Mutex::default(),
            changed: Wakers::default(),
            room: Wakers::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn config(&self) -> Arc<DestinationConfig> {
        Arc::clone(&self.state().config)
    }

    /// Read at every send: the only setting that is checked before the lock is taken.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.message_bytes_max.load(Ordering::Relaxed)
    }

    /// Asks `ready` now and each time that an entry has left the queue.
    pub(crate) async fn when_room<T>(&self, ready: impl FnMut() -> Option<T>) -> T {
        self.room.wait_for(ready).await
    }

    pub(crate) fn listeners(&self) -> Arc<ListenerSet> {
        Arc::clone(&self.state().listeners)
    }

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

    /// Takes `listener` away: no call of it begins any more, running ones are waited for, what is queued for it is settled.
    /// Answers whether it was there.
    pub(crate) async fn unregister(&self, listener: &str) -> bool {
        let (slot, owed, config) = {
            let mut state = self.state();
            let Some(place) = state.listeners.iter().position(|slot| &*slot.name == listener) else {
                return false;
            };
            state.gather_fixed();
            let slot = Arc::make_mut(&mut state.listeners).remove(place);
            slot.mark_removed();
            let owed = state.queue.remove_listener(&slot);
            (slot, owed, Arc::clone(&state.config))
        };
        for entry in &owed {
            self.settle_removed(entry.content(), &entry.target, entry.listeners, &config);
        }
        self.tell_room(self.state());
        // Workers that sleep keep instances of it; awake, they let go of them.
        self.wake_all_workers();
        slot.quiet().await;
        true
    }

    /// Wakes or starts workers for `ready` entries that became ready just now.
    pub(crate) fn rouse(self: &Arc<Self>, mut state: MutexGuard<'_, State>, mut ready: usize) {
        if ready == 0 || state.paused {
            return;
        }
        let mut wakers = Vec::new();
        let mut starts = Vec::new();
        while ready > 0 {
            if let Some((_, waker)) = state.pool.asleep.pop() {
                wakers.push(waker);
            } else if let Some(started) = state.start_worker() {
                starts.push(started);
            } else {
                break;
            }
            ready -= 1;
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        starts.into_iter().for_each(|started| self.spawn_worker(started));
    }

    /// Has a worker there that watches the clock for a retry: one that sleeps arms its timer anew, or one is started.
    pub(crate) fn rouse_for_retry(self: &Arc<Self>) {
        let mut state = self.state();
        match state.pool.asleep.pop() {
            Some((_, waker)) => {
                drop(state);
                waker.wake();
            }
            None => {
                let started = state.start_worker();
                drop(state);
                started.into_iter().for_each(|started| self.spawn_worker(started));
            }
        }
    }

    pub(crate) fn spawn_worker(self: &Arc<Self>, started: Started) {
        if let Some(bus) = self.bus.upgrade() {
            bus.spawn(crate::worker::work(Arc::clone(self), started.number, started.claim));
        }
    }

    pub(crate) fn wake_all_workers(&self) {
        let asleep = std::mem::take(&mut self.state().pool.asleep);
        asleep.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Tells those who wait for room, once there is a quarter of the bounds: waking a task for each entry that leaves
    /// costs more than the entry.
    pub(crate) fn tell_room(&self, mut state: MutexGuard<'_, State>) {
        if !state.room_wanted {
            return;
        }
        let (entries, bytes) = (state.queue.entries(), state.queue.bytes());
        let enough = |waits: usize, max: usize| waits <= max - max.div_ceil(4);
        if enough(entries, state.config.queue_entries_max) && enough(bytes, state.config.queue_bytes_max) {
            state.room_wanted = false;
            drop(state);
            self.room.wake_all();
        }
    }

    /// Has those who wait for room look again.
    pub(crate) fn wake_those_who_want_room(&self) {
        self.room.wake_all();
    }

    /// Tells those who wait for workers to leave or for the bus to come to rest.
    pub(crate) fn tell_change(&self) {
        self.changed.wake_all();
        if let Some(bus) = self.bus.upgrade() {
            bus.rest.tell();
        }
    }
}

impl State {
    /// Enters one more worker into the books, if there may be one more.
    pub(crate) fn start_worker(&mut self) -> Option<Started> {
        if self.pool.current >= self.config.workers.max {
            return None;
        }
        self.pool.current += 1;
        self.pool.largest = self.pool.largest.max(self.pool.current);
        self.pool.last_number += 1;
        let claim = Arc::<Claim>::default();
        self.pool.claims.push(Arc::clone(&claim));
        Some(Started { number: self.pool.last_number, claim })
    }

    /// Takes back what workers have claimed and not begun; true when something is ready now.
    pub(crate) fn gather(&mut self) -> bool {
        for claim in &self.pool.claims {
            self.queue.take_back(claim);
        }
        self.queue.ready_len() > 0
    }

    /// Takes back what is claimed, and names the listeners of all that waits.
    pub(crate) fn gather_fixed(&mut self) {
        self.gather();
        self.queue.fix(&self.listeners);
    }

    /// Puts the queue's books right for what has begun since, so that they are exact.
    pub(crate) fn settle_claims(&mut self) {
        for claim in &self.pool.claims {
            self.queue.settle_claim(claim);
        }
    }

    /// Whether something runs, or will run without anything new coming in.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.active > 0 || (!self.paused && self.queue.can_run())
    }
}
