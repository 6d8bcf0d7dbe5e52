//! Write sandbus listeners and senders: a listener in ten lines, a sender in five.
//!
//! A *listener* implements [`Listener`] and is exported with [`listener!`]; a *sender* implements [`Lifecycle`] and is
//! exported with [`sender!`]; [`plugin!`] is both. Build it as a `cdylib` for `wasm32-wasip2`.
//!
//! ```
//! use sandbus_guest::{Failure, Listener, Message, Outcome, Outgoing};
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Order {
//!     id: u64,
//!     total: u64,
//! }
//!
//! #[derive(Default)]
//! struct Pricing;
//!
//! impl Listener for Pricing {
//!     fn receive(&mut self, message: &Message) -> Outcome {
//!         let mut order: Order = message.json()?;
//!         if order.id == 0 {
//!             return Err(Failure::refused("an order without an id"));
//!         }
//!         order.total += 5;
//!         Outgoing::json(&order)?.send("orders/priced")?;
//!         Ok(None)
//!     }
//! }
//! sandbus_guest::listener!(Pricing);
//! ```
//!
//! Off WebAssembly the host is the test double [`testing`], so a guest's own logic is tested with plain `cargo test`.
//! This crate never panics on what a sender sent.

mod batch;
#[cfg(target_arch = "wasm32")]
mod bindings;
mod context;
pub mod destinations;
mod errors;
mod export;
mod host;
mod lifecycle;
mod message;
mod outcome;
mod outgoing;
mod print;
mod read_error;
mod reply;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod value;

pub use batch::Batch;
pub use context::{Context, Identity, MessageId, SendOptions};
pub use destinations::DestinationError;
pub use errors::{QueueFull, QueueUnit, RequestError, SendError, TooLarge};
#[doc(hidden)]
pub use export::__export;
pub use lifecycle::Lifecycle;
pub use message::Message;
pub use outcome::{Failure, Listener, Outcome};
pub use outgoing::{Outgoing, request, send};
pub use read_error::{ChangeError, ReadError};
pub use reply::Reply;
#[cfg(not(target_arch = "wasm32"))]
pub use testing::MessageBuilder;
pub use value::{Value, ValueType};
