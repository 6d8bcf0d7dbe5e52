//! What a destination does where there is no room, no listener, or a failure: the policies as types. They decide nothing by
//! themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::SendError;
use crate::message::Message;

/// What becomes of a message for which there is no room.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// use std::time::Duration;
/// let mut config = DestinationConfig::serial("orders")?;
/// config.queue_entries_max = 100;
/// config.rejected_execution = RejectedExecution::Block(Duration::from_secs(2));
/// assert_eq!(config.rejected_execution.name(), "block");
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum RejectedExecution {
    /// The sender gets `queue-full`.
    Abort,
    /// The sender waits for room, at most so long, without holding a thread; then it gets `queue-full`.
    Block(Duration),
    /// The sender's own task runs the listeners. Not on serial destinations, whose order it would break.
    CallerRuns,
    /// The message is dropped and counted; the sender is not told.
    Discard,
    /// The message that has waited longest is dropped and counted, until there is room.
    DiscardOldest,
    /// The message becomes a dead letter; the sender is not told.
    DeadLetter,
    /// A function of the embedder decides. The message is not accepted: it counts as rejected.
    Handler(RejectionHandler),
}

type Rejected = dyn Fn(&Arc<Message>, SendError) -> Result<(), SendError> + Send + Sync;

/// What an embedder does with a message for which there is no room.
///
/// The function gets the message, which knows its destination, and the error that the sender would get. What it returns is
/// what the sender gets: an error, or nothing, and then its id. It runs in the sender's task and must not block; a panic in
/// it is an error to the sender.
///
/// # Examples
/// ```
/// use sandbus_bus::{DestinationConfig, RejectedExecution, RejectionHandler};
/// let mut config = DestinationConfig::serial("orders")?;
/// config.rejected_execution = RejectedExecution::Handler(RejectionHandler::new(|message, full| {
///     eprintln!("{} was turned away: {full}", message.id());
///     Ok(())
/// }));
/// # Ok::<(), sandbus_bus::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct RejectionHandler(Arc<Rejected>);

impl RejectionHandler {
    /// A handler of this function.
    pub fn new(
        rejected: impl Fn(&Arc<Message>, SendError) -> Result<(), SendError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(rejected))
    }

    pub(crate) fn rejected(&self, message: &Arc<Message>, full: SendError) -> Result<(), SendError> {
        let call = std::panic::AssertUnwindSafe(|| (self.0)(message, full));
        std::panic::catch_unwind(call)
            .unwrap_or_else(|_| Err(SendError::Other("the handler of rejected messages panicked".to_owned())))
    }
}

impl fmt::Debug for RejectionHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RejectionHandler")
    }
}

impl PartialEq for RejectionHandler {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl RejectedExecution {
    /// The name as it stands in manifests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            RejectedExecution::Abort => "abort",
            RejectedExecution::Block(_) => "block",
            RejectedExecution::CallerRuns => "caller-runs",
            RejectedExecution::Discard => "discard",
            RejectedExecution::DiscardOldest => "discard-oldest",
            RejectedExecution::DeadLetter => "dead-letter",
            RejectedExecution::Handler(_) => "handler",
        }
    }
}

/// What becomes of a message that no listener is there for.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let mut config = DestinationConfig::serial("orders")?;
/// config.on_no_listener = OnNoListener::Reject;
/// bus.create(config)?;
/// assert_eq!(bus.send("orders", Outgoing::text("A1")).await.unwrap_err().name(), "no-listener");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNoListener {
    /// It waits in the queue for the first listener that registers.
    Hold,
    /// The sender gets `no-listener`.
    Reject,
    /// It is dropped and counted.
    Discard,
    /// It becomes a dead letter.
    DeadLetter,
}

impl OnNoListener {
    /// The name as it stands in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OnNoListener::Hold => "hold",
            OnNoListener::Reject => "reject",
            OnNoListener::Discard => "discard",
            OnNoListener::DeadLetter => "dead-letter",
        }
    }
}

/// What a serial destination does while a message waits for its retry.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut config = DestinationConfig::serial("orders")?;
/// assert_eq!(config.on_failure, OnFailure::Block);
/// config.on_failure = OnFailure::Skip;
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The messages behind it wait too.
    Block,
    /// It steps aside; the others go on.
    Skip,
}
