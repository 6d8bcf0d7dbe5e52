//! The end of work: waiting until nothing runs and nothing can, and shutting a whole bus down. It settles nothing itself.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::Bus;
use crate::destination::Destination;
use crate::name::DestinationName;
use crate::sync::{Instant, JoinSet, Wakers, after};

/// Those who wait for the bus to come to rest.
#[derive(Debug, Default)]
pub(crate) struct Rest(Wakers);

impl Rest {
    pub(crate) fn tell(&self) {
        self.0.wake_all();
    }
}

/// What was left when a bus was shut down.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.send("orders", Outgoing::text("nobody listens yet")).await?;
/// let ShutdownReport { interrupted, dead_letters } = bus.shutdown(std::time::Duration::ZERO).await;
/// assert_eq!((interrupted, dead_letters), (vec![], 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Destinations whose running calls had to be interrupted.
    pub interrupted: Vec<DestinationName>,
    /// (message, listener) pairs that became dead letters because their turn did not come.
    pub dead_letters: u64,
}

impl Bus {
    /// Waits until nothing runs and nothing can run without something new coming in.
    ///
    /// Retries that wait for their time are waited for; messages that wait for a first listener, or behind a pause, are not,
    /// and neither are schedules.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// bus.idle().await;
    /// assert_eq!(bus.statistics("orders").map(|now| now.completed), Some(1));
    /// # Ok(()) }
    /// ```
    pub async fn idle(&self) {
        let mut before = None;
        self.shared
            .rest
            .0
            .wait_for(|| {
                // Two sweeps that find nothing busy, with nothing accepted between them, prove an instant at which all of
                // them rested together; one sweep alone could miss a message that moved from unseen to seen.
                loop {
                    let accepted = self.accepted_if_resting();
                    match accepted {
                        None => return None,
                        Some(_) if accepted == before => return Some(()),
                        _ => before = accepted,
                    }
                }
            })
            .await;
    }

    /// How many messages were ever accepted, if no destination is busy.
    fn accepted_if_resting(&self) -> Option<u64> {
        // Under the lock: one that is hidden, or shown again, meanwhile must not be missed.
        let registry = self.shared.changes.lock();
        let mut accepted = 0;
        for destination in registry.shown().chain(registry.hidden()) {
            if destination.counters.running.get() > 0 || destination.state().is_busy() {
                return None;
            }
            accepted += destination.counters.door.accepted.get();
        }
        Some(accepted)
    }

    /// Ends the schedules and closes all destinations, each with the same deadline, and says what was left.
    ///
    /// # Cancel safety
    /// Not cancel safe: some destinations stay draining.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// use std::time::Duration;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// let report = bus.shutdown(Duration::from_secs(10)).await;
    /// assert_eq!((report.dead_letters, report.interrupted.len()), (0, 0));
    /// # Ok(()) }
    /// ```
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let deadline = after(Instant::now(), grace);
        self.shared.schedules.end();
        let (built_in, others): (Vec<_>, Vec<_>) =
            self.shared.everywhere().into_iter().partition(|each| each.name.is_reserved());
        let mut report = ShutdownReport::default();
        // The built-in ones last: answers to requests that still run arrive there.
        self.close_all(others, deadline, &mut report).await;
        self.close_all(built_in, deadline, &mut report).await;
        report.interrupted.sort();
        report.interrupted.dedup();
        report
    }

    async fn close_all(&self, all: Vec<Arc<Destination>>, deadline: Instant, report: &mut ShutdownReport) {
        let mut closing = JoinSet::new();
        for destination in all {
            closing.spawn_on(
                async move { (destination.name.clone(), destination.close(deadline).await) },
                &self.shared.runtime,
            );
        }
        while let Some(closed) = closing.join_next().await {
            let Ok((name, closed)) = closed else { continue };
            report.dead_letters += closed.dead_letters;
            if closed.interrupted {
                report.interrupted.push(name);
            }
        }
    }
}
