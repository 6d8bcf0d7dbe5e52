//! A listener is taken away while messages are delivered to it. Once that is done it is never called again, and what was
//! owed to it has an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;

/// Looks at the bus when it is dropped. Shuttle tells when the bus drops it under a lock that a look needs.
struct Probe(Bus);

impl Drop for Probe {
    fn drop(&mut self) {
        assert!(!self.0.all_statistics().is_empty());
    }
}

/// A listener whose instances each hold a probe, as the listener itself does.
struct Probing(Probe);

impl MessageListener for Probing {
    fn name(&self) -> &str {
        "probing"
    }

    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let instance: Box<dyn ListenerInstance> = Box::new(ProbingInstance(Probe(self.0.0.clone())));
        Box::pin(std::future::ready(Ok(instance)))
    }
}

struct ProbingInstance(#[expect(dead_code, reason = "it is there to be dropped")] Probe);

impl ListenerInstance for ProbingInstance {
    fn receive<'a>(self: Box<Self>, _: &'a Delivery) -> BoxFuture<'a, Ended> {
        let ended = Ended { instance: Some(self), ..Ended::spent(Outcome::done()) };
        Box::pin(std::future::ready(ended))
    }
}

async fn a_probing_listener_goes(config: DestinationConfig) {
    let (bus, notes, name) = (bus(), Notes::default(), config.name.to_string());
    bus.create(config).unwrap();
    bus.register(&name, noting("staying", &notes)).unwrap();
    bus.register(&name, Probing(Probe(bus.clone()))).unwrap();
    bus.send(&name, Outgoing::text("before")).await.unwrap();
    bus.idle().await;
    assert!(bus.unregister(&name, "probing").await);
    bus.send(&name, Outgoing::text("after")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["after", "before"]);
}

#[test]
fn a_listener_that_is_taken_away_and_its_instances_are_dropped_without_a_lock() {
    explore(150, || a_probing_listener_goes(DestinationConfig::serial("t/removal").unwrap()));
}

#[test]
fn instances_that_senders_use_are_dropped_without_a_lock() {
    explore(150, || a_probing_listener_goes(DestinationConfig::synchronous("t/removal").unwrap()));
}

/// Whether the listener is gone, and whether it was called all the same. Not shuttle's: a look is no step of the schedule.
#[derive(Clone, Default)]
struct Gone {
    gone: Arc<AtomicBool>,
    called: Arc<AtomicBool>,
}

impl Gone {
    fn look(&self) {
        if self.gone.load(Ordering::SeqCst) {
            self.called.store(true, Ordering::SeqCst);
        }
    }

    /// A listener that looks at the start and at the end of each call, and asks for a retry the first time.
    fn listener(&self) -> NativeListener {
        let seen = self.clone();
        listener_fn("going", move |delivery| {
            let seen = seen.clone();
            seen.look();
            async move {
                yield_now().await;
                seen.look();
                if delivery.attempt() == 1 { Outcome::retry("once more") } else { Outcome::done() }
            }
        })
        .with_deadline(FOR_EVER)
    }
}

async fn unregistering_beside_senders(mut config: DestinationConfig, listeners: usize) {
    config.retry = RetryPolicy { delay_initial: secs(1), jitter: Jitter::None, ..config.retry };
    let (bus, gone, notes, name) = (bus(), Gone::default(), Notes::default(), config.name.to_string());
    bus.create(config).unwrap();
    if listeners > 1 {
        bus.register(&name, noting("staying", &notes)).unwrap();
    }
    bus.register(&name, gone.listener()).unwrap();
    let time = Time::passes();
    let (sender, to) = (bus.clone(), name.clone());
    let sending = spawn(async move {
        for text in ["a", "b", "c"] {
            let _ = sender.send(&to, Outgoing::text(text)).await;
            yield_now().await;
        }
    });
    yield_now().await;
    assert!(bus.unregister(&name, "going").await);
    gone.gone.store(true, Ordering::SeqCst);
    sending.await.unwrap();
    bus.idle().await;
    drop(time);
    settled(&bus).await;
    assert!(!gone.called.load(Ordering::SeqCst), "called after it was taken away");
    if listeners > 1 {
        assert_eq!(notes.sorted(), ["a", "b", "c"]);
    }
}

#[test]
fn a_listener_that_is_taken_away_beside_others_of_a_parallel_destination_is_not_called_again() {
    explore(600, || unregistering_beside_senders(DestinationConfig::parallel("t/removal").unwrap(), 2));
}

#[test]
fn a_listener_that_is_taken_away_from_a_serial_destination_is_not_called_again() {
    explore(450, || unregistering_beside_senders(DestinationConfig::serial("t/removal").unwrap(), 2));
}

#[test]
fn the_only_listener_that_is_taken_away_leaves_dead_letters_and_held_messages() {
    explore(450, || unregistering_beside_senders(DestinationConfig::parallel("t/removal").unwrap(), 1));
}

#[test]
fn a_listener_that_is_taken_away_from_a_synchronous_destination_is_not_called_again() {
    explore(450, || unregistering_beside_senders(DestinationConfig::synchronous("t/removal").unwrap(), 2));
}
