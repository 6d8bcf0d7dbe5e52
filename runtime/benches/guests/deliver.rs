//! Sending, and delivering what was sent: one listener and several, queued and in the sender's own task, every guest, every
//! payload.

use sandbus::bus::DestinationConfig;
use sandbus::{GuestSettings, Pattern};

use crate::Bench;
use crate::batch;
use crate::bus_side::{self, Sends, waiting};
use crate::guests::{Guest, ORDER_BYTES};
use crate::harness::{Bound, Failure};

const DESTINATION: &str = "bench/d";
const SEND: &str = "send";
const BESIDE: &str = "send and deliver, noop 64 B";
const SYNCHRONOUS: &str = "send, synchronous, noop 64 B";
const FORWARD: &str = "forward from guest to guest";

/// Every guest and payload whose delivery is measured.
const CASES: [(Guest, usize); 8] = [
    (Guest::Noop, 64),
    (Guest::Echo, 0),
    (Guest::Echo, 64),
    (Guest::Echo, 1 << 10),
    (Guest::Echo, 64 << 10),
    (Guest::Echo, 1 << 20),
    (Guest::Json, ORDER_BYTES),
    (Guest::Compute, 64),
];

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    for (guest, payload_bytes) in CASES {
        serial(bench, guest, payload_bytes)?;
    }
    send_and_deliver(bench)?;
    for listeners in [1, 2, 8] {
        parallel(bench, listeners)?;
    }
    synchronous(bench)?;
    forward(bench)
}

fn serial(bench: &mut Bench, guest: Guest, payload_bytes: usize) -> Result<(), Failure> {
    let name = format!("deliver, {}", guest.with_payload(payload_bytes));
    let is_first = guest == Guest::Noop;
    let wanted =
        bench.asked.wants(&name) || (is_first && (bench.asked.wants(SEND) || batch::is_wanted(bench)));
    if !wanted {
        return Ok(());
    }
    let floor = bench.floor(guest, payload_bytes)?;
    if guest == Guest::Echo {
        bench.floor_of_many(guest, payload_bytes, bus_side::portion_of(payload_bytes))?;
    }
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let listener = bench.guests.listener(guest, guest.word(), &[DESTINATION]);
    let (payload, count) = (guest.payload(payload_bytes), bench.asked.count(guest.count(payload_bytes)));
    let took = bench.on_workers(async move {
        let destinations = vec![bus_side::serial(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, payload);
        sends.warm_up().await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, u64::from(sends.whole(count)) + 1).await?;
        Ok(took)
    })?;
    let row =
        bench.table.add(&name, Some(&floor), took.to_deliver).noted("of a queue that was filled before");
    match (guest, payload_bytes) {
        (Guest::Noop, _) => row.aims(1, Bound::RateAtLeast(0.7)),
        (Guest::Echo, 0x400 | 0x1_0000) => row.aims(9, Bound::RateAtLeast(0.8)),
        _ => row,
    };
    if is_first {
        bench.table.add(SEND, Some(&floor), took.to_send).noted("into a queue");
    }
    Ok(())
}

fn send_and_deliver(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(BESIDE) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Noop, 64)?;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let listener = bench.guests.listener(Guest::Noop, "noop", &[DESTINATION]);
    let count = bench.asked.count(Guest::Noop.count(64));
    let took = bench.on_workers(async move {
        let destinations = vec![bus_side::serial(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Noop.payload(64));
        sends.warm_up().await?;
        let took = sends.beside(count).await?;
        bus_side::end(platform, u64::from(count) + 1).await?;
        Ok(took)
    })?;
    bench.table.add(BESIDE, Some(&floor), took).noted("the sender beside the worker");
    Ok(())
}

fn parallel(bench: &mut Bench, listeners: u32) -> Result<(), Failure> {
    let name = format!("deliver, parallel, {listeners} listener{}", if listeners == 1 { "" } else { "s" });
    if !bench.asked.wants(&name) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Noop, 64)?;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let guests: Vec<GuestSettings> = (0..listeners)
        .map(|number| bench.guests.listener(Guest::Noop, &format!("noop{number}"), &[DESTINATION]))
        .collect();
    let count = bench.asked.count(Guest::Noop.count(64)) / listeners;
    let took = bench.on_workers(async move {
        let destinations = vec![waiting(DestinationConfig::parallel(DESTINATION)?)];
        let platform = bus_side::start(&engine, &settings, destinations, guests).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Noop.payload(64));
        sends.warm_up().await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, u64::from(listeners) * (u64::from(sends.whole(count)) + 1)).await?;
        Ok(took.to_deliver / listeners)
    })?;
    bench.table.add(&name, Some(&floor), took).noted("a call, on two cores");
    Ok(())
}

fn synchronous(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(SYNCHRONOUS) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Noop, 64)?;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let listener = bench.guests.listener(Guest::Noop, "noop", &[DESTINATION]);
    let count = bench.asked.count(Guest::Noop.count(64));
    let took = bench.on_workers(async move {
        let destinations = vec![DestinationConfig::synchronous(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Noop.payload(64));
        sends.warm_up().await?;
        let started = std::time::Instant::now();
        sends.send(count).await?;
        let took = started.elapsed() / count;
        bus_side::end(platform, u64::from(count) + 1).await?;
        Ok(took)
    })?;
    bench.table.add(SYNCHRONOUS, Some(&floor), took).noted("with its delivery, in the sender's own task");
    Ok(())
}

fn forward(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(FORWARD) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Noop, 64)?;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let mut first = bench.guests.listener(Guest::Forward, "forward", &[DESTINATION]);
    first.grants.send = vec!["bench/next".parse::<Pattern>()?];
    let guests = vec![first, bench.guests.listener(Guest::Noop, "noop", &["bench/next"])];
    let count = bench.asked.count(Guest::Forward.count(64) / 2);
    let took = bench.on_workers(async move {
        let destinations = vec![bus_side::serial(DESTINATION)?, bus_side::serial("bench/next")?];
        let platform = bus_side::start(&engine, &settings, destinations, guests).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Forward.payload(64));
        sends.warm_up().await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, 2 * (u64::from(sends.whole(count)) + 1)).await?;
        Ok(took.to_deliver)
    })?;
    bench.table.add(FORWARD, Some(&floor), took).noted("two calls and a guest's send, beside one call");
    Ok(())
}
