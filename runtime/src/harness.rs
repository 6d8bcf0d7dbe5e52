//! A platform to try guests on: for the tests of guest authors, for embedders' first steps, and for our own tests. It keeps
//! what was logged and what was received; it decides nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sandbus_bus::{
    Bus, CustomType, DeadLetter, Delivery, DestinationConfig, DestinationError, DestinationStatistics,
    MessageId, Outcome, Outgoing, Reply, RequestError, ScheduleConfig, SendError, listener_fn,
};

use crate::host::{LogLine, LogSink};
use crate::platform::{Ended, Platform, PlatformConfig, StartError};
use crate::sandbox::{FaultReport, FaultSink, SandboxEngine};
use crate::settings::{Compiler, GuestSettings, RuntimeSettings};

/// How long [`Harness::idle`] waits before it says that the platform does not come to rest.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Log lines, and faults, that a harness keeps; a flood of them is cut, not kept.
pub const LOG_LINES_MAX: usize = 100_000;

/// Puts a harness together. Unless it is told otherwise, it compiles guests in its own process: they are the ones under test.
pub struct HarnessBuilder {
    config: PlatformConfig,
    engine: Option<SandboxEngine>,
}

impl Default for HarnessBuilder {
    fn default() -> Self {
        let runtime = RuntimeSettings { compiler: Compiler::InProcess, ..RuntimeSettings::default() };
        Self { config: PlatformConfig { runtime, ..PlatformConfig::default() }, engine: None }
    }
}

impl HarnessBuilder {
    /// Adds a destination.
    #[must_use]
    pub fn destination(mut self, config: DestinationConfig) -> Self {
        self.config.destinations.push(config);
        self
    }

    /// Adds a destination type of the embedder's own.
    #[must_use]
    pub fn destination_type(mut self, custom: CustomType) -> Self {
        self.config.types.push(custom);
        self
    }

    /// Adds a schedule, which begins when all guests are active.
    #[must_use]
    pub fn schedule(mut self, config: ScheduleConfig) -> Self {
        self.config.schedules.push(config);
        self
    }

    /// Adds a guest.
    #[must_use]
    pub fn guest(mut self, settings: GuestSettings) -> Self {
        self.config.guests.push(settings);
        self
    }

    /// Uses these settings for what all guests share.
    #[must_use]
    pub fn runtime(mut self, settings: RuntimeSettings) -> Self {
        self.config.runtime = settings;
        self
    }

    /// Uses an engine that others share, instead of one of its own.
    #[must_use]
    pub fn engine(mut self, engine: SandboxEngine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Starts the platform: when this returns, all guests are active.
    ///
    /// # Errors
    /// As [`Platform::start`].
    ///
    /// # Cancel safety
    /// As [`Platform::start`].
    pub async fn start(mut self) -> Result<Harness, StartError> {
        let logs = Arc::new(Mutex::new(Vec::new()));
        self.config.log_sink = collecting(&logs);
        let faults = Arc::new(Mutex::new(Vec::new()));
        self.config.fault_sink = collecting_faults(&faults);
        let platform = match self.engine {
            Some(engine) => Platform::start_on(engine, self.config).await?,
            None => Platform::start(self.config).await?,
        };
        Ok(Harness { platform, logs, faults, received: Arc::default() })
    }
}

fn collecting(logs: &Arc<Mutex<Vec<LogLine>>>) -> LogSink {
    let logs = Arc::clone(logs);
    Arc::new(move |line: &LogLine| {
        let mut logs = logs.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.len() < LOG_LINES_MAX {
            logs.push(line.clone());
        }
    })
}

fn collecting_faults(faults: &Arc<Mutex<Vec<FaultReport>>>) -> FaultSink {
    let faults = Arc::clone(faults);
    Arc::new(move |report: &FaultReport| {
        let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < LOG_LINES_MAX {
            faults.push(report.clone());
        }
    })
}

/// A running platform whose logs and received messages can be looked at.
///
/// # Examples
/// ```no_run
/// use sandbus::harness::Harness;
/// use sandbus::{GuestSettings, bus::{DestinationConfig, Outgoing}};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut guest = GuestSettings::new("echo", "target/wasm32-wasip2/release/echo.wasm");
/// guest.listens_to = vec!["greetings".to_owned()];
/// let harness = Harness::builder()
///     .destination(DestinationConfig::parallel("greetings")?)
///     .guest(guest)
///     .start()
///     .await?;
/// let reply = harness.request("greetings", Outgoing::text("hello")).await?;
/// assert_eq!(reply.payload, "hello");
/// harness.end().await;
/// # Ok(()) }
/// ```
pub struct Harness {
    platform: Platform,
    logs: Arc<Mutex<Vec<LogLine>>>,
    faults: Arc<Mutex<Vec<FaultReport>>>,
    received: Arc<Mutex<Vec<Delivery>>>,
}

/// The platform did not come to rest in time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the platform is not idle after {} s; busy: {busy:?}", IDLE_TIMEOUT.as_secs())]
pub struct NotIdle {
    /// The destinations where something waits or runs.
    pub busy: Vec<String>,
}

impl Harness {
    /// Begins a harness without destinations and guests.
    #[must_use]
    pub fn builder() -> HarnessBuilder {
        HarnessBuilder::default()
    }

