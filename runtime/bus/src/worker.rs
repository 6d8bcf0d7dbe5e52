//! The worker: a task that takes entries from one destination and runs them, with what it owns. What it takes, what a call
//! is and what follows it stand elsewhere.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::claim::Claim;
use crate::destination::{Asleep, Destination, Life, State};
use crate::entry::Entry;
use crate::kit::Kit;
use crate::lend::Lendable;
use crate::limits::{CLAIM_ENTRIES_MAX, CLAIM_TIME_MAX, WORK_TIME_MAX};
use crate::queue::Next;
use crate::registration::ListenerSet;
use crate::sync::{Instant, MutexGuard, Sleep, after, sleep_until, yield_now};

/// Runs worker `number` of `destination` until the pool shrinks or the destination closes.
pub(crate) async fn work(
    destination: Arc<Destination>,
    number: u32,
    claim: Arc<Claim>,
    lendable: Arc<Lendable>,
) {
    let now = Instant::now();
    let seat_of = Arc::clone(&destination);
    let mut seat = Seat {
        destination: seat_of,
        number,
        claim,
        active: false,
        claim_size: 1,
        claimed_at: now,
        yielded_at: now,
        worked_long: false,
        left: false,
        present: Arc::default(),
        kit: Kit::new(number),
        lendable,
    };
    while let Some(entry) = seat.take().await {
        let Seat { claim, present, kit, .. } = &mut seat;
        match destination.gather_batch(entry, present, claim, kit) {
            // Boxed: most listeners take one message at a time, and their workers need not be larger for the others.
            Ok(batch) => Box::pin(destination.run_batch(batch, claim, kit)).await,
            Err(entry) => destination.run(entry, present, &claim.tally, kit).await,
        }
        if seat.works_too_long() || seat.has_done_enough() {
            // A queue that never runs empty must not keep this thread from its other tasks.
            seat.rest();
            yield_now().await;
            seat.kit.now = None;
        }
    }
}

