//! How several entries are run in one call of their listener: which of them come together, the call, and what follows for
//! each. A worker never waits to have more of them, and a batch that was stopped settles nothing.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use smol_str::SmolStr;

use super::flight::{Book, Flight, Turn};
use super::settle::{Manner, Settled};
use super::{Destination, Life};
use crate::batch::{Batch, EndedBatch};
use crate::call::{First, Stopped, begin, guarded_on};
use crate::claim::Claim;
use crate::dead_letter::DeadLetterReason;
use crate::delivery::Delivery;
use crate::entry::{Entry, Ordinary, Target};
use crate::kit::Kit;
use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use crate::listener::Usage;
use crate::outcome::{Answer, Cause, Fault, Outcome};
use crate::policy::OnFailure;
use crate::registration::{ListenerSet, Slot};
use crate::statistics::Tally;
use crate::sync::{Instant, after};
use crate::types::DestinationType;

/// Entries in flight together. Dropped with some left, it settles them as interrupted: nothing vanishes.
#[must_use = "each entry of a batch must be settled"]
pub(crate) struct BatchFlight<'a> {
    destination: &'a Arc<Destination>,
    tally: &'a Tally,
    slot: Arc<Slot>,
    batch: Arc<Batch>,
    /// One for each delivery of the batch; none where it has ended, or waits again.
    books: Vec<Option<Book>>,
}

/// How entries of a batch wait again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// As they did before: they were not begun.
    AsBefore,
    /// So that each comes for itself: the call was stopped, and nobody knows by which of them.
    Alone,
}

impl<'a> BatchFlight<'a> {
    /// The flight of one of them, which is not in the batch any more.
    fn single(&mut self, index: usize) -> Option<(Flight<'a>, Turn<'a>)> {
        let book = self.books.get_mut(index)?.take()?;
        let delivery = self.batch.deliveries.get(index)?.clone();
        Some(Flight::of_batch(self.destination, self.tally, &self.slot, delivery, book))
    }
}

impl Drop for BatchFlight<'_> {
    fn drop(&mut self) {
        // The flight of each settles it, when it is dropped itself.
        (0..self.books.len()).for_each(|index| drop(self.single(index)));
    }
}

