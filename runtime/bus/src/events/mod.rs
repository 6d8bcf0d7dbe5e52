//! What changes on a bus, told in the order of the changes: to observers in the host, and as messages at the built-in
//! destination `sandbus/events`. Events are told after the fact; nobody can stop or change one.

mod feed;
mod hub;
mod json;
mod observer;

use std::sync::Arc;

use crate::config::Workers;
use crate::message::MessageId;
use crate::name::DestinationName;
use crate::outcome::{Cause, ErrorText};
use crate::types::DestinationType;

pub(crate) use hub::Hub;
pub use observer::{EventFilter, Observation, Observer, TooManyObservers};

/// Something that has changed on a bus.
///
/// Events about the destination `sandbus/events` itself are not sent to anybody: one that is told there must not cause
/// the next one.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Event, EventFilter};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = Bus::new(BusConfig::default());
/// let (sender, seen) = std::sync::mpsc::channel();
/// let observation = bus.observe(EventFilter::Destination("t/x".parse()?), move |event: &Event| {
///     let _ = sender.send(event.name());
/// })?;
/// bus.create(DestinationConfig::serial("t/x")?)?;
/// bus.destroy("t/x").await?;
/// drop(observation);
/// assert_eq!(seen.iter().collect::<Vec<_>>(), ["destination-added", "destination-removed"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A destination is there: it was made, or it takes over for one of a higher ranking that was removed.
    DestinationAdded {
        /// Its name.
        destination: DestinationName,
        /// Its type.
        destination_type: DestinationType,
        /// Its ranking among those of its name.
        ranking: i32,
    },
    /// A destination is gone: it was destroyed, or one of a higher ranking took its place.
    DestinationRemoved {
        /// Its name.
        destination: DestinationName,
        /// Its type.
        destination_type: DestinationType,
        /// Its ranking among those of its name.
        ranking: i32,
    },
    /// A listener receives from now on what is sent to a destination.
    ListenerRegistered {
        /// Where.
        destination: DestinationName,
        /// Who.
        listener: Arc<str>,
    },
    /// A listener does not listen there any more.
    ListenerUnregistered {
        /// Where.
        destination: DestinationName,
        /// Who.
        listener: Arc<str>,
    },
    /// A delivery was stopped, for any cause but an interrupt of the host.
    ListenerFaulted {
        /// Whose call.
        listener: Arc<str>,
        /// Where.
        destination: DestinationName,
        /// Of which message.
        message_id: MessageId,
        /// Which attempt.
        attempt: u32,
        /// What stopped the call.
        cause: Cause,
        /// What is known about it.
        text: ErrorText,
    },
    /// A guest was loaded; announced by the host.
    GuestLoaded {
        /// Its name.
        guest: Arc<str>,
        /// Its build.
        build: Option<Arc<str>>,
    },
    /// A guest could not be loaded or activated, at first or to replace what runs; announced by the host.
    GuestLoadFailed {
        /// Its name.
        guest: Arc<str>,
        /// Why not.
        text: ErrorText,
    },
    /// A guest's `activate` has returned, and its messages are delivered; announced by the host.
    GuestActivated {
        /// Its name.
        guest: Arc<str>,
        /// Its build.
        build: Option<Arc<str>>,
    },
    /// Another build of a guest receives its messages from now on; announced by the host.
    GuestReplaced {
        /// Its name.
        guest: Arc<str>,
        /// The build that did until now.
        before: Option<Arc<str>>,
        /// The build that does now.
        build: Option<Arc<str>>,
    },
    /// A guest was unloaded; announced by the host.
    GuestUnloaded {
        /// Its name.
        guest: Arc<str>,
    },
    /// A guest faulted too often, and its deliveries wait; announced by the host.
    GuestQuarantined {
        /// Its name.
        guest: Arc<str>,
        /// Why.
        text: ErrorText,
    },
    /// A guest that was in quarantine is called again; announced by the host.
    GuestRecovered {
        /// Its name.
        guest: Arc<str>,
    },
    /// A running destination has another number of workers.
    WorkerPoolResized {
        /// Which one.
        destination: DestinationName,
        /// Its workers before.
        before: Workers,
        /// Its workers now.
        after: Workers,
    },
    /// A destination turned a message away because its queue is full; once until it has recovered.
    QueueFull {
        /// Which one.
        destination: DestinationName,
    },
    /// A queue that was full has a quarter of its bounds free again.
    QueueRecovered {
        /// Which one.
        destination: DestinationName,
    },
    /// Dead letters left at the bound of what a destination keeps; told at most once a second for each destination.
    DeadLettersLeft {
        /// Which one.
        destination: DestinationName,
        /// How many since this was last told.
        count: u64,
    },
    /// So many events did not fit into the queue of events, and nobody was told of them.
    EventsMissed {
        /// How many.
        count: u64,
    },
}

