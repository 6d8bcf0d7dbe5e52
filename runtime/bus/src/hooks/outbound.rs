//! Outbound processors: they run around every send whose destination is known, and may replace the message. They see
//! neither what an interceptor consumed nor what comes back.

use std::sync::Arc;

use super::{HookSet, Hooks, caught};
use crate::error::SendError;
use crate::message::{MessageId, Outgoing};
use crate::name::DestinationName;
use crate::outcome::ErrorText;

/// Runs around every send: of the host and of guests, requests in both modes, replies that listeners returned.
///
/// The first one registered is the outermost: `before_send` runs in the order of registration, `after_send` in the opposite
/// one. Both run in the sender's task, without a lock: they must not block. A panic is a failure.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, DestinationName, OutboundProcessor, Outgoing, Scope};
/// struct Stamp;
/// impl OutboundProcessor for Stamp {
///     fn before_send(&self, _to: &DestinationName, message: Outgoing) -> Result<Outgoing, String> {
///         message.value("region", "eu").map_err(|error| error.to_string())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let stamp = bus.add_outbound(Scope::Bus, Stamp)?;
/// assert!(bus.remove_hook(stamp));
/// # Ok(()) }
/// ```
pub trait OutboundProcessor: Send + Sync + 'static {
    /// Gives back the message that is sent instead: the same, or another one. Its size, its names and its keys are looked at
    /// afterwards, and the response id of a request or of a returned reply is what the bus says in any case.
    ///
    /// # Errors
    /// Why it must not be sent. The sender gets [`SendError::Processor`], no listener is called, and no further processor
    /// is; those that ran before are told by `after_send`.
    fn before_send(&self, destination: &DestinationName, message: Outgoing) -> Result<Outgoing, String> {
        let _ = destination;
        Ok(message)
    }

    /// Learns how the send ended: once for each `before_send` that gave a message back. In direct mode and on a synchronous
    /// destination every listener has returned by then; a request in default mode has been accepted, not answered.
    fn after_send(&self, destination: &DestinationName, sent: Sent<'_>) {
        let _ = (destination, sent);
    }
}

/// How a send ended.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// struct Log;
/// impl OutboundProcessor for Log {
///     fn after_send(&self, destination: &DestinationName, sent: Sent<'_>) {
///         match sent {
///             Sent::Accepted(id) => println!("{id} to {destination}"),
///             Sent::Refused(error) => println!("{error}"),
///             Sent::Abandoned => {}
///         }
///     }
/// }
/// bus.add_outbound(Scope::Bus, Log)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent<'a> {
    /// The message was accepted, with this id.
    Accepted(MessageId),
    /// It was not accepted.
    Refused(&'a SendError),
    /// The sender's task went away before it knew. The message may have been accepted.
    Abandoned,
}

/// The processors that wait to learn how a send ends.
#[must_use = "they are told how the send ended"]
pub(crate) struct Outbound(Option<Around>);

struct Around {
    set: Arc<HookSet>,
    destination: DestinationName,
    /// So many of the set have had their `before_send`.
    begun: usize,
}

impl Hooks {
    /// Runs `before_send` of all that see this destination, one after the other.
    pub(crate) fn before_send(
        &self,
        destination: &DestinationName,
        message: &mut Outgoing,
    ) -> Result<Outbound, SendError> {
        if !self.at_send() {
            return Ok(Outbound(None));
        }
        let set = self.load();
        if set.outbound.is_empty() {
            return Ok(Outbound(None));
        }
        let mut around = Around { set, destination: destination.clone(), begun: 0 };
        match around.before(message) {
            Ok(()) => Ok(Outbound(Some(around))),
            Err(text) => {
                let error = SendError::Processor(ErrorText::new(&text));
                around.after(Sent::Refused(&error));
                Err(error)
            }
        }
    }
}

impl Around {
    fn before(&mut self, message: &mut Outgoing) -> Result<(), String> {
        for processor in &self.set.outbound {
            if processor.sees(&self.destination) {
                let given = std::mem::take(message);
                *message = caught(|| processor.hook.before_send(&self.destination, given)).flatten()?;
            }
            self.begun += 1;
        }
        Ok(())
    }

    fn after(&self, sent: Sent<'_>) {
        let begun = self.set.outbound.iter().take(self.begun).rev();
        for processor in begun.filter(|processor| processor.sees(&self.destination)) {
            if let Err(panic) = caught(|| processor.hook.after_send(&self.destination, sent)) {
                tracing::warn!(destination = %self.destination, %panic, "`after_send` of an outbound processor");
            }
        }
    }
}

impl Outbound {
    /// Tells them that the message was accepted.
    pub(crate) fn accepted(mut self, id: MessageId) {
        if let Some(around) = self.0.take() {
            around.after(Sent::Accepted(id));
        }
    }

    /// Tells them that it was not, and hands the error on.
    pub(crate) fn refused(mut self, error: SendError) -> SendError {
        if let Some(around) = self.0.take() {
            around.after(Sent::Refused(&error));
        }
        error
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        if let Some(around) = self.0.take() {
            around.after(Sent::Abandoned);
        }
    }
}

impl<T: OutboundProcessor + ?Sized> OutboundProcessor for Arc<T> {
    fn before_send(&self, destination: &DestinationName, message: Outgoing) -> Result<Outgoing, String> {
        (**self).before_send(destination, message)
    }

    fn after_send(&self, destination: &DestinationName, sent: Sent<'_>) {
        (**self).after_send(destination, sent);
    }
}
