//! The worker: a task that takes entries from one destination and runs them, with an instance of its own of each
//! listener. What it takes, what a call is and what follows it stand elsewhere.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::destination::{Destination, Life, State};
use crate::listener::ListenerInstance;
use crate::queue::{Entry, Next};
use crate::registration::Slot;
use crate::sync::{Instant, MutexGuard, sleep_until};

/// Runs worker `number` of `destination` until the pool shrinks or the destination closes.
pub(crate) async fn work(destination: Arc<Destination>, number: u32) {
    let mut seat = Seat { destination: Arc::clone(&destination), number, active: false };
    let mut instances = Instances::default();
    while let Some(entry) = seat.take(&mut instances).await {
        destination.run(entry, &mut instances, number).await;
        // A queue that never runs empty must not keep this thread from its other tasks.
        tokio::task::coop::consume_budget().await;
    }
}

/// The instances that one worker owns. A serial destination has few listeners, so that a list is the quickest map.
#[derive(Default)]
pub(crate) struct Instances(Vec<(Arc<Slot>, Idle)>);

/// An instance that no call uses; none while one does, or when the last one is spent.
type Idle = Option<Box<dyn ListenerInstance>>;

impl Instances {
    /// Takes the instance of `slot` out, if there is one that can be used.
    pub(crate) fn take(&mut self, slot: &Arc<Slot>) -> Option<Box<dyn ListenerInstance>> {
        self.0
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, slot))
            .and_then(|(_, instance)| instance.take())
    }

    /// Keeps an instance for the next message, if it can be used again.
    pub(crate) fn keep(&mut self, slot: &Arc<Slot>, instance: Option<Box<dyn ListenerInstance>>) {
        if slot.is_removed() {
            return self.forget_removed();
        }
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, slot)) {
            Some((_, place)) => *place = instance,
            None => self.0.push((Arc::clone(slot), instance)),
        }
    }

    fn forget_removed(&mut self) {
        self.0.retain(|(slot, _)| !slot.is_removed());
    }
}

/// A worker's place in the books of the pool; it is given up however the task ends.
struct Seat {
    destination: Arc<Destination>,
    number: u32,
    /// Whether the books count this worker as active.
    active: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.destination.state();
        state.pool.current -= 1;
        state.pool.active -= usize::from(self.active);
        state.pool.asleep.retain(|(number, _)| *number != self.number);
        drop(state);
        self.destination.tell_change();
    }
}

enum Turn {
    Run(Entry),
    Leave,
    SleepUntil(Option<Instant>),
}

impl Seat {
    /// Takes the next entry, sleeping until there is one; none when this worker is to leave.
    async fn take(&mut self, instances: &mut Instances) -> Option<Entry> {
        let mut idle_since = None;
        let mut timer: Option<Pin<Box<tokio::time::Sleep>>> = None;
        std::future::poll_fn(|cx| {
            loop {
                match self.turn(cx, &mut idle_since) {
                    Turn::Run(entry) => return Poll::Ready(Some(entry)),
                    Turn::Leave => return Poll::Ready(None),
                    Turn::SleepUntil(until) => {
                        instances.forget_removed();
                        self.destination.tell_change();
                        let Some(until) = until else { return Poll::Pending };
                        match &mut timer {
                            Some(timer) => timer.as_mut().reset(until),
                            None => timer = Some(Box::pin(sleep_until(until))),
                        }
                        let woken = timer.as_mut().map(|timer| timer.as_mut().poll(cx));
                        if woken != Some(Poll::Ready(())) {
                            return Poll::Pending;
                        }
                    }
                }
            }
        })
        .await
    }

    /// One look at the destination, under its lock.
    fn turn(&mut self, cx: &Context<'_>, idle_since: &mut Option<Instant>) -> Turn {
        let Seat { destination, number, active } = self;
        let mut state = destination.state();
        state.pool.active -= usize::from(std::mem::take(active));
        // A worker that was woken by a timer still stands in the list; usually the list is empty.
        state.pool.asleep.retain(|(asleep, _)| asleep != number);
        let next = if state.paused && state.life == Life::Open {
            Next::Wait(None)
        } else {
            state.queue.next(Instant::now)
        };
        match next {
            Next::Entry(entry) => {
                *active = true;
                state.pool.active += 1;
                destination.counters.running.add(entry.targets.pairs());
                destination.tell_room(state);
                Turn::Run(entry)
            }
            Next::Wait(_) if state.life != Life::Open => Turn::Leave,
            Next::Wait(due) => sleep(*number, cx, state, due, idle_since),
        }
    }
}

/// Puts worker `number` to sleep, or lets it go when the pool has had one too many for long enough.
fn sleep(
    number: u32,
    cx: &Context<'_>,
    mut state: MutexGuard<'_, State>,
    due: Option<Instant>,
    idle_since: &mut Option<Instant>,
) -> Turn {
    let workers = state.config.workers;
    let spare = state.pool.current > workers.core;
    let give_up = spare.then(|| {
        let now = Instant::now();
        (now, *idle_since.get_or_insert(now) + workers.keep_alive)
    });
    if give_up.is_some_and(|(now, at)| at <= now) && due.is_none() {
        return Turn::Leave;
    }
    state.pool.asleep.push((number, cx.waker().clone()));
    let give_up = give_up.map(|(_, at)| at);
    Turn::SleepUntil(match (due, give_up) {
        (Some(due), Some(at)) => Some(due.min(at)),
        (due, at) => due.or(at),
    })
}
