//! The rows of the bus's bench. Each makes a bus of its own, and looks at its books at the end: a bench that loses messages
//! measures nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sandbus_bus::{
    Bus, BusConfig, Delivery, DestinationConfig, Outcome, Outgoing, RejectedExecution, Reply, listener_fn,
};

use crate::harness::{Asked, Failure, Table};

/// Messages that wait at once; they fit into the processor's cache, as a queue that is no backlog does.
const PORTION: u32 = 1_000;
const PAYLOAD_BYTES: usize = 64;
const FLOOR: &str = "floor: a channel and a task";
const SEND: &str = "send";
const SERIAL: &str = "deliver, serial";

/// Measures every row once.
pub(crate) async fn round(mut table: Table, asked: Asked) -> Result<Table, Failure> {
    let count = asked.count(100_000).div_ceil(PORTION) * PORTION;
    table.add(FLOOR, None, floor(count).await?, "send, receive, call");
    let deliveries = [
        (SERIAL, DestinationConfig::serial("b/d")?, 1),
        ("deliver, parallel, 1 listener", DestinationConfig::parallel("b/d")?, 1),
        ("deliver, parallel, 2 listeners", DestinationConfig::parallel("b/d")?, 2),
        ("deliver, parallel, 8 listeners", DestinationConfig::parallel("b/d")?, 8),
    ];
    for (name, config, listeners) in deliveries {
        if asked.wants(name) || (name == SERIAL && asked.wants(SEND)) {
            let (sent, delivered) = deliver(config, listeners, count / listeners).await?;
            table.add(name, Some(FLOOR), delivered, "a call, of a queue that was filled before");
            if name == SERIAL {
                table.add(SEND, Some(FLOOR), sent, "a message, into a queue");
            }
        }
    }
    if asked.wants("synchronous") {
        let config = DestinationConfig::synchronous("b/d")?;
        table.add("send, synchronous", Some(FLOOR), synchronous(config, count).await?, "with its delivery");
    }
    for (name, direct) in [("request, default mode", false), ("request, direct mode", true)] {
        if asked.wants(name) {
            table.add(name, Some(FLOOR), request(direct, count / 10).await?, "one in flight");
        }
    }
    scaling(&mut table, &asked).await?;
    Ok(table)
}

/// Cost per message against the number of destinations, and against the length of the queue.
async fn scaling(table: &mut Table, asked: &Asked) -> Result<(), Failure> {
    let one = "send and deliver, 1 destination";
    for destinations in [1, asked.count(100_000) / 100] {
        let name = format!(
            "send and deliver, {destinations} destination{}",
            if destinations == 1 { "" } else { "s" }
        );
        if asked.wants(&name) {
            let beside = (destinations > 1).then_some(one);
            table.add(&name, beside, destinations_of(destinations, asked.count(100_000)).await?, "in turn");
        }
    }
    let short = format!("send and deliver, {PORTION} wait");
    for length in [1, PORTION, asked.count(1_000_000)] {
        let name = format!("send and deliver, {length} wait");
        if asked.wants(&name) {
            let beside = (length > PORTION).then_some(short.as_str());
            table.add(&name, beside, backlog(length, asked.count(100_000)).await?, "filled, then emptied");
        }
    }
    Ok(())
}

