//! One destination: its configuration, its listeners, what waits, and its life. How a message gets in, is run and is
//! settled stands in the files beside this one.

mod accept;
mod answer;
mod batch;
mod deliver;
mod events;
mod flight;
mod inline;
mod letters;
mod life;
mod listeners;
mod measure;
mod put;
mod rank;
mod receivers;
mod redrive;
mod reject;
mod report;
mod settle;
mod settling;
mod tune;
mod unheard;

use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::bus::Shared;
use crate::call::Interrupt;
use crate::claim::Claim;
use crate::clock::{Clock, WallClock};
use crate::config::DestinationConfig;
use crate::dead_letter::DeadLetters;
use crate::dedup::Dedup;
use crate::events::Hub;
use crate::hooks::Hooks;
use crate::lend::{Lendable, Sleeper};
use crate::name::{DestinationName, EVENTS};
use crate::queue::Queue;
use crate::registration::ListenerSet;
use crate::statistics::{Counters, Padded};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, Wakers};
use crate::types::CustomType;
use crate::types::DestinationType;

pub(crate) use accept::{Admitted, Inline};
pub use life::Closed;
pub use listeners::Registered;
pub(crate) use listeners::Taken;
pub(crate) use redrive::Refused;
pub(crate) use settle::Manner;

/// One destination.
pub(crate) struct Destination {
    pub(crate) name: DestinationName,
    pub(crate) destination_type: DestinationType,
    pub(crate) custom_type: Option<CustomType>,
    /// Whether it is `sandbus/events`, where only the bus itself sends.
    pub(crate) is_events: bool,
    /// Among the destinations of its name: the highest one is the one that senders see.
    pub(crate) ranking: i32,
    /// Where its events go.
    pub(crate) events: Arc<Hub>,
    /// Weak, because the bus owns its destinations.
    pub(crate) bus: Weak<Shared>,
    /// Those of the bus: a delivery must not count a reference up to look at them.
    pub(crate) hooks: Arc<Hooks>,
    /// The bus's.
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) interrupt: Interrupt,
    message_bytes_max: AtomicUsize,
    /// Whether a message found nobody who listens since the last one left: one episode is one warning.
    unheard: AtomicBool,
    /// Guards the queue, the listeners, the pool's books and the life: what one step of any of them must see whole.
    state: Padded<Mutex<State>>,
    /// What is kept, with the counters of what has left it. Taken last: under it no other lock is.
    dead_letters: Mutex<DeadLetters>,
    dedup: Mutex<Dedup>,
    /// Dead letters that left at the bound, as far as nobody was told of them yet.
    letters_left: Mutex<events::LettersLeft>,
    /// Woken when a worker leaves or goes to sleep.
    changed: Wakers,
    /// Woken when an entry leaves the queue while somebody waits for room.
    room: Wakers,
}

/// What one step must see whole.
pub(crate) struct State {
    pub(crate) config: Arc<DestinationConfig>,
    pub(crate) life: Life,
    /// Those who are about to close it, and whether one of them is through.
    closings: life::Closings,
    pub(crate) paused: bool,
    /// Whether senders run the listeners themselves, for a test.
    pub(crate) inline: bool,
    pub(crate) queue: Queue,
    pub(crate) listeners: Arc<ListenerSet>,
    pub(crate) pool: Pool,
    /// Whether a message was turned away for want of room, and a quarter of the bounds has not been free since: one episode
    /// is one warning and one event.
    pub(crate) full: bool,
    /// Whether one of a higher ranking stands before it.
    hidden: bool,
    /// Whether it is being destroyed: it does not open again, and takes over for nobody.
    leaving: bool,
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
    pub(crate) asleep: Vec<Asleep>,
}

/// A worker that sleeps.
pub(crate) struct Asleep {
    pub(crate) number: u32,
    pub(crate) waker: Waker,
    pub(crate) work: Arc<Lendable>,
}

/// A worker that is in the books and whose task is to be started.
pub(crate) struct Started {
    number: u32,
    claim: Arc<Claim>,
}

impl Destination {
    pub(crate) fn new(
        config: DestinationConfig,
        ranking: i32,
        bus: Weak<Shared>,
        events: Arc<Hub>,
    ) -> Arc<Self> {
        let mut state = State {
            life: Life::Open,
            closings: life::Closings::default(),
            paused: config.paused,
            inline: false,
            queue: Queue::default(),
            listeners: Arc::default(),
            pool: Pool::default(),
            full: false,
            hidden: false,
            leaving: false,
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
            is_events: state.config.name.as_str() == EVENTS,
            ranking,
            events,
            bus,
            counters: Counters::default(),
            interrupt: Interrupt::default(),
            unheard: AtomicBool::new(false),
            message_bytes_max: AtomicUsize::new(state.config.message_bytes_max),
            state: Padded(Mutex::new(state)),
            dead_letters: Mutex::default(),
            dedup: Mutex::default(),
            letters_left: Mutex::default(),
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

    /// Wakes or starts workers for `ready` entries that became ready just now.
    pub(crate) fn rouse(self: &Arc<Self>, mut state: MutexGuard<'_, State>, mut ready: usize) {
        if ready == 0 || state.paused {
            return;
        }
        let mut wakers = Vec::new();
        let mut starts = Vec::new();
        while ready > 0 {
            if let Some(asleep) = state.pool.asleep.pop() {
                wakers.push(asleep.waker);
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

    /// The same for one entry whose sender waits for what comes of it: a worker that sleeps is left to that sender.
    pub(crate) fn rouse_or_lend(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Option<Sleeper> {
        if !state.paused
            && let Some(asleep) = state.pool.asleep.pop()
        {
            return Some(Sleeper::new(asleep.waker, asleep.work));
        }
        self.rouse(state, 1);
        None
    }

    /// Has a worker there that watches the clock for a retry: one that sleeps arms its timer anew, or one is started.
    pub(crate) fn rouse_for_retry(self: &Arc<Self>) {
        let mut state = self.state();
        match state.pool.asleep.pop() {
            Some(asleep) => {
                drop(state);
                asleep.waker.wake();
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
            let lendable = Arc::<Lendable>::default();
            let work =
                crate::worker::work(Arc::clone(self), started.number, started.claim, Arc::clone(&lendable));
            bus.spawn(lendable.task(Box::pin(work)));
        }
    }

    pub(crate) fn wake_all_workers(&self) {
        let asleep = std::mem::take(&mut self.state().pool.asleep);
        asleep.into_iter().for_each(|asleep| asleep.waker.wake());
    }

    /// Tells those who wait for room, once there is a quarter of the bounds: waking a task for each entry that leaves
    /// costs more than the entry.
    pub(crate) fn tell_room(&self, mut state: MutexGuard<'_, State>) {
        if (!state.room_wanted && !state.full) || !state.has_room() {
            return;
        }
        self.end_episode(&mut state);
        let wanted = std::mem::take(&mut state.room_wanted);
        drop(state);
        if wanted {
            self.room.wake_all();
        }
        self.events.drain_pending();
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

    /// Whether a quarter of the bounds is free.
    fn has_room(&self) -> bool {
        let enough = |waits: usize, max: usize| waits <= max - max.div_ceil(4);
        enough(self.queue.entries(), self.config.queue_entries_max)
            && enough(self.queue.bytes(), self.config.queue_bytes_max)
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
