//! A listener at one destination: registered, counted, and never called again once it is removed.

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use smol_str::SmolStr;

use crate::breaker::Breaker;
use crate::limits::BORROWED_INSTANCES_MAX;
use crate::listener::{ListenerInstance, MessageListener};
use crate::statistics::ListenerCounters;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, Wakers};

/// The listeners of a destination, in the order of registration. Shared by pointer with the messages that are owed to
/// them.
pub(crate) type ListenerSet = Vec<Arc<Slot>>;

/// One listener at one destination.
pub(crate) struct Slot {
    pub(crate) name: Arc<str>,
    /// The same for deliveries, each of which has it: a name of the usual length is copied without counting a reference.
    pub(crate) short_name: SmolStr,
    pub(crate) listener: Arc<dyn MessageListener>,
    pub(crate) counters: ListenerCounters,
    pub(crate) breaker: Breaker,
    removed: AtomicBool,
    /// Whether something that stood aside may wait in the queue again; changed under the queue's lock only.
    returned: AtomicBool,
    running: AtomicUsize,
    quiet: Wakers,
    /// Idle instances for calls in the sender's own task.
    borrowed: Mutex<Vec<Box<dyn ListenerInstance>>>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Slot {
    pub(crate) fn new(listener: Arc<dyn MessageListener>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(listener.name()),
            short_name: SmolStr::new(listener.name()),
            listener,
            counters: ListenerCounters::default(),
            breaker: Breaker::default(),
            removed: AtomicBool::new(false),
            returned: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            quiet: Wakers::default(),
            borrowed: Mutex::default(),
        })
    }

    /// Waits until the listener may be called, or was removed.
    pub(crate) async fn ready(&self) {
        let mut ready = pin!(async { self.listener.ready().await });
        let mut seat = None;
        std::future::poll_fn(move |cx| {
            self.quiet.register(&mut seat, cx.waker());
            if self.is_removed() { Poll::Ready(()) } else { ready.as_mut().poll(cx) }
        })
        .await;
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// No call of it begins any more. [`Slot::let_go`] follows when no lock is held.
    /// Whether what stood aside may not have been taken yet since the listener may be called again.
    pub(crate) fn has_returned(&self) -> bool {
        self.returned.load(Ordering::Relaxed)
    }

    pub(crate) fn set_returned(&self, returned: bool) {
        self.returned.store(returned, Ordering::Relaxed);
    }

    pub(crate) fn mark_removed(&self) {
        self.removed.store(true, Ordering::SeqCst);
    }

    /// Tells those who wait for a removed listener, and drops the instances that are kept for it.
    pub(crate) fn let_go(&self) {
        self.quiet.wake_all();
        let borrowed = std::mem::take(&mut *self.borrowed.lock());
        drop(borrowed);
    }

    /// Waits until no call runs.
    pub(crate) async fn quiet(&self) {
        self.quiet.wait_for(|| (self.running.load(Ordering::SeqCst) == 0).then_some(())).await;
    }

    /// An idle instance for a call in the sender's own task.
    pub(crate) fn borrow_instance(&self) -> Option<Box<dyn ListenerInstance>> {
        loop {
            let instance = self.borrowed.lock().pop()?;
            if instance.is_usable() {
                return Some(instance);
            }
        }
    }

    /// Lets go of idle instances that may not be used again.
    pub(crate) fn forget_unusable(&self) {
        let mut borrowed = self.borrowed.lock();
        let (usable, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *borrowed).into_iter().partition(|instance| instance.is_usable());
        *borrowed = usable;
        drop(borrowed);
        drop(gone);
    }

    /// Keeps an instance for the next such call, up to a bound.
    pub(crate) fn give_back(&self, instance: Option<Box<dyn ListenerInstance>>) {
        let Some(mut instance) = instance else { return };
        instance.rest();
        let mut borrowed = self.borrowed.lock();
        // Under the lock: whoever marks the listener as removed looks here afterwards.
        if borrowed.len() < BORROWED_INSTANCES_MAX && !self.is_removed() {
            borrowed.push(instance);
            return;
        }
        drop(borrowed);
        drop(instance);
    }
}

/// Calls of the listener may run as long as this lives.
pub(crate) struct Running<S: Deref<Target = Slot>>(S);

impl<S: Deref<Target = Slot>> Running<S> {
    /// Begins a call, or a row of them, unless the listener was removed. Before each further one of a row it is to be looked
    /// at once more whether it was.
    pub(crate) fn begin(slot: S) -> Option<Self> {
        // Count first, look second; `remove` marks first and counts second: one of the two sees the other.
        slot.running.fetch_add(1, Ordering::SeqCst);
        let running = Self(slot);
        if running.0.is_removed() { None } else { Some(running) }
    }

    pub(crate) fn slot(&self) -> &S {
        &self.0
    }
}

impl<S: Deref<Target = Slot>> Drop for Running<S> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.is_removed() {
            self.0.quiet.wake_all();
        }
    }
}
