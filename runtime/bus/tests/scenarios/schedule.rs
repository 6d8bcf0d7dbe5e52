//! SCHED: schedules. Each test has a wall clock of its own that goes with the paused clock of tokio, so that a night takes
//! no time. What
//! becomes of each firing stands in `firings`, times of day in `schedule_times`.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::*;

/// 1 January 2030, 00:00 UTC: when each test begins.
pub(crate) fn start() -> SystemTime {
    UNIX_EPOCH + secs(1_893_456_000)
}

pub(crate) fn timed_bus() -> Bus {
    Bus::new(BusConfig { clock: WallClock::starting_at(start()), ..BusConfig::default() })
}

pub(crate) fn every(name_: &str, destination: &str, interval: Duration) -> ScheduleConfig {
    ScheduleConfig::every(name_, name(destination), interval, text(name_))
}

/// The one schedule of this name.
#[track_caller]
pub(crate) fn status(bus: &Bus, name: &str) -> ScheduleStatus {
    bus.schedules().into_iter().find(|schedule| schedule.name == name).unwrap()
}

/// What a schedule counted: fired, skipped, missed, errors.
#[track_caller]
pub(crate) fn counts(bus: &Bus, name: &str) -> (u64, u64, u64, u64) {
    let found = status(bus, name);
    (found.fired, found.skipped, found.missed, found.errors.values().sum())
}

/// Lets so much time pass, and everybody act at the end of it.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    turns().await;
}

