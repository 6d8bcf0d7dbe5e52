//! The ids of messages: unique, and in the order of their time. They say nothing else.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// The id of a message: a UUID of version 7, given by the bus on acceptance.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// let (first, second) = (bus.send("orders", Outgoing::text("1")).await?, bus.send("orders", Outgoing::text("2")).await?);
/// assert_ne!(first, second);
/// assert_eq!(first.to_string().len(), 36);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A fresh id that sorts by `at`.
    pub(crate) fn fresh(at: SystemTime) -> Self {
        Self(fresh_uuid(at))
    }

    /// The id as a UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The first eight characters, enough to recognise a message in a log of a few seconds.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

/// A fresh UUID of version 7, which sorts by `at`.
pub(crate) fn fresh_uuid(at: SystemTime) -> Uuid {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let random = fastrand::u128(..).to_le_bytes();
    let mut bytes = [0; 10];
    bytes.copy_from_slice(random.first_chunk::<10>().unwrap_or(&[0; 10]));
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
