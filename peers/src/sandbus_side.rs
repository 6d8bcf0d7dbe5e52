//! The same with sandbus: a delivery, a request in the sender's own task, requests that a worker answers.

use std::time::{Duration, Instant};

use sandbus::bus::{Bus, DestinationConfig, Outgoing};
use sandbus::{CompileCache, Compiler, Platform, RuntimeSettings, SandboxEngine};

use crate::bus_side::{self, Sends};
use crate::guests::{Guest, Guests};
use crate::harness::Failure;

const DESTINATION: &str = "bench/d";
const PAYLOAD_BYTES: usize = 64;

/// The guests, and the engine that they run on.
pub(crate) struct Own {
    guests: Guests,
    settings: RuntimeSettings,
    engine: SandboxEngine,
}

impl Own {
    pub(crate) fn new() -> Result<Self, Failure> {
        let guests = Guests::build()?;
        let settings = RuntimeSettings {
            compile_cache: CompileCache::Path(guests.cache()),
            compiler: Compiler::InProcess,
            ..RuntimeSettings::default()
        };
        Ok(Self { engine: SandboxEngine::new(&settings)?, guests, settings })
    }

    async fn platform(&self, guest: Guest, destination: DestinationConfig) -> Result<Platform, Failure> {
        let listener = self.guests.listener(guest, guest.word(), &[DESTINATION]);
        bus_side::start(&self.engine, &self.settings, vec![destination], vec![listener]).await
    }

    /// What a delivery takes, of a queue that was filled before.
    pub(crate) async fn deliver(
        &mut self,
        guest: Guest,
        payload_bytes: usize,
        count: u32,
    ) -> Result<Duration, Failure> {
        let platform = self.platform(guest, bus_side::serial(DESTINATION)?).await?;
        let sends = Sends::of(&platform, DESTINATION, guest.payload(payload_bytes));
        let whole = sends.whole(count);
        let took = tokio::spawn(async move {
            sends.warm_up().await?;
            sends.in_portions(count).await
        });
        let took = took.await??;
        bus_side::end(platform, u64::from(whole) + 1).await?;
        Ok(took.to_deliver)
    }

    /// What a request takes whose listener is called in the sender's own task.
    pub(crate) async fn direct(&mut self, payload_bytes: usize, count: u32) -> Result<Duration, Failure> {
        let platform = self.platform(Guest::Echo, DestinationConfig::parallel(DESTINATION)?).await?;
        let bus = platform.bus().clone();
        let took = tokio::spawn(async move {
            let mut took = Duration::ZERO;
            for number in 0..=count {
                let message = Outgoing::bytes(vec![b'x'; payload_bytes]);
                let started = Instant::now();
                let reply = bus.request_direct(DESTINATION, message, None).await?;
                // The first one makes the instance.
                took += if number == 0 { Duration::ZERO } else { started.elapsed() };
                if reply.is_none_or(|reply| reply.payload.len() != payload_bytes) {
                    return Err("the answer is not the question".into());
                }
            }
            Ok::<Duration, Failure>(took / count)
        });
        let took = took.await??;
        bus_side::end(platform, u64::from(count) + 1).await?;
        Ok(took)
    }

    /// What a request takes when so many senders ask so often, one after the other.
    pub(crate) async fn requests(&mut self, senders: u32, count: u32) -> Result<Duration, Failure> {
        let platform = self.platform(Guest::Echo, DestinationConfig::parallel(DESTINATION)?).await?;
        ask(platform.bus(), senders, 10).await?;
        let started = Instant::now();
        ask(platform.bus(), senders, count).await?;
        let took = started.elapsed() / (senders * count);
        platform.bus().idle().await;
        bus_side::end(platform, u64::from(senders) * u64::from(count + 10)).await?;
        Ok(took)
    }
}

async fn ask(bus: &Bus, senders: u32, count: u32) -> Result<(), Failure> {
    let all: Vec<_> = (0..senders)
        .map(|_| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for _ in 0..count {
                    let message = Outgoing::bytes(vec![b'x'; PAYLOAD_BYTES]);
                    let reply = bus.request(DESTINATION, message, None).await?;
                    if reply.payload.len() != PAYLOAD_BYTES {
                        return Err("the answer is not the question".into());
                    }
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for sender in all {
        sender.await??;
    }
    Ok(())
}
