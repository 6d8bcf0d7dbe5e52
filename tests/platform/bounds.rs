//! F29: what happens at the bounds on instances and on memory. The instance that is idle longest gives way; only where none is
//! idle does a delivery wait, within its deadline.

use std::time::{Duration, Instant};

use sandbus::bus::{Cause, Outgoing, RequestError};
use sandbus::harness::{Harness, HarnessBuilder};
use sandbus::{GuestSettings, RuntimeSettings, SandboxEngine};

use crate::support::{Asking, harness, runtime, serial, zoo};

const MIB: usize = 1 << 20;

/// A platform whose engine is its own, with bounds of its own.
fn bounded(change: impl FnOnce(&mut RuntimeSettings)) -> HarnessBuilder {
    let mut settings = RuntimeSettings { total_instances_max: 8, ..runtime() };
    change(&mut settings);
    harness().engine(SandboxEngine::new(&settings).unwrap()).runtime(settings)
}

fn at_three_places(change: impl FnOnce(&mut GuestSettings)) -> GuestSettings {
    let mut guest = zoo("guest", &["t/a", "t/b", "t/c"]);
    change(&mut guest);
    guest
}

fn three_places(mut builder: HarnessBuilder) -> HarnessBuilder {
    for name in ["t/a", "t/b", "t/c"] {
        let mut place = serial(name);
        place.retry.attempts_max = 1;
        builder = builder.destination(place);
    }
    builder
}

