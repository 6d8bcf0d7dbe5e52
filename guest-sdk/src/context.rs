//! What the bus says about a message. A guest reads it and can set none of it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// The id that the bus gave to a message when it accepted it; the same in every attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

/// What the bus, and nobody else, says about the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The name of the guest that sent it, or `host`.
    pub sender: String,
    /// When it was accepted.
    pub sent_at: SystemTime,
    /// 1 when the message comes to this listener for the first time.
    pub attempt: u32,
    /// 0 for a message that no other message caused.
    pub hop_count: u32,
    /// W3C Trace Context; what is sent during this call carries it on by itself.
    pub traceparent: Option<String>,
    /// The vendors' part of it.
    pub tracestate: Option<String>,
    /// On whose behalf it was sent, when the sender knows.
    pub identity: Option<Identity>,
}

/// On whose behalf a message was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: String,
    /// Who, within the tenant.
    pub principal: String,
}

/// What a sender may ask for besides. Priority and the two keys count where the destination enables them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// 0 to 9, 9 is delivered first. `None`: 4.
    pub priority: Option<u8>,
    /// Not delivered before so much time has passed. `None`: at once.
    pub deliver_after: Option<Duration>,
    /// A dead letter when so much time has passed and its turn has not come. `None`: never.
    pub expires_after: Option<Duration>,
    /// Messages of one key reach each listener one at a time, in order.
    pub ordering_key: Option<String>,
    /// A second message of the same key is not accepted again for a while.
    pub dedup_key: Option<String>,
}

impl MessageId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for MessageId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
