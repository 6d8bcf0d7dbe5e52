//! What else a sender can say of a message, what makes one of another, and how one is printed. It sends nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::delivery::Delivery;
use crate::error::SendError;
use crate::limits::{PRIORITY_MAX, SEND_DELAY_MAX};
use crate::message::{Message, Outgoing};
use crate::outcome::Reply;

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

impl Outgoing {
    /// A message of JSON.
    ///
    /// # Errors
    /// When `content` cannot be written as JSON: a map whose keys are not text, say.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::Outgoing;
    /// let message = Outgoing::json(&[1, 2])?;
    /// assert_eq!((&*message.payload, message.content_type.as_deref()), (&b"[1,2]"[..], Some("application/json")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn json(content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::typed(serde_json::to_vec(content)?, JSON))
    }

    /// Removes a value; nothing there is no error.
    #[must_use]
    pub fn without_value(mut self, key: &str) -> Self {
        self.values.remove(key);
        self
    }

    /// Asks for a priority: 0 to 9, 9 is delivered first. Without it, 4.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.option(|options| options.priority = Some(priority))
    }

    /// Asks not to be delivered before so long after acceptance.
    #[must_use]
    pub fn deliver_after(self, wait: Duration) -> Self {
        self.option(|options| options.deliver_after = Some(wait))
    }

    /// Asks to become a dead letter when its turn has not come so long after acceptance.
    #[must_use]
    pub fn expires_after(self, wait: Duration) -> Self {
        self.option(|options| options.expires_after = Some(wait))
    }

    /// Asks to be received in order, one at a time, with other messages of this key.
    #[must_use]
    pub fn ordering_key(self, key: &str) -> Self {
        self.option(|options| options.ordering_key = Some(Arc::from(key)))
    }

    /// Asks not to be accepted again when a message of this key was accepted a short while ago.
    #[must_use]
    pub fn dedup_key(self, key: &str) -> Self {
        self.option(|options| options.dedup_key = Some(Arc::from(key)))
    }

    fn option(mut self, change: impl FnOnce(&mut SendOptions)) -> Self {
        change(self.options.get_or_insert_default());
        self
    }
}

/// What a sender may ask for besides; each counts only where the destination enables it.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// use std::time::Duration;
/// let order = Outgoing::text("A1")
///     .deliver_after(Duration::from_secs(60))
///     .expires_after(Duration::from_secs(3_600))
///     .ordering_key("alice")
///     .dedup_key("order 4711");
/// let options = order.options.unwrap_or_default();
/// assert_eq!(options.dedup_key.as_deref(), Some("order 4711"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SendOptions {
    /// 0 to 9, 9 is delivered first; none means 4.
    pub priority: Option<u8>,
    /// Not delivered before so long after acceptance.
    pub deliver_after: Option<Duration>,
    /// A dead letter when its turn has not come so long after acceptance.
    pub expires_after: Option<Duration>,
    /// Messages of one key reach each listener one at a time, in the order of acceptance.
    pub ordering_key: Option<Arc<str>>,
    /// A second message of the same key is not accepted again within the destination's window.
    pub dedup_key: Option<Arc<str>>,
}

impl SendOptions {
    /// Whether the sender asked for nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl SendOptions {
    /// Checks every option against its range and against the others; `queued`: whether the destination has a queue.
    pub(crate) fn check(&self, queued: bool) -> Result<(), SendError> {
        let invalid = |text: String| Err(SendError::Invalid(text));
        if let Some(priority) = self.priority.filter(|priority| *priority > PRIORITY_MAX) {
            return invalid(format!("the priority is {priority}; it may be 0 to {PRIORITY_MAX}"));
        }
        for (what, time) in [("delay", self.deliver_after), ("expiry", self.expires_after)] {
            if let Some(time) = time.filter(|time| *time > SEND_DELAY_MAX) {
                let (ms, ms_max) = (time.as_millis(), SEND_DELAY_MAX.as_millis());
                return invalid(format!("the {what} is {ms} ms; it may be at most {ms_max} ms"));
            }
        }
        let delay = self.deliver_after.filter(|delay| !delay.is_zero());
        match (delay, self.expires_after) {
            (Some(_), _) if !queued => {
                invalid("a synchronous destination delivers at once; it cannot delay a message".to_owned())
            }
            (Some(delay), Some(expires)) if expires <= delay => invalid(format!(
                "the message would expire after {} ms, before its delay of {} ms is over",
                expires.as_millis(),
                delay.as_millis()
            )),
            _ => Ok(()),
        }
    }
}

/// All that its sender chose: payload, content type, values, where answers go, and what was asked for besides.
impl From<&Message> for Outgoing {
    fn from(message: &Message) -> Self {
        message.body.clone()
    }
}

/// The same, with the values as this delivery has them.
impl From<&Delivery> for Outgoing {
    fn from(delivery: &Delivery) -> Self {
        Self { values: delivery.values().clone(), ..Self::from(&**delivery.message()) }
    }
}

impl From<&Outgoing> for Outgoing {
    fn from(message: &Outgoing) -> Self {
        message.clone()
    }
}

/// A payload as it is printed: how many bytes it has. What stands in it may be secret, and may be long.
struct PrintedPayload<'a>(&'a Bytes);

impl fmt::Debug for PrintedPayload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Secret values are masked. The payload is not printed, and no response id: who knows it can answer.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("payload", &PrintedPayload(&self.payload))
            .field("content_type", &self.content_type)
            .field("values", &self.values)
            .field("response_destination", &self.response_destination)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Secret values are masked, and the payload is not printed.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("payload", &PrintedPayload(&self.payload))
            .field("content_type", &self.content_type)
            .field("values", &self.values)
            .finish()
    }
}