async fn until_running(harness: &Harness, destination: &str) {
    let began = Instant::now();
    while harness.figures(destination).running == 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_the_least_recently_used_instance_of_a_guest_gives_way() {
    // Three workers, two instances: the third takes the place of the one that was used longest ago, and of no other.
    let guest = at_three_places(|guest| guest.limits.instances_max = 2);
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    for (place, count) in [("t/a", "1"), ("t/b", "1"), ("t/a", "2"), ("t/c", "1"), ("t/a", "3"), ("t/b", "1")]
    {
        assert_eq!(harness.answer(place, "count").await, count, "{place}");
    }
    assert_eq!(harness.platform().guests()[0].instances, 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_the_least_recently_used_instance_of_all_guests_gives_way() {
    // Two slots for everybody; a guest that nobody calls any more does not keep another one out.
    let mut builder = bounded(|settings| settings.total_instances_max = 2);
    for name in ["one", "two", "three"] {
        builder = builder.destination(serial(&format!("t/{name}"))).guest(zoo(name, &[&format!("t/{name}")]));
    }
    let harness = builder.start().await.unwrap();
    for (place, count) in
        [("t/one", "1"), ("t/two", "1"), ("t/one", "2"), ("t/three", "1"), ("t/one", "3"), ("t/two", "1")]
    {
        assert_eq!(harness.answer(place, "count").await, count, "{place}");
    }
    assert_eq!(harness.platform().engine().instances(), 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_delivery_waits_where_no_instance_is_idle() {
    // The one instance is in a call; the other delivery takes its place when the call ends.
    let guest = at_three_places(|guest| guest.limits.instances_max = 1);
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    harness.tell("t/a", "sleep 200").await;
    until_running(&harness, "t/a").await;
    assert_eq!(harness.answer("t/b", "echo at last").await, "at last");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_delivery_that_waits_in_vain_could_not_instantiate() {
    // Not past its deadline; the text says both bounds.
    let guest = at_three_places(|guest| {
        guest.limits.instances_max = 1;
        guest.limits.deadline = Duration::from_millis(400);
    });
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    harness.tell("t/a", "sleep 60000").await;
    until_running(&harness, "t/a").await;
    let waited =
        harness.bus().request_direct("t/b", Outgoing::text("noop"), Some(Duration::from_millis(100)));
    assert!(matches!(waited.await, Err(RequestError::Timeout(_) | RequestError::ListenerFaulted(_))));
    harness.idle().await.unwrap();
    let of = harness.figures("t/b");
    assert_eq!(of.failed["instantiate"], 1, "{of:?}");
    assert_eq!(harness.answer("t/b", "echo next").await, "next");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_the_guests_of_one_worker_share_the_one_instance_that_there_may_be() {
    // A worker has an instance at hand only as long as it calls the same listener: the next one needs what it holds.
    let mut place = serial("t/a");
    place.retry.attempts_max = 1;
    let harness = bounded(|settings| settings.total_instances_max = 1)
        .destination(place)
        .guest(zoo("one", &["t/a"]))
        .guest(zoo("two", &["t/a"]))
        .start()
        .await
        .unwrap();
    for _ in 0..20 {
        harness.tell("t/a", "count").await;
    }
    harness.idle().await.unwrap();
    let of = harness.figures("t/a");
    assert_eq!((of.completed, of.failed_total()), (40, 0), "{of:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_guest_grows_into_the_memory_that_the_idle_one_beside_it_holds() {
    // On the same worker, within one call, without anything being waited for.
    let mut place = serial("t/a");
    place.retry.attempts_max = 1;
    let harness = bounded(|settings| settings.total_memory_bytes_max = 24 * MIB)
        .destination(place)
        .guest(zoo("one", &["t/a"]))
        .guest(zoo("two", &["t/a"]))
        .start()
        .await
        .unwrap();
    for _ in 0..4 {
        harness.tell("t/a", &format!("hold {}", 14 * MIB)).await;
    }
    harness.idle().await.unwrap();
    let of = harness.figures("t/a");
    assert_eq!((of.completed, of.failed_total()), (8, 0), "{of:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_busy_workers_that_share_one_instance_take_turns() {
    // None of them keeps it for itself as long as another one waits: every message is received, at first attempt.
    let guest = at_three_places(|guest| guest.limits.instances_max = 1);
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    for _ in 0..100 {
        for place in ["t/a", "t/b", "t/c"] {
            harness.tell(place, "count").await;
        }
    }
    harness.idle().await.unwrap();
    for place in ["t/a", "t/b", "t/c"] {
        let of = harness.figures(place);
        assert_eq!((of.completed, of.failed_total()), (100, 0), "{place}: {of:?}");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_an_idle_instance_gives_its_memory_to_another_one_of_its_guest() {
    // Each wants 20 MiB, and together they may have 32: what is idle is dropped, and growth goes on.
    let guest = at_three_places(|guest| guest.limits.total_memory_bytes_max = 32 * MIB);
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    for place in ["t/a", "t/b", "t/c"] {
        assert_eq!(harness.answer(place, "hold 20971520").await, "20971520");
        assert!(harness.platform().engine().memory_bytes() > 20 * MIB);
    }
    assert_eq!(harness.platform().guests()[0].instances, 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_total_memory_of_a_guest_is_refused_to_it_while_its_other_instances_are_busy() {
    // What a call holds nobody takes from it; the guest that stops of it is told which limit it was.
    let guest = at_three_places(|guest| guest.limits.total_memory_bytes_max = 32 * MIB);
    let harness = three_places(harness()).guest(guest).start().await.unwrap();
    harness.tell("t/a", "hold-sleep 20971520 1000").await;
    let began = Instant::now();
    while harness.platform().engine().memory_bytes() < 20 * MIB {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    match harness.ask("t/b", "hold 20971520").await {
        Err(RequestError::ListenerFaulted(fault)) => {
            assert_eq!(fault.cause, Cause::Memory);
            assert!(fault.text.as_str().contains("33554432 bytes (`total-memory`)"), "{}", fault.text);
        }
        other => panic!("{other:?}"),
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_an_instance_that_memory_is_missing_for_waits_until_another_one_gives_it_back() {
    // 24 MiB for everybody, of which a call holds nearly all: the next guest's instance is made when that call has ended.
    let greedy = zoo("greedy", &["t/a"]);
    let modest = zoo("modest", &["t/b"]);
    let harness = three_places(bounded(|settings| settings.total_memory_bytes_max = 24 * MIB))
        .guest(greedy)
        .guest(modest)
        .start()
        .await
        .unwrap();
    harness.tell("t/a", "hold-sleep 23068672 500").await;
    let began = Instant::now();
    while harness.platform().engine().memory_bytes() < 22 * MIB {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(harness.answer("t/b", "echo made").await, "made");
    assert_eq!(harness.figures("t/b").failed_total(), 0);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_total_memory_of_all_guests_is_refused_to_one_while_the_others_are_busy() {
    // A growth beyond the sum is an answer that the guest can handle.
    let harness = three_places(bounded(|settings| settings.total_memory_bytes_max = 48 * MIB))
        .guest(zoo("greedy", &["t/a"]))
        .guest(zoo("modest", &["t/b"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/b", "count").await, "1");
    harness.tell("t/a", "hold-sleep 25165824 1000").await;
    let began = Instant::now();
    while harness.platform().engine().memory_bytes() < 24 * MIB {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let had: usize = harness.answer("t/b", "grow").await.parse().unwrap();
    assert!((8 * MIB..24 * MIB).contains(&had), "{had}");
    assert!(harness.platform().engine().memory_bytes() <= 48 * MIB);
    harness.settled().await;
}
