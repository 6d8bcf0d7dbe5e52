//! `sandbus:bus/message-batch`: which message of a batch is in hand. What is in hand is found where a single message is, so
//! that every other interface works as it does in `receive`.

use std::sync::Arc;

use sandbus_bus::{Batch, Delivery, Message};

use super::bindings::sandbus::bus::message_batch::Host;
use super::state::{HostState, Phase, Receiving};

/// The messages of the call that runs, and which of them is in hand.
pub(crate) struct BatchInHand {
    batch: Arc<Batch>,
    index: Option<usize>,
    /// What was changed of messages that are not in hand any more.
    changed: Vec<(usize, Receiving)>,
}

impl BatchInHand {
    /// How many messages it has.
    pub(super) fn messages(&self) -> usize {
        self.batch.deliveries().len()
    }

    /// The number of the worker that makes the call.
    pub(super) fn worker(&self) -> Option<u32> {
        self.batch.deliveries().first().and_then(Delivery::worker)
    }

    /// The message in hand.
    fn message(&self) -> Option<&Arc<Message>> {
        self.index.and_then(|index| self.batch.deliveries().get(index)).map(Delivery::message)
    }

    /// Keeps what was in hand, if anything about it was changed.
    fn put_down(&mut self, phase: Phase) {
        if let (Some(index), Phase::Receiving(receiving)) = (self.index, phase)
            && (receiving.values.is_some() || receiving.response.is_some())
        {
            self.changed.push((index, receiving));
        }
    }
}

impl Host for HostState {
    fn focus(&mut self, index: u32) -> wasmtime::Result<()> {
        self.fuel.check()?;
        let Some(mut hand) = self.batch.take() else {
            return Err(wasmtime::Error::msg("`message-batch` was used outside of `receive-batch`"));
        };
        let index = index as usize;
        let Some(delivery) = hand.batch.deliveries().get(index) else {
            let count = hand.batch.deliveries().len();
            let text =
                format!("`message-batch.focus` was called with {index}; the batch has {count} messages");
            return Err(wasmtime::Error::msg(text));
        };
        let delivery = delivery.clone();
        self.turn_output_to(delivery.message());
        hand.put_down(self.replace(Phase::Batch));
        hand.index = Some(index);
        let again = hand.changed.iter().position(|(changed, _)| *changed == index);
        let receiving = match again {
            Some(place) => hand.changed.swap_remove(place).1,
            None => Receiving { delivery, values: None, response: None },
        };
        self.replace(Phase::Receiving(receiving));
        self.batch = Some(hand);
        Ok(())
    }
}

impl HostState {
    /// Begins a call for several messages: it may use what so many calls may.
    pub(crate) fn begin_batch(&mut self, batch: &Arc<Batch>, fuel: u64) {
        self.begin(Phase::Batch, fuel);
        self.multiply_budgets(batch.deliveries().len());
        self.batch =
            Some(Box::new(BatchInHand { batch: Arc::clone(batch), index: None, changed: Vec::new() }));
    }

    /// The message in hand, where several are received.
    pub(crate) fn focused(&self) -> Option<Arc<Message>> {
        self.batch.as_ref().and_then(|hand| hand.message()).cloned()
    }

    /// Ends that call. Gives back what was changed of which of the messages, and the last that went to standard error.
    pub(crate) fn end_batch(&mut self) -> (Vec<(usize, Receiving)>, String) {
        let phase = self.replace(Phase::Idle);
        let (_, stderr) = self.end();
        let Some(mut hand) = self.batch.take() else { return (Vec::new(), stderr) };
        hand.put_down(phase);
        (hand.changed, stderr)
    }
}
