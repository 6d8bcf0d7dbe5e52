//! How an entry is run: one listener after the other, each call on an instance, each settled. It takes nothing from the
//! queue.

use std::pin::pin;
use std::sync::Arc;

use super::flight::Flight;
use super::settle::{Manner, Settled};
use super::{Destination, Life, State};
use crate::breaker::Changed;
use crate::call::{Stopped, guarded};
use crate::dead_letter::DeadLetterReason;
use crate::delivery::Delivery;
use crate::entry::{Content, Entry, Target};
use crate::listener::{Ended, ListenerInstance};
use crate::outcome::{Cause, FailureKind, Outcome};
use crate::policy::OnFailure;
use crate::queue::Lane;
use crate::registration::{ListenerSet, Slot};
use crate::sync::{Instant, MutexGuard, after};
use crate::types::DestinationType;
use crate::worker::Instances;

impl Destination {
    /// Runs an entry on worker `number`, and puts back what must be tried again. `now`: what the clock says, where somebody
    /// knows; the same for the next entry.
    pub(crate) async fn run(
        self: &Arc<Self>,
        entry: Entry,
        present: &Arc<ListenerSet>,
        instances: &mut Instances,
        number: u32,
        now: &mut Option<Instant>,
    ) {
        let mut flight = Flight::new(self, entry, present);
        flight.now = now.take();
        if flight.is_expired() {
            return self.expire(flight);
        }
        let mut later: Vec<Target> = Vec::new();
        let serial = self.destination_type == DestinationType::Serial;
        while let Some(target) = flight.turn() {
            if target.slot.breaker.is_open() && !target.trial && self.put_aside(&mut flight, &target) {
                continue;
            }
            if serial
                && !target.stood_aside
                && target.slot.has_returned()
                && self.put_behind(&mut flight, &target)
            {
                continue;
            }
            if target.due.is_some_and(|due| due > Instant::now()) {
                later.push(target);
                flight.settled();
                continue;
            }
            let manner = Manner::Worker(number);
            let instance = instances.take(&target.slot);
            match self.deliver(&mut flight, &target, instance, manner).await {
                (Settled::Ended, instance) => instances.keep(&target.slot, instance),
                (Settled::Again(again), instance) => {
                    instances.keep(&target.slot, instance);
                    later.push(again);
                }
            }
            flight.settled();
        }
        *now = flight.now;
        if later.is_empty() {
            self.counters.finished.add(1);
        } else {
            self.put_back(flight, later);
        }
    }

    /// Keeps what a listener that is not called for a while is owed; false when it may be called again by now.
    fn put_aside(&self, flight: &mut Flight<'_>, target: &Target) -> bool {
        let mut state = self.state();
        // Under the lock, under which what stands aside comes back.
        if state.life != Life::Open || !target.slot.breaker.is_open() || target.slot.is_removed() {
            return false;
        }
        let entry = flight.entry_for(Target { stood_aside: true, ..target.clone() });
        state.queue.push_aside(&target.slot, entry);
        self.waits_again(state, flight);
        true
    }

    /// Keeps what a listener is owed behind what stood aside for it and came back while this entry ran; false when nothing
    /// of that is left.
    fn put_behind(&self, flight: &mut Flight<'_>, target: &Target) -> bool {
        let mut state = self.state();
        if state.life != Life::Open || target.slot.is_removed() {
            return false;
        }
        let entry = flight.entry_for(Target { stood_aside: true, ..target.clone() });
        let is_behind = state.queue.push_behind(&target.slot, entry);
        if is_behind {
            self.waits_again(state, flight);
        }
        is_behind
    }

    /// Counts the delivery whose turn it was as waiting: it is in the queue again.
    fn waits_again(&self, state: MutexGuard<'_, State>, flight: &mut Flight<'_>) {
        self.counters.running.sub(1);
        drop(state);
        flight.keep_lane();
        flight.settled();
    }

    /// Makes dead letters of an entry whose turn came too late.
    fn expire(&self, mut flight: Flight<'_>) {
        let config = self.config();
        while let Some(target) = flight.turn() {
            if target.trial {
                target.slot.breaker.trial_without_call();
            }
            let targets = std::slice::from_ref(&target);
            self.bury_all(flight.content(), targets, DeadLetterReason::Expired, &config);
            self.counters.running.sub(1);
            flight.settled();
        }
        self.counters.finished.add(1);
    }

    /// The entry that was on its way in `lane` has ended: the next one of it may run.
    pub(super) fn leave_lane(self: &Arc<Self>, lane: &Lane) {
        let mut state = self.state();
        let freed = state.queue.leave_lane(lane);
        self.rouse(state, usize::from(freed));
    }

    /// Keeps an entry of the queue for its retries, in the place that it had; what cannot wait any more is settled.
    fn put_back(&self, flight: Flight<'_>, later: Vec<Target>) {
        let (message, values, listeners) =
            (Arc::clone(&flight.message), flight.values.clone(), flight.listeners);
        let content = Content { message: &message, values: &values };
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        // A listener may have been removed, or the destination closed, while the calls ran.
        let (removed, mut kept): (Vec<Target>, Vec<Target>) =
            later.into_iter().partition(|target| target.slot.is_removed());
        if state.life == Life::Open && !kept.is_empty() {
            let entry = flight.into_entry(std::mem::take(&mut kept));
            self.counters.running.sub(entry.targets.pairs());
            if self.destination_type == DestinationType::Serial && config.on_failure == OnFailure::Block {
                // What this worker has claimed besides comes after the message that blocks.
                state.gather();
                state.queue.push_blocking(entry);
            } else {
                state.queue.push_waiting(entry, Instant::now());
            }
        }
        drop(state);
        for target in &removed {
            self.settle_removed(content, target, listeners, &config);
        }
        self.bury_all(content, &kept, DeadLetterReason::Closed, &config);
        self.counters.running.sub((removed.len() + kept.len()) as u64);
    }

