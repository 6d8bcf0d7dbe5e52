//! How an entry is run: one listener after the other, each call on an instance, each settled. It takes nothing from the
//! queue.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::flight::{Flight, Turn};
use super::settle::{Manner, Settled};
use super::{Destination, State};
use crate::breaker::Changed;
use crate::call::{First, Stopped, begin, guarded, guarded_on};
use crate::dead_letter::DeadLetterReason;
use crate::delivery::Delivery;
use crate::entry::{Entry, Target};
use crate::kit::Kit;
use crate::listener::{Ended, ListenerInstance};
use crate::outcome::{Answer, Cause, FailureKind, Outcome};
use crate::queue::Lane;
use crate::registration::{ListenerSet, Running, Slot};
use crate::statistics::Tally;
use crate::sync::{Instant, MutexGuard};
use crate::types::DestinationType;

impl Destination {
    /// Runs an entry on the worker of this tally and this kit, and puts back what must be tried again.
    pub(crate) async fn run(
        self: &Arc<Self>,
        entry: Entry,
        present: &ListenerSet,
        tally: &Tally,
        kit: &mut Kit,
    ) {
        let mut flight = Flight::new(self, entry, present, Some(tally));
        flight.now = kit.now.take();
        if flight.is_expired() {
            return self.expire(flight);
        }
        let mut later: Vec<Target> = Vec::new();
        let serial = self.destination_type == DestinationType::Serial;
        while let Some(turn) = flight.turn() {
            if !turn.slot.listener.is_ready() {
                // Before the look: a listener that never becomes ready may stand aside instead.
                kit.write(&self.counters.latencies);
                kit.end_row();
                Box::pin(self.ready(&mut flight, &turn.slot)).await;
            }
            if turn.slot.breaker.is_open() && !turn.trial && self.put_aside(&mut flight, &turn) {
                continue;
            }
            if serial && !turn.stood_aside && turn.slot.has_returned() && self.put_behind(&mut flight, &turn)
            {
                continue;
            }
            if turn.due.is_some_and(|due| due > Instant::now()) {
                later.push(turn.target());
                flight.settled();
                continue;
            }
            let manner = Manner::Worker(kit.number);
            let instance = kit.take(&turn.slot);
            let (settled, instance) = self.deliver(&mut flight, &turn, instance, manner, Some(kit)).await;
            kit.keep(&turn.slot, instance);
            if let Settled::Again(again) = settled {
                later.push(again);
            }
            flight.settled();
        }
        kit.now = flight.now;
        if later.is_empty() {
            flight.count_finished();
        } else {
            self.put_back(flight, later);
        }
    }

    /// Makes dead letters of an entry whose turn came too late.
    fn expire(&self, mut flight: Flight<'_>) {
        let config = self.config();
        while let Some(turn) = flight.turn() {
            if turn.trial {
                turn.slot.breaker.trial_without_call();
            }
            self.bury_all(flight.content(), &[turn.target()], DeadLetterReason::Expired, &config);
            flight.runs_no_more(1);
            flight.settled();
        }
        flight.count_finished();
    }

    /// The entry that was on its way in `lane` has ended: the next one of it may run.
    pub(super) fn leave_lane(self: &Arc<Self>, lane: &Lane) {
        let mut state = self.state();
        let freed = state.queue.leave_lane(lane);
        self.rouse(state, usize::from(freed));
    }

