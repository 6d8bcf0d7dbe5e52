//! A call that receives several messages: its limits are those of as many calls, its deadline is that of one. Where it is
//! stopped none of its messages is blamed; which of them come together, and what follows, the bus decides.

use std::pin::pin;
use std::sync::Arc;

use sandbus_bus::{Batch, Cause, Delivery, EndedBatch, Fault, Instant, ListenerInstance, Outcome, Usage};

use super::bounded::{Bounds, Over};
use super::build::Build;
use super::fault::{Circumstances, classify};
use super::instance::{Blame, GuestInstance, after_fault, answered};
use super::listening::Received;
use super::report::{self, FaultFrame, Occasion};
use crate::host::Receiving;
use crate::host::bindings::exports::sandbus::bus::message_listener_batch::BatchedMessage;
use crate::limits::FUEL_UNLIMITED;

/// How such a call ended, and the instance if it may be used again.
pub(super) struct CalledBatch {
    pub(super) outcomes: Result<Vec<Outcome>, Fault>,
    pub(super) usage: Usage,
    pub(super) instance: Option<Box<GuestInstance>>,
}

impl CalledBatch {
    fn spent(fault: Fault) -> Self {
        Self { outcomes: Err(fault), usage: Usage::default(), instance: None }
    }

    /// For the bus, with what it is to hold as the instance.
    pub(super) fn ended(self, instance: Option<Box<dyn ListenerInstance>>) -> EndedBatch {
        EndedBatch { outcomes: self.outcomes, usage: self.usage, instance }
    }
}

impl Build {
    /// How many messages one call takes; 1 where the component takes one at a time.
    pub(super) fn batch_max(&self) -> usize {
        if self.loaded.batch.is_some() { self.facts.limits.batch_messages_max } else { 1 }
    }
}

impl GuestInstance {
    /// Has it receive several messages.
    pub(super) async fn call_batch(mut self: Box<Self>, batch: &Arc<Batch>) -> CalledBatch {
        let count = batch.deliveries().len();
        let (Some(listener), Some(first)) = (self.batch.take(), batch.deliveries().first()) else {
            let text = "the guest exports no `message-listener-batch`";
            return CalledBatch::spent(Fault::new(Cause::Instantiate, text));
        };
        self.uses += count as u64;
        let fuel = self.store.data().facts.limits.fuel.saturating_mul(count as u64).min(FUEL_UNLIMITED);
        if let Err(error) = self.store.set_fuel(fuel) {
            return CalledBatch::spent(Fault::new(Cause::Instantiate, error.to_string()));
        }
        self.store.data_mut().begin_batch(batch, fuel);
        let over = {
            let messages = wire_messages(batch);
            let (destination, stops) = (first.destination().as_str(), batch.stops_at_failure());
            let Self { store, build, host_fuel, .. } = &mut *self;
            let bounds = Bounds { fuel: host_fuel, cut: &build.cut, deadline: first.deadline() };
            bounds.on(pin!(listener.call_receive_batch(store, destination, &messages, stops))).await
        };
        let usage = self.usage(fuel);
        let focused = self.store.data().focused();
        let (changed, stderr) = self.store.data_mut().end_batch();
        let mut frames = Vec::new();
        let stopped = match over {
            Over::Itself(Ok(answers)) => match unexpected(answers.len(), count) {
                None => {
                    self.batch = Some(listener);
                    self.calls.calls(answers.len() as u64);
                    let outcomes = self.outcomes(batch, answers, changed, usage);
                    return CalledBatch { outcomes: Ok(outcomes), usage, instance: Some(self) };
                }
                Some(text) => (Fault::new(Cause::Trap, text), Blame::Guest),
            },
            Over::Cut(by) => (by.fault(), Blame::Host),
            Over::Itself(Err(error)) => {
                frames = report::frames(&error, &self.build.loaded.places);
                let memory_denied = self.store.data().limiter.denied;
                let circumstances = Circumstances { memory_denied, fuel, stderr: &stderr, frames: &frames };
                (classify(&error, &circumstances), Blame::Guest)
            }
            Over::Deadline => (Fault::new(Cause::Deadline, first.deadline_text()), Blame::Guest),
        };
        self.calls.calls(1);
        let occasion = Occasion { message: focused, ..Occasion::of_batch(batch, fuel) };
        CalledBatch::spent(self.tell_stopped(occasion, stopped, usage, frames))
    }

    /// Has the fault of the whole call told, once, and counted.
    fn tell_stopped(
        &self,
        occasion: Occasion<'_>,
        (fault, blame): (Fault, Blame),
        usage: Usage,
        frames: Vec<FaultFrame>,
    ) -> Fault {
        let state = self.store.data();
        let fault = Fault { text: report::masked(fault.text, |text| state.masked(text)), ..fault };
        let usage = after_fault(usage, fault.cause);
        self.build.tell(occasion, &fault, usage, frames, state.take_last_lines());
        self.count_fault(&fault, blame);
        fault
    }

    /// What was answered to each, in the words of the bus.
    fn outcomes(
        &self,
        batch: &Batch,
        answers: Vec<Received>,
        mut changed: Vec<(usize, Receiving)>,
        usage: Usage,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(answers.len());
        for (index, (answer, delivery)) in answers.into_iter().zip(batch.deliveries()).enumerate() {
            let change = changed.iter().position(|(changed, _)| *changed == index);
            let changes = change.map(|place| changed.swap_remove(place).1.take_changes()).unwrap_or_default();
            let outcome = answered(answer, changes, |text| self.store.data().masked(text));
            if matches!(outcome, Outcome::Faulted(_)) {
                self.tell(&outcome, delivery, usage, Vec::new(), Blame::Guest);
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// What is wrong with an answer of this length, if anything is.
fn unexpected(answers: usize, messages: usize) -> Option<String> {
    match answers {
        0 => Some(format!(
            "`receive-batch` answered for none of {messages} messages; at least one must be begun"
        )),
        more if more > messages => {
            Some(format!("`receive-batch` answered {more} outcomes for {messages} messages"))
        }
        _ => None,
    }
}

/// The lean records that `receive-batch` gets, borrowed from the deliveries.
fn wire_messages(batch: &Batch) -> Vec<BatchedMessage<'_>> {
    let mut messages = Vec::with_capacity(batch.deliveries().len());
    messages.extend(batch.deliveries().iter().map(|delivery| BatchedMessage {
        content_type: delivery.content_type(),
        payload: delivery.payload(),
        reply_expected: delivery.reply_expected(),
    }));
    messages
}

impl<'a> Occasion<'a> {
    /// A call that received several messages.
    fn of_batch(batch: &'a Batch, fuel: u64) -> Self {
        let began = batch.deliveries().first().map_or_else(Instant::now, Delivery::started);
        Occasion {
            during: "receive-batch",
            delivery: None,
            message: None,
            batch: batch.deliveries(),
            fuel_max: Some(fuel),
            took: began.elapsed(),
        }
    }
}
