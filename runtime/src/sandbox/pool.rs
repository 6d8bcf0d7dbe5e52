//! The slots of live instances, and the places where idle ones wait to be used again. A slot is taken before an instance is
//! made. Where none is free the instance that has been idle longest is dropped for it; only where none is idle does whoever
//! needs it wait. It makes no instance.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::atomic::AtomicCell;
use sandbus_bus::{Cause, Fault, Instant, until};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::instance::GuestInstance;
use crate::host::{Reclaim, Whose};

/// The slots and the idle instances of all guests.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    slots: Slots,
    /// Live instances.
    live: AtomicUsize,
    /// The places of all instances that can be idle, by number.
    places: Mutex<BTreeMap<u64, Arc<Place>>>,
    next: AtomicU64,
    began: Instant,
    /// Tells those who wait for memory that an instance was dropped.
    dropped: Notify,
}

/// A number of slots, and how many wait for one of them, or for the memory that goes with it.
struct Slots {
    free: Arc<Semaphore>,
    max: usize,
    waiting: AtomicUsize,
}

/// The part of the pool that one build of a guest may take.
pub(super) struct Share {
    pool: Pool,
    slots: Slots,
    /// Slots that one instance takes.
    each: u32,
    /// Live instances.
    live: AtomicUsize,
}

/// A live instance's slots among all instances and, where it counts there, among those of its guest.
pub(super) struct Admitted {
    pool: Pool,
    share: Option<Arc<Share>>,
    _of_guest: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Admitted {
    fn new(
        pool: &Pool,
        share: Option<&Arc<Share>>,
        of_guest: Option<OwnedSemaphorePermit>,
        of_all: OwnedSemaphorePermit,
    ) -> Self {
        pool.0.live.fetch_add(1, Ordering::Relaxed);
        if let Some(share) = share {
            share.live.fetch_add(1, Ordering::Relaxed);
        }
        Self { pool: pool.clone(), share: share.cloned(), _of_guest: of_guest, _of_all: of_all }
    }
}

/// Where an instance is while no call runs on it. Whoever empties it owns the instance.
pub(super) struct Place {
    share: Arc<Share>,
    number: u64,
    instance: AtomicCell<Option<Box<GuestInstance>>>,
    /// When it was last used, in nanoseconds since the pool began.
    last_used: AtomicU64,
    /// Whether its instance was dropped for another one, or because it was idle for too long.
    emptied: AtomicBool,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.pool.0.live.fetch_sub(1, Ordering::Relaxed);
        if let Some(share) = &self.share {
            share.live.fetch_sub(1, Ordering::Relaxed);
        }
        // The store is gone by now, and its memory with it. Who waits counts first and tries once more, then waits: so it is
        // seen here, or sees what came free. Of an instance that is kept for a build it is not known whose share it was in.
        if self.pool.0.slots.is_wanted() || self.share.as_ref().is_none_or(|share| share.slots.is_wanted()) {
            self.pool.0.dropped.notify_waiters();
        }
    }
}

impl Slots {
    fn new(max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(max)), max, waiting: AtomicUsize::new(0) }
    }

    fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Takes so many slots, or all that there are; `drop_idle` drops an idle instance that holds some, if there is one.
    async fn take(&self, count: u32, drop_idle: impl Fn() -> bool) -> Option<OwnedSemaphorePermit> {
        let count = count.min(u32::try_from(self.max).unwrap_or(u32::MAX));
        if let Ok(slots) = Arc::clone(&self.free).try_acquire_many_owned(count) {
            return Some(slots);
        }
        let _waiting = self.wait();
        // After it counts as waiting: an instance that becomes idle later sees that it is wanted. What is dropped here goes
        // to whoever waits longest.
        let _ = (0..count).all(|_| drop_idle());
        Arc::clone(&self.free).acquire_many_owned(count).await.ok()
    }
}

/// Counts as waiting as long as it lives.
pub(super) struct Waiting<'a>(&'a Slots);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pool {
    pub(super) fn new(slots_max: usize) -> Self {
        Self(Arc::new(Shared {
            slots: Slots::new(slots_max),
            live: AtomicUsize::new(0),
            places: Mutex::default(),
            next: AtomicU64::new(0),
            began: Instant::now(),
            dropped: Notify::new(),
        }))
    }

    /// Live instances.
    pub(super) fn taken(&self) -> usize {
        self.0.live.load(Ordering::Relaxed)
    }

