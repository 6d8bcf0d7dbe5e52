//! What a message must be to be taken on anywhere: its size, its hops, the form of what its sender chose. It looks at no queue.

use std::sync::Arc;

use crate::bus::Shared;
use crate::destination::Destination;
use crate::error::SendError;
use crate::limits::{CONTENT_TYPE_BYTES_MAX, KEY_BYTES_MAX};
use crate::message::Outgoing;
use crate::statistics::RejectReason;

impl Shared {
    /// Refuses what no destination takes on, or this one does not, and counts it there.
    pub(crate) fn check(
        &self,
        destination: &Destination,
        hops: u32,
        body: &Outgoing,
    ) -> Result<(), SendError> {
        if destination.is_events {
            return Err(SendError::Invalid(format!("only the bus itself sends to `{}`", destination.name)));
        }
        let hops_max = self.config.hops_max;
        if hops > hops_max {
            destination.counters.reject(RejectReason::HopsExceeded);
            return Err(SendError::HopsExceeded { hops, hops_max });
        }
        let bytes = body.size_bytes();
        let bytes_max = destination.message_bytes_max();
        if bytes > bytes_max {
            destination.counters.reject(RejectReason::TooLarge);
            let destination = destination.name.clone();
            return Err(SendError::TooLarge {
                destination,
                bytes: bytes as u64,
                bytes_max: bytes_max as u64,
            });
        }
        short("content type", &body.content_type, CONTENT_TYPE_BYTES_MAX)?;
        short("response id", &body.response_id, KEY_BYTES_MAX)?;
        let Some(options) = &body.options else { return Ok(()) };
        short("ordering key", &options.ordering_key, KEY_BYTES_MAX)?;
        short("dedup key", &options.dedup_key, KEY_BYTES_MAX)?;
        options.check(destination.destination_type.is_queued())
    }
}

/// Checks a text that a sender chose for the outside of a message.
#[inline]
pub(crate) fn short(what: &str, text: &Option<Arc<str>>, bytes_max: usize) -> Result<(), SendError> {
    match text {
        Some(text) if text.len() > bytes_max => {
            Err(SendError::Invalid(format!("the {what} has {} bytes; it may have {bytes_max}", text.len())))
        }
        Some(text) if text.chars().any(char::is_control) => {
            Err(SendError::Invalid(format!("the {what} `{}` has a control character", text.escape_debug())))
        }
        _ => Ok(()),
    }
}