impl Event {
    /// The name as it stands in messages, logs and the documentation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::DestinationAdded { .. } => "destination-added",
            Event::DestinationRemoved { .. } => "destination-removed",
            Event::ListenerRegistered { .. } => "listener-registered",
            Event::ListenerUnregistered { .. } => "listener-unregistered",
            Event::ListenerFaulted { .. } => "listener-faulted",
            Event::GuestLoaded { .. } => "guest-loaded",
            Event::GuestLoadFailed { .. } => "guest-load-failed",
            Event::GuestActivated { .. } => "guest-activated",
            Event::GuestReplaced { .. } => "guest-replaced",
            Event::GuestUnloaded { .. } => "guest-unloaded",
            Event::GuestQuarantined { .. } => "guest-quarantined",
            Event::GuestRecovered { .. } => "guest-recovered",
            Event::WorkerPoolResized { .. } => "worker-pool-resized",
            Event::QueueFull { .. } => "queue-full",
            Event::QueueRecovered { .. } => "queue-recovered",
            Event::DeadLettersLeft { .. } => "dead-letters-left",
            Event::EventsMissed { .. } => "events-missed",
        }
    }

    /// The destination that it is about, where it is about one.
    #[must_use]
    pub fn destination(&self) -> Option<&DestinationName> {
        match self {
            Event::DestinationAdded { destination, .. }
            | Event::DestinationRemoved { destination, .. }
            | Event::ListenerRegistered { destination, .. }
            | Event::ListenerUnregistered { destination, .. }
            | Event::ListenerFaulted { destination, .. }
            | Event::WorkerPoolResized { destination, .. }
            | Event::QueueFull { destination }
            | Event::QueueRecovered { destination }
            | Event::DeadLettersLeft { destination, .. } => Some(destination),
            Event::GuestLoaded { .. }
            | Event::GuestLoadFailed { .. }
            | Event::GuestActivated { .. }
            | Event::GuestReplaced { .. }
            | Event::GuestUnloaded { .. }
            | Event::GuestQuarantined { .. }
            | Event::GuestRecovered { .. }
            | Event::EventsMissed { .. } => None,
        }
    }

    /// The listener that it is about, where it is about one.
    #[must_use]
    pub fn listener(&self) -> Option<&str> {
        match self {
            Event::ListenerRegistered { listener, .. }
            | Event::ListenerUnregistered { listener, .. }
            | Event::ListenerFaulted { listener, .. } => Some(listener),
            _ => None,
        }
    }

    /// The guest that it is about, where the host announced one.
    #[must_use]
    pub fn guest(&self) -> Option<&str> {
        match self {
            Event::GuestLoaded { guest, .. }
            | Event::GuestLoadFailed { guest, .. }
            | Event::GuestActivated { guest, .. }
            | Event::GuestReplaced { guest, .. }
            | Event::GuestUnloaded { guest }
            | Event::GuestQuarantined { guest, .. }
            | Event::GuestRecovered { guest } => Some(guest),
            _ => None,
        }
    }
}