    /// Takes slots for an instance that is kept for its build alone, waiting until `deadline`.
    async fn admit_own(&self, each: u32, deadline: Instant) -> Result<Admitted, Fault> {
        let taking = pin!(self.0.slots.take(each, || self.drop_longest_idle(|_| true)));
        match until(deadline, taking).await {
            Ok(Some(of_all)) => Ok(Admitted::new(self, None, None, of_all)),
            _ => Err(none_free(format!("all guests together have {}", self.0.slots.max))),
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the instance that has been idle longest, among the places that `which` means; false when none is idle.
    fn drop_longest_idle(&self, which: impl Fn(&Place) -> bool) -> bool {
        let mut places: Vec<(u64, Arc<Place>)> = self
            .places()
            .values()
            .filter(|place| which(place))
            .map(|place| (place.last_used.load(Ordering::Relaxed), Arc::clone(place)))
            .collect();
        places.sort_unstable_by_key(|(last_used, place)| (*last_used, place.number));
        // Each place is looked into: one that is empty has its instance in a call.
        places.iter().any(|(_, place)| place.empty())
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0.began).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Share {
    /// A part of so many slots, of which an instance takes `each`.
    pub(super) fn new(pool: &Pool, slots_max: usize, each: u32) -> Arc<Self> {
        Arc::new(Self { pool: pool.clone(), slots: Slots::new(slots_max), each, live: AtomicUsize::new(0) })
    }

    /// Takes slots of all guests for an instance that is kept for its build alone, waiting until `deadline`.
    pub(super) async fn admit_own(&self, deadline: Instant) -> Result<Admitted, Fault> {
        self.pool.admit_own(self.each, deadline).await
    }

    /// Takes slots of the guest and as many of all guests, waiting until `deadline`.
    pub(super) async fn admit(self: &Arc<Self>, deadline: Instant) -> Result<Admitted, Fault> {
        let both = async {
            // In this order everywhere, so that two who wait cannot hold what the other one needs.
            let of_guest = self.slots.take(self.each, || self.reclaim(Whose::Guest)).await?;
            let of_all = self.pool.0.slots.take(self.each, || self.reclaim(Whose::All)).await?;
            Some(Admitted::new(&self.pool, Some(self), Some(of_guest), of_all))
        };
        match until(deadline, pin!(both)).await {
            Ok(Some(admitted)) => Ok(admitted),
            _ => {
                let (own, all) = (self.slots.max, self.pool.0.slots.max);
                Err(none_free(format!("the guest has {own}, all guests together have {all}")))
            }
        }
    }

    /// Ready once an instance was dropped since this was made.
    pub(super) fn dropped(&self) -> Notified<'_> {
        self.pool.0.dropped.notified()
    }

    /// Has instances that become idle be dropped as long as this lives: there was no room for another one.
    pub(super) fn want(&self, whose: Whose) -> Waiting<'_> {
        match whose {
            Whose::Guest => self.slots.wait(),
            Whose::All => self.pool.0.slots.wait(),
        }
    }

    /// Live instances, without one that is kept for its build alone.
    pub(super) fn taken(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// A place for a new instance.
    pub(super) fn place(self: &Arc<Self>) -> Arc<Place> {
        let number = self.pool.0.next.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place {
            share: Arc::clone(self),
            number,
            instance: AtomicCell::new(None),
            last_used: AtomicU64::new(0),
            emptied: AtomicBool::new(false),
        });
        self.pool.places().insert(number, Arc::clone(&place));
        place
    }

    /// Drops all idle instances.
    pub(super) fn drop_idle(&self) {
        for place in self.own_places() {
            place.empty();
        }
    }

    /// Drops the instances that have been idle for longer than `idle_max`.
    pub(super) fn drop_idle_longer_than(&self, idle_max: Duration) {
        let now = Instant::now();
        for place in self.own_places() {
            if place.is_older_than(idle_max, now) {
                place.empty();
            }
        }
    }

    fn own_places(&self) -> Vec<Arc<Place>> {
        let places = self.pool.places();
        places.values().filter(|place| self.is_of(place)).map(Arc::clone).collect()
    }

    fn is_of(&self, place: &Place) -> bool {
        std::ptr::eq(Arc::as_ptr(&place.share), self)
    }
}

impl Reclaim for Share {
    fn reclaim(&self, whose: Whose) -> bool {
        self.pool.drop_longest_idle(|place| whose == Whose::All || self.is_of(place))
    }
}

impl Place {
    /// Takes the instance out; none while a call runs on it, and when it was dropped.
    pub(super) fn take(&self) -> Option<Box<GuestInstance>> {
        self.instance.take()
    }

    /// Puts an instance back that was last used at this time, unless somebody waits for what it holds: then it is dropped.
    pub(super) fn put(&self, instance: Box<GuestInstance>, used: Instant) -> Kept {
        self.last_used.store(self.share.pool.nanos(used), Ordering::Relaxed);
        drop(self.instance.swap(Some(instance)));
        // After it was put: whoever waits counts first and looks into the places second, so that one of the two sees the
        // other. Both change the place, which puts them in an order.
        if self.is_wanted() && self.empty() { Kept::No } else { Kept::Yes }
    }

    /// Whether somebody waits for what an instance of this place holds.
    pub(super) fn is_wanted(&self) -> bool {
        self.share.slots.is_wanted() || self.share.pool.0.slots.is_wanted()
    }

    /// Drops its instance; false when there is none.
    pub(super) fn empty(&self) -> bool {
        let Some(instance) = self.take() else { return false };
        self.emptied.store(true, Ordering::Release);
        drop(instance);
        true
    }

    /// Whether its instance was dropped.
    pub(super) fn is_emptied(&self) -> bool {
        self.emptied.load(Ordering::Acquire)
    }

    /// Whether it was last used longer ago than this.
    pub(super) fn is_older_than(&self, idle_max: Duration, now: Instant) -> bool {
        let idle = self.share.pool.nanos(now).saturating_sub(self.last_used.load(Ordering::Relaxed));
        u128::from(idle) > idle_max.as_nanos()
    }

    /// Gives the place up, with what is in it.
    pub(super) fn give_up(&self) {
        let gone = self.share.pool.places().remove(&self.number);
        drop(gone);
        drop(self.take());
    }
}

/// Whether an instance is still there after it was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
}

fn none_free(who: String) -> Fault {
    Fault::new(Cause::Instantiate, format!("no instance came free in time: {who}"))
}
