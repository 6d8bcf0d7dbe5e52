//! What it takes to make an instance: one for each message, one after a trap, one of another build.

use std::sync::Arc;
use std::time::Instant;

use sandbus::InstancePolicy;

use crate::Bench;
use crate::bus_side::{self, Sends};
use crate::guests::Guest;
use crate::harness::{Bound, Failure};

const DESTINATION: &str = "bench/i";
const FRESH: &str = "fresh instance per message, noop 64 B";
const FRESH_FLOOR: &str = "floor, fresh instance, noop 64 B";
const TRAP: &str = "trap to next message";
const TRAP_FLOOR: &str = "floor, trap to next call";
const LOAD: &str = "load, warm cache";
const REPLACE: &str = "replace a guest";
const REPLACE_BUSY: &str = "replace a guest, while it is called";

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    fresh(bench)?;
    recovery(bench)?;
    replace(bench)
}

fn fresh(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(FRESH) {
        return Ok(());
    }
    let count = bench.asked.count(5_000);
    let bare = bench.floors.fresh(&bench.guests, Guest::Noop, &[b'x'; 64], count);
    let took = bench.bare.block_on(bare)?;
    bench.table.add(FRESH_FLOOR, None, took / count).noted("instantiate, call, drop");
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let mut listener = bench.guests.listener(Guest::Noop, "noop", &[DESTINATION]);
    listener.instances.policy = InstancePolicy::PerMessage;
    let took = bench.on_workers(async move {
        let destinations = vec![bus_side::serial(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Noop.payload(64));
        sends.warm_up().await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, u64::from(sends.whole(count)) + 1).await?;
        Ok(took.to_deliver)
    })?;
    let row = bench.table.add(FRESH, Some(FRESH_FLOOR), took).noted("instances = \"per-message\"");
    row.aims(4, Bound::RateAtLeast(0.8));
    Ok(())
}

fn recovery(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants(TRAP) {
        return Ok(());
    }
    let count = bench.asked.count(2_000);
    let took = bench.bare.block_on(bench.floors.recoveries(&bench.guests, count))?;
    bench.table.add(TRAP_FLOOR, None, took / count).noted("a call that traps, drop, instantiate, a call");
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let mut listener = bench.guests.listener(Guest::Trap, "trap", &[DESTINATION]);
    // A guest that faults every second time would be left alone for a while.
    (listener.circuit_breaker, listener.quarantine) = (None, None);
    let took = bench.on_workers(async move {
        let mut destination = bus_side::serial(DESTINATION)?;
        destination.retry.attempts_max = 1;
        let platform = bus_side::start(&engine, &settings, vec![destination], vec![listener]).await?;
        let mut sends = Sends::of(&platform, DESTINATION, b"x".to_vec());
        sends.warm_up().await?;
        sends.payloads = Arc::from([b"t".to_vec(), b"x".to_vec()]);
        let took = sends.in_portions(2 * count).await?;
        // Every other one became a dead letter.
        bus_side::end(platform, u64::from(sends.whole(2 * count)) / 2 + 1).await?;
        Ok(took.to_deliver * 2)
    })?;
    let row = bench.table.add(TRAP, Some(TRAP_FLOOR), took).noted("a call that traps, and the next one");
    row.aims(5, Bound::TimesAtMost(2.0));
    Ok(())
}

fn replace(bench: &mut Bench) -> Result<(), Failure> {
    if !bench.asked.wants_any(&[LOAD, REPLACE, REPLACE_BUSY]) {
        return Ok(());
    }
    let count = bench.asked.count(10);
    let (path, other) = (bench.guests.path(Guest::Noop), bench.guests.other_build(Guest::Noop)?);
    // Both are in the cache.
    drop((bench.engine.load(&path)?, bench.engine.load(&other)?));
    let started = Instant::now();
    for _ in 0..count {
        bench.engine.load(&path)?;
    }
    bench.table.add(LOAD, None, started.elapsed() / count).noted("read, check, take from the cache");
    for (name, busy) in [(REPLACE, false), (REPLACE_BUSY, true)] {
        let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
        let mut listener = bench.guests.listener(Guest::Noop, "noop", &[DESTINATION]);
        let builds = [other.clone(), path.clone()];
        let took = bench.on_workers(async move {
            let destinations = vec![bus_side::serial(DESTINATION)?];
            let guests = vec![listener.clone()];
            let platform = bus_side::start(&engine, &settings, destinations, guests).await?;
            let sends = Sends::of(&platform, DESTINATION, Guest::Noop.payload(64));
            sends.warm_up().await?;
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let sender = tokio::spawn(async move {
                let mut sent = 0;
                while busy && stopped.has_changed().is_ok_and(|changed| !changed) {
                    sends.send(100).await?;
                    sent += 100;
                    tokio::task::yield_now().await;
                }
                sends.bus.idle().await;
                Ok::<u64, Failure>(sent + 1)
            });
            let started = Instant::now();
            for build in builds.iter().cycle().take(count as usize) {
                listener.path.clone_from(build);
                platform.replace_guest("noop", listener.clone()).await?;
            }
            let took = started.elapsed() / count;
            stop.send_replace(true);
            bus_side::end(platform, sender.await??).await?;
            Ok(took)
        })?;
        bench.table.add(name, Some(LOAD), took).noted("nothing is lost; beside loading it");
    }
    Ok(())
}
