//! What a reader sees of a guest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sandbox::{Guest, MessagingInterface};

/// A guest as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestStatus {
    /// Its name.
    pub name: Arc<str>,
    /// SHA-256 of the component that runs, in hexadecimal; none where none does.
    pub digest: Option<Arc<str>>,
    /// The first eight characters of that, as they stand in logs and dead letters.
    pub build: Option<Arc<str>>,
    /// The interface by which it receives; none where it only sends, or no build runs.
    pub messaging_interface: Option<MessagingInterface>,
    /// Live instances that receive, of the build that runs.
    pub instances: usize,
    /// Calls of `receive` that have ended, over all builds and destinations.
    pub calls: u64,
    /// Those that were stopped, by the name of the cause; causes without any are left out.
    pub faults: BTreeMap<&'static str, u64>,
}

impl GuestStatus {
    pub(super) fn of(guest: &Guest) -> Self {
        let current = guest.current();
        Self {
            name: Arc::from(guest.name()),
            digest: current.as_ref().map(|build| Arc::clone(&build.loaded().digest)),
            build: current.as_ref().map(|build| Arc::clone(build.name())),
            messaging_interface: current.as_ref().and_then(|build| build.loaded().messaging_interface()),
            instances: current.map_or(0, |build| build.live_instances()),
            calls: guest.counts().calls(),
            faults: guest.counts().faults(),
        }
    }
}