    /// The platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        self.platform.bus()
    }

    /// Sends a message as the host.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`].
    pub async fn send(&self, destination: &str, message: Outgoing) -> Result<MessageId, SendError> {
        self.bus().send(destination, message).await
    }

    /// Sends a request as the host, with the destination's own timeout.
    ///
    /// # Errors
    /// As [`Bus::request`].
    ///
    /// # Cancel safety
    /// As [`Bus::request`].
    pub async fn request(&self, destination: &str, message: Outgoing) -> Result<Reply, RequestError> {
        self.bus().request(destination, message, None).await
    }

    /// Keeps from now on what is sent to `destination`, for [`Harness::received`].
    ///
    /// # Errors
    /// As [`Bus::register`].
    pub fn note(&self, destination: &str) -> Result<(), DestinationError> {
        let received = Arc::clone(&self.received);
        let listener = listener_fn("harness", move |delivery: Delivery| {
            received.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
            std::future::ready(Outcome::done())
        });
        self.bus().register(destination, listener).map(|_| ())
    }

    /// What was received at the destinations that are noted, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Delivery> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Their payloads as text; what is no text is left out.
    #[must_use]
    pub fn received_texts(&self) -> Vec<String> {
        self.received().iter().filter_map(|delivery| delivery.text().map(str::to_owned)).collect()
    }

    /// What the guests printed, in order.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines that one guest printed.
    #[must_use]
    pub fn lines_of(&self, guest: &str) -> Vec<String> {
        self.logs().into_iter().filter(|line| &*line.guest == guest).map(|line| line.text).collect()
    }

    /// The faults of the guests' calls, in order.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultReport> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nothing runs and nothing can run by itself.
    ///
    /// # Errors
    /// [`NotIdle`] after [`IDLE_TIMEOUT`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn idle(&self) -> Result<(), NotIdle> {
        tokio::time::timeout(IDLE_TIMEOUT, self.bus().idle()).await.map_err(|_| {
            let all = self.bus().all_statistics().into_iter();
            NotIdle { busy: all.filter(|s| s.waiting + s.running > 0).map(|s| s.name).collect() }
        })
    }

    /// The figures of a destination; zeroes have no meaning for one that does not exist, so that it is none.
    #[must_use]
    pub fn statistics(&self, destination: &str) -> Option<DestinationStatistics> {
        self.bus().statistics(destination)
    }

    /// The dead letters of a destination.
    #[must_use]
    pub fn dead_letters(&self, destination: &str) -> Vec<DeadLetter> {
        self.bus().dead_letters(destination)
    }

    /// Shuts the platform down.
    ///
    /// # Cancel safety
    /// As [`Platform::shutdown`].
    pub async fn end(self) -> Ended {
        self.platform.shutdown().await
    }
}
