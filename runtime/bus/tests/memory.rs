//! What the bus keeps in memory, counted in bytes by an allocator of this test: queued messages, destinations that nobody
//! uses, workers that are not needed any more, histograms. It measures no times.

#![cfg(not(feature = "shuttle"))]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait")]
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::*;
use tokio::sync::Semaphore;

/// The allocator of the system, which counts by thread: each test runs all of its tasks on its own.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends may free after its counter is gone.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that are allocated and not freed at this moment.
fn live() -> usize {
    LIVE.get().cast_unsigned()
}

const PAYLOAD_BYTES: usize = 64;
/// What a queued message may take beyond its payload.
const QUEUED_MESSAGE_BYTES_MAX: usize = 400;
/// What a destination with one listener may take that nobody ever sent to.
const UNUSED_DESTINATION_BYTES_MAX: usize = 4 << 10;
/// What may be left of a burst: lists of a few dozen places that are kept for the next one.
const LEFT_BYTES_MAX: usize = 16 << 10;

fn bus() -> Bus {
    Bus::new(BusConfig::default())
}

fn done() -> NativeListener {
    listener_fn("l", |_| std::future::ready(Outcome::done()))
}

/// A destination with room for everything.
fn roomy(mut config: DestinationConfig) -> DestinationConfig {
    config.queue_entries_max = usize::MAX >> 1;
    config.queue_bytes_max = usize::MAX >> 1;
    config
}

fn message() -> Outgoing {
    Outgoing::bytes(vec![0; PAYLOAD_BYTES])
}

fn figures(bus: &Bus, destination: &str) -> DestinationStatistics {
    bus.statistics(destination).unwrap()
}

/// Sends messages until `count` wait, and looks at each length at which a list that doubles has just grown.
async fn fill(bus: &Bus, destination: &str, count: usize) {
    let before = live();
    for waiting in 1..=count {
        bus.send(destination, message()).await.unwrap();
        if waiting >= 1_000 && ((waiting - 1).is_power_of_two() || waiting == count) {
            let each = (live() - before) / waiting - PAYLOAD_BYTES;
            assert!(each <= QUEUED_MESSAGE_BYTES_MAX, "{each} bytes for each of {waiting} in {destination}");
        }
    }
    assert_eq!(figures(bus, destination).pending, count);
}

#[tokio::test]
async fn a_million_messages_wait_in_at_most_400_bytes_each_beyond_their_payload() {
    // Also when the queue has just grown; and a queue that was emptied gives its room back.
    let bus = bus();
    bus.create(roomy(DestinationConfig::serial("t/s").unwrap())).unwrap();
    bus.register("t/s", done()).unwrap();
    bus.pause("t/s").unwrap();
    let before = live();
    fill(&bus, "t/s", 1_000_000).await;
    bus.purge("t/s").unwrap();
    assert_eq!(figures(&bus, "t/s").pending, 0);
    let left = live().saturating_sub(before);
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left");
}

#[tokio::test]
async fn messages_wait_as_cheaply_at_the_other_places_of_a_queue() {
    // A parallel destination's, with priorities, and without a listener.
    let bus = bus();
    let mut urgent = DestinationConfig::serial("t/urgent").unwrap();
    urgent.priority = true;
    for config in [DestinationConfig::parallel("t/parallel").unwrap(), urgent] {
        let name = config.name.to_string();
        bus.create(roomy(config)).unwrap();
        bus.register(&name, done()).unwrap();
        bus.pause(&name).unwrap();
        fill(&bus, &name, 50_000).await;
    }
    bus.create(roomy(DestinationConfig::serial("t/held").unwrap())).unwrap();
    fill(&bus, "t/held", 50_000).await;
}

