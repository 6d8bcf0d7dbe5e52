//! Makes a batch to call `receive_batch` with.

use crate::{Batch, Message};

/// Makes a batch of these messages, as a destination has it where order does not matter.
pub fn batch(messages: impl IntoIterator<Item = Message>) -> Batch {
    Batch::new(messages.into_iter().collect(), false)
}

/// The same as of a destination where a failure holds back the messages behind it.
pub fn batch_in_order(messages: impl IntoIterator<Item = Message>) -> Batch {
    Batch::new(messages.into_iter().collect(), true)
}
