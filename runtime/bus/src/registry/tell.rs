//! What is told of destinations and listeners that come and go, and what exists when somebody begins to observe. It
//! changes nothing.

use std::sync::Arc;

use crate::bus::Shared;
use crate::destination::Destination;
use crate::events::Event;
use crate::name::DestinationName;
use crate::registry::Registry;

impl Shared {
    pub(super) fn tell_added(&self, destination: &Destination) {
        self.events.push(|| added(destination));
    }

    pub(super) fn tell_removed(&self, destination: &Destination) {
        self.events.push(|| Event::DestinationRemoved {
            destination: destination.name.clone(),
            destination_type: destination.destination_type,
            ranking: destination.ranking,
        });
    }

    pub(super) fn tell_unregistered(&self, destination: &DestinationName, listener: &Arc<str>) {
        self.events.push(|| Event::ListenerUnregistered {
            destination: destination.clone(),
            listener: Arc::clone(listener),
        });
    }

    /// What exists, as events; to be asked under the lock of the registry.
    pub(crate) fn existing(&self, registry: &Registry) -> Vec<Event> {
        registry.shown().flat_map(existing_of).collect()
    }

    /// What exists of one name.
    pub(crate) fn existing_at(&self, name: &str) -> Vec<Event> {
        self.find(name).iter().flat_map(existing_of).collect()
    }
}

fn added(destination: &Destination) -> Event {
    Event::DestinationAdded {
        destination: destination.name.clone(),
        destination_type: destination.destination_type,
        ranking: destination.ranking,
    }
}

pub(super) fn registered(destination: &DestinationName, listener: &Arc<str>) -> Event {
    Event::ListenerRegistered { destination: destination.clone(), listener: Arc::clone(listener) }
}

fn existing_of(destination: &Arc<Destination>) -> Vec<Event> {
    if destination.is_events {
        return Vec::new();
    }
    let listeners = destination.listeners();
    let each = listeners.iter().map(|slot| registered(&destination.name, &slot.name));
    std::iter::once(added(destination)).chain(each).collect()
}