#[tokio::test(start_paused = true)]
async fn sched_1_an_interval_sends_after_each_interval_as_the_host() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    let sender = |delivery: &Delivery| {
        assert_eq!(delivery.message().context().sender, "host");
        assert_eq!(delivery.message().context().hop_count, 0);
        Outcome::done()
    };
    bus.register("t/d", ending("l", &notes, sender)).unwrap();
    bus.schedule(every("tick", "t/d", secs(1))).unwrap();
    pass(ms(900)).await;
    assert!(notes.is_empty(), "it fired before the first interval was over");
    pass(ms(2_600)).await;
    assert_eq!(notes.all(), ["l:tick"; 3]);
    let found = status(&bus, "tick");
    assert_eq!((found.state, counts(&bus, "tick")), (ScheduleState::Running, (3, 0, 0, 0)));
    let off = |time: Option<SystemTime>| time.unwrap().duration_since(start()).unwrap().as_secs();
    assert_eq!((off(found.last), off(found.next)), (3, 4));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sched_2_what_is_not_legal_is_refused_with_the_text_and_the_reason_and_changes_nothing() {
    let bus = timed_bus();
    let cron = |text_: &str| ScheduleConfig::cron("c", name("t/d"), text_, text("m"));
    let ended = |end| ScheduleConfig { end: Some(end), ..every("e", "t/d", secs(1)) };
    let named = |name: &str| every(name, "t/d", secs(1));
    let cases: Vec<(ScheduleConfig, &[&str])> = vec![
        (cron("61 * * * *"), &["schedule `c`", "`61 * * * *` is not a cron text", "61"]),
        (cron("every day"), &["`every day` is not a cron text"]),
        (cron(""), &["`` is not a cron text", "empty"]),
        (cron("0 0 * *"), &["`0 0 * *`", "fields"]),
        (cron("0 0 12 * * * 2031"), &["`0 0 12 * * * 2031`", "fields"]),
        (cron("0 0 30 2 *"), &["`0 0 30 2 *` would never fire"]),
        (cron("0 2 * * *").in_time_zone("Europe/Atlantis"), &["no time zone `Europe/Atlantis`", "UTC"]),
        (every("e", "t/d", Duration::ZERO), &["schedule `e`", "interval 0ns is too short", "1ms"]),
        (every("e", "t/d", Duration::from_micros(999)), &["999µs", "1ms"]),
        (ended(start() - secs(1)), &["2029-12-31T23:59:59Z has passed", "2030-01-01T00:00:00"]),
        (ended(bus.now()), &["has passed"]),
        (named(""), &["`` cannot be the name of a schedule", "0 bytes"]),
        (named("a b"), &["`a b`", "it has ` `"]),
        (named("a/b"), &["it has `/`"]),
        (named(&"n".repeat(65)), &["65 bytes", "64"]),
    ];
    for (config, words) in cases {
        let error = bus.schedule(config).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }
    assert!(bus.schedules().is_empty());
    bus.schedule(named(&"n".repeat(64))).unwrap();
    bus.schedule(cron("@daily")).unwrap();
    bus.schedule(ScheduleConfig { name: "l".to_owned(), ..cron("30 0 0 L * FRI#2") }).unwrap();
    assert_eq!(bus.schedules().len(), 3);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_until_its_schedule_is_removed_and_an_unknown_one_is_an_error() {
    let bus = timed_bus();
    bus.schedule(every("a", "t/d", secs(1))).unwrap();
    let other = bus.schedule(every("a", "t/other", secs(9))).unwrap_err();
    assert_eq!(other, ScheduleError::AlreadyExists("a".to_owned()));
    assert_eq!(status(&bus, "a").trigger, Trigger::Every(secs(1)));
    bus.remove_schedule("a").unwrap();
    bus.schedule(every("a", "t/other", secs(9))).unwrap();
    let unknown = ScheduleError::NoSuchSchedule("b".to_owned());
    assert_eq!(bus.pause_schedule("b"), Err(unknown.clone()));
    assert_eq!(bus.resume_schedule("b"), Err(unknown.clone()));
    assert_eq!(bus.remove_schedule("b"), Err(unknown));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn the_number_of_schedules_is_bounded() {
    let bus = timed_bus();
    for n in 0..limits::SCHEDULES_MAX {
        bus.schedule(every(&n.to_string(), "t/d", secs(3_600))).unwrap();
    }
    let error = bus.schedule(every("more", "t/d", secs(1))).unwrap_err();
    assert_eq!(error, ScheduleError::TooMany(limits::SCHEDULES_MAX));
    bus.remove_schedule("7").unwrap();
    bus.schedule(every("more", "t/d", secs(1))).unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sched_3_a_paused_schedule_sends_nothing_a_resumed_one_goes_on_a_removed_one_is_gone() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(every("tick", "t/d", secs(1))).unwrap();
    pass(ms(2_500)).await;
    bus.pause_schedule("tick").unwrap();
    let paused = status(&bus, "tick");
    assert_eq!((paused.state, paused.next), (ScheduleState::Paused, None));
    pass(secs(5)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (2, (2, 0, 5, 0)));
    bus.resume_schedule("tick").unwrap();
    turns().await;
    assert_eq!((notes.len(), status(&bus, "tick").state), (2, ScheduleState::Running));
    pass(secs(1)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (3, (3, 0, 5, 0)));
    bus.remove_schedule("tick").unwrap();
    pass(secs(5)).await;
    assert_eq!(notes.len(), 3);
    assert!(bus.schedules().is_empty());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sched_4_at_its_end_a_schedule_stops_and_is_completed() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(ScheduleConfig { end: Some(start() + secs(3)), ..every("tick", "t/d", secs(1)) }).unwrap();
    pass(ms(2_500)).await;
    let running = status(&bus, "tick");
    assert_eq!(
        (running.state, running.next),
        (ScheduleState::Running, None),
        "the end is before the next one"
    );
    pass(secs(5)).await;
    let completed = status(&bus, "tick");
    assert_eq!((completed.state, completed.next), (ScheduleState::Completed, None));
    assert_eq!(
        (notes.len(), counts(&bus, "tick")),
        (2, (2, 0, 0, 0)),
        "what falls on the end is not before it"
    );
    bus.resume_schedule("tick").unwrap();
    bus.pause_schedule("tick").unwrap();
    pass(secs(5)).await;
    assert_eq!((notes.len(), status(&bus, "tick").state), (2, ScheduleState::Completed));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_ends_too_and_catches_nothing_up_after_its_end() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    let config = ScheduleConfig { end: Some(start() + secs(30)), ..every("tick", "t/d", secs(10)) };
    bus.schedule(ScheduleConfig { misfire: Misfire::Once, ..config }).unwrap();
    bus.pause_schedule("tick").unwrap();
    pass(secs(60)).await;
    bus.resume_schedule("tick").unwrap();
    pass(secs(60)).await;
    assert_eq!((status(&bus, "tick").state, counts(&bus, "tick")), (ScheduleState::Completed, (0, 0, 2, 0)));
    assert!(notes.is_empty());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn sched_5_a_schedule_calls_the_listeners_of_its_own_destination() {
    let (bus, notes) = (timed_bus(), Notes::default());
    for destination in ["t/a", "t/b"] {
        bus.create(parallel(destination)).unwrap();
        bus.register(destination, noting(destination, &notes)).unwrap();
    }
    bus.schedule(every("a", "t/a", secs(2))).unwrap();
    bus.schedule(every("b", "t/b", secs(3))).unwrap();
    pass(ms(2_500)).await;
    assert_eq!(notes.all(), ["t/a:a"]);
    pass(secs(1)).await;
    assert_eq!(notes.all(), ["t/a:a", "t/b:b"]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn idle_does_not_wait_for_schedules() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(every("tick", "t/d", secs(10))).unwrap();
    let begin = Instant::now();
    bus.idle().await;
    assert!(begin.elapsed() < secs(1) && notes.is_empty());
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_schedules_before_the_destinations() {
    let (bus, notes, gate) = (timed_bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", blocking("l", &notes, &gate)).unwrap();
    bus.schedule(ScheduleConfig { overlap: Overlap::Allow, ..every("tick", "t/d", secs(1)) }).unwrap();
    pass(ms(1_500)).await;
    bus.shutdown(secs(30)).await;
    let ended = status(&bus, "tick");
    // The drain took 30 s: a schedule that went on would have met a closed destination.
    assert_eq!((ended.state, counts(&bus, "tick")), (ScheduleState::Completed, (1, 0, 0, 0)));
    pass(secs(10)).await;
    assert_eq!(counts(&bus, "tick"), (1, 0, 0, 0));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_schedules_end_with_the_last_clone_of_the_bus() {
    // Also the one whose message is held, which nobody will ever settle.
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let bus = timed_bus();
    bus.create(serial("t/held")).unwrap();
    bus.schedule(every("held", "t/held", secs(1))).unwrap();
    bus.schedule(every("far", "t/none", secs(3_600))).unwrap();
    let mut paused = ScheduleConfig::cron("paused", name("t/none"), "0 2 * * *", text("m"));
    paused.end = Some(start() + secs(86_400));
    bus.schedule(paused).unwrap();
    bus.pause_schedule("paused").unwrap();
    pass(ms(1_500)).await;
    assert!(tasks() >= before + 4, "three schedules, and a message that is followed");
    drop(bus);
    eventually(|| tasks() == before).await;
}
