//! Components that were written for other messaging interfaces, on the same envelope and under the same grants. Each file
//! is the wire form of one of them; `codec` is what they share. None of them can do what a native guest cannot.

pub mod codec;
pub(crate) mod spin;
pub(crate) mod wasi_messaging;
pub(crate) mod wasmcloud;

use std::time::Duration;

use sandbus_bus::{MessageId, Reply, RequestError, SendError};

use self::codec::{Envelope, outgoing};
use super::crossing::Crossing;
use super::state::HostState;

impl HostState {
    /// Sends an envelope as the guest of this call.
    async fn publish(&mut self, to: &str, envelope: Envelope) -> Result<MessageId, SendError> {
        self.fuel.charge_bytes(to.len() + size_bytes(&envelope));
        let (destination, message) = outgoing(to, envelope)?;
        let (origin, message) = self.admit(&destination, message)?;
        self.facts.bus.send_as(&origin, &destination, message).await
    }

    /// Requests with an envelope as the guest of this call. No timeout, or one of nothing, is the destination's own: this host
    /// never waits without a bound.
    async fn ask(
        &mut self,
        to: &str,
        envelope: Envelope,
        timeout_ms: Option<u32>,
    ) -> Result<Reply, RequestError> {
        self.fuel.charge_bytes(to.len() + size_bytes(&envelope));
        let timeout = timeout_ms.filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms.into()));
        let (destination, message) = outgoing(to, envelope)?;
        let (origin, message) = self.admit(&destination, message)?;
        self.facts.bus.request_as(&origin, &destination, message, timeout).await
    }
}

/// What was copied to make an envelope, about.
fn size_bytes(envelope: &Envelope) -> usize {
    let Envelope { payload, content_type, metadata, reply_to } = envelope;
    payload.len() + content_type.bytes() + metadata.bytes() + reply_to.bytes()
}

/// The error of a send in words: these interfaces know little more than text.
fn send_error_text(error: &SendError) -> String {
    match error {
        SendError::Denied { .. } => "denied: not in `grants.send`".to_owned(),
        other => other.to_string(),
    }
}

fn request_error_text(error: &RequestError) -> String {
    match error {
        RequestError::NotSent(error) => send_error_text(error),
        other => other.to_string(),
    }
}
