//! The built-in destination `sandbus/events`: its configuration, and how an event becomes a message there. Nobody but the
//! bus itself sends there.

use std::sync::Arc;

use super::Event;
use crate::config::{DestinationConfig, Workers};
use crate::destination::Destination;
use crate::limits;
use crate::message::{Message, Outgoing};
use crate::name::DestinationName;
use crate::origin::Origin;
use crate::policy::{OnNoListener, RejectedExecution};
use crate::registration::Slot;
use crate::sync::Instant;
use crate::types::DestinationType;

impl DestinationConfig {
    /// The built-in destination where listeners receive events: what is new is worth more than what is old, and where
    /// nobody listens nothing is kept.
    pub(crate) fn built_in_events(name: DestinationName) -> Self {
        let workers = Workers { core: 1, max: 1, keep_alive: limits::WORKER_KEEP_ALIVE };
        Self {
            rejected_execution: RejectedExecution::DiscardOldest,
            on_no_listener: OnNoListener::Discard,
            ..Self::built_in(name, DestinationType::Serial, workers)
        }
    }
}

impl Destination {
    /// Sends an event as a message to these of its listeners.
    pub(super) fn feed(self: &Arc<Self>, event: &Event, hop_count: u32, audience: &[Arc<Slot>]) {
        if audience.is_empty() {
            return;
        }
        let mut body = Outgoing::typed(event.to_json().to_string(), "application/json");
        let values = [
            ("event", Some(event.name())),
            ("destination", event.destination().map(DestinationName::as_str)),
            ("listener", event.listener()),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                // Three short keys break no rule; and what they say stands in the payload, too.
                let _ = body.values.put(key, value);
            }
        }
        let mut origin = Origin::host();
        origin.hop_count = hop_count;
        let context = origin.context(self.clock.now());
        // No sender's: it asks for nothing, and no look-up brought it here.
        let message = Message::never_accepted(self.name.clone(), body, context, Instant::now());
        self.admit_for(&Arc::new(message), audience);
    }
}
