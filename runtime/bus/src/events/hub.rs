//! The order of events: one queue of what is to be told, filled under the lock of each change, emptied by one caller at a
//! time when the locks are released. It decides nothing, and calls nobody under a lock.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::Event;
use super::observer::{TooManyObservers, Watcher};
use crate::destination::Destination;
use crate::limits::{EVENTS_WAITING_MAX, OBSERVERS_MAX};
use crate::name::EVENTS;
use crate::registration::{ListenerSet, Slot};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

/// Where all events of a bus pass.
#[derive(Default)]
pub(crate) struct Hub {
    /// Observers, and listeners at `sandbus/events`: where there is none, an event costs one look at this.
    watchers: AtomicUsize,
    /// Whether something is to be told; a hint for those who cannot know, changed under the lock of the queue.
    pending: AtomicBool,
    /// Messages that cause messages: an event that is further than this from its first cause is no message any more.
    hops_max: u32,
    /// Guards what is to be told and to whom, which must change together. Nothing else is locked under it.
    queue: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// Events that found no room since the last one that did.
    missed: u64,
    /// Whether somebody is telling events.
    draining: bool,
    observers: Arc<Vec<Arc<Watcher>>>,
    /// How many there are, with those whose turn has not come.
    observers_in: usize,
    /// Listeners at `sandbus/events` that have been told what exists.
    audience: Arc<ListenerSet>,
    /// What was announced of the guests that are loaded.
    guests: Vec<Event>,
    /// The destination `sandbus/events`.
    feed: Weak<Destination>,
}

enum Item {
    Event(Event, u32),
    /// A new observer, and what existed when it came.
    Observer(Arc<Watcher>, Vec<Event>),
    /// A new listener at `sandbus/events`, and what existed when it registered.
    Listener(Arc<Slot>, Vec<Event>),
}

/// One step of telling, with those who were there when its turn came.
struct Step {
    item: Item,
    observers: Arc<Vec<Arc<Watcher>>>,
    audience: Arc<ListenerSet>,
    feed: Weak<Destination>,
}

impl Hub {
    pub(crate) fn new(hops_max: u32) -> Self {
        Self { hops_max, ..Self::default() }
    }

    /// Says where the destination `sandbus/events` is.
    pub(crate) fn feeds(&self, destination: &Arc<Destination>) {
        self.queue.lock().feed = Arc::downgrade(destination);
    }

    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Keeps an event to be told; to be called under the lock of its change, with [`Hub::drain`] after it.
    pub(crate) fn push(&self, event: impl FnOnce() -> Event) {
        self.push_caused(0, event);
    }

    /// The same for an event that a message caused: what is sent because of it has come further than that message.
    pub(crate) fn push_caused(&self, hop_count: u32, event: impl FnOnce() -> Event) {
        if self.is_watched() {
            let event = event();
            self.enter(&mut self.queue.lock(), event, hop_count);
        }
    }

    /// Keeps an event of the host's, and remembers which guests are loaded.
    pub(crate) fn announce(&self, event: Event) {
        let mut queue = self.queue.lock();
        match &event {
            Event::GuestLoaded { guest, .. } => {
                queue.guests.retain(|known| known.guest() != Some(guest));
                queue.guests.push(event.clone());
            }
            Event::GuestReplaced { guest, build, .. } => {
                let known = queue.guests.iter_mut().find(|known| known.guest() == Some(guest));
                if let Some(known) = known {
                    *known = Event::GuestLoaded { guest: Arc::clone(guest), build: build.clone() };
                }
            }
            Event::GuestUnloaded { guest } => queue.guests.retain(|known| known.guest() != Some(guest)),
            _ => {}
        }
        if self.is_watched() {
            self.enter(&mut queue, event, 0);
        }
    }

    fn enter(&self, queue: &mut Waiting, event: Event, hop_count: u32) {
        queue.push(event, hop_count);
        self.pending.store(!queue.items.is_empty(), Ordering::Relaxed);
    }

    /// Lets an observer in, behind all that happened before, if there is a place.
    pub(super) fn arrive(
        &self,
        watcher: &Arc<Watcher>,
        mut existing: Vec<Event>,
    ) -> Result<(), TooManyObservers> {
        let mut queue = self.queue.lock();
        if queue.observers_in >= OBSERVERS_MAX {
            return Err(TooManyObservers { observers: queue.observers_in });
        }
        queue.observers_in += 1;
        self.watchers.fetch_add(1, Ordering::Relaxed);
        existing.extend(queue.guests.iter().cloned());
        queue.items.push_back(Item::Observer(Arc::clone(watcher), existing));
        Ok(())
    }

