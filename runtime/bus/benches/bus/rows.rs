//! The rows of the bus's bench. Each makes a bus of its own, and looks at its books at the end: a bench that loses messages
//! measures nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sandbus_bus::{
    Bus, BusConfig, Delivery, DestinationConfig, Outcome, Outgoing, RejectedExecution, Reply, listener_fn,
};

use crate::harness::{Asked, Bound, Failure, PORTION, Table, scaling};

const PAYLOAD_BYTES: usize = 64;
const FLOOR: &str = "floor: a channel and a task";
const SEND: &str = "send";
const SERIAL: &str = "deliver, serial";

/// Measures every row once.
pub(crate) async fn round(mut table: Table, asked: Asked) -> Result<Table, Failure> {
    let count = asked.count(100_000).div_ceil(PORTION) * PORTION;
    table.add(FLOOR, None, floor(count).await?).noted("send, receive, call");
    let deliveries = [
        (SERIAL, DestinationConfig::serial("b/d")?, 1),
        ("deliver, parallel, 1 listener", DestinationConfig::parallel("b/d")?, 1),
        ("deliver, parallel, 2 listeners", DestinationConfig::parallel("b/d")?, 2),
        ("deliver, parallel, 8 listeners", DestinationConfig::parallel("b/d")?, 8),
    ];
    for (name, config, listeners) in deliveries {
        if asked.wants(name) || (name == SERIAL && asked.wants(SEND)) {
            let (sent, delivered) = deliver(config, listeners, count / listeners).await?;
            table.add(name, Some(FLOOR), delivered).noted("a call, of a queue that was filled before");
            if name == SERIAL {
                table.add(SEND, Some(FLOOR), sent).noted("a message, into a queue");
            }
        }
    }
    if asked.wants("synchronous") {
        let config = DestinationConfig::synchronous("b/d")?;
        let took = synchronous(config, count).await?;
        table.add("send, synchronous", Some(FLOOR), took).noted("with its delivery");
    }
    for (name, direct) in [("request, default mode", false), ("request, direct mode", true)] {
        if asked.wants(name) {
            table.add(name, Some(FLOOR), request(direct, count / 10).await?).noted("one in flight");
        }
    }
    destinations(&mut table, &asked).await?;
    backlogs(&mut table, &asked).await?;
    Ok(table)
}

/// Cost per message against the number of destinations.
async fn destinations(table: &mut Table, asked: &Asked) -> Result<(), Failure> {
    let (one, many) = ("send and deliver, 1 destination", "send and deliver, 1,000 destinations");
    for (name, count) in [(one, 1), (many, asked.count(100_000) / 100)] {
        if asked.wants_any(&[name, many]) {
            let bus = Bus::new(BusConfig::default());
            let names = scaling::names(count);
            for name in &names {
                bus.create(DestinationConfig::serial(name)?)?;
                listen(&bus, name, 1)?;
            }
            let took = scaling::in_turn(&bus, &names, asked.count(100_000)).await?;
            let row = table.add(name, (name == many).then_some(one), took).noted("in turn");
            if name == many {
                row.aims(10, Bound::TimesAtMost(1.5));
            }
        }
    }
    Ok(())
}

/// Cost per message against the length of the queue.
async fn backlogs(table: &mut Table, asked: &Asked) -> Result<(), Failure> {
    let short = "send and deliver, 1,000 wait";
    let long = "send and deliver, 1,000,000 wait";
    let lengths = [("send and deliver, 1 waits", 1), (short, PORTION), (long, asked.count(1_000_000))];
    for (name, length) in lengths {
        if asked.wants_any(&[name, long]) {
            let bus = Bus::new(BusConfig::default());
            bus.create(scaling::without_bounds("b/d")?)?;
            listen(&bus, "b/d", 1)?;
            let took = scaling::backlog(&bus, "b/d", length, asked.count(100_000)).await?;
            let row = table.add(name, (name == long).then_some(short), took).noted("filled, then emptied");
            if name == long {
                row.aims(10, Bound::TimesAtMost(1.5));
            }
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
    scaling::completed(&bus, u64::from(portions * PORTION * listeners))?;
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
    scaling::completed(&bus, u64::from(count))?;
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
    scaling::completed(&bus, u64::from(count))?;
    Ok(took / count)
}