#[tokio::test]
async fn a_queue_that_was_delivered_gives_its_room_back() {
    // Not only purged at once: entry by entry, in portions.
    let bus = bus();
    bus.create(roomy(DestinationConfig::serial("t/s").unwrap())).unwrap();
    bus.register("t/s", done()).unwrap();
    bus.send("t/s", message()).await.unwrap();
    bus.idle().await;
    let before = live();
    bus.pause("t/s").unwrap();
    fill(&bus, "t/s", 50_000).await;
    bus.resume("t/s").unwrap();
    bus.idle().await;
    assert_eq!(figures(&bus, "t/s").completed, 50_001);
    let left = live().saturating_sub(before);
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unused_destinations_are_small_and_do_nothing() {
    const COUNT: usize = 10_000;
    let runtime = tokio::runtime::Handle::current();
    // The wheel of the timers turns a few times even for nothing but this.
    let wakes_in_an_hour = async || {
        let before = runtime.metrics().worker_park_count(0);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        runtime.metrics().worker_park_count(0) - before
    };
    let without = wakes_in_an_hour().await;
    let bus = bus();
    let before = live();
    for n in 0..COUNT {
        let name = format!("t/{n}");
        bus.create(DestinationConfig::parallel(&name).unwrap()).unwrap();
        bus.register(&name, done()).unwrap();
    }
    let each = (live() - before) / COUNT;
    assert!(each <= UNUSED_DESTINATION_BYTES_MAX, "{each} bytes each");
    // No task is there that could run, and no timer.
    let with = wakes_in_an_hour().await;
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    assert!(with <= without + 2, "{with} wake-ups in an hour, {without} without them");
    assert!(bus.all_statistics().iter().all(|each| each.workers_largest == 0));
}

/// A listener whose instances are as large as a small guest's.
struct Large(Arc<Semaphore>);

const INSTANCE_BYTES: usize = 64 << 10;

struct LargeInstance(Arc<Semaphore>, Vec<u8>);

impl MessageListener for Large {
    fn name(&self) -> &'static str {
        "large"
    }
    fn instantiate(&self, _deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let instance = LargeInstance(Arc::clone(&self.0), vec![0; INSTANCE_BYTES]);
        Box::pin(std::future::ready(Ok(Box::new(instance) as Box<dyn ListenerInstance>)))
    }
}

impl ListenerInstance for LargeInstance {
    fn receive<'a>(self: Box<Self>, _delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            self.0.acquire().await.unwrap().forget();
            assert_eq!(self.1.len(), INSTANCE_BYTES);
            Ended { outcome: Outcome::done(), usage: Usage::default(), instance: Some(self) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_pool_shrinks_to_its_core_and_gives_its_memory_back() {
    let (bus, gate) = (bus(), Arc::new(Semaphore::new(0)));
    let mut config = DestinationConfig::parallel("t/p").unwrap();
    config.workers = Workers { core: 2, max: 50, ..config.workers };
    bus.create(config).unwrap();
    bus.register("t/p", Large(Arc::clone(&gate))).unwrap();
    let burst = async |count: usize| {
        for _ in 0..count {
            bus.send("t/p", message()).await.unwrap();
        }
        while figures(&bus, "t/p").workers_active < count {
            tokio::task::yield_now().await;
        }
        let busy = live();
        gate.add_permits(count);
        bus.idle().await;
        busy
    };
    // The core alone.
    burst(2).await;
    let before = live();
    let busy = burst(50).await;
    assert!(busy - before > 48 * INSTANCE_BYTES, "{} bytes", busy - before);
    assert_eq!(figures(&bus, "t/p").workers_current, 50);
    tokio::time::sleep(limits::WORKER_KEEP_ALIVE * 2).await;
    assert_eq!(figures(&bus, "t/p").workers_current, 2);
    let left = live().saturating_sub(before);
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left");
}

#[tokio::test(start_paused = true)]
async fn histograms_are_made_with_the_first_message_and_take_at_most_4_kib_each() {
    // Three where there is a queue and two where there is none; what else is made goes with the workers.
    let bus = bus();
    let configs = [DestinationConfig::serial("t/s").unwrap(), DestinationConfig::synchronous("t/y").unwrap()];
    for (config, histograms) in configs.into_iter().zip([3, 2]) {
        let name = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&name, done()).unwrap();
        let unused = live();
        assert!(figures(&bus, &name).call.is_none());
        assert_eq!(live(), unused, "to look makes nothing");
        bus.send(&name, message()).await.unwrap();
        bus.close(&name, limits::CALL_DEADLINE).await.unwrap();
        assert_eq!(figures(&bus, &name).call.unwrap().count, 1);
        let made = live() - unused;
        // One row of 32 counters each at least, beside the list of rows.
        assert!(made > histograms * 256, "{made} bytes are no histograms");
        assert!(made <= histograms * limits::HISTOGRAM_BYTES_MAX, "{made} bytes for {histograms}");
    }
}