    /// Makes one call and settles it. Gives back the instance if it may be used again. `kit`: the worker's, where one makes it.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        flight: &mut Flight<'_>,
        turn: &Turn<'_>,
        instance: Option<Box<dyn ListenerInstance>>,
        manner: Manner,
        mut kit: Option<&mut Kit>,
    ) -> (Settled, Option<Box<dyn ListenerInstance>>) {
        let slot: &Arc<Slot> = &turn.slot;
        if manner.in_senders_task() && !slot.listener.is_ready() {
            self.ready(flight, slot).await;
        }
        let mut trial = turn.trial;
        if manner.in_senders_task() && slot.breaker.is_open() {
            trial = slot.breaker.begin_trial(Instant::now());
            if !trial {
                return (self.unavailable(flight, turn, manner), instance);
            }
            flight.is_trial();
        }
        let running;
        let may_be_called = match &mut kit {
            Some(kit) => kit.begin(slot),
            None => {
                running = Running::begin(&**slot);
                running.is_some()
            }
        };
        if !may_be_called {
            self.settle_removed(flight.content(), &turn.target(), flight.listeners, &self.config());
            flight.runs_no_more(1);
            return (Settled::Ended, None);
        }
        flight.begin(turn, manner);
        let mut in_hand = None;
        let Ended { outcome, usage, mut instance } = if self.hooks.at_delivery() {
            // Boxed: hooks that are not there must not make the future of every delivery larger.
            Box::pin(self.call_processed(slot, instance, &flight.delivery, &mut kit, &mut in_hand)).await
        } else {
            self.call(slot, instance, &flight.delivery, &mut kit, &mut in_hand).await
        };
        let over = Instant::now();
        let failure = outcome.failure();
        match &mut kit {
            Some(kit) => kit.count_call(slot, failure, usage),
            None => slot.counters.end(failure, usage),
        }
        self.tell_breaker(slot, failure, trial);
        if trial && manner.in_senders_task() {
            self.rouse_for_trial();
        }
        flight.count_delivered();
        let outcome = match outcome {
            // The usual end: nothing of the answer is moved about for it.
            Outcome::Done(Answer { reply: None, values, response }) => {
                flight.complete(values, response);
                self.count_end(flight, kit, in_hand, over);
                return (Settled::Ended, instance);
            }
            Outcome::Done(answer) => {
                match self.answer(flight, answer, manner, &mut kit, instance.as_deref_mut()) {
                    Ok(()) => {
                        self.count_end(flight, kit, in_hand, over);
                        return (Settled::Ended, instance);
                    }
                    // A reply may wait for room.
                    Err(answer) => Outcome::Done(answer),
                }
            }
            other => other,
        };
        self.write(&mut kit);
        instance.iter_mut().for_each(|idle| idle.rest());
        // Boxed, as all that comes seldom: each worker has room for the largest of what it awaits, for as long as it is there.
        let settled = Box::pin(self.settle(flight, turn, outcome, usage, manner)).await;
        let end = matches!(settled, Settled::Ended).then(Instant::now);
        self.measure(&flight.delivery, None, in_hand, over, end.is_some());
        self.counters.latencies.record(&flight.delivery, over, end);
        (settled, instance)
    }

    /// Completes a delivery of which nothing is left to wait for; gives the answer back where its reply must be sent.
    fn answer(
        &self,
        flight: &mut Flight<'_>,
        answer: Answer,
        manner: Manner,
        kit: &mut Option<&mut Kit>,
        instance: Option<&mut (dyn ListenerInstance + 'static)>,
    ) -> Result<(), Answer> {
        if flight.delivery.message.response_destination().is_some() {
            // Before the sender has it: it may look at the figures, or ask a guest that needs what this instance holds.
            self.write(kit);
            instance.into_iter().for_each(ListenerInstance::rest);
        }
        self.complete_at_once(flight, answer, manner)
    }

    /// Counts the way of a message that was settled when its call was over.
    fn count_end(
        &self,
        flight: &mut Flight<'_>,
        mut kit: Option<&mut Kit>,
        in_hand: Option<Instant>,
        over: Instant,
    ) {
        let measured = self.measure(&flight.delivery, kit.as_deref_mut(), in_hand, over, true);
        flight.now = Some(measured.unwrap_or(over));
        match kit {
            Some(kit) => kit.count_way(&self.counters.latencies, &flight.delivery, over),
            None => self.counters.latencies.record(&flight.delivery, over, Some(over)),
        }
    }

    /// Writes what a worker has counted: it may wait now.
    fn write(&self, kit: &mut Option<&mut Kit>) {
        if let Some(kit) = kit {
            kit.write(&self.counters.latencies);
        }
    }

    /// Waits until a listener may be called; before the call begins, so that it can still be taken away.
    async fn ready(&self, flight: &mut Flight<'_>, slot: &Arc<Slot>) {
        let _ = guarded(&self.interrupt, pin!(slot.ready())).await;
        flight.now = None;
    }

    /// Has the listener's circuit breaker learn how a call ended.
    pub(super) fn tell_breaker(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        failure: Option<FailureKind>,
        trial: bool,
    ) {
        let changed =
            slot.breaker.ended(failure, trial, || slot.listener.circuit_breaker(), || slot.counters.calls());
        match changed {
            Changed::Nothing => {}
            Changed::Opened(cooldown) => {
                tracing::warn!(destination = %self.name, listener = %slot.name, ?cooldown, "circuit breaker open");
            }
            Changed::Closed => {
                tracing::info!(destination = %self.name, listener = %slot.name, "circuit breaker closed");
                self.return_aside(self.state(), slot);
            }
        }
    }

    /// A trial that no worker made is over: those that sleep through it know of no time for the next one.
    pub(super) fn rouse_for_trial(self: &Arc<Self>) {
        if self.state().queue.has_waiting() {
            self.rouse_for_retry();
        }
    }

    /// Lets what stands aside for a listener be delivered.
    pub(super) fn return_aside(self: &Arc<Self>, mut state: MutexGuard<'_, State>, slot: &Arc<Slot>) {
        // What was claimed meanwhile was accepted later than what stands aside.
        state.gather();
        state.queue.return_aside(slot);
        let ready = state.queue.ready_len();
        self.rouse(state, ready);
    }

    /// Makes a call. `in_hand`: when an instance was made for it, where that is measured.
    pub(crate) async fn call(
        &self,
        slot: &Arc<Slot>,
        instance: Option<Box<dyn ListenerInstance>>,
        delivery: &Delivery,
        kit: &mut Option<&mut Kit>,
        in_hand: &mut Option<Instant>,
    ) -> Ended {
        let instance = match instance {
            Some(instance) => instance,
            None => {
                self.write(kit);
                let made = Box::pin(self.make_instance(slot, delivery)).await;
                *in_hand = self.measured_now();
                match made {
                    Ok(instance) => instance,
                    Err(outcome) => return not_received(slot, delivery, outcome),
                }
            }
        };
        let mut instance = Some(instance);
        let first = poll_fn(|cx| match instance.take() {
            Some(instance) => Poll::Ready(begin(&self.interrupt, cx, || instance.receive(delivery))),
            // It is ready at the first poll, and not polled again.
            None => Poll::Pending,
        });
        let ended = match first.await {
            First::Ended(ended) => ended,
            First::Waits(call) => {
                self.write(kit);
                guarded_on(&self.interrupt, pin!(call)).await
            }
        };
        ended.unwrap_or_else(|stopped| not_received(slot, delivery, stopped.outcome()))
    }

    async fn make_instance(
        &self,
        slot: &Arc<Slot>,
        delivery: &Delivery,
    ) -> Result<Box<dyn ListenerInstance>, Outcome> {
        let make = pin!(async { slot.listener.instantiate(delivery.deadline).await });
        match guarded(&self.interrupt, make).await {
            Ok(Ok(instance)) => {
                slot.counters.made_instance(delivery.started);
                Ok(instance)
            }
            Ok(Err(fault)) => Err(Outcome::Faulted(fault)),
            Err(stopped) => Err(stopped.outcome()),
        }
    }
}

/// The end of a delivery of whose fault only its listener can be told: there is no instance, or none any more.
fn not_received(slot: &Slot, delivery: &Delivery, outcome: Outcome) -> Ended {
    if let Outcome::Faulted(fault) = &outcome
        && fault.cause != Cause::Interrupted
    {
        // Foreign code, like the call itself: its panic must not be the worker's.
        let told = || slot.listener.not_received(delivery, fault);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(told));
    }
    Ended::spent(outcome)
}

impl Stopped {
    fn outcome(self) -> Outcome {
        match self {
            Stopped::Interrupted => Outcome::faulted(Cause::Interrupted, "the destination was closed now"),
            Stopped::Panicked(text) => Outcome::faulted(Cause::Trap, text),
        }
    }
}
