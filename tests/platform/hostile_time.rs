//! H1 to H8: guests that do not stop by themselves.

use std::time::Duration;

use sandbus::bus::Cause;

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::Asking;

/// Ten times what a default deadline and its reaction take.
const SOON: Duration = Duration::from_secs(20);
const MUCH_FUEL: u64 = 1_000_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_a_loop_is_stopped_by_fuel_and_under_much_fuel_by_the_deadline() {
    // Two bounds, so that neither a dear nor a cheap instruction gets around both.
    let here = Neighbourhood::new().await;
    assert_eq!(here.fault_within("loop", SOON).await.cause, Cause::OutOfFuel);
    here.end().await;
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.fuel = MUCH_FUEL;
        hostile.limits.deadline = Duration::from_millis(200);
    })
    .await;
    assert_eq!(here.fault_within("loop", SOON).await.cause, Cause::Deadline);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_both_ways_of_endless_recursion_are_traps() {
    // Through linear memory the stack ends in an access outside of it; on the engine's stack the engine notices.
    let here = Neighbourhood::new().await;
    assert_eq!(here.fault("recurse").await.0.cause, Cause::Trap);
    let (fault, _) = here.fault("recurse-engine").await;
    assert_eq!(fault.cause, Cause::Trap);
    assert!(fault.text.as_str().contains("stack"), "{}", fault.text);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h5_bulk_work_is_charged_by_the_byte() {
    // Few instructions that touch 40 MiB each: a unit for each byte ends them before the deadline would.
    let here = Neighbourhood::with(|hostile| hostile.limits.deadline = Duration::from_secs(10)).await;
    assert_eq!(here.fault_within("fill", SOON).await.cause, Cause::OutOfFuel);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_a_guest_that_waits_for_ever_is_stopped_by_its_deadline() {
    // Neither fuel nor epochs end a guest that waits in the host.
    let here = Neighbourhood::with(|hostile| hostile.limits.deadline = Duration::from_millis(200)).await;
    let fault = here.fault_within("sleep 3600000", SOON).await;
    assert_eq!((fault.cause, fault.text.as_str()), (Cause::Deadline, "deadline of 200 ms passed"));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h7_sleeps_of_one_nanosecond_are_stopped() {
    // Almost no instructions and a timer each: whichever of fuel and deadline comes first.
    let here = Neighbourhood::with(|hostile| hostile.limits.deadline = Duration::from_millis(300)).await;
    let fault = here.fault_within("spin-sleep", SOON).await;
    assert!([Cause::Deadline, Cause::OutOfFuel].contains(&fault.cause), "{fault:?}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_host_calls_without_end_use_up_the_fuel() {
    // Each is a handful of instructions and takes the host's time; it has its price, whatever it does.
    let here = Neighbourhood::with(|hostile| hostile.limits.deadline = Duration::from_secs(20)).await;
    for command in ["spam-clock", "spam-wall-clock", "spam-random 0", "spam-message", "spam-log"] {
        let (fault, letter) = here.fault(command).await;
        assert_eq!(fault.cause, Cause::OutOfFuel, "{command}: {fault:?}");
        assert_eq!(letter.fuel, Some(50_000_000), "{command}");
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_what_crosses_in_a_host_call_is_paid_for_by_its_size() {
    // Sixty-four calls for nothing are nothing; as many for 64 KiB each cost a thousand times as much.
    let mut cost = Vec::new();
    for bytes in [0, 65_536] {
        let here = Neighbourhood::new().await;
        here.answer(&format!("random-often {bytes} 64")).await;
        let of = here.harness.figures(HOSTILE).listeners[0].fuel_max;
        cost.push(of);
        here.end().await;
    }
    assert!(cost[1] - cost[0] >= 64 * 64 * 1_000, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_a_guest_with_unlimited_fuel_that_calls_the_host_without_end_ends_at_its_deadline() {
    // It computes next to nothing between two calls, and the deadline is looked at whenever it lets others run.
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.fuel = sandbus::limits::FUEL_UNLIMITED;
        hostile.limits.deadline = Duration::from_millis(200);
    })
    .await;
    for command in ["spam-clock", "spam-random 65536", "spam-message", "spam-log"] {
        let fault = here.fault_within(command, SOON).await;
        assert_eq!(fault.cause, Cause::Deadline, "{command}: {fault:?}");
    }
    here.end().await;
}

/// Calls that bring much, and do little: each takes the host a millisecond, and the guest a handful of instructions.
const LARGE_CALLS: [&str; 5] = [
    "spam-write 4000000",
    "spam-poll 1000",
    "spam-key 4000000",
    "spam-name 4000000",
    "spam-bad-send 2000000",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_what_a_call_brings_is_paid_for_whatever_is_done_with_it() {
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.deadline = Duration::from_secs(60);
        hostile.grants.listen = vec!["x/**".parse().unwrap(), "**/y".parse().unwrap()];
    })
    .await;
    for command in LARGE_CALLS {
        let (fault, _) = here.fault(command).await;
        assert_eq!(fault.cause, Cause::OutOfFuel, "{command}: {fault:?}");
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_a_guest_with_unlimited_fuel_that_brings_much_in_each_call_ends_at_its_deadline() {
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.fuel = sandbus::limits::FUEL_UNLIMITED;
        hostile.limits.deadline = Duration::from_millis(200);
        hostile.grants.listen = vec!["x/**".parse().unwrap()];
    })
    .await;
    for command in LARGE_CALLS {
        let fault = here.fault_within(command, SOON).await;
        assert_eq!(fault.cause, Cause::Deadline, "{command}: {fault:?}");
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_7_a_guest_that_faults_in_every_way_leaves_its_neighbour_alone() {
    // One after the other, on one worker: each fault throws the instance away and nothing else.
    let here = Neighbourhood::with(|hostile| hostile.limits.deadline = Duration::from_millis(500)).await;
    let ways =
        ["panic a", "divide", "oob", "unreachable", "exit", "recurse", "loop", "sleep 60000", "handles 5000"];
    for way in ways {
        here.fault(way).await;
    }
    assert_eq!(here.harness.figures(HOSTILE).listeners[0].instances_made, 9);
    here.end().await;
}
