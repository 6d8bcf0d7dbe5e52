//! The same guest behind a serial destination of the platform, whose queue never runs empty.

use std::time::{Duration, Instant};

use sandbus::bus::{Bus, DestinationConfig, Outgoing, RejectedExecution};
use sandbus::{CompileCache, Compiler, GuestSettings, Platform, PlatformConfig, RuntimeSettings};

use super::Failure;

const DESTINATION: &str = "bench/serial";

/// Messages that wait at once; they fit into the processor's cache, as a queue that is not a backlog does.
const PORTION: u32 = 1_000;

/// How long it takes to deliver so many messages that wait already.
pub(super) async fn deliver(
    guest: &GuestSettings,
    count: u32,
    payload_bytes: usize,
) -> Result<Duration, Failure> {
    let platform = platform(guest).await?;
    let bus = platform.bus().clone();
    bus.send(DESTINATION, message(payload_bytes)).await?;
    bus.idle().await;
    let portions = count.div_ceil(PORTION);
    // Its sender is a task like any other: what it makes ready usually runs next on the same thread.
    let took = tokio::spawn(async move {
        let mut took = Duration::ZERO;
        for _ in 0..portions {
            took += portion(&bus, payload_bytes).await?;
        }
        Ok::<Duration, Failure>(took)
    })
    .await??;
    end(platform, u64::from(portions * PORTION)).await?;
    Ok(took.mul_f64(f64::from(count) / f64::from(portions * PORTION)))
}

/// Fills the queue while nothing is delivered, and times the delivering.
async fn portion(bus: &Bus, payload_bytes: usize) -> Result<Duration, Failure> {
    bus.pause(DESTINATION)?;
    for _ in 0..PORTION {
        bus.send(DESTINATION, message(payload_bytes)).await?;
    }
    let started = Instant::now();
    bus.resume(DESTINATION)?;
    bus.idle().await;
    Ok(started.elapsed())
}

/// How long so many messages take from the first `send` until the last is completed, with the sender beside the worker.
pub(super) async fn send_and_deliver(
    guest: &GuestSettings,
    count: u32,
    payload_bytes: usize,
) -> Result<Duration, Failure> {
    let platform = platform(guest).await?;
    let bus = platform.bus().clone();
    bus.send(DESTINATION, message(payload_bytes)).await?;
    bus.idle().await;
    let started = Instant::now();
    let sender = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..count {
                bus.send(DESTINATION, message(payload_bytes)).await?;
            }
            Ok::<(), sandbus::bus::SendError>(())
        }
    });
    sender.await??;
    bus.idle().await;
    let took = started.elapsed();
    end(platform, u64::from(count)).await?;
    Ok(took)
}

/// Each message has a payload of its own, as messages do.
fn message(payload_bytes: usize) -> Outgoing {
    Outgoing::bytes(vec![b'x'; payload_bytes])
}

async fn platform(guest: &GuestSettings) -> Result<Platform, Failure> {
    let mut destination = DestinationConfig::serial(DESTINATION)?;
    destination.rejected_execution = RejectedExecution::Block(Duration::from_secs(60));
    let guest = GuestSettings { listens_to: vec![DESTINATION.to_owned()], build: None, ..guest.clone() };
    let runtime = RuntimeSettings {
        compile_cache: CompileCache::Off,
        compiler: Compiler::InProcess,
        ..RuntimeSettings::default()
    };
    let config = PlatformConfig {
        runtime,
        destinations: vec![destination],
        guests: vec![guest],
        ..Default::default()
    };
    Ok(Platform::start(config).await?)
}

/// Ends the platform, after a look at whether everything was delivered.
async fn end(platform: Platform, count: u64) -> Result<(), Failure> {
    let statistics = platform.bus().statistics(DESTINATION).ok_or("the destination is gone")?;
    platform.shutdown().await;
    if statistics.completed == count + 1 && statistics.adds_up() {
        Ok(())
    } else {
        Err(format!("{} of {count} messages were completed", statistics.completed).into())
    }
}
