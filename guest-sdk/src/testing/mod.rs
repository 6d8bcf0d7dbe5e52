//! A host for tests: a guest's `receive` is a normal function over a message made here, and what it sends is kept to be
//! looked at. It never runs a listener and knows no limits; only off WebAssembly.
//!
//! Everything is kept per thread, and each test has its own thread.
//!
//! ```
//! use sandbus_guest::{Listener, Message, Outcome, send, testing};
//!
//! #[derive(Default)]
//! struct Forward;
//!
//! impl Listener for Forward {
//!     fn receive(&mut self, message: &Message) -> Outcome {
//!         send("t/b", message.text()?)?;
//!         Ok(None)
//!     }
//! }
//!
//! let message = Message::builder("t/a").text("hello").build();
//! assert_eq!(Forward.receive(&message), Ok(None));
//! assert_eq!(testing::sent()[0].destination, "t/b");
//! assert_eq!(testing::sent()[0].message.payload(), b"hello");
//! ```

mod batch;
mod builder;
mod current;
pub(crate) mod host;
#[cfg(test)]
mod tests;

pub use batch::{batch, batch_in_order};
pub use builder::MessageBuilder;
pub use host::{Sent, SentBy, answer, answer_direct, refuse, sent};
