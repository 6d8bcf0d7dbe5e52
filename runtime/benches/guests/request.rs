//! Requests: how long a sender waits for its answer, alone and among others.

use std::time::{Duration, Instant};

use sandbus::bus::{Bus, DestinationConfig, Outgoing};

use crate::Bench;
use crate::bus_side;
use crate::guests::Guest;
use crate::harness::{Bound, Failure, Unit, part_of};

const DESTINATION: &str = "bench/r";
const PAYLOAD_BYTES: usize = 64;
const SENDERS: u32 = 64;

/// How the listener is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// By the destination's worker.
    Default,
    /// In the sender's own task.
    Direct,
}

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    one_in_flight(bench, Mode::Default, ["request, p50", "request, p99"])?;
    one_in_flight(bench, Mode::Direct, ["request, direct, p50", "request, direct, p99"])?;
    many_senders(bench)
}

fn one_in_flight(bench: &mut Bench, mode: Mode, names: [&str; 2]) -> Result<(), Failure> {
    if !bench.asked.wants_any(&names) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Echo, PAYLOAD_BYTES)?;
    let count = bench.asked.count(20_000);
    let waits = on_a_bus(bench, count, move |bus| requests(bus, mode, count))?;
    let [p50, p99] = names;
    let row = bench.table.figure(p50, Some(&floor), Unit::Nanoseconds, part_of(&waits, 0.5).unwrap_or(0.0));
    row.noted("guest echo, one in flight");
    if mode == Mode::Default {
        row.aims(3, Bound::TimesAtMost(3.0));
    }
    let row = bench.table.figure(p99, Some(&floor), Unit::Nanoseconds, part_of(&waits, 0.99).unwrap_or(0.0));
    row.noted("guest echo, one in flight");
    Ok(())
}

fn many_senders(bench: &mut Bench) -> Result<(), Failure> {
    let (rate, p99) = ("request, 64 senders", "request, 64 senders, p99");
    if !bench.asked.wants_any(&[rate, p99]) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Echo, PAYLOAD_BYTES)?;
    let count = bench.asked.count(64_000) / SENDERS + 1;
    let (took, waits) = on_a_bus(bench, count * SENDERS, move |bus| async move {
        let started = Instant::now();
        let senders: Vec<_> =
            (0..SENDERS).map(|_| tokio::spawn(requests(bus.clone(), Mode::Default, count))).collect();
        let mut waits = Vec::new();
        for sender in senders {
            waits.extend(sender.await??);
        }
        Ok((started.elapsed(), waits))
    })?;
    bench
        .table
        .add(rate, Some(&floor), took / (count * SENDERS))
        .noted("guest echo, one parallel destination");
    let wait = part_of(&waits, 0.99).unwrap_or(0.0);
    bench.table.figure(p99, Some(&floor), Unit::Nanoseconds, wait).noted("what one of them waits");
    Ok(())
}

/// Asks so often, one after the other, and says how long each took in nanoseconds.
async fn requests(bus: Bus, mode: Mode, count: u32) -> Result<Vec<f64>, Failure> {
    let mut waits = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let message = Outgoing::bytes(vec![b'x'; PAYLOAD_BYTES]);
        let started = Instant::now();
        let reply = match mode {
            Mode::Default => Some(bus.request(DESTINATION, message, None).await?),
            Mode::Direct => bus.request_direct(DESTINATION, message, None).await?,
        };
        waits.push(started.elapsed().as_nanos() as f64);
        if reply.is_none_or(|reply| reply.payload.len() != PAYLOAD_BYTES) {
            return Err("the answer is not the question".into());
        }
    }
    Ok(waits)
}

/// Does `work` on a bus whose one parallel destination has the echo guest; it asks so often.
fn on_a_bus<T, F>(
    bench: &Bench,
    asks: u32,
    work: impl FnOnce(Bus) -> F + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send,
{
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let listener = bench.guests.listener(Guest::Echo, "echo", &[DESTINATION]);
    bench.on_workers(async move {
        let destinations = vec![DestinationConfig::parallel(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let bus = platform.bus().clone();
        // All instances that its workers will have are made before a clock starts.
        let first: Vec<_> =
            (0..SENDERS).map(|_| tokio::spawn(requests(bus.clone(), Mode::Default, 10))).collect();
        for sender in first {
            sender.await??;
        }
        requests(bus.clone(), Mode::Direct, 1).await?;
        let done = work(bus.clone()).await?;
        tokio::time::timeout(Duration::from_secs(10), bus.idle()).await?;
        bus_side::end(platform, u64::from(asks + SENDERS * 10 + 1)).await?;
        Ok(done)
    })
}
