//! U3, F23, F24, F26, F28, soaks: memory and processor under load, and when nothing happens.

use std::time::{Duration, Instant};

use sandbus::GuestSettings;
use sandbus::bus::{Outgoing, RejectedExecution, SendError};
use sandbus::harness::Harness;

use crate::machine::{MEBIBYTE, comes_down_to, resident, share};
use crate::soak::{Protection, soak};
use crate::support::{Asking, guest, harness, parallel, serial, zoo, zoo_that};
use crate::{Table, setting};

/// What resident memory may have grown by when all is over.
const GROWTH_MAX: i64 = 32 * MEBIBYTE;

fn mib(bytes: i64) -> String {
    format!("{:.1} MiB", bytes as f64 / MEBIBYTE as f64)
}

fn memory_row(table: &mut Table, case: &'static str, baseline: i64, after: i64) {
    let growth = after - baseline;
    table.row(
        case,
        format!("{} + {}", mib(baseline), mib(growth)),
        "baseline + 32 MiB",
        growth <= GROWTH_MAX,
    );
}

/// Ten thousand ordinary messages, so that what is made once is there.
async fn warm_up(harness: &Harness, place: &str) -> i64 {
    for _ in 0..10_000 {
        let _ = harness.send(place, Outgoing::text("noop")).await;
    }
    harness.idle().await.unwrap();
    resident()
}

fn settings(change: impl Fn(&mut GuestSettings)) -> GuestSettings {
    let mut hostile = zoo("hostile", &["t/hostile"]);
    hostile.circuit_breaker = None;
    hostile.limits.fuel = 10_000_000_000;
    hostile.limits.deadline = Duration::from_secs(5);
    change(&mut hostile);
    hostile
}

pub(crate) async fn memory_comes_back(table: &mut Table) {
    let mut place = parallel("t/hostile");
    place.retry.attempts_max = 1;
    place.rejected_execution = RejectedExecution::Block(Duration::from_secs(3_600));
    place.message_bytes_max = 40 << 20;
    place.queue_bytes_max = 256 << 20;
    place.dead_letters.bytes_max = 1 << 20;
    let harness = harness().destination(place).guest(settings(|_| {})).start().await.unwrap();
    let baseline = warm_up(&harness, "t/hostile").await;
    let commands = [
        "grow",
        "abort-memory",
        "fill",
        "handles 1000000",
        "send-values-many t/x 1000000",
        "reply-big 41943040",
        "panic-raw 1000000",
        "log 100000 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "recurse",
        "random 65537",
        "put-many 10000",
    ];
    for _ in 0..10 {
        for command in commands {
            harness.tell("t/hostile", command).await;
        }
        harness.idle().await.unwrap();
    }
    let after = comes_down_to(baseline + GROWTH_MAX).await;
    memory_row(table, "U3 resident memory after 110 hostile calls", baseline, after);
    // One large message through warm guests: each may keep what it grew to until its store is dropped.
    harness.send("t/hostile", Outgoing::bytes(vec![b' '; 32 << 20])).await.unwrap();
    harness.idle().await.unwrap();
    let after = comes_down_to(baseline + 2 * GROWTH_MAX).await;
    let growth = after - baseline;
    table.row("U3 after a message of 32 MiB", mib(growth), "≤ 64 MiB", growth <= 2 * GROWTH_MAX);
    harness.settled().await;
}

