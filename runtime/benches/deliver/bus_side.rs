//! The same guest behind a serial destination of the platform, fed by one sender that never lets its queue run empty.

use std::time::{Duration, Instant};

use sandbus::bus::{DestinationConfig, Outgoing, RejectedExecution};
use sandbus::{CompileCache, GuestSettings, Platform, PlatformConfig, RuntimeSettings};

use super::Failure;

const DESTINATION: &str = "bench/serial";

/// How long so many messages take from the first `send` until the last is completed.
pub(super) async fn deliver(
    guest: &GuestSettings,
    count: u32,
    payload_bytes: usize,
) -> Result<Duration, Failure> {
    let mut destination = DestinationConfig::serial(DESTINATION)?;
    destination.rejected_execution = RejectedExecution::Block(Duration::from_secs(60));
    let guest = GuestSettings { listens_to: vec![DESTINATION.to_owned()], build: None, ..guest.clone() };
    let runtime = RuntimeSettings { compile_cache: CompileCache::Off, ..RuntimeSettings::default() };
    let config = PlatformConfig {
        runtime,
        destinations: vec![destination],
        guests: vec![guest],
        ..Default::default()
    };
    let platform = Platform::start(config).await?;
    let bus = platform.bus().clone();
    // Each message has a payload of its own, as messages do.
    let message = move || Outgoing::bytes(vec![b'x'; payload_bytes]);
    bus.send(DESTINATION, message()).await?;
    bus.idle().await;
    let started = Instant::now();
    let sender = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..count {
                bus.send(DESTINATION, message()).await?;
            }
            Ok::<(), sandbus::bus::SendError>(())
        }
    });
    sender.await??;
    bus.idle().await;
    let took = started.elapsed();
    let statistics = bus.statistics(DESTINATION).ok_or("the destination is gone")?;
    platform.shutdown().await;
    if statistics.completed == u64::from(count) + 1 {
        Ok(took)
    } else {
        Err(format!("{} of {count} messages were completed", statistics.completed).into())
    }
}
