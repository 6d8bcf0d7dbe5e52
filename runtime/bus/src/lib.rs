//! The message bus of sandbus: named destinations, worker pools, settlement.
//!
//! Senders and listeners do not know each other: they know names. What is accepted is settled for every listener that it was
//! meant for, or becomes a dead letter with a reason, or is counted as dropped under a policy or an act that asked for it.
//! Nothing vanishes, and every queue, wait and size has a bound ([`limits`]). The crate knows no wasm, no files and no
//! configuration text: a listener is a factory of instances ([`MessageListener`]); a closure is one ([`listener_fn`]), and so is
//! a sandboxed guest of the crate `sandbus`.
//!
//! # The way of a message
//!
//! 1. [`Bus::send`] checks and stamps it and looks its destination up. Interceptors and processors may change it or keep it.
//! 2. The destination takes it on, all of its queue entries or none, as its [`DestinationConfig`] says; a sender who may not,
//!    or for whom there is no room, learns why ([`SendError`]). From here on the bus owes an end to each listener.
//! 3. A worker takes an entry, or the sender's own task does on a synchronous destination, and calls each listener on an
//!    instance of its own, until its deadline.
//! 4. The [`Outcome`] is settled by the pure function [`settle`]: complete, again later, or a [`DeadLetter`].
//! 5. A reply goes the same way back, to the response destination of the message, or to the sender who waits in
//!    [`Bus::request`].
//!
//! # Example
//!
//! ```
//! use sandbus_bus::{Bus, BusConfig, Delivery, DestinationConfig, Outcome, Outgoing, Reply, listener_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = Bus::new(BusConfig::default());
//! bus.create(DestinationConfig::serial("orders")?)?;
//! bus.register("orders", listener_fn("stock", |delivery: Delivery| async move {
//!     match delivery.text() {
//!         Some(article) => Outcome::reply(Reply::text(format!("{article} is sent"))),
//!         None => Outcome::refused("an order is a text"),
//!     }
//! }))?;
//!
//! // Send and forget: the id says that it was accepted.
//! bus.send("orders", Outgoing::bytes(vec![0xFF])).await?;
//! // Send and wait for the answer.
//! let answer = bus.request("orders", Outgoing::text("A1"), None).await?;
//! assert_eq!(answer.payload, "A1 is sent");
//!
//! // What could not be received is kept, and the books balance.
//! assert_eq!(bus.dead_letters("orders")[0].reason.name(), "refused");
//! let figures = bus.statistics("orders").ok_or("it was just made")?;
//! assert_eq!((figures.accepted, figures.completed, figures.dead_letters), (2, 1, 1));
//! assert!(figures.adds_up());
//! # Ok(()) }
//! ```
//!
//! # Where to find what
//!
//! | Topic | Items |
//! | --- | --- |
//! | Make and change destinations | [`Bus::create`], [`DestinationConfig`], [`Bus::reconfigure`], [`Bus::pause`], [`Bus::close`], [`Bus::destroy`]; several of one name: [`Bus::create_ranked`] |
//! | Policies | [`RejectedExecution`], [`OnNoListener`], [`OnFailure`], [`RetryPolicy`], [`CircuitBreaker`], [`CustomType`] |
//! | Send | [`Bus::send`], [`Outgoing`], [`SendOptions`], [`Bus::message`], [`Bus::sender`], [`Bus::send_tracked`], [`Origin`] |
//! | Wait for an answer | [`Bus::request`], [`Bus::request_direct`], [`Bus::requester`] |
//! | Receive | [`Bus::register`], [`listener_fn`], [`MessageListener`], [`Delivery`], [`Outcome`], [`Reply`] |
//! | Messages | [`Message`], [`Values`], [`Value`], [`Context`], [`Trace`], [`Identity`] |
//! | Send at times | [`Bus::schedule`], [`ScheduleConfig`] |
//! | What failed | [`Bus::dead_letters`], [`DeadLetterFilter`], [`Bus::redrive`], [`Bus::drop_dead_letters`], [`Bus::purge`] |
//! | Look | [`Bus::statistics`], [`DestinationStatistics`], [`Bus::observe`], [`Event`] |
//! | Change what passes | [`Interceptor`], [`OutboundProcessor`], [`InboundProcessor`] |
//! | End, and test | [`Bus::shutdown`], [`Bus::idle`], [`Bus::run_inline`], [`WallClock`] |
//!
//! Each type and each main function has an example. A function `…_as` is the one without it on behalf of an [`Origin`];
//! accessors, steps of a builder, and types that are a part of another one, are shown by the example of what they belong to.

