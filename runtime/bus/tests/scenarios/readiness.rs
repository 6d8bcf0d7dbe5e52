//! Listeners that may not be called yet: their deliveries wait, and hold nobody up when the listener stands aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;

/// A listener that is made ready, or has its deliveries wait no longer, from outside.
struct Late {
    ready: Arc<AtomicBool>,
    /// Whether waiting for it is over: it is ready, or stands aside.
    settled: tokio::sync::watch::Sender<bool>,
    inner: NativeListener,
}

impl Late {
    fn new(notes: &Notes) -> (Self, Arc<AtomicBool>, tokio::sync::watch::Sender<bool>) {
        let (ready, settled) = (Arc::new(AtomicBool::new(false)), tokio::sync::watch::Sender::new(false));
        let late = Self { ready: Arc::clone(&ready), settled: settled.clone(), inner: noting("late", notes) };
        (late, ready, settled)
    }
}

impl MessageListener for Late {
    fn name(&self) -> &str {
        "late"
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
        })
    }

    fn instantiate(&self, deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        assert!(self.is_ready(), "no instance is made of one that may not be called");
        self.inner.instantiate(deadline)
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_stands_aside_instead_of_becoming_ready_holds_no_worker() {
    // Also the delivery that waited for it already lets go: the next listener of a serial destination has its turn.
    for config in [serial("t/x"), parallel("t/x")] {
        let (bus, notes) = (bus(), Notes::default());
        let (late, ready, settled_now) = Late::new(&notes);
        bus.create(config).unwrap();
        bus.register("t/x", late).unwrap();
        bus.register("t/x", noting("other", &notes)).unwrap();
        bus.send("t/x", text("1")).await.unwrap();
        turns().await;
        bus.suspend_listener("late");
        settled_now.send_replace(true);
        bus.send("t/x", text("2")).await.unwrap();
        settled(&bus).await;
        let mut received = notes.all();
        received.sort();
        assert_eq!((received, figures(&bus, "t/x").aside), (vec!["other:1".into(), "other:2".into()], 2));
        ready.store(true, Ordering::SeqCst);
        bus.release_listener("late");
        settled(&bus).await;
        let late: Vec<_> = notes.all().into_iter().filter(|note| note.starts_with("late")).collect();
        assert_eq!(late, ["late:1", "late:2"]);
        assert!(figures(&bus, "t/x").adds_up());
    }
}
