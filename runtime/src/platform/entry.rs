//! One guest in the platform's table: what it was configured with, what of it runs, how it stands. How it comes to stand
//! otherwise is said in `guests`, `swap` and `quarantine`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sandbus_bus::{ErrorText, Fault};
use tokio::time::Instant;

use super::Core;
use super::quarantine::{Episode, FaultWindow};
use super::status::{GuestState, GuestStatus};
use crate::sandbox::{Guest, Loaded};
use crate::settings::GuestSettings;

/// A guest in the table.
pub(super) struct Entry {
    pub(super) guest: Arc<Guest>,
    /// Held by whoever loads, replaces or unloads it: one at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) core: Weak<Core>,
    /// Guards how it stands. No `.await` and no observer under it; the bus may be told to suspend it, which calls nobody.
    state: Mutex<State>,
}

/// How a guest stands.
pub(super) struct State {
    pub(super) settings: GuestSettings,
    /// The component that was loaded last, to be tried again.
    pub(super) loaded: Option<Arc<Loaded>>,
    pub(super) standing: Standing,
    pub(super) window: FaultWindow,
    /// Quarantines since it was last calm.
    pub(super) strikes: u32,
    /// When its last quarantine ended by itself.
    pub(super) released: Option<Instant>,
}

/// What may be done with a guest.
pub(super) enum Standing {
    /// It is being loaded.
    Loading,
    /// It is called.
    Active,
    /// Its deliveries wait until it was tried again.
    Quarantined(Episode),
    /// Nothing of it is there, because somebody wants it so.
    Disabled,
    /// Nothing of it is there, because it could not be loaded.
    Failed(ErrorText),
    /// It is on its way out.
    Leaving,
}

impl Entry {
    pub(super) fn new(core: &Arc<Core>, settings: GuestSettings) -> Arc<Self> {
        let standing = if settings.enabled { Standing::Loading } else { Standing::Disabled };
        Arc::new_cyclic(|own: &Weak<Self>| {
            let own = Weak::clone(own);
            let on_fault = Box::new(move |fault: &Fault| {
                if let Some(entry) = own.upgrade() {
                    entry.faulted(fault);
                }
            });
            let sink = Arc::clone(&core.log_sink);
            Self {
                guest: Guest::new(&core.engine, &core.bus, &settings.name, sink, on_fault),
                turn: tokio::sync::Mutex::default(),
                core: Arc::downgrade(core),
                state: Mutex::new(State {
                    settings,
                    loaded: None,
                    standing,
                    window: FaultWindow::default(),
                    strikes: 0,
                    released: None,
                }),
            }
        })
    }

    pub(super) fn name(&self) -> &str {
        self.guest.name()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> GuestSettings {
        self.state().settings.clone()
    }

    /// What a reader sees of it.
    pub(super) fn status(&self) -> GuestStatus {
        let state = match &self.state().standing {
            Standing::Loading => GuestState::Loading,
            Standing::Active => GuestState::Active,
            Standing::Quarantined(episode) => episode.status(),
            Standing::Disabled => GuestState::Disabled,
            Standing::Failed(why) => GuestState::Failed { why: why.clone() },
            Standing::Leaving => GuestState::Leaving,
        };
        GuestStatus::of(&self.guest, state)
    }
}
