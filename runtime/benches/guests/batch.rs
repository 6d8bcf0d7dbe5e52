//! Delivering in batches: the guest that does nothing, with several messages in one call, beside itself with one at a time.

use std::time::Duration;

use crate::Bench;
use crate::bus_side::{self, Sends};
use crate::guests::Guest;
use crate::harness::{Bound, Failure};

const DESTINATION: &str = "bench/d";
/// What both are compared with.
pub(crate) const SINGLE: &str = "deliver, noop 64 B";
const RAW: &str = "deliver, batch noop 64 B";
const IN_HAND: &str = "deliver, batch noop in hand 64 B";

/// Whether a row is wanted that is compared with the single path.
pub(crate) fn is_wanted(bench: &Bench) -> bool {
    bench.asked.wants(RAW) || bench.asked.wants(IN_HAND)
}

pub(crate) fn round(bench: &mut Bench) -> Result<(), Failure> {
    if bench.asked.wants(RAW) {
        let each = deliver(bench, None)?;
        let row = bench.table.add(RAW, Some(SINGLE), each).aims(9, Bound::RateAtLeast(2.5));
        row.noted("up to 32 in one call, none of them taken in hand");
    }
    if bench.asked.wants(IN_HAND) {
        let each = deliver(bench, Some("FOCUS"))?;
        bench.table.add(IN_HAND, Some(SINGLE), each).noted("the same, each taken in hand by a host call");
    }
    Ok(())
}

/// How long one message takes of a queue that was filled before; `variable` stands in the guest's environment.
fn deliver(bench: &mut Bench, variable: Option<&str>) -> Result<Duration, Failure> {
    let guest = Guest::NoopBatch;
    let (engine, settings) = (bench.engine.clone(), bench.settings.clone());
    let mut listener = bench.guests.listener(guest, "batch", &[DESTINATION]);
    listener.env.extend(variable.map(|name| (name.to_owned(), "1".to_owned())));
    let (payload, count) = (guest.payload(64), bench.asked.count(guest.count(64)));
    bench.on_workers(async move {
        let destinations = vec![bus_side::serial(DESTINATION)?];
        let platform = bus_side::start(&engine, &settings, destinations, vec![listener]).await?;
        let sends = Sends::of(&platform, DESTINATION, payload);
        sends.warm_up().await?;
        let took = sends.in_portions(count).await?;
        bus_side::end(platform, u64::from(sends.whole(count)) + 1).await?;
        Ok(took.to_deliver)
    })
}