pub(crate) async fn senders_ten_times_faster(table: &mut Table) {
    let seconds = setting("SANDBUS_LONG_SECONDS", 60);
    let policies = [
        (RejectedExecution::Abort, "F24 memory, `abort`"),
        (RejectedExecution::Block(Duration::from_millis(20)), "F24 memory, `block`"),
        (RejectedExecution::CallerRuns, "F24 memory, `caller-runs`"),
        (RejectedExecution::Discard, "F24 memory, `discard`"),
        (RejectedExecution::DiscardOldest, "F24 memory, `discard-oldest`"),
        (RejectedExecution::DeadLetter, "F24 memory, `dead-letter`"),
    ];
    for (policy, case) in policies {
        let mut place = parallel("t/f24");
        place.queue_entries_max = 1_000;
        place.dead_letters.letters_max = 1_000;
        place.rejected_execution = policy;
        let slow = zoo_that("sleep-quietly 5", "slow", &["t/f24"]);
        let harness = harness().destination(place).guest(slow).start().await.unwrap();
        let (began, lasts) = (Instant::now(), Duration::from_secs(seconds));
        let (mut sent, mut full, mut baseline, mut highest) = (0_u64, 0_u64, None, 0);
        while began.elapsed() < lasts {
            // About ten times what the workers do.
            for _ in 0..100 {
                sent += 1;
                match harness.send("t/f24", Outgoing::text("x".repeat(100))).await {
                    Ok(_) => {}
                    Err(SendError::QueueFull { .. }) => full += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            if began.elapsed() > lasts / 5 {
                let now = resident();
                highest = highest.max(now - *baseline.get_or_insert(now));
            }
        }
        harness.idle().await.unwrap();
        let of = harness.figures("t/f24");
        let ends = of.completed + of.dropped.values().sum::<u64>() + of.dead_letters_kept as u64;
        assert_eq!((of.owed, of.owed + full), (ends, sent), "{of:?}");
        table.row(case, format!("+ {} over {sent} sends", mib(highest)), "+ 32 MiB", highest <= GROWTH_MAX);
        harness.settled().await;
    }
}

pub(crate) async fn every_call_fails(table: &mut Table) {
    let mut place = parallel("t/sick");
    place.queue_entries_max = 200_000;
    place.queue_bytes_max = 1 << 30;
    place.paused = true;
    let harness = harness()
        .destination(place)
        .guest(zoo_that("panic sick", "sick", &["t/sick"]))
        .start()
        .await
        .unwrap();
    for number in 0..100_000 {
        harness.send("t/sick", Outgoing::text(number.to_string())).await.unwrap();
    }
    harness.bus().resume("t/sick").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = share(Duration::from_secs(20)).await;
    table.row(
        "F26 processor, 100,000 wait for a sick guest",
        format!("{:.1} %", used * 100.0),
        "< 10 %",
        used < 0.1,
    );
    let of = harness.figures("t/sick");
    table.row("F26 dead letters meanwhile", of.dead_letters, "≤ 30", of.dead_letters <= 30);
    harness.end().await;
}

pub(crate) async fn due_in_one_second(table: &mut Table) {
    const MESSAGES: u64 = 100_000;
    let mut place = parallel("t/due");
    place.queue_entries_max = 200_000;
    place.queue_bytes_max = 1 << 30;
    let harness =
        harness().destination(place).guest(zoo_that("noop", "guest", &["t/due"])).start().await.unwrap();
    let began = Instant::now();
    let first_due = Duration::from_secs(20);
    for number in 0..MESSAGES {
        let after = first_due.saturating_sub(began.elapsed()) + Duration::from_micros(number * 7 % 1_000_000);
        harness.send("t/due", Outgoing::text("x").deliver_after(after)).await.unwrap();
    }
    assert!(began.elapsed() < first_due, "this machine is too slow for the case");
    harness.idle().await.unwrap();
    let late = began.elapsed().saturating_sub(first_due + Duration::from_secs(1));
    let of = harness.figures("t/due");
    assert_eq!((of.completed, of.workers_largest <= 5), (MESSAGES, true), "{of:?}");
    table.row(
        "F23 100,000 due in one second, all done",
        format!("{late:.1?} later"),
        "≤ 10 s",
        late <= Duration::from_secs(10),
    );
    harness.settled().await;
}

pub(crate) async fn ten_thousand_destinations(table: &mut Table) {
    const GUESTS: usize = 100;
    const PLACES: usize = 100;
    let build = || {
        let mut builder = harness();
        for number in 0..GUESTS {
            let mut settings = GuestSettings::new(format!("g{number}"), guest("noop", "noop", &[]).path);
            settings.listens_to = (0..PLACES).map(|place| format!("f28/{number}/{place}")).collect();
            for name in &settings.listens_to {
                builder = builder.destination(serial(name));
            }
            builder = builder.guest(settings);
        }
        builder
    };
    // Once, so that the cache is full.
    build().start().await.unwrap().end().await;
    let before = resident();
    let began = Instant::now();
    let harness = build().start().await.unwrap();
    let took = began.elapsed();
    table.row(
        "F28 start of 10,000 destinations",
        format!("{took:.1?}"),
        "< 5 s",
        took < Duration::from_secs(5),
    );
    let each = (resident() - before) / (GUESTS * PLACES) as i64;
    table.row("F28 memory of a destination and listener", format!("{each} B"), "documented", true);
    let used = share(Duration::from_secs(10)).await;
    table.row("F28 processor when idle", format!("{:.2} %", used * 100.0), "< 1 %", used < 0.01);
    harness.end().await;
}

async fn soaked(table: &mut Table, messages: u64, protection: Protection, cases: [&'static str; 2]) {
    // What a smaller one leaves is the baseline: engine, pool, and what its slots keep.
    soak(10_000, protection, async || {}).await;
    let baseline = resident();
    let began = Instant::now();
    let mut after = 0;
    let came = soak(messages, protection, async || after = comes_down_to(baseline + GROWTH_MAX).await).await;
    let took = began.elapsed();
    let rate = messages as f64 / took.as_secs_f64();
    let figure = format!(
        "{messages} in {took:.0?} ({rate:.0}/s): {} done, {} dead letters",
        came.completed, came.dead_letters
    );
    table.row(cases[0], figure, "the books are right, no instance is left", true);
    memory_row(table, cases[1], baseline, after);
}

pub(crate) async fn soak_without_protection(table: &mut Table) {
    let messages = setting("SANDBUS_LONG_MESSAGES", 1_000_000);
    soaked(table, messages, Protection::Off, ["soak, breaker and quarantine off", "U3 after that soak"])
        .await;
}

pub(crate) async fn soak_with_protection(table: &mut Table) {
    let messages = setting("SANDBUS_LONG_MESSAGES", 1_000_000) / 10;
    soaked(table, messages, Protection::On, ["soak, breaker and quarantine on", "U3 after that soak"]).await;
}