impl Destination {
    /// Takes what may come together with `entry` out of the claim; `entry` itself where nothing may.
    pub(crate) fn gather_batch<'a>(
        self: &'a Arc<Self>,
        entry: Entry,
        present: &ListenerSet,
        claim: &'a Claim,
        kit: &mut Kit,
    ) -> Result<BatchFlight<'a>, Entry> {
        if !kit.takes_batches() {
            return Err(entry);
        }
        let Some(Ordinary { slot, stood_aside }) = entry.targets.ordinary(present) else { return Err(entry) };
        let most = kit.batch_max(slot).min(BATCH_MESSAGES_MAX);
        if most < 2 || self.makes_single(slot) || is_late(&entry, None) {
            return Err(entry);
        }
        let slot = Arc::clone(slot);
        // What returns from aside is looked for before each delivery that did not stand aside itself.
        let serial = self.destination_type == DestinationType::Serial;
        let in_line = |stood_aside: bool| stood_aside || !serial || !slot.has_returned();
        if !in_line(stood_aside) {
            return Err(entry);
        }
        let mut gathered = Gathered::new(&slot, kit.now.unwrap_or_else(Instant::now));
        let mut bytes = entry.message.payload().len();
        let (started, mut first) = (gathered.started, Some((entry, stood_aside)));
        let joins = |next: &Entry| {
            let together = bytes.saturating_add(next.message.payload().len());
            let like = next.targets.ordinary(present);
            let joins = together <= BATCH_BYTES_MAX
                && !is_late(next, Some(started))
                && like.is_some_and(|like| Arc::ptr_eq(like.slot, &slot) && in_line(like.stood_aside));
            if joins {
                bytes = together;
            }
            joins
        };
        claim.pop_while(most - 1, joins, |next| {
            if let Some((entry, stood_aside)) = first.take() {
                gathered.add(entry, stood_aside, kit.number);
            }
            let stood_aside = next.targets.ordinary(present).is_some_and(|like| like.stood_aside);
            gathered.add(next, stood_aside, kit.number);
        });
        if let Some((entry, _)) = first {
            return Err(entry);
        }
        kit.now = None;
        let Gathered { deliveries, books, .. } = gathered;
        let batch = Arc::new(Batch { deliveries, stops_at_failure: self.blocks() });
        Ok(BatchFlight { destination: self, tally: &claim.tally, slot, batch, books })
    }

    /// Whether deliveries of this listener come one at a time for now.
    fn makes_single(&self, slot: &Slot) -> bool {
        slot.breaker.is_open()
            || slot.is_removed()
            || !slot.listener.is_ready()
            || self.hooks.sees_deliveries(&self.name)
    }

    /// Whether a failure that is tried again keeps the others behind it.
    fn blocks(&self) -> bool {
        self.destination_type == DestinationType::Serial && self.config().on_failure == OnFailure::Block
    }

    /// Has the listener receive a batch, and settles each of its messages.
    pub(crate) async fn run_batch(
        self: &Arc<Self>,
        mut flight: BatchFlight<'_>,
        claim: &Claim,
        kit: &mut Kit,
    ) {
        let slot = Arc::clone(&flight.slot);
        if !kit.begin(&slot) {
            return self.put_again(&mut flight, 0, claim, Again::AsBefore);
        }
        let EndedBatch { outcomes, usage, instance } = self.call_batch(&flight, kit).await;
        let over = Instant::now();
        // One that begins with none of them would be asked for ever; the next message comes alone, to another one.
        let begun = !outcomes.as_ref().is_ok_and(Vec::is_empty);
        kit.keep(&slot, instance.filter(|_| begun));
        let count = flight.books.len();
        let outcomes = match outcomes {
            Ok(outcomes) if outcomes.len() <= count => outcomes,
            Err(fault) if fault.cause == Cause::Interrupted => vec![Outcome::Faulted(fault); count],
            // Whoever stopped it has told of it; the bus blames nobody.
            Ok(_) | Err(_) => return self.put_again(&mut flight, 0, claim, Again::Alone),
        };
        // Before anything is waited for: others can take them meanwhile.
        self.put_again(&mut flight, outcomes.len(), claim, Again::AsBefore);
        let usage = Share::of(usage, outcomes.len());
        let rest = self.settle_done(&mut flight, outcomes, &usage, over, kit);
        if rest.is_empty() {
            // Where the stages are measured, this one is over later.
            kit.now = self.counters.latencies.stages().is_none().then_some(over);
            return;
        }
        kit.write(&self.counters.latencies);
        kit.lay_down();
        for (index, outcome) in rest {
            self.settle_one(&mut flight, index, outcome, usage.of_one(index), over, kit.number).await;
        }
    }

    async fn call_batch(&self, flight: &BatchFlight<'_>, kit: &mut Kit) -> EndedBatch {
        // It may have become unusable since the look.
        let Some(instance) = kit.take(&flight.slot) else { return EndedBatch::not_begun() };
        let mut instance = Some(instance);
        let first = poll_fn(|cx| match instance.take() {
            Some(instance) => {
                Poll::Ready(begin(&self.interrupt, cx, || instance.receive_batch(&flight.batch)))
            }
            // It is ready at the first poll, and not polled again.
            None => Poll::Pending,
        });
        let ended = match first.await {
            First::Ended(ended) => ended,
            First::Waits(call) => {
                kit.write(&self.counters.latencies);
                guarded_on(&self.interrupt, pin!(call)).await
            }
        };
        ended.unwrap_or_else(|stopped| {
            EndedBatch::spent(match stopped {
                Stopped::Interrupted => Fault::new(Cause::Interrupted, "the destination was closed now"),
                Stopped::Panicked(text) => Fault::new(Cause::Trap, text),
            })
        })
    }

    /// Settles those that are done without a reply, which is quick; gives back the others.
    fn settle_done(
        self: &Arc<Self>,
        flight: &mut BatchFlight<'_>,
        outcomes: Vec<Outcome>,
        usage: &Share,
        over: Instant,
        kit: &mut Kit,
    ) -> Vec<(usize, Outcome)> {
        let (slot, batch, tally) = (Arc::clone(&flight.slot), Arc::clone(&flight.batch), flight.tally);
        let mut rest = Vec::new();
        let mut lanes = Vec::new();
        for (index, outcome) in outcomes.into_iter().enumerate() {
            if !matches!(outcome, Outcome::Done(Answer { reply: None, .. })) {
                rest.push((index, outcome));
                continue;
            }
            let Some(book) = flight.books.get_mut(index).and_then(Option::take) else { continue };
            kit.count_call(&slot, None, usage.of_one(index));
            tally.delivered.add(1);
            tally.completed.add(1);
            tally.running.sub(1);
            tally.finished.add(1);
            lanes.extend(book.lane);
            if let Some(delivery) = batch.deliveries.get(index) {
                kit.count_way(&self.counters.latencies, delivery, over);
                self.measure(delivery, Some(&mut *kit), None, over, true);
                if let Some(request) = &delivery.message.request {
                    request.settled(None);
                }
            }
        }
        lanes.iter().for_each(|lane| self.leave_lane(lane));
        rest
    }

    /// Settles one of them as if it had come for itself.
    async fn settle_one(
        self: &Arc<Self>,
        flight: &mut BatchFlight<'_>,
        index: usize,
        outcome: Outcome,
        usage: Usage,
        over: Instant,
        worker: u32,
    ) {
        let Some((mut flight, turn)) = flight.single(index) else { return };
        let failure = outcome.failure();
        turn.slot.counters.end(failure, usage);
        self.tell_breaker(&turn.slot, failure, false);
        flight.count_delivered();
        let settled = self.settle(&mut flight, &turn, outcome, usage, Manner::Worker(worker)).await;
        let end = matches!(settled, Settled::Ended).then(Instant::now);
        self.measure(&flight.delivery, None, None, over, end.is_some());
        self.counters.latencies.record(&flight.delivery, over, end);
        flight.settled();
        match settled {
            Settled::Ended => flight.count_finished(),
            Settled::Again(again) => self.put_back(flight, vec![again]),
        }
    }

    /// Has the entries from `first` on wait again, where they came from and in their order.
    fn put_again(self: &Arc<Self>, flight: &mut BatchFlight<'_>, first: usize, claim: &Claim, how: Again) {
        let count = flight.books.len();
        if first >= count {
            return;
        }
        let mut singles: Vec<(Flight<'_>, Turn<'_>)> =
            (first..count).filter_map(|index| flight.single(index)).collect();
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        // A listener that was removed meanwhile, or a destination that is closed now, has nothing waiting.
        let removed = flight.slot.is_removed();
        let waits = !removed && state.life != Life::Closed && !self.interrupt.is_raised();
        if waits {
            // What this worker has claimed besides was accepted later.
            state.queue.take_back(claim);
            for (flight, turn) in singles.iter_mut().rev() {
                let alone = how == Again::Alone;
                let entry = flight.entry_again(vec![Target { alone, ..turn.target() }]);
                flight.runs_no_more(1);
                state.queue.push_again(entry);
                flight.settled();
            }
            return self.rouse(state, singles.len());
        }
        drop(state);
        for (mut flight, turn) in singles {
            if removed {
                self.settle_removed(flight.content(), &turn.target(), flight.listeners, &config);
            } else {
                self.bury_all(flight.content(), &[turn.target()], DeadLetterReason::Closed, &config);
            }
            flight.runs_no_more(1);
            flight.settled();
        }
    }
}

