//! What a reader sees of a guest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::ErrorText;

use crate::sandbox::{Guest, MessagingInterface};

/// A guest as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestStatus {
    /// Its name.
    pub name: Arc<str>,
    /// How it stands.
    pub state: GuestState,
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

/// How a guest stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestState {
    /// It is being loaded or activated; its deliveries wait.
    Loading,
    /// It is called.
    Active,
    /// It faulted too often, or could not be activated: its deliveries wait, and it is tried again.
    Quarantined {
        /// Why.
        why: ErrorText,
        /// For how long already.
        since: Duration,
        /// When it is tried next; nothing while it is being tried.
        retry_in: Duration,
    },
    /// Nothing of it runs, because somebody wants it so.
    Disabled,
    /// Nothing of it runs, because it could not be loaded or activated; it is not tried again by itself.
    Failed {
        /// Why.
        why: ErrorText,
    },
    /// It is being unloaded or disabled.
    Leaving,
}

impl GuestState {
    /// The name as it stands in texts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            GuestState::Loading => "loading",
            GuestState::Active => "active",
            GuestState::Quarantined { .. } => "quarantined",
            GuestState::Disabled => "disabled",
            GuestState::Failed { .. } => "failed",
            GuestState::Leaving => "leaving",
        }
    }
}

impl fmt::Display for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl GuestStatus {
    pub(super) fn of(guest: &Guest, state: GuestState) -> Self {
        let current = guest.current();
        Self {
            name: Arc::from(guest.name()),
            state,
            digest: current.as_ref().map(|build| Arc::clone(&build.loaded().digest)),
            build: current.as_ref().map(|build| Arc::clone(build.name())),
            messaging_interface: current.as_ref().and_then(|build| build.loaded().messaging_interface()),
            instances: current.map_or(0, |build| build.live_instances()),
            calls: guest.counts().calls(),
            faults: guest.counts().faults(),
        }
    }
}