/// What a hand-written consumer does at least.
async fn floor(count: u32) -> Result<Duration, Failure> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(PORTION as usize);
    let (over, mut all) = tokio::sync::mpsc::channel::<()>(1);
    let consumer = tokio::spawn(async move {
        let mut received = 0u32;
        while let Some(payload) = receiver.recv().await {
            black_box(nothing(&payload));
            received += 1;
            if received.is_multiple_of(PORTION) && over.send(()).await.is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    for _ in 0..count / PORTION {
        for _ in 0..PORTION {
            sender.send(bytes::Bytes::from(vec![b'x'; PAYLOAD_BYTES])).await?;
        }
        all.recv().await.ok_or("the consumer ended early")?;
    }
    let took = started.elapsed();
    drop(sender);
    consumer.await?;
    Ok(took / count)
}

fn nothing(payload: &bytes::Bytes) -> usize {
    payload.len()
}

fn message() -> Outgoing {
    Outgoing::bytes(vec![b'x'; PAYLOAD_BYTES])
}

fn listen(bus: &Bus, destination: &str, listeners: u32) -> Result<(), Failure> {
    for number in 0..listeners {
        let listener = listener_fn(&format!("l{number}"), |delivery: Delivery| {
            black_box(nothing(delivery.payload()));
            std::future::ready(Outcome::done())
        });
        bus.register(destination, listener)?;
    }
    Ok(())
}

/// A queue filled in portions while nothing is delivered: what one `send` takes, and what one call takes afterwards.
async fn deliver(
    mut config: DestinationConfig,
    listeners: u32,
    count: u32,
) -> Result<(Duration, Duration), Failure> {
    let bus = Bus::new(BusConfig::default());
    config.rejected_execution = RejectedExecution::Block(Duration::from_secs(60));
    bus.create(config)?;
    listen(&bus, "b/d", listeners)?;
    let portions = count.div_ceil(PORTION);
    let (mut sending, mut delivering) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..portions {
        bus.pause("b/d")?;
        let started = Instant::now();
        for _ in 0..PORTION {
            bus.send("b/d", message()).await?;
        }
        sending += started.elapsed();
        let started = Instant::now();
        bus.resume("b/d")?;
        bus.idle().await;
        delivering += started.elapsed();
    }
    completed(&bus, "b/d", u64::from(portions * PORTION * listeners))?;
    Ok((sending / (portions * PORTION), delivering / (portions * PORTION * listeners)))
}

async fn synchronous(config: DestinationConfig, count: u32) -> Result<Duration, Failure> {
    let bus = Bus::new(BusConfig::default());
    bus.create(config)?;
    listen(&bus, "b/d", 1)?;
    let started = Instant::now();
    for _ in 0..count {
        bus.send("b/d", message()).await?;
    }
    let took = started.elapsed();
    completed(&bus, "b/d", u64::from(count))?;
    Ok(took / count)
}

async fn request(direct: bool, count: u32) -> Result<Duration, Failure> {
    let bus = Bus::new(BusConfig::default());
    bus.create(DestinationConfig::parallel("b/d")?)?;
    let echo = listener_fn("echo", |delivery: Delivery| {
        std::future::ready(Outcome::reply(Reply::new(delivery.payload().clone(), None)))
    });
    bus.register("b/d", echo)?;
    let started = Instant::now();
    for _ in 0..count {
        let payload = if direct {
            bus.request_direct("b/d", message(), None).await?.map_or(0, |reply| reply.payload.len())
        } else {
            bus.request("b/d", message(), None).await?.payload.len()
        };
        if payload != PAYLOAD_BYTES {
            return Err("the answer is not the question".into());
        }
    }
    let took = started.elapsed();
    completed(&bus, "b/d", u64::from(count))?;
    Ok(took / count)
}

/// Messages to so many destinations in turn, each with a listener.
async fn destinations_of(destinations: u32, count: u32) -> Result<Duration, Failure> {
    let bus = Bus::new(BusConfig::default());
    let names: Vec<String> = (0..destinations).map(|number| format!("b/d{number}")).collect();
    for name in &names {
        bus.create(DestinationConfig::serial(name)?)?;
        listen(&bus, name, 1)?;
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
    let completed: u64 = bus.all_statistics().iter().map(|figures| figures.completed).sum();
    if completed != u64::from(sent + destinations) {
        return Err(format!("{completed} of {sent} messages were completed").into());
    }
    Ok(took / sent)
}

/// A queue that is filled with so many messages and emptied, again and again until there were `count`.
async fn backlog(length: u32, count: u32) -> Result<Duration, Failure> {
    let bus = Bus::new(BusConfig::default());
    let mut config = DestinationConfig::serial("b/d")?;
    config.queue_entries_max = usize::MAX;
    config.queue_bytes_max = usize::MAX;
    bus.create(config)?;
    listen(&bus, "b/d", 1)?;
    let turns = count.div_ceil(length).max(1);
    let started = Instant::now();
    for _ in 0..turns {
        bus.pause("b/d")?;
        for _ in 0..length {
            bus.send("b/d", message()).await?;
        }
        bus.resume("b/d")?;
        bus.idle().await;
    }
    let took = started.elapsed();
    completed(&bus, "b/d", u64::from(length * turns))?;
    Ok(took / (length * turns))
}

/// Whether everything came to its end.
fn completed(bus: &Bus, destination: &str, count: u64) -> Result<(), Failure> {
    let figures = bus.statistics(destination).ok_or("the destination is gone")?;
    if figures.completed == count && figures.adds_up() {
        Ok(())
    } else {
        Err(format!("{} of {count} calls of `{destination}` were completed", figures.completed).into())
    }
}