/// Whether an entry's turn has come too late; it becomes a dead letter by itself.
fn is_late(entry: &Entry, now: Option<Instant>) -> bool {
    entry.expires_at.is_some_and(|at| at <= now.unwrap_or_else(Instant::now))
}

/// What is gathered for one call.
struct Gathered {
    listener: SmolStr,
    started: Instant,
    deadline: Instant,
    deliveries: Vec<Delivery>,
    books: Vec<Option<Book>>,
}

impl Gathered {
    fn new(slot: &Slot, started: Instant) -> Self {
        Self {
            listener: slot.short_name.clone(),
            started,
            deadline: after(started, slot.listener.call_deadline()),
            deliveries: Vec::new(),
            books: Vec::new(),
        }
    }

    fn add(&mut self, entry: Entry, stood_aside: bool, worker: u32) {
        if self.deliveries.is_empty() {
            self.deliveries.reserve(BATCH_MESSAGES_MAX);
            self.books.reserve(BATCH_MESSAGES_MAX);
        }
        self.books.push(Some(Book::new(&entry, stood_aside)));
        self.deliveries.push(Delivery {
            message: entry.message,
            values: entry.values,
            response: entry.response,
            listener: self.listener.clone(),
            attempt: 1,
            worker: Some(worker),
            started: self.started,
            deadline: self.deadline,
            direct: false,
        });
    }
}

/// What each message of a batch is said to have used: the same part of the fuel, of which nothing is lost.
struct Share {
    each: Usage,
    /// Of the fuel that cannot be divided, the first one has.
    first: Usage,
}

impl Share {
    fn of(usage: Usage, count: usize) -> Self {
        let count = count.max(1) as u64;
        let part = |extra: fn(u64, u64) -> u64| Usage {
            fuel: usage.fuel.map(|fuel| fuel / count + extra(fuel, count)),
            ..usage
        };
        Self { each: part(|_, _| 0), first: part(|fuel, count| fuel % count) }
    }

    fn of_one(&self, index: usize) -> Usage {
        if index == 0 { self.first } else { self.each }
    }
}
