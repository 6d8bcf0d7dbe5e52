//! The start of a platform, in this order: engine, bus, destinations, guests loaded, listeners registered, guests
//! activated, schedules begun. Errors of configuration and components appear before the first message is accepted.

use std::sync::Arc;
use std::time::SystemTime;

use sandbus_bus::{Bus, BusConfig, ConfigError, DestinationError, ScheduleConfig, ScheduleError};
use tokio::task::JoinSet;

use super::{Platform, PlatformConfig};
use crate::sandbox::{Build, EngineError, Guest, LifecycleError, LoadError, SandboxEngine};
use crate::settings::OnStartupError;

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
        let loaded = load(&engine, &bus, &config, go_on).await?;
        for (guest, _, listens_to) in &loaded {
            for destination in *listens_to {
                bus.register_shared(destination, Arc::clone(guest) as Arc<dyn sandbus_bus::MessageListener>)?;
            }
        }
        let builds = loaded.iter().map(|(_, build, _)| Arc::clone(build)).collect();
        let guests = loaded.into_iter().map(|(guest, ..)| guest).collect();
        let mut platform = Self {
            bus,
            engine,
            guests,
            left: Vec::new(),
            state_dir: config.save_left.then_some(config.runtime.state_dir),
            shutdown_grace: config.runtime.shutdown_grace,
        };
        let failed = platform.activate(builds).await;
        match failed.into_iter().next() {
            Some((guest, source)) if !go_on => {
                platform.shutdown().await;
                Err(StartError::Activate { guest, source })
            }
            _ => platform.begin(config.schedules).await,
        }
    }

    /// Starts the schedules: what they send finds all guests active.
    async fn begin(self, schedules: Vec<ScheduleConfig>) -> Result<Self, StartError> {
        for schedule in schedules {
            if let Err(error) = self.bus.schedule(schedule) {
                self.shutdown().await;
                return Err(error.into());
            }
        }
        Ok(self)
    }

    /// Activates all guests side by side. One that fails listens no more; answers which, in the order of the guests.
    async fn activate(&mut self, builds: Vec<Arc<Build>>) -> Vec<(String, LifecycleError)> {
        let mut running = JoinSet::new();
        for (place, (guest, build)) in self.guests.iter().cloned().zip(builds).enumerate() {
            running.spawn(async move {
                let activated = build.activate().await;
                if activated.is_ok() {
                    guest.run_on(build);
                }
                (place, activated)
            });
        }
        let mut failed = Vec::new();
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok((place, Err(error))) => failed.push((place, error)),
                Ok((_, Ok(()))) => {}
                Err(error) => tracing::error!(%error, "the host failed while it activated a guest"),
            }
        }
        failed.sort_by_key(|(place, _)| *place);
        let mut named = Vec::new();
        for (place, error) in failed.into_iter().rev() {
            let guest = self.guests.remove(place);
            self.left.extend(guest.take_left_letters());
            tracing::error!(guest = guest.name(), %error, "`activate` did not end well");
            for destination in self.bus.destinations() {
                self.bus.unregister(destination.as_str(), guest.name()).await;
            }
            named.push((guest.name().to_owned(), error));
        }
        named.reverse();
        named
    }
}

type ToRegister<'a> = Vec<(Arc<Guest>, Arc<Build>, &'a [String])>;

async fn load<'a>(
    engine: &SandboxEngine,
    bus: &Bus,
    config: &'a PlatformConfig,
    go_on: bool,
) -> Result<ToRegister<'a>, StartError> {
    let mut guests = Vec::new();
    for settings in config.guests.iter().filter(|guest| guest.enabled) {
        let checked = engine
            .load_aside(&settings.path)
            .await
            .map_err(|source| StartError::Load { guest: settings.name.clone(), source })
            .and_then(|loaded| match settings.listens_to.first() {
                Some(destination) if !loaded.is_listener() => Err(StartError::NotAListener {
                    guest: settings.name.clone(),
                    destination: destination.clone(),
                }),
                _ => Ok(loaded),
            });
        match checked {
            Ok(loaded) => {
                let guest = Guest::new(engine, bus, &settings.name, Arc::clone(&config.log_sink));
                let build = guest.build_of(settings, loaded);
                guests.push((guest, build, settings.listens_to.as_slice()));
            }
            Err(error) if go_on => tracing::error!(guest = settings.name, %error, "not started"),
            Err(error) => return Err(error),
        }
    }
    Ok(guests)
}
