//! What changes with the number of workers, destinations and waiting messages.

use sandbus::bus::{Bus, BusConfig, Delivery, DestinationConfig, Outcome, Workers, listener_fn};

use crate::Bench;
use crate::bus_side::{self, Sends};
use crate::guests::Guest;
use crate::harness::{Bound, Failure, PORTION, scaling};

const DESTINATION: &str = "bench/s";
const ONE_WORKER: &str = "compute, 1 worker";
const TWO_WORKERS: &str = "compute, 2 workers";

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listens {
    Native,
    Noop,
}

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    for (name, workers) in [(ONE_WORKER, 1), (TWO_WORKERS, 2)] {
        compute(bench, name, workers)?;
    }
    for listens in [Listens::Native, Listens::Noop] {
        destinations(bench, listens)?;
        backlogs(bench, listens)?;
    }
    Ok(())
}

fn compute(bench: &mut Bench, name: &str, workers: usize) -> Result<(), Failure> {
    if !bench.asked.wants_any(&[name, TWO_WORKERS]) {
        return Ok(());
    }
    let floor = bench.floor(Guest::Compute, 64)?;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let listener = bench.guests.listener(Guest::Compute, "compute", &[DESTINATION]);
    let count = bench.asked.count(10_000);
    let took = bench.on_workers(async move {
        let mut destination = DestinationConfig::parallel(DESTINATION)?;
        destination.workers = Workers { core: workers, max: workers, ..destination.workers };
        let platform = bus_side::start(&engine, &settings, vec![destination], vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, Guest::Compute.payload(64));
        // Both workers have their instance.
        sends.in_portions(PORTION).await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, u64::from(sends.whole(count) + PORTION)).await?;
        Ok(took.to_deliver)
    })?;
    if workers == 1 {
        bench.table.add(name, Some(&floor), took).noted("parallel, of a queue that was filled before");
    } else {
        let row = bench.table.add(name, Some(ONE_WORKER), took).noted("beside one worker");
        row.aims(2, Bound::RateAtLeast(1.6));
    }
    Ok(())
}

fn destinations(bench: &mut Bench, listens: Listens) -> Result<(), Failure> {
    let [one, many] = ["1 destination", "1,000 destinations"].map(|what| named(listens, what));
    for (name, names) in [(&one, 1), (&many, bench.asked.count(100_000) / 100)] {
        if !bench.asked.wants_any(&[name, &many]) {
            continue;
        }
        let took = on_a_bus(bench, listens, scaling::names(names), |bus, names, asked| {
            Box::pin(async move { scaling::in_turn(&bus, &names, asked).await })
        })?;
        add(bench, name, (*name == many).then_some(&one), took, listens);
    }
    Ok(())
}

fn backlogs(bench: &mut Bench, listens: Listens) -> Result<(), Failure> {
    let [one, short, long] = ["1 waits", "1,000 wait", "1,000,000 wait"].map(|what| named(listens, what));
    let lengths = [(&one, 1), (&short, PORTION), (&long, bench.asked.count(1_000_000))];
    for (name, length) in lengths {
        if !bench.asked.wants_any(&[name, &long]) {
            continue;
        }
        let took = on_a_bus(bench, listens, scaling::names(1), move |bus, names, asked| {
            Box::pin(async move {
                let name = names.first().ok_or("no name")?;
                scaling::backlog(&bus, name, length, asked).await
            })
        })?;
        add(bench, name, (*name == long).then_some(&short), took, listens);
    }
    Ok(())
}

fn named(listens: Listens, what: &str) -> String {
    match listens {
        Listens::Native => format!("send and deliver, native, {what}"),
        Listens::Noop => format!("send and deliver, noop, {what}"),
    }
}

fn add(bench: &mut Bench, name: &str, beside: Option<&String>, took: std::time::Duration, listens: Listens) {
    let row = bench.table.add(name, beside.map(String::as_str), took);
    if let Some(beside) = beside {
        row.noted(&format!("beside {}", beside.rsplit(", ").next().unwrap_or_default()));
        // With guests it is reported, and no target.
        if listens == Listens::Native {
            row.aims(10, Bound::TimesAtMost(1.5));
        }
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<std::time::Duration, Failure>> + Send>>;

/// Does `work` on a bus with these destinations, which all have a listener; it is also told how many messages to send.
fn on_a_bus(
    bench: &Bench,
    listens: Listens,
    names: Vec<String>,
    work: impl FnOnce(Bus, Vec<String>, u32) -> Work + Send + 'static,
) -> Result<std::time::Duration, Failure> {
    let asked = bench.asked.count(100_000);
    let destinations: Vec<DestinationConfig> =
        names.iter().map(|name| scaling::without_bounds(name)).collect::<Result<_, _>>()?;
    if listens == Listens::Native {
        return bench.on_workers(async move {
            let bus = Bus::new(BusConfig::default());
            for config in destinations {
                let name = config.name.to_string();
                bus.create(config)?;
                let nothing = |delivery: Delivery| {
                    std::hint::black_box(delivery.payload().len());
                    std::future::ready(Outcome::done())
                };
                bus.register(&name, listener_fn("native", nothing))?;
            }
            work(bus, names, asked).await
        });
    }
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let mut listener = bench.guests.listener(Guest::Noop, "noop", &[]);
    listener.listens_to.clone_from(&names);
    listener.limits.instances_max = names.len();
    listener.limits.total_memory_bytes_max = settings.total_memory_bytes_max;
    bench.on_workers(async move {
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let took = work(platform.bus().clone(), names, asked).await;
        platform.shutdown().await;
        took
    })
}
