//! Why a message was dropped or turned away, as it is counted. It decides neither.

/// Why a message, or a delivery, was dropped under a policy or an act that asked for it.
///
/// # Examples
/// ```
/// use sandbus_bus::DropReason;
/// assert!(DropReason::ALL.iter().any(|reason| reason.name() == "late-reply"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// There was no room, and the policy discards.
    QueueFull,
    /// Nobody listened, and the policy discards.
    NoListener,
    /// It was taken out of the queue by somebody.
    Purged,
    /// A dead letter left at the bound of what is kept.
    DeadLetterBound,
    /// An operator dropped the dead letter.
    DeadLetterDropped,
    /// The dead letter was accepted anew, here or elsewhere, and is owed there now.
    Redriven,
    /// A reply to a message that asks for none.
    NoResponseDestination,
    /// A reply after its request ended.
    LateReply,
    /// A second reply to an answered request.
    DuplicateReply,
    /// A reply under an id that no request ever had.
    ForgedReply,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [DropReason; 10] = [
        DropReason::QueueFull,
        DropReason::NoListener,
        DropReason::Purged,
        DropReason::DeadLetterBound,
        DropReason::DeadLetterDropped,
        DropReason::Redriven,
        DropReason::NoResponseDestination,
        DropReason::LateReply,
        DropReason::DuplicateReply,
        DropReason::ForgedReply,
    ];

    /// The name as it stands in statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue-full",
            DropReason::NoListener => "no-listener",
            DropReason::Purged => "purged",
            DropReason::DeadLetterBound => "dead-letter-bound",
            DropReason::DeadLetterDropped => "dead-letter-dropped",
            DropReason::Redriven => "redriven",
            DropReason::NoResponseDestination => "no-response-destination",
            DropReason::LateReply => "late-reply",
            DropReason::DuplicateReply => "duplicate-reply",
            DropReason::ForgedReply => "forged-reply",
        }
    }
}

/// Why a message was turned away.
///
/// # Examples
/// ```
/// use sandbus_bus::RejectReason;
/// assert!(RejectReason::ALL.iter().any(|reason| reason.name() == "queue-full"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// There was no room.
    QueueFull,
    /// Nobody listened.
    NoListener,
    /// It is closed.
    Closed,
    /// It is paused.
    Paused,
    /// The message is too large.
    TooLarge,
    /// Messages that caused one another went round too often.
    HopsExceeded,
}

impl RejectReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [RejectReason; 6] = [
        RejectReason::QueueFull,
        RejectReason::NoListener,
        RejectReason::Closed,
        RejectReason::Paused,
        RejectReason::TooLarge,
        RejectReason::HopsExceeded,
    ];

    /// The name as it stands in statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::QueueFull => "queue-full",
            RejectReason::NoListener => "no-listener",
            RejectReason::Closed => "closed",
            RejectReason::Paused => "paused",
            RejectReason::TooLarge => "too-large",
            RejectReason::HopsExceeded => "hops-exceeded",
        }
    }
}
