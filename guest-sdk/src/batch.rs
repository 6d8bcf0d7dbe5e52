//! Several messages that are received in one call. Which come together the host decides; here is what a listener does with
//! them.

use crate::{Message, Outcome};

/// Messages that are received in one call: at least two, all sent to one destination, in order.
///
/// ```
/// use sandbus_guest::{Batch, Failure, Listener, Message, Outcome, Outgoing, Reply};
///
/// #[derive(Default)]
/// struct Store;
///
/// impl Listener for Store {
///     fn receive(&mut self, message: &Message) -> Outcome {
///         Outgoing::bytes(message.payload()).request("disk", None)?;
///         Ok(None)
///     }
///
///     // One write for all of them.
///     fn receive_batch(&mut self, batch: &Batch) -> Vec<Outcome> {
///         let all: Vec<u8> = batch.messages().iter().flat_map(Message::payload).copied().collect();
///         // What is sent is caused by the message in hand.
///         batch.focus(0);
///         let written = Outgoing::bytes(all).request("disk", None);
///         let outcome = written.map(|_| None).map_err(Failure::from);
///         batch.messages().iter().map(|_| outcome.clone()).collect()
///     }
/// }
/// sandbus_guest::batch_listener!(Store);
/// ```
#[derive(Debug)]
pub struct Batch {
    messages: Vec<Message>,
    stops_at_failure: bool,
}

impl Batch {
    pub(crate) fn new(messages: Vec<Message>, stops_at_failure: bool) -> Self {
        Self { messages, stops_at_failure }
    }

    /// Returns all messages, in order. To read of one what the host keeps, as its id, takes it in hand.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Takes a message in hand: from now on it is the one that causes what is sent, and with whose id is told what is printed.
    /// None is before the first call of this. Returns it; `None` where there are not so many.
    pub fn focus(&self, index: usize) -> Option<&Message> {
        let message = self.messages.get(index)?;
        message.current.focus();
        Some(message)
    }

    /// Returns whether a failure of one message holds back those behind it, so that none of them should be begun after it.
    pub fn stops_at_failure(&self) -> bool {
        self.stops_at_failure
    }

    /// Has `receive` receive one message after the other, each of them in hand, and ends after the first failure where that
    /// matters.
    pub fn each(&self, mut receive: impl FnMut(&Message) -> Outcome) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            message.current.focus();
            let outcome = receive(message);
            let stops = self.stops_at_failure && outcome.is_err();
            outcomes.push(outcome);
            if stops {
                break;
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, Listener, testing};

    /// Refuses what says so.
    #[derive(Default)]
    struct Picky;

    impl Listener for Picky {
        fn receive(&mut self, message: &Message) -> Outcome {
            match message.text()? {
                "bad" => Err(Failure::refused("bad")),
                _ => Ok(None),
            }
        }
    }

    fn messages() -> Vec<Message> {
        ["good", "bad", "good"].map(|text| Message::builder("orders").text(text).build()).into()
    }

    #[test]
    fn each_message_comes_to_receive_and_has_an_outcome_of_its_own() {
        let outcomes = Picky.receive_batch(&testing::batch(messages()));
        assert_eq!(outcomes, [Ok(None), Err(Failure::refused("bad")), Ok(None)]);
    }

    #[test]
    fn where_order_matters_nothing_is_begun_after_a_failure() {
        let outcomes = Picky.receive_batch(&testing::batch_in_order(messages()));
        assert_eq!(outcomes, [Ok(None), Err(Failure::refused("bad"))]);
    }
}
