//! Cost per message against the number of destinations, and against the length of the queue, whoever listens.

use std::time::{Duration, Instant};

use sandbus_bus::{Bus, DestinationConfig, Outgoing};

use super::{Failure, PORTION};

const PAYLOAD_BYTES: usize = 64;

fn message() -> Outgoing {
    Outgoing::bytes(vec![b'x'; PAYLOAD_BYTES])
}

/// So many names of destinations.
pub(crate) fn names(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("bench/d{number}")).collect()
}

/// A serial destination whose queue takes any number of messages.
pub(crate) fn without_bounds(name: &str) -> Result<DestinationConfig, Failure> {
    let mut config = DestinationConfig::serial(name)?;
    config.queue_entries_max = usize::MAX;
    config.queue_bytes_max = usize::MAX;
    Ok(config)
}

/// What a message takes that is sent to these destinations in turn, a portion at a time, with its delivery. Each has a
/// listener.
pub(crate) async fn in_turn(bus: &Bus, names: &[String], count: u32) -> Result<Duration, Failure> {
    for name in names {
        // Its worker and its histograms are there before the clock starts.
        bus.send(name, message()).await?;
    }
    bus.idle().await;
    let mut took = Duration::ZERO;
    let mut sent = 0;
    while sent < count {
        let started = Instant::now();
        for name in names.iter().cycle().take(PORTION as usize) {
            bus.send(name, message()).await?;
        }
        bus.idle().await;
        took += started.elapsed();
        sent += PORTION;
    }
    completed(bus, u64::from(sent) + names.len() as u64)?;
    Ok(took / sent)
}

/// What a message takes in a queue that is filled with so many and emptied, again and again until there were `count`.
pub(crate) async fn backlog(
    bus: &Bus,
    destination: &str,
    length: u32,
    count: u32,
) -> Result<Duration, Failure> {
    let turns = count.div_ceil(length).max(1);
    let started = Instant::now();
    for _ in 0..turns {
        bus.pause(destination)?;
        for _ in 0..length {
            bus.send(destination, message()).await?;
        }
        bus.resume(destination)?;
        bus.idle().await;
    }
    let took = started.elapsed();
    completed(bus, u64::from(length) * u64::from(turns))?;
    Ok(took.div_f64(f64::from(length) * f64::from(turns)))
}

/// Whether so many calls of all destinations came to a good end, and every message to one.
pub(crate) fn completed(bus: &Bus, count: u64) -> Result<(), Failure> {
    let mut figures = bus.all_statistics();
    // Answers come through a destination of the bus's own.
    figures.retain(|figures| !figures.name.starts_with(sandbus_bus::RESERVED_PREFIX));
    let completed: u64 = figures.iter().map(|figures| figures.completed).sum();
    if let Some(wrong) = figures.iter().find(|figures| !figures.adds_up()) {
        return Err(format!("the figures of `{}` do not add up", wrong.name).into());
    }
    if completed == count {
        Ok(())
    } else {
        Err(format!("{completed} of {count} calls were completed").into())
    }
}
