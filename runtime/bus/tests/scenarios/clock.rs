//! Hard corners of time: lengths too long for the clock, and workers whose keep-alive and whose retries meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_call_deadline_too_long_for_the_clock_is_as_good_as_none() {
    // `Duration::MAX` is how people write "no limit"; a request's timeout takes it as a year.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes).with_deadline(Duration::MAX)).unwrap();
        let sender = (bus.clone(), destination.clone());
        let sent = tokio::spawn(async move { sender.0.send(&sender.1, text("m")).await }).await;
        settled(&bus).await;
        assert!(sent.is_ok(), "the send panicked");
        assert_eq!((notes.len(), bus.dead_letters(&destination).len()), (1, 0), "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_too_long_for_the_clock_keeps_spare_workers() {
    // The natural way to say that workers never leave.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 3, keep_alive: Duration::MAX };
    }))
    .unwrap();
    bus.register("t/p", noting("l", &notes)).unwrap();
    for n in 0..3 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
    }
    settled(&bus).await;
    assert_eq!((notes.len(), figures(&bus, "t/p").workers_current), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_retry_delay_too_long_for_the_clock_waits_and_loses_nothing() {
    // The cap is the operator's; what the listener asks for is data, and must not end its worker.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry.delay_max = Duration::MAX)).unwrap();
    let listener = ending("l", &notes, |_| Outcome::Retry { reason: "x".into(), after: Some(Duration::MAX) });
    bus.register("t/s", listener).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    eventually(|| notes.len() == 1 && figures(&bus, "t/s").running == 0).await;
    let then = figures(&bus, "t/s");
    bus.close_now("t/s").await.unwrap();
    settled(&bus).await;
    assert_eq!((then.retried, then.pending, then.workers_current), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_room_and_a_drain_too_long_for_the_clock_are_no_panic() {
    // Both are lengths that a configuration or an operator gives.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/s"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(Duration::MAX);
    }))
    .unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    for n in 0..2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/s", text("2")).await });
    turns().await;
    gate.open();
    let sent = sending.await;
    let closer = bus.clone();
    let closed = tokio::spawn(async move { closer.close("t/s", Duration::MAX).await }).await;
    let stopper = bus.clone();
    let stopped = tokio::spawn(async move { stopper.shutdown(Duration::MAX).await }).await;
    settled(&bus).await;
    assert!(sent.is_ok() && closed.is_ok() && stopped.is_ok(), "{sent:?} {closed:?} {stopped:?}");
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_spare_worker_that_waits_for_a_retry_beyond_its_keep_alive_sleeps() {
    // It may leave or stay, but not turn round and round: that is a whole core for nothing, and with a paused clock a
    // test that never ends. Each turn of a worker tells those who wait for rest, so that their wake-ups show it.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 2, keep_alive: secs(1) };
        config.retry = retries(2, secs(60));
    }))
    .unwrap();
    bus.register("t/p", ending("a", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.register("t/p", noting("b", &notes)).unwrap();
    bus.send("t/p", text("m")).await.unwrap();
    eventually(|| notes.len() == 2 && figures(&bus, "t/p").running == 0).await;
    assert_eq!(figures(&bus, "t/p").workers_current, 2);
    tokio::time::advance(secs(5)).await;
    turns().await;
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut idle = Box::pin(bus.idle());
    for _ in 0..100 {
        assert!(idle.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        tokio::task::yield_now().await;
    }
    drop(idle);
    let turned = wakes.0.load(Ordering::SeqCst);
    // Not `settled`: with a worker that spins, a paused clock never moves by itself.
    bus.close_now("t/p").await.unwrap();
    assert!(turned < 10, "woken {turned} times while nothing happened");
    settled(&bus).await;
}
