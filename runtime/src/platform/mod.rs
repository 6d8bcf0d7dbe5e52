//! The platform: builds all parts in order, drains them in reverse. It knows no message's contents.

mod build;
mod save;
mod start;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::{
    Bus, CustomType, DeadLetter, DestinationConfig, DestinationStatistics, ScheduleConfig, ShutdownReport,
};

pub use build::{BuildError, build};
pub use start::StartError;
pub use status::GuestStatus;

use crate::host::{LogSink, tracing_sink};
use crate::sandbox::{FaultSink, Guest, SandboxEngine, tracing_faults};
use crate::settings::{GuestSettings, RuntimeSettings};

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
pub struct Platform {
    bus: Bus,
    engine: SandboxEngine,
    guests: Vec<Arc<Guest>>,
    /// Dead letters of destinations that were removed by guests that do not run any more.
    left: Vec<DeadLetter>,
    /// Where what is left of the messages is saved; none where it is not.
    state_dir: Option<PathBuf>,
    shutdown_grace: Duration,
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
        &self.bus
    }

    /// The engine that all guests share.
    #[must_use]
    pub fn engine(&self) -> &SandboxEngine {
        &self.engine
    }

    /// The guests that run, in the order of the configuration.
    #[must_use]
    pub fn guests(&self) -> Vec<GuestStatus> {
        self.guests.iter().map(|guest| GuestStatus::of(guest)).collect()
    }

    /// Drains all destinations for at most the configured grace, deactivates the guests in reverse order, and saves what is
    /// left of the messages.
    ///
    /// # Cancel safety
    /// Not cancel safe: some destinations stay closed, some guests deactivated.
    pub async fn shutdown(mut self) -> Ended {
        let bus = self.bus.shutdown(self.shutdown_grace).await;
        let mut not_deactivated = Vec::new();
        for guest in self.guests.iter().rev() {
            let Some(build) = guest.current() else { continue };
            if let Err(error) = build.deactivate().await {
                tracing::warn!(guest = guest.name(), %error, "`deactivate` did not end well");
                not_deactivated.push((guest.name().to_owned(), error.to_string()));
            }
        }
        let statistics = self.bus.all_statistics();
        // After the bus was asked: one whose destination is being removed at this moment is in one of the two.
        let kept = save::kept(&self.bus);
        let removed: Vec<_> = self.guests.iter().flat_map(|guest| guest.take_left_letters()).collect();
        self.left.extend(removed);
        let saved = self.state_dir.as_deref().and_then(|state_dir| {
            let letters = save::each_once(kept.iter().chain(&self.left));
            save::save_dead_letters(&letters, state_dir)
        });
        Ended { bus, statistics, not_deactivated, dead_letters_of_removed: self.left.len(), saved }
    }
}
