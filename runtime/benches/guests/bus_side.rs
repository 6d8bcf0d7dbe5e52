//! A platform with the destinations and guests of a row, its queue filled in portions, and a look at its books at the end: a
//! bench that loses messages measures nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbus::bus::{Bus, DestinationConfig, Outgoing, RejectedExecution};
use sandbus::{GuestSettings, Platform, PlatformConfig, RuntimeSettings, SandboxEngine};

use crate::harness::{Failure, PORTION};

/// Bytes that wait at once at most, for the same reason.
const PORTION_BYTES: usize = 4 << 20;

/// Starts a platform of these parts on an engine that is there already.
pub(crate) async fn start(
    engine: &SandboxEngine,
    settings: &RuntimeSettings,
    destinations: Vec<DestinationConfig>,
    guests: Vec<GuestSettings>,
) -> Result<Platform, Failure> {
    let config = PlatformConfig {
        runtime: settings.clone(),
        destinations,
        guests,
        save_left: false,
        ..PlatformConfig::default()
    };
    Ok(Platform::start_on(engine.clone(), config).await?)
}

/// Ends the platform, after a look at whether so many calls came to a good end, and every message to one.
pub(crate) async fn end(platform: Platform, completed: u64) -> Result<(), Failure> {
    let looked = crate::harness::scaling::completed(platform.bus(), completed);
    platform.shutdown().await;
    looked
}

/// Messages of a portion whose payloads have so many bytes.
pub(crate) fn portion_of(payload_bytes: usize) -> u32 {
    u32::try_from(PORTION_BYTES / payload_bytes.max(1)).unwrap_or(PORTION).clamp(1, PORTION)
}

/// What is sent to a destination, as often as wanted.
#[derive(Clone)]
pub(crate) struct Sends {
    pub(crate) bus: Bus,
    pub(crate) destination: &'static str,
    /// In turn.
    pub(crate) payloads: Arc<[Vec<u8>]>,
}

/// What a message took.
pub(crate) struct Took {
    pub(crate) to_send: Duration,
    pub(crate) to_deliver: Duration,
}

impl Sends {
    pub(crate) fn of(platform: &Platform, destination: &'static str, payload: Vec<u8>) -> Self {
        Self { bus: platform.bus().clone(), destination, payloads: Arc::from([payload]) }
    }

    /// Each message has a payload of its own, as messages do.
    pub(crate) async fn send(&self, count: u32) -> Result<(), Failure> {
        for payload in self.payloads.iter().cycle().take(count as usize) {
            self.bus.send(self.destination, Outgoing::bytes(payload.clone())).await?;
        }
        Ok(())
    }

    /// Sends one and waits for its end: workers, instances and histograms are there before a clock starts.
    pub(crate) async fn warm_up(&self) -> Result<(), Failure> {
        self.send(1).await?;
        self.bus.idle().await;
        Ok(())
    }

    /// Messages of a portion.
    pub(crate) fn portion(&self) -> u32 {
        portion_of(self.payloads.iter().map(Vec::len).max().unwrap_or(0))
    }

    /// `count`, as a number of whole portions.
    pub(crate) fn whole(&self, count: u32) -> u32 {
        count.div_ceil(self.portion()) * self.portion()
    }

    /// Fills the queue while nothing is delivered, has it be emptied, and so on until there were `whole(count)`.
    pub(crate) async fn in_portions(&self, count: u32) -> Result<Took, Failure> {
        let (portion, whole) = (self.portion(), self.whole(count));
        let mut took = Took { to_send: Duration::ZERO, to_deliver: Duration::ZERO };
        for _ in 0..whole / portion {
            self.bus.pause(self.destination)?;
            let started = Instant::now();
            self.send(portion).await?;
            took.to_send += started.elapsed();
            let started = Instant::now();
            self.bus.resume(self.destination)?;
            self.bus.idle().await;
            took.to_deliver += started.elapsed();
        }
        Ok(Took { to_send: took.to_send / whole, to_deliver: took.to_deliver / whole })
    }

    /// Sends `count` while they are delivered, and waits for the end of the last one.
    pub(crate) async fn beside(&self, count: u32) -> Result<Duration, Failure> {
        let started = Instant::now();
        let own = self.clone();
        // Its sender is a task like any other.
        tokio::spawn(async move { own.send(count).await }).await??;
        self.bus.idle().await;
        Ok(started.elapsed() / count)
    }
}

/// A serial destination whose senders wait where its queue is full.
pub(crate) fn serial(name: &str) -> Result<DestinationConfig, Failure> {
    Ok(waiting(DestinationConfig::serial(name)?))
}

/// The same destination, whose senders wait where its queue is full.
pub(crate) fn waiting(mut config: DestinationConfig) -> DestinationConfig {
    config.rejected_execution = RejectedExecution::Block(Duration::from_secs(60));
    config
}
