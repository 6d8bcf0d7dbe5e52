//! Who sends, and what caused it: the part of a message that only the host can say. Guests never make one.

use std::sync::Arc;
use std::time::SystemTime;

use smol_str::SmolStr;

use crate::message::{Context, MessageId, WaitChain};
use crate::sync::Instant;
use crate::trace::{Identity, Trace};

/// The name of the sender in what the host itself sends.
pub const HOST: &str = "host";

/// Who sends, on whose behalf, caused by what, and how long it can wait.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let trace = Trace::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None)?;
/// let shop = Origin::named("shop").with_trace(trace);
/// assert_eq!((shop.sender(), Origin::host().sender()), ("shop", HOST));
/// # Ok::<(), ContextError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Origin {
    pub(crate) sender: SmolStr,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) trace: Option<Arc<Trace>>,
    /// The hop count that a message of this origin gets.
    pub(crate) hop_count: u32,
    /// When the sender's own call ends; what it waits for ends shortly before.
    pub(crate) deadline: Option<Instant>,
    pub(crate) waits: Option<Arc<WaitChain>>,
    /// Those who wait for the message in hand, without the worker that handles it.
    pub(crate) waits_of_message: Option<Arc<WaitChain>>,
    /// The id of the one message that is sent with it, where interceptors have seen that message already.
    pub(crate) message_id: Option<MessageId>,
}

impl Origin {
    /// The host itself, caused by nothing.
    #[must_use]
    pub fn host() -> Self {
        Self::named(HOST)
    }

    /// A sender of this name, caused by nothing: a guest that sends from `activate`, say.
    #[must_use]
    pub fn named(sender: &str) -> Self {
        Self {
            sender: SmolStr::new(sender),
            identity: None,
            trace: None,
            hop_count: 0,
            deadline: None,
            waits: None,
            waits_of_message: None,
            message_id: None,
        }
    }

    /// Sends from a call of the listener of this name, outside of any delivery: a guest's `activate`, say.
    #[must_use]
    pub fn in_call_of(mut self, listener: &str) -> Self {
        let listener = SmolStr::new(listener);
        self.waits = Some(Arc::new(WaitChain { listener, occupies: None, parent: self.waits.take() }));
        self
    }

    /// Sends on behalf of `identity`.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// Sends within this trace.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(Arc::new(trace));
        self
    }

    /// Ends whatever the sender waits for shortly before `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The sender's name.
    #[must_use]
    pub fn sender(&self) -> &str {
        &self.sender
    }

    pub(crate) fn context(&self, sent_at: SystemTime) -> Context {
        Context {
            sender: self.sender.clone(),
            sent_at,
            hop_count: self.hop_count,
            trace: self.trace.clone(),
            identity: self.identity.clone(),
        }
    }
}
