//! Messages that are for nobody but a sender who waits for them: no listener hears of them. They count as others do. Who
//! waits stands in `request`.

use std::task::Waker;

use super::{Destination, Life};
use crate::message::Message;
use crate::outcome::Reply;
use crate::request::{Tracker, never_received};
use crate::statistics::DropReason;

impl Destination {
    /// Takes a message on that is for nobody but a sender who waits, and ends it: received, or `dropped` for this reason.
    pub(crate) fn end_unheard(&self, message: &Message, dropped: Option<DropReason>) {
        // Under the lock: the books of a destination that opens again meanwhile begin with all of it or with nothing.
        let state = self.state();
        self.take_on(message, 1);
        match dropped {
            None => self.counters.completed.add(1),
            Some(reason) => self.counters.drop(reason, 1),
        }
        self.counters.finished.add(1);
        drop(state);
        self.end_pairs(message, 1, || {
            dropped.map(|_| never_received("dropped: nobody waits for this answer"))
        });
    }

    /// Counts an answer as a message that was taken on and ended, and gives it to the sender who waits; gives it back where
    /// somebody listens, or nothing is taken on.
    pub(crate) fn answer_unheard(&self, request: &Tracker, reply: Reply) -> Result<(), Reply> {
        // Under the lock, as above.
        let state = self.state();
        if state.life != Life::Open || !state.listeners.is_empty() {
            return Err(reply);
        }
        self.counters.door.accepted.add(1);
        self.counters.door.owed.add(1);
        let told = request.answer(reply);
        match &told {
            Ok(_) => self.counters.completed.add(1),
            Err(reason) => self.counters.drop(*reason, 1),
        }
        self.counters.finished.add(1);
        drop(state);
        told.ok().flatten().into_iter().for_each(Waker::wake);
        Ok(())
    }
}
