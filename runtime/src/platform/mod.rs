//! The platform: builds all parts in order, drains them in reverse. It knows no message's contents.

mod build;
mod entry;
mod error;
mod guests;
mod quarantine;
mod save;
mod start;
mod status;
mod swap;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use sandbus_bus::{
    Bus, CustomType, DestinationConfig, DestinationStatistics, ScheduleConfig, ShutdownReport,
};
use tokio::sync::watch;

pub use build::{BuildError, build};
pub use error::GuestError;
pub use start::StartError;
pub use status::{GuestState, GuestStatus};
pub use swap::Replaced;

use crate::host::{LeftLetters, LogSink, tracing_sink};
use crate::sandbox::{FaultSink, Gauge, SandboxEngine, tracing_faults};
use crate::settings::{GuestSettings, RuntimeSettings};
use entry::Entry;

/// Everything that a platform is made of.
#[derive(Clone)]
pub struct PlatformConfig {
    /// What all guests share.
    pub runtime: RuntimeSettings,
    /// Destination types of the embedder: guests may make destinations of them, and a manifest may name them where it is
    /// read with them ([`Overrides::types`](crate::manifest::Overrides::types)).
    pub types: Vec<CustomType>,
    /// The destinations, in their order.
    pub destinations: Vec<DestinationConfig>,
    /// The guests; their order is the order in which they register.
    pub guests: Vec<GuestSettings>,
    /// The schedules; they begin when all guests are active, and end first.
    pub schedules: Vec<ScheduleConfig>,
    /// Whether the messages that are left at the end are saved in the state directory.
    pub save_left: bool,
    /// Takes what guests print; the default makes `tracing` events of it.
    pub log_sink: LogSink,
    /// Takes what is known of each fault; the default makes `tracing` events of it, at the level `info`.
    pub fault_sink: FaultSink,
}

impl Default for PlatformConfig {
    fn default() -> Self {
        Self {
            runtime: RuntimeSettings::default(),
            types: Vec::new(),
            destinations: Vec::new(),
            guests: Vec::new(),
            schedules: Vec::new(),
            save_left: true,
            log_sink: tracing_sink(),
            fault_sink: tracing_faults(),
        }
    }
}

/// A running platform. Call [`Platform::shutdown`] at its end: dropping it drains nothing.
///
/// A clone is the same platform, so that one part of a program can replace guests while another one waits for the end.
#[derive(Clone)]
pub struct Platform {
    core: Arc<Core>,
}

/// What the parts of a platform share.
struct Core {
    bus: Bus,
    engine: SandboxEngine,
    log_sink: LogSink,
    /// Guards which guests there are, in the order in which they came. Nothing else is locked under it.
    guests: Mutex<IndexMap<String, Arc<Entry>>>,
    /// Guards the dead letters of destinations that were removed by guests that are not there any more.
    left: Mutex<LeftLetters>,
    /// Where what is left of the messages is saved; none where it is not.
    state_dir: Option<PathBuf>,
    shutdown_grace: Duration,
    /// Whether the platform shuts down: nothing is begun any more.
    closing: watch::Sender<bool>,
    /// What is being done with guests; a shutdown waits for it.
    tasks: Gauge,
}

impl Core {
    fn guests(&self) -> MutexGuard<'_, IndexMap<String, Arc<Entry>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, LeftLetters> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All guests, in the order in which they came.
    fn entries(&self) -> Vec<Arc<Entry>> {
        self.guests().values().cloned().collect()
    }

    /// Does `work` for a guest, unless the platform shuts down meanwhile.
    async fn unless_closing<T>(&self, guest: String, work: impl Future<Output = T>) -> Result<T, GuestError> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            // The sender is in `self`, so that waiting cannot fail.
            _ = closing.wait_for(|closing| *closing) => Err(GuestError::ShuttingDown { guest }),
            done = work => Ok(done),
        }
    }
}

/// What a shutdown left behind.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// What the bus left.
    pub bus: ShutdownReport,
    /// The figures of all destinations after the drain.
    pub statistics: Vec<DestinationStatistics>,
    /// Guests whose `deactivate` did not end well, with the reason.
    pub not_deactivated: Vec<(String, String)>,
    /// Dead letters of destinations that guests removed while the platform ran; they are saved with the others.
    pub dead_letters_of_removed: usize,
    /// Where the dead letters were saved, if there were any, or why they could not be.
    pub saved: Option<Result<PathBuf, String>>,
}

impl Platform {
    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.core.bus
    }

    /// The engine that all guests share.
    #[must_use]
    pub fn engine(&self) -> &SandboxEngine {
        &self.core.engine
    }

    /// Drains all destinations for at most the configured grace, deactivates the guests in reverse order, and saves what is
    /// left of the messages.
    ///
    /// What is being done with guests meanwhile ends: a replacement that has not begun to run is given up, one that has is
    /// drained; quarantines are not tried again.
    ///
    /// # Cancel safety
    /// Not cancel safe: some destinations stay closed, some guests deactivated.
    pub async fn shutdown(self) -> Ended {
        let core = self.core;
        core.closing.send_replace(true);
        let bus = core.bus.shutdown(core.shutdown_grace).await;
        core.tasks.none().await;
        let mut not_deactivated = Vec::new();
        for entry in core.entries().iter().rev() {
            let Some(build) = entry.guest.current() else { continue };
            if let Some(error) = core.deactivate(entry.name(), &build).await {
                not_deactivated.push((entry.name().to_owned(), error.to_string()));
            }
        }
        let statistics = core.bus.all_statistics();
        // After the bus was asked: one whose destination is being removed at this moment is in one of the two.
        let kept = save::kept(&core.bus);
        let mut left = core.left().take();
        left.extend(core.entries().iter().flat_map(|entry| entry.guest.made().left().take()));
        let saved = core.state_dir.as_deref().and_then(|state_dir| {
            let letters = save::each_once(kept.iter().chain(&left));
            save::save_dead_letters(&letters, state_dir)
        });
        // The bus holds its listeners, and a guest the bus it sends over: without this neither would ever be dropped, nor the
        // engine with the address space of its pool.
        for entry in core.entries() {
            core.unregister_everywhere(entry.name()).await.end().await;
            entry.guest.run_on_nothing();
        }
        Ended { bus, statistics, not_deactivated, dead_letters_of_removed: left.len(), saved }
    }
}
