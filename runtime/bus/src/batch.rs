//! Several messages that one call receives together, and how such a call ended. Which messages come together, and what
//! follows for each, is decided by whoever makes the call.

use crate::delivery::Delivery;
use crate::listener::{ListenerInstance, Usage};
use crate::outcome::{Fault, Outcome};
use crate::sync::Instant;

/// Messages of one destination that one listener receives in one call: at least two, in the order in which it would have
/// received them one by one. All of them are first attempts, and the call has one deadline for all.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// /// Receives what waits together, and counts the calls.
/// struct Together(u64);
/// impl ListenerInstance for Together {
///     fn receive<'a>(mut self: Box<Self>, _delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
///         self.0 += 1;
///         Box::pin(async { Ended { outcome: Outcome::done(), usage: Usage::default(), instance: Some(self) } })
///     }
///
///     fn batch_max(&self) -> usize {
///         32
///     }
///
///     fn receive_batch<'a>(mut self: Box<Self>, batch: &'a std::sync::Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
///         self.0 += 1;
///         let outcomes = batch.deliveries().iter().map(|_| Outcome::done()).collect();
///         let ended = EndedBatch { outcomes: Ok(outcomes), usage: Usage::default(), instance: Some(self) };
///         Box::pin(async { ended })
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Batch {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) stops_at_failure: bool,
}

impl Batch {
    /// The deliveries, in order.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Whether the listener should begin with no further message once one failed: where a failure holds back what comes
    /// behind it. What it receives all the same counts as received.
    #[must_use]
    pub fn stops_at_failure(&self) -> bool {
        self.stops_at_failure
    }

    /// When the call must have ended, by the bus clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deliveries.first().map(Delivery::deadline)
    }
}

/// How a call that received several messages ended.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let ended = EndedBatch::spent(Fault::new(Cause::Trap, "boom"));
/// assert!(ended.outcomes.is_err() && ended.instance.is_none(), "none of the messages is blamed");
/// ```
pub struct EndedBatch {
    /// An outcome for each message that was begun, in their order; those that are missing at the end were not begun, and
    /// come again as if nothing had been. Or what stopped the call: then nothing that it did for any of them counts, and
    /// each is received for itself.
    pub outcomes: Result<Vec<Outcome>, Fault>,
    /// What the call used for all of them.
    pub usage: Usage,
    /// The instance, if it may be used again.
    pub instance: Option<Box<dyn ListenerInstance>>,
}

impl EndedBatch {
    /// Stopped, with the instance spent.
    #[must_use]
    pub fn spent(fault: Fault) -> Self {
        Self { outcomes: Err(fault), usage: Usage::default(), instance: None }
    }

    /// None of the messages was begun, and the instance is not there any more: they come one at a time, to another one.
    #[must_use]
    pub fn not_begun() -> Self {
        Self { outcomes: Ok(Vec::new()), usage: Usage::default(), instance: None }
    }
}
