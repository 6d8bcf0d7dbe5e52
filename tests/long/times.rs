//! H1, H4, H6, H7, H52 to H54, F8, F25: how long it takes until something has ended.

use std::time::{Duration, Instant};

use sandbus::bus::{Cause, Jitter, Outgoing, RequestError};
use wasm_encoder::{CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection};

use crate::Table;
use crate::support::{Asking, engine, harness, serial, zoo};

const DEADLINE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 20;

/// The longest of some calls that must end with this cause.
async fn longest(command: &str, deadline: Duration, fuel: u64, cause: Cause) -> Duration {
    let mut guest = zoo("guest", &["t/a"]);
    guest.limits.deadline = deadline;
    guest.limits.fuel = fuel;
    guest.circuit_breaker = None;
    let mut place = serial("t/a");
    place.retry.attempts_max = 1;
    let harness = harness().destination(place).guest(guest).start().await.unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let Err(RequestError::ListenerFaulted(fault)) = harness.ask("t/a", command).await else {
            panic!("{command}")
        };
        assert_eq!(fault.cause, cause, "{command}");
        longest = longest.max(began.elapsed());
    }
    harness.settled().await;
    longest
}

pub(crate) async fn loops_and_sleeps_end_soon_after_their_deadline(table: &mut Table) {
    let bound = DEADLINE + Duration::from_millis(100);
    for (case, command) in [
        ("H1 loop with unlimited fuel", "loop"),
        ("H6 sleep of an hour", "sleep 3600000"),
        ("H7 sleeps of 1 ns with unlimited fuel", "spin-sleep"),
        ("H8 looks at the clock with unlimited fuel", "spam-clock"),
    ] {
        let took = longest(command, DEADLINE, sandbus::limits::FUEL_UNLIMITED, Cause::Deadline).await;
        table.row(case, format!("{took:.1?}"), "≤ 200 ms + 100 ms", took <= bound);
    }
}

pub(crate) async fn other_faults(table: &mut Table) {
    let long = Duration::from_secs(10);
    for (case, command, cause) in [
        ("H1 loop, 50 M fuel", "loop", Cause::OutOfFuel),
        ("H4 recursion in memory", "recurse", Cause::Trap),
        ("H4 recursion on the engine's stack", "recurse-engine", Cause::Trap),
        ("H5 `memory.fill` of 40 MiB without end", "fill", Cause::OutOfFuel),
        ("H12 memory until it is denied", "abort-memory", Cause::Memory),
        ("H16 a million handles", "handles 1000000", Cause::Trap),
    ] {
        let took = longest(command, long, sandbus::limits::FUEL, cause).await;
        table.row(case, format!("{took:.1?}"), "≤ 1 s", took <= Duration::from_secs(1));
    }
}

fn functions(count: u32, body: &Function) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..count {
        declared.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

pub(crate) async fn bombs_are_refused(table: &mut Table) {
    let mut empty = Function::new([]);
    empty.instructions().end();
    let mut large = Function::new([]);
    for _ in 0..(3 << 20) {
        large.instructions().i32_const(0).drop();
    }
    large.instructions().end();
    let directory = tempfile::tempdir().unwrap();
    for (case, bytes) in [
        ("H52 300,000 functions", functions(300_000, &empty)),
        ("H53 a function of 9 MiB", functions(1, &large)),
    ] {
        let path = directory.path().join("bomb.wasm");
        std::fs::write(&path, bytes).unwrap();
        let began = Instant::now();
        assert!(engine().load_aside(&path).await.is_err());
        let took = began.elapsed();
        table.row(case, format!("{took:.1?}"), "≤ 1 s", took <= Duration::from_secs(1));
    }
}

pub(crate) async fn drain_at_the_end(table: &mut Table) {
    // Four guests in the middle of long calls, a queue each, retries that wait; two seconds for all of it.
    let settings =
        sandbus::RuntimeSettings { shutdown_grace: Duration::from_secs(2), ..crate::support::runtime() };
    let mut builder = harness().runtime(settings);
    for number in 0..4 {
        let place = format!("t/{number}");
        let mut guest = zoo(&format!("g{number}"), &[&place]);
        guest.limits.deadline = Duration::from_secs(60);
        builder = builder.destination(serial(&place)).guest(guest);
    }
    let harness = builder.start().await.unwrap();
    for _ in 0..50 {
        for (number, command) in
            ["sleep 60000", "sleep 50", "retry 60000", "spin 100"].into_iter().enumerate()
        {
            harness.send(&format!("t/{number}"), Outgoing::text(command)).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let ended = harness.end().await;
    let took = began.elapsed();
    assert!(ended.statistics.iter().all(|of| of.adds_up() && of.waiting + of.running == 0));
    table.row(
        "F8 drain of busy guests",
        format!("{took:.1?}"),
        "≤ 2 s + 1 s",
        took <= Duration::from_secs(3),
    );
}

pub(crate) async fn poison_stalls_a_serial_destination(table: &mut Table) {
    let mut guest = zoo("guest", &["t/a"]);
    guest.limits.deadline = DEADLINE;
    let mut place = serial("t/a");
    place.retry.delay_initial = Duration::from_millis(200);
    place.retry.jitter = Jitter::None;
    place.retry.multiplier = 2.0;
    let harness = harness().destination(place).guest(guest).start().await.unwrap();
    let began = Instant::now();
    harness.tell("t/a", "sleep 3600000").await;
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    let took = began.elapsed();
    let bound = Duration::from_millis(200 + 400) + 3 * DEADLINE + Duration::from_millis(100);
    table.row(
        "F25 stall of a poison message",
        format!("{took:.1?}"),
        format!("≤ {bound:.1?}"),
        took <= bound,
    );
    harness.settled().await;
}