/// A worker's place in the books of the pool; it is given up however the task ends.
struct Seat {
    destination: Arc<Destination>,
    number: u32,
    /// What this worker runs next; others may take it back.
    claim: Arc<Claim>,
    /// Whether the books count this worker as active.
    active: bool,
    /// How many entries it takes at a time, and when it last did.
    claim_size: usize,
    claimed_at: Instant,
    yielded_at: Instant,
    /// Whether it is time to let others run.
    worked_long: bool,
    /// Whether the books know already that this worker leaves.
    left: bool,
    /// The destination's listeners at this worker's last look: those of what it has taken since.
    present: Arc<ListenerSet>,
    /// What it owns: instances, and figures not written yet.
    kit: Kit,
    /// Whether a sender lends its thread for the turn that runs.
    lendable: Arc<Lendable>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.rest();
        // Before anybody is told that this worker is gone, and outside of the lock.
        self.kit.drop_instances();
        let mut state = self.destination.state();
        if !self.left {
            // The task went away in the middle of its work: what it had claimed goes to a successor.
            self.destination.leave(&mut state, self.number, &self.claim);
            state.pool.active -= usize::from(self.active);
        }
        let ready = state.queue.ready_len();
        self.destination.rouse(state, ready);
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
    async fn take(&mut self) -> Option<Entry> {
        if let Some(entry) = self.claim.pop() {
            return Some(entry);
        }
        // Whoever reads the books after the look below sees all that came before it.
        self.rest();
        let mut idle_since = None;
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        std::future::poll_fn(|cx| {
            loop {
                match self.turn(cx, &mut idle_since) {
                    Turn::Run(entry) => return Poll::Ready(Some(entry)),
                    Turn::Leave => return Poll::Ready(None),
                    Turn::SleepUntil(until) => {
                        self.kit.forget_removed();
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

    /// No call runs, and the worker may wait now.
    fn rest(&mut self) {
        self.kit.end_row();
        self.kit.write(&self.destination.counters.latencies);
    }

    /// One look at the destination, under its lock.
    fn turn(&mut self, cx: &Context<'_>, idle_since: &mut Option<Instant>) -> Turn {
        self.fit_claim();
        let Seat { destination, number, claim, active, claim_size, left, present, lendable, .. } = self;
        let mut state = destination.state();
        state.queue.settle_claim(claim);
        state.pool.active -= usize::from(std::mem::take(active));
        // A worker that was woken by a timer still stands in the list; usually the list is empty.
        state.pool.asleep.retain(|asleep| asleep.number != *number);
        if state.pool.current > state.config.workers.max {
            // The pool was tuned down, and this worker has nothing in hand.
            *left = true;
            destination.leave(&mut state, *number, claim);
            return Turn::Leave;
        }
        match state.next_for_worker() {
            Next::Entry(entry) => {
                *active = true;
                state.pool.active += 1;
                let changed = !Arc::ptr_eq(present, &state.listeners);
                let gone = changed.then(|| std::mem::replace(present, Arc::clone(&state.listeners)));
                // The others get their share of what is ready.
                let share = state.queue.ready_len() / state.pool.current.max(1);
                state.queue.claim(claim, share.min(*claim_size - 1));
                claim.tally.running.add(entry.targets.pairs());
                let timed = state.queue.has_waiting();
                destination.tell_room(state);
                // Outside of the lock: it may hold the last of a listener, and its drop is not the bus's code.
                drop(gone);
                if timed {
                    // Another retry may be due while this worker is busy: somebody else must watch the clock.
                    destination.rouse_for_retry();
                }
                Turn::Run(entry)
            }
            Next::Wait(due) => {
                // What was claimed may have been all there was: this look is the only one that sees the room it left.
                let room_wanted = std::mem::take(&mut state.room_wanted);
                destination.end_episode(&mut state);
                let turn = if state.life == Life::Open {
                    sleep(*number, lendable, cx, &mut state, due, idle_since)
                } else {
                    Turn::Leave
                };
                if matches!(turn, Turn::Leave) {
                    // In the same step as the decision: a sender must not count on a worker that is about to go.
                    *left = true;
                    destination.leave(&mut state, *number, claim);
                }
                drop(state);
                if room_wanted {
                    destination.wake_those_who_want_room();
                }
                destination.events.drain_pending();
                turn
            }
        }
    }

    /// Whether this worker has been at it for long enough to let others run. Known since it last took entries, when the clock
    /// was read.
    fn works_too_long(&mut self) -> bool {
        std::mem::take(&mut self.worked_long)
    }

    /// Whether a sender who lends its thread wants it back: what else there is to do is not what that sender waits for.
    fn has_done_enough(&self) -> bool {
        self.lendable.is_lent() && (!self.claim.is_empty() || self.destination.state().queue.ready_len() > 0)
    }

    /// Claims more at a time while claims are quickly finished, and less when one was not.
    fn fit_claim(&mut self) {
        let now = Instant::now();
        let quick = self.active && now.saturating_duration_since(self.claimed_at) < CLAIM_TIME_MAX;
        self.claim_size = if quick { (self.claim_size * 2).min(CLAIM_ENTRIES_MAX) } else { 1 };
        self.claimed_at = now;
        if !self.active {
            // It has just slept, or begun.
            self.yielded_at = now;
        } else if now.saturating_duration_since(self.yielded_at) > WORK_TIME_MAX {
            self.worked_long = true;
            self.yielded_at = now;
        }
        self.kit.now = Some(now);
        self.kit.look_for_batches();
    }
}

impl Destination {
    /// Takes a worker out of the books.
    fn leave(&self, state: &mut State, number: u32, claim: &Arc<Claim>) {
        state.queue.take_back(claim);
        state.pool.current -= 1;
        state.pool.asleep.retain(|asleep| asleep.number != number);
        state.pool.claims.retain(|known| !Arc::ptr_eq(known, claim));
        self.counters.take_over(&claim.tally);
    }
}

impl State {
    /// The next entry for a worker; what others have claimed and not begun is there for one that would have to sleep.
    fn next_for_worker(&mut self) -> Next {
        if self.paused && self.life == Life::Open {
            return Next::Wait(None);
        }
        match self.queue.next(Instant::now) {
            Next::Wait(_) if self.pool.claims.len() > 1 && self.gather() => self.queue.next(Instant::now),
            next => next,
        }
    }
}

/// Puts worker `number` to sleep, or lets it go when the pool has had one too many for long enough.
fn sleep(
    number: u32,
    lendable: &Arc<Lendable>,
    cx: &Context<'_>,
    state: &mut MutexGuard<'_, State>,
    due: Option<Instant>,
    idle_since: &mut Option<Instant>,
) -> Turn {
    let workers = state.config.workers;
    let spare = state.pool.current > workers.core;
    // One that waits for a retry stays for it: were it to leave, nobody would be there when it is due.
    let give_up = (spare && due.is_none()).then(|| {
        let now = Instant::now();
        (now, after(*idle_since.get_or_insert(now), workers.keep_alive))
    });
    if give_up.is_some_and(|(now, at)| at <= now) {
        return Turn::Leave;
    }
    state.pool.asleep.push(Asleep { number, waker: cx.waker().clone(), work: Arc::clone(lendable) });
    Turn::SleepUntil(due.or(give_up.map(|(_, at)| at)))
}
