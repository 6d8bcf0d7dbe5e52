//! The wall clock: what the bus says about the time of day follows the clock that it was given.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::*;

/// 1 January 2030, 00:00 UTC.
fn midnight() -> SystemTime {
    UNIX_EPOCH + secs(1_893_456_000)
}

/// The milliseconds that stand in the first 48 bits of a message's id.
fn millis_of(id: MessageId) -> u128 {
    id.uuid().as_u128() >> 80
}

#[tokio::test(start_paused = true)]
async fn times_ids_and_dead_letters_follow_a_virtual_clock() {
    let (bus, notes) = (
        Bus::new(BusConfig { clock: WallClock::starting_at(midnight()), ..BusConfig::default() }),
        Notes::default(),
    );
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", refusing("l", &notes, "no")).unwrap();
    tokio::time::sleep(secs(3_600)).await;
    let id = bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    let hour_later = midnight() + secs(3_600);
    assert_eq!(millis_of(id) / 1_000, 1_893_456_000 + 3_600);
    let letter = bus.dead_letters("t/s").remove(0);
    for at in [letter.message.context().sent_at, letter.at, bus.now()] {
        let off = at.duration_since(hour_later).unwrap();
        assert!(off < secs(1), "off by {off:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_one_it_is_the_machines_time_whatever_the_bus_clock_does() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", refusing("l", &notes, "no")).unwrap();
    let before = SystemTime::now();
    tokio::time::sleep(secs(3_600)).await;
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    let letter = bus.dead_letters("t/s").remove(0);
    for at in [letter.message.context().sent_at, letter.at] {
        assert!(before <= at && at <= SystemTime::now());
    }
}
