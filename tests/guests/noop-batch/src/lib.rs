//! Receives and says nothing, several messages at a time: what the benches compare with `noop`. With the variable `FOCUS` in
//! its environment it takes each message in hand first, as a listener without a `receive_batch` of its own does.

use sandbus_guest::{Batch, Listener, Message, Outcome};

#[derive(Default)]
struct Noop {
    focuses: Option<bool>,
}

impl Listener for Noop {
    fn receive(&mut self, _message: &Message) -> Outcome {
        Ok(None)
    }

    fn receive_batch(&mut self, batch: &Batch) -> Vec<Outcome> {
        if *self.focuses.get_or_insert_with(|| std::env::var("FOCUS").is_ok()) {
            return batch.each(|message| self.receive(message));
        }
        batch.messages().iter().map(|_| Ok(None)).collect()
    }
}

sandbus_guest::batch_listener!(Noop);