pub mod limits;

mod ask;
mod batch;
mod breaker;
mod builder;
mod bus;
mod call;
mod check;
mod claim;
mod clock;
mod config;
mod dead_letter;
mod dedup;
mod delivery;
mod destination;
mod entry;
mod error;
mod events;
mod hooks;
mod kit;
mod lend;
mod listener;
mod message;
mod message_id;
mod name;
mod origin;
mod outcome;
mod outgoing;
mod policy;
mod queue;
mod redrive;
mod registration;
mod registry;
mod reply;
mod request;
mod rest;
mod schedule;
mod send;
mod sender;
mod settlement;
mod statistics;
mod sync;
mod trace;
mod tracked;
mod tuning;
mod types;
mod value;
mod worker;

pub use batch::{Batch, EndedBatch};
pub use breaker::CircuitBreaker;
pub use builder::MessageBuilder;
pub use bus::{Bus, BusConfig};
pub use call::{Elapsed, Until, until};
pub use clock::WallClock;
pub use config::{ConfigError, DeadLetterBounds, DestinationConfig, Workers};
pub use dead_letter::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterIdError, DeadLetterReason, UnknownReason,
};
pub use delivery::Delivery;
pub use destination::{Closed, Registered};
pub use error::{BuildError, DestinationError, QueueUnit, RequestError, SendError};
pub use events::{Event, EventFilter, Observation, Observer, TooManyObservers};
pub use hooks::{
    BusStatistics, HookId, InboundProcessor, Interception, Interceptor, OutboundProcessor, Scope, SendKind,
    Sending, Sent, TooManyHooks,
};
pub use listener::{BoxFuture, Ended, ListenerInstance, MessageListener, NativeListener, Usage, listener_fn};
pub use message::{Context, Message, MessageId, Outgoing};
pub use name::{DEFAULT_RESPONSE, DestinationName, EVENTS, NameError, RESERVED_PREFIX};
pub use origin::{HOST, Origin};
pub use outcome::{Answer, Cause, ErrorText, FailureKind, Fault, Outcome, Reply};
pub use outgoing::SendOptions;
pub use policy::{OnFailure, OnNoListener, RejectedExecution, RejectionHandler};
pub use redrive::{NotRedriven, RedriveError, RedriveOptions, Redriven};
pub use registry::Destroyed;
pub use rest::ShutdownReport;
pub use schedule::{Misfire, Overlap, ScheduleConfig, ScheduleError, ScheduleState, ScheduleStatus, Trigger};
pub use sender::{DestinationRequester, DestinationSender, RequestMode};
pub use settlement::{Jitter, RetryOn, RetryPolicy, Settlement, settle};
pub use statistics::{
    DestinationStatistics, DropReason, ListenerStatistics, Quantiles, RejectReason, Stage, Stages,
};
pub use trace::{ContextError, Identity, Trace};
pub use tracked::{SendEnd, TrackedSend};
pub use types::{CustomType, DestinationType};
pub use value::{Value, ValueTypeError, Values, ValuesError, is_secret_key};

/// The clock of the bus: tokio's, so that tests can pause it.
pub use sync::Instant;
/// The clock of the concurrency test, which passes only when the test says so.
#[cfg(feature = "shuttle")]
#[doc(hidden)]
pub mod test_clock {
    pub use crate::sync::shuttled::{advance, advance_to_next_timer, start};
}