    /// Lets an observer go, which has been marked as ended.
    pub(super) fn leave(&self, watcher: &Arc<Watcher>) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
        let mut queue = self.queue.lock();
        queue.observers_in -= 1;
        let rest: Vec<_> =
            queue.observers.iter().filter(|known| !Arc::ptr_eq(known, watcher)).cloned().collect();
        let before = std::mem::replace(&mut queue.observers, Arc::new(rest));
        drop(queue);
        // What an observer holds goes under no lock: its drop may call the bus.
        drop(before);
    }

    /// Lets a listener at `sandbus/events` in, behind all that happened before.
    pub(crate) fn listens(&self, slot: &Arc<Slot>, mut existing: Vec<Event>) {
        let mut queue = self.queue.lock();
        self.watchers.fetch_add(1, Ordering::Relaxed);
        existing.extend(queue.guests.iter().cloned());
        queue.items.push_back(Item::Listener(Arc::clone(slot), existing));
    }

    /// Lets a listener at `sandbus/events` go, which has been marked as removed.
    pub(crate) fn listens_no_more(&self, slot: &Arc<Slot>) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
        let mut queue = self.queue.lock();
        Arc::make_mut(&mut queue.audience).retain(|known| !Arc::ptr_eq(known, slot));
    }

    /// The same as [`Hub::drain`] where usually nothing is to be told: then it costs one look.
    pub(crate) fn drain_pending(&self) {
        if self.pending.load(Ordering::Relaxed) {
            self.drain();
        }
    }

    /// Tells what is to be told, unless somebody else does it already; to be called under no lock.
    pub(crate) fn drain(&self) {
        let Some(mut drainer) = Drainer::begin(self) else { return };
        while let Some(step) = drainer.next() {
            self.tell(step);
        }
    }

    fn tell(&self, step: Step) {
        match step.item {
            Item::Event(event, hop_count) => {
                step.observers.iter().for_each(|watcher| watcher.tell(&event));
                if hop_count <= self.hops_max
                    && let Some(feed) = step.feed.upgrade()
                {
                    feed.feed(&event, hop_count, &step.audience);
                }
            }
            Item::Observer(watcher, existing) => {
                existing.iter().for_each(|event| watcher.tell(event));
                let mut queue = self.queue.lock();
                // It may have ended meanwhile; `leave` marks first and looks second.
                if !watcher.has_ended() {
                    Arc::make_mut(&mut queue.observers).push(Arc::clone(&watcher));
                }
            }
            Item::Listener(slot, existing) => {
                let alone = [Arc::clone(&slot)];
                if let Some(feed) = step.feed.upgrade() {
                    existing.iter().for_each(|event| feed.feed(event, 0, &alone));
                }
                let mut queue = self.queue.lock();
                if !slot.is_removed() {
                    Arc::make_mut(&mut queue.audience).push(slot);
                }
            }
        }
    }
}

impl Waiting {
    fn push(&mut self, event: Event, hop_count: u32) {
        if event.destination().is_some_and(|destination| destination.as_str() == EVENTS) {
            return;
        }
        if self.items.len() >= EVENTS_WAITING_MAX {
            self.missed += 1;
            return;
        }
        self.tell_missed();
        self.items.push_back(Item::Event(event, hop_count));
    }

    fn tell_missed(&mut self) {
        if self.missed > 0 {
            let count = std::mem::take(&mut self.missed);
            self.items.push_back(Item::Event(Event::EventsMissed { count }, 0));
        }
    }
}

/// The one that tells events at this moment; its place is given up however it ends.
struct Drainer<'a> {
    hub: &'a Hub,
    done: bool,
}

impl<'a> Drainer<'a> {
    fn begin(hub: &'a Hub) -> Option<Self> {
        let mut queue = hub.queue.lock();
        if queue.draining || queue.items.is_empty() {
            return None;
        }
        queue.draining = true;
        Some(Self { hub, done: false })
    }

    fn next(&mut self) -> Option<Step> {
        let mut queue = self.hub.queue.lock();
        if queue.items.is_empty() {
            queue.tell_missed();
        }
        let Some(item) = queue.items.pop_front() else {
            // In the same step as the look: whoever pushes after it drains.
            queue.draining = false;
            self.hub.pending.store(false, Ordering::Relaxed);
            self.done = true;
            return None;
        };
        Some(Step {
            item,
            observers: Arc::clone(&queue.observers),
            audience: Arc::clone(&queue.audience),
            feed: Weak::clone(&queue.feed),
        })
    }
}

impl Drop for Drainer<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.hub.queue.lock().draining = false;
        }
    }
}
