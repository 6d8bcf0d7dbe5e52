//! SCHED: times of day. Cron texts, time zones, and the two nights of a year on which a wall clock is set.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::*;

/// When the messages of a schedule were sent within `length` from `from` on, in seconds since the epoch.
async fn fired(from: u64, length: Duration, cron: &str, time_zone: &str) -> Vec<u64> {
    let clock = WallClock::starting_at(UNIX_EPOCH + secs(from));
    let (bus, notes) = (Bus::new(BusConfig { clock, ..BusConfig::default() }), Notes::default());
    bus.create(serial("t/d")).unwrap();
    let seen = notes.clone();
    let listener = listener_fn("l", move |delivery| {
        let sent = delivery.message().context().sent_at.duration_since(UNIX_EPOCH).unwrap();
        seen.add(sent.as_secs().to_string());
        std::future::ready(Outcome::done())
    });
    bus.register("t/d", listener).unwrap();
    bus.schedule(ScheduleConfig::cron("c", name("t/d"), cron, text("m")).in_time_zone(time_zone)).unwrap();
    tokio::time::sleep(length).await;
    turns().await;
    bus.remove_schedule("c").unwrap();
    settled(&bus).await;
    notes.all().iter().map(|sent| sent.parse().unwrap()).collect()
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// 1 January 2030, 00:00 UTC, a Tuesday.
const NEW_YEAR: u64 = 1_893_456_000;
/// 30 March 2030, 23:00 UTC: midnight in Berlin, before the night in which 02:00 to 03:00 does not exist.
const SPRING: u64 = 1_901_142_000;
/// 26 October 2030, 22:00 UTC: midnight in Berlin, before the night in which 02:00 to 03:00 comes twice.
const AUTUMN: u64 = 1_919_282_400;

#[tokio::test(start_paused = true)]
async fn cron_texts_mean_what_they_say() {
    let offsets = async |days: u64, cron: &str| -> Vec<u64> {
        let all = fired(NEW_YEAR, secs(days * DAY + 1), cron, "UTC").await;
        all.iter().map(|at| at - NEW_YEAR).collect()
    };
    assert_eq!(offsets(1, "30 2 * * *").await, [2 * HOUR + 1_800]);
    assert_eq!(offsets(1, "*/20 5 * * *").await, [5 * HOUR, 5 * HOUR + 1_200, 5 * HOUR + 2_400]);
    assert_eq!(offsets(1, "15 30 12 * * *").await, [12 * HOUR + 1_815], "six fields begin with seconds");
    assert_eq!(offsets(35, "0 0 L * *").await, [30 * DAY], "the last day of January");
    assert_eq!(offsets(35, "0 0 * * FRI#2").await, [10 * DAY], "the second Friday");
    assert_eq!(offsets(7, "0 9 * * 1").await, [6 * DAY + 9 * HOUR], "the first Monday");
    assert_eq!(offsets(2, "@daily").await, [DAY, 2 * DAY], "not at once: the start is no firing");
}

#[tokio::test(start_paused = true)]
async fn a_time_of_day_is_one_of_its_time_zone() {
    let at_nine = async |zone| fired(NEW_YEAR, secs(DAY), "0 9 * * *", zone).await;
    assert_eq!(at_nine("UTC").await, [NEW_YEAR + 9 * HOUR]);
    assert_eq!(at_nine("America/New_York").await, [NEW_YEAR + 14 * HOUR]);
    assert_eq!(at_nine("Asia/Kolkata").await, [NEW_YEAR + 3 * HOUR + 1_800]);
}

#[tokio::test(start_paused = true)]
async fn in_the_night_without_two_oclock_a_daily_time_moves_behind_the_gap_and_a_repeated_one_skips_it() {
    let (night, berlin) = (secs(6 * HOUR), "Europe/Berlin");
    // 03:00 by the new time is one hour and a moment after 01:59:59 by the old one: 01:00 UTC.
    assert_eq!(fired(SPRING, night, "30 2 * * *", berlin).await, [SPRING + 2 * HOUR]);
    assert_eq!(
        fired(SPRING, secs(2 * DAY), "30 2 * * *", berlin).await.len(),
        2,
        "and as ever the day after"
    );
    let each_half_hour = fired(SPRING, night, "*/30 1-3 * * *", berlin).await;
    let hours: Vec<f64> = each_half_hour.iter().map(|at| (at - SPRING) as f64 / 3_600.0).collect();
    assert_eq!(hours, [1.0, 1.5, 2.0, 2.5], "01:00, 01:30, 03:00, 03:30");
}

#[tokio::test(start_paused = true)]
async fn in_the_night_with_two_oclock_twice_a_daily_time_comes_once_and_a_repeated_one_each_time() {
    let (night, berlin) = (secs(6 * HOUR), "Europe/Berlin");
    assert_eq!(fired(AUTUMN, night, "30 2 * * *", berlin).await, [AUTUMN + 2 * HOUR + 1_800]);
    let each_half_hour = fired(AUTUMN, night, "*/30 2 * * *", berlin).await;
    let hours: Vec<f64> = each_half_hour.iter().map(|at| (at - AUTUMN) as f64 / 3_600.0).collect();
    assert_eq!(hours, [2.0, 2.5, 3.0, 3.5], "02:00 and 02:30 by summer time, and again by winter time");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_over_years_is_soon_done_with_what_was_missed() {
    let clock = WallClock::starting_at(UNIX_EPOCH + secs(NEW_YEAR));
    let (bus, notes) = (Bus::new(BusConfig { clock, ..BusConfig::default() }), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(ScheduleConfig::cron("c", name("t/d"), "* * * * * *", text("m"))).unwrap();
    turns().await;
    tokio::time::advance(secs(365 * DAY)).await;
    turns().await;
    let missed = bus.schedules().remove(0).missed;
    assert_eq!((notes.len(), missed), (0, limits::SCHEDULE_MISSED_COUNTED_MAX));
    tokio::time::sleep(ms(1_500)).await;
    turns().await;
    assert!((1..=2).contains(&notes.len()), "it goes on from now: {}", notes.len());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn by_the_machines_clock_a_time_of_day_is_told_and_waited_for() {
    // The bus clock runs ahead of the wall here; a schedule that trusted it would fire at the wrong time.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    let before = SystemTime::now();
    bus.schedule(ScheduleConfig::cron("c", name("t/d"), "0 0 1 1 *", text("m"))).unwrap();
    tokio::time::sleep(secs(600)).await;
    let found = bus.schedules().remove(0);
    let next = found.next.unwrap();
    assert!(before < next && next <= before + secs(367 * DAY));
    assert_eq!((notes.len(), found.state), (0, ScheduleState::Running));
    settled(&bus).await;
}
