//! The message bus of sandbus: named destinations, worker pools, settlement.
//!
//! Senders and listeners do not know each other. What is accepted is settled for every listener that it was meant for, or
//! becomes a dead letter with a reason, or is counted as dropped under a policy that asked for it. Nothing vanishes.
//!
//! This crate knows no wasm, no files and no configuration text. A listener is a factory of instances
//! ([`MessageListener`]); a closure is one ([`listener_fn`]), and so is a sandboxed guest of the crate `sandbus`.
//!
//! How a message travels: [`Bus::send`] checks and stamps it and looks its destination up; the destination takes it on,
//! all of its queue entries or none; a worker takes an entry, calls each listener on an instance of its own, and settles
//! the delivery by the pure function [`settle`]; a reply goes the same way back.

pub mod limits;

mod ask;
mod breaker;
mod builder;
mod bus;
mod call;
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
mod listener;
mod message;
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
pub use statistics::{DestinationStatistics, DropReason, ListenerStatistics, Quantiles, RejectReason};
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
