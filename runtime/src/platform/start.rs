//! The start of a platform, in this order: engine, bus, destinations, guests loaded, listeners registered, guests
//! activated, schedules begun. Errors of configuration and components appear before the first message is accepted.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sandbus_bus::{Bus, BusConfig, ConfigError, DestinationError, ScheduleConfig, ScheduleError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::entry::Entry;
use super::error::GuestError;
use super::{Core, Platform, PlatformConfig};
use crate::sandbox::{Build, EngineError, Gauge, LifecycleError, LoadError, SandboxEngine};
use crate::settings::{GuestSettings, OnStartupError};

/// Why a platform did not start. Nothing of it runs any more.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A destination type of the embedder.
    #[error(transparent)]
    Type(#[from] ConfigError),
    /// A destination.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A guest could not be loaded.
    #[error("cannot load guest `{guest}`")]
    Load {
        /// Which guest.
        guest: String,
        /// Why not.
        #[source]
        source: LoadError,
    },
    /// A guest that is to listen exports no `message-listener`.
    #[error("guest `{guest}` listens to `{destination}`, but exports no `message-listener`")]
    NotAListener {
        /// Which guest.
        guest: String,
        /// Where it is to listen.
        destination: String,
    },
    /// A guest's `activate` did not end well.
    #[error("guest `{guest}` cannot be activated")]
    Activate {
        /// Which guest.
        guest: String,
        /// Why not.
        #[source]
        source: LifecycleError,
    },
    /// Anything else that is wrong with a guest.
    #[error(transparent)]
    Guest(GuestError),
}

impl Platform {
    /// Starts a platform.
    ///
    /// All destinations are open and all listeners registered before any `activate` runs, so that the order of the guests does
    /// not matter; the `activate` functions run side by side.
    ///
    /// # Errors
    /// The first thing that is wrong, unless `on-startup-error` lets the other guests start; what had been activated is
    /// deactivated again.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Not cancel safe: guests that are active already are dropped without `deactivate`.
    pub async fn start(config: PlatformConfig) -> Result<Self, StartError> {
        let engine = SandboxEngine::new(&config.runtime)?;
        Self::start_on(engine, config).await
    }

    /// Starts a platform on an engine that others may share.
    ///
    /// # Errors
    /// As [`Platform::start`].
    ///
    /// # Panics
    /// As [`Platform::start`].
    ///
    /// # Cancel safety
    /// As [`Platform::start`].
    pub async fn start_on(engine: SandboxEngine, config: PlatformConfig) -> Result<Self, StartError> {
        let engine = engine.telling_faults_to(Arc::clone(&config.fault_sink));
        let bus = Bus::new(BusConfig {
            hops_max: config.runtime.hops_max,
            waiting_requests_max: config.runtime.waiting_requests_max,
            ..BusConfig::default()
        });
        for custom in config.types.iter().cloned() {
            bus.register_type(custom)?;
        }
        for destination in config.destinations.iter().cloned() {
            bus.create(destination)?;
        }
        for schedule in &config.schedules {
            schedule.check(SystemTime::now())?;
        }
        let go_on = config.runtime.on_startup_error == OnStartupError::Continue;
        let platform = Self {
            core: Arc::new(Core {
                bus,
                engine,
                log_sink: config.log_sink,
                guests: Mutex::default(),
                left: Mutex::default(),
                state_dir: config.save_left.then_some(config.runtime.state_dir),
                shutdown_grace: config.runtime.shutdown_grace,
                closing: watch::Sender::new(false),
                tasks: Gauge::new(),
            }),
        };
        let started = async {
            let loaded = platform.core.load_all(config.guests, go_on).await?;
            for (entry, _) in &loaded {
                platform.core.listen(entry, &entry.settings())?;
            }
            platform.core.activate_all(loaded, go_on).await
        };
        if let Err(error) = started.await {
            platform.shutdown().await;
            return Err(error.into());
        }
        platform.begin(config.schedules).await
    }

    /// Starts the schedules: what they send finds all guests active.
    async fn begin(self, schedules: Vec<ScheduleConfig>) -> Result<Self, StartError> {
        for schedule in schedules {
            if let Err(error) = self.core.bus.schedule(schedule) {
                self.shutdown().await;
                return Err(error.into());
            }
        }
        Ok(self)
    }
}

type Loaded = Vec<(Arc<Entry>, Arc<Build>)>;

impl Core {
    /// Loads the guests, one after the other. Nothing of them runs yet.
    async fn load_all(
        self: &Arc<Self>,
        guests: Vec<GuestSettings>,
        go_on: bool,
    ) -> Result<Loaded, GuestError> {
        let mut loaded = Vec::new();
        for settings in guests {
            let (name, enabled) = (settings.name.clone(), settings.enabled);
            let entry = Entry::new(self, settings);
            if self.guests().contains_key(&name) {
                return Err(GuestError::AlreadyLoaded { guest: name });
            }
            self.guests().insert(name, Arc::clone(&entry));
            if !enabled {
                continue;
            }
            match self.first_build(&entry, &entry.settings()).await {
                Ok(build) => loaded.push((entry, build)),
                Err(error) if go_on => self.not_brought_up(&entry, &error).await,
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    /// Activates one guest, and says so where it failed and the others go on.
    async fn begin_first(
        &self,
        entry: &Arc<Entry>,
        build: Arc<Build>,
        go_on: bool,
    ) -> Result<(), GuestError> {
        let begun = self.begin(entry, build).await;
        if let Err(error) = &begun
            && go_on
        {
            self.not_brought_up(entry, error).await;
        }
        begun
    }

    /// Activates all guests side by side; the error is that of the first one in the order of the guests.
    async fn activate_all(self: &Arc<Self>, loaded: Loaded, go_on: bool) -> Result<(), GuestError> {
        let mut running = JoinSet::new();
        let mut waits_for_nobody = Vec::new();
        for (place, (entry, build)) in loaded.into_iter().enumerate() {
            if !build.has_lifecycle() {
                waits_for_nobody.push((place, entry, build));
                continue;
            }
            let core = Arc::clone(self);
            running.spawn(async move { (place, core.begin_first(&entry, build, go_on).await) });
        }
        let mut failed = Vec::new();
        // Where there is nothing to call, a task would only take memory: there may be ten thousand of these.
        for (place, entry, build) in waits_for_nobody {
            if let Err(error) = self.begin_first(&entry, build, go_on).await {
                failed.push((place, error));
            }
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok((place, Err(error))) => failed.push((place, error)),
                Ok((_, Ok(()))) => {}
                Err(error) => tracing::error!(%error, "the host failed while it activated a guest"),
            }
        }
        match failed.into_iter().min_by_key(|(place, _)| *place) {
            Some((_, error)) if !go_on => Err(error),
            _ => Ok(()),
        }
    }
}

impl From<GuestError> for StartError {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Load { guest, source } => StartError::Load { guest, source },
            GuestError::NotAListener { guest, destination } => {
                StartError::NotAListener { guest, destination }
            }
            GuestError::Activate { guest, source } => StartError::Activate { guest, source },
            GuestError::Listen { source, .. } => StartError::Destination(source),
            other => StartError::Guest(other),
        }
    }
}