    /// Has a delivery that a sender's task began wait for its retry in the queue, where it never was: if there is room. It is an
    /// entry of its own, as every delivery of a parallel destination is, and at once: the sender may go away at its next
    /// listener.
    pub(super) fn put_in(self: &Arc<Self>, flight: &Flight<'_>, target: Target) {
        let mut state = self.state();
        let config = Arc::clone(&state.config);
        let refused = if state.life != Life::Open {
            Some(DeadLetterReason::Closed)
        } else {
            state.no_room(&self.name, 1, flight.message.size_bytes()).map(|_| DeadLetterReason::QueueFull)
        };
        if !target.slot.is_removed() && refused.is_none() {
            state.queue.push_waiting(flight.entry_for(target), Instant::now());
            self.counters.running.sub(1);
            drop(state);
            return self.rouse_for_retry();
        }
        drop(state);
        match refused {
            Some(reason) if !target.slot.is_removed() => {
                self.bury_all(flight.content(), &[target], reason, &config);
            }
            _ => self.settle_removed(flight.content(), &target, flight.listeners, &config),
        }
        self.counters.running.sub(1);
    }

    /// Makes one call and settles it. Gives back the instance if it may be used again.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        flight: &mut Flight<'_>,
        target: &Target,
        instance: Option<Box<dyn ListenerInstance>>,
        manner: Manner,
    ) -> (Settled, Option<Box<dyn ListenerInstance>>) {
        let slot = &target.slot;
        if !slot.listener.is_ready() {
            // Before the call begins: a listener that never becomes ready can still be taken away.
            let _ = guarded(&self.interrupt, pin!(slot.ready())).await;
            flight.now = None;
        }
        let mut trial = target.trial;
        if manner.in_senders_task() && slot.breaker.is_open() {
            trial = slot.breaker.begin_trial(Instant::now());
            if !trial {
                return (self.unavailable(flight, target, manner), instance);
            }
            flight.is_trial();
        }
        let Some(_running) = slot.begin() else {
            let config = self.config();
            self.settle_removed(flight.content(), target, flight.listeners, &config);
            self.counters.running.sub(1);
            return (Settled::Ended, None);
        };
        let started = flight.now.take().unwrap_or_else(Instant::now);
        let own = after(started, slot.listener.call_deadline());
        let delivery = Delivery {
            message: Arc::clone(&flight.message),
            values: flight.values.clone(),
            response: flight.response.clone(),
            listener: Arc::clone(&slot.name),
            attempt: target.attempt,
            worker: manner.worker(),
            started,
            deadline: manner.limit().map_or(own, |limit| own.min(limit)),
            direct: manner.is_direct(),
        };
        let ended = if self.hooks.at_delivery() {
            // Boxed: hooks that are not there must not make the future of every delivery larger.
            Box::pin(self.call_processed(slot, instance, &delivery)).await
        } else {
            self.call(slot, instance, &delivery).await
        };
        let over = Instant::now();
        slot.counters.end(ended.outcome.failure(), ended.usage);
        self.tell_breaker(slot, ended.outcome.failure(), trial);
        if trial && manner.in_senders_task() {
            self.rouse_for_trial();
        }
        self.counters.delivered.add(1);
        // To settle anything else takes its time: a reply may wait for room.
        let at_once = matches!(&ended.outcome, Outcome::Done(answer) if answer.reply.is_none());
        let settled = self.settle(flight, target, &delivery, ended.outcome, ended.usage, manner).await;
        flight.now = at_once.then_some(over);
        let end = matches!(settled, Settled::Ended).then(|| flight.now.unwrap_or_else(Instant::now));
        self.counters.latencies.record(&delivery, over, end);
        (settled, ended.instance)
    }

    /// Has the listener's circuit breaker learn how a call ended.
    fn tell_breaker(self: &Arc<Self>, slot: &Arc<Slot>, failure: Option<FailureKind>, trial: bool) {
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

    pub(crate) async fn call(
        &self,
        slot: &Arc<Slot>,
        instance: Option<Box<dyn ListenerInstance>>,
        delivery: &Delivery,
    ) -> Ended {
        let instance = match instance {
            Some(instance) => instance,
            None => {
                let make = pin!(async { slot.listener.instantiate(delivery.deadline).await });
                let made = guarded(&self.interrupt, make).await;
                match made {
                    Ok(Ok(instance)) => {
                        slot.counters.made_instance(delivery.started);
                        instance
                    }
                    Ok(Err(fault)) => return Ended::spent(Outcome::Faulted(fault)),
                    Err(stopped) => return Ended::spent(stopped.outcome()),
                }
            }
        };
        let receive = pin!(async { instance.receive(delivery).await });
        match guarded(&self.interrupt, receive).await {
            Ok(ended) => ended,
            Err(stopped) => Ended::spent(stopped.outcome()),
        }
    }
}

impl Stopped {
    fn outcome(self) -> Outcome {
        match self {
            Stopped::Interrupted => Outcome::faulted(Cause::Interrupted, "the destination was closed now"),
            Stopped::Panicked(text) => Outcome::faulted(Cause::Trap, text),
        }
    }
}
