//! What an operator, or a test, changes about a destination while it runs. It says what; how stands in `destination/tune`.

use crate::bus::Bus;
use crate::config::DestinationConfig;
use crate::dead_letter::DeadLetter;
use crate::error::DestinationError;

impl Bus {
    /// Puts other settings of a running destination in force, at once and without losing a message.
    ///
    /// Everything but the name and the type may change. A pool that is too large shrinks as its workers come to rest; a
    /// queue that holds more than its new bound takes nothing on until it is below it. `paused` counts at the next opening;
    /// [`Bus::pause`] is for now.
    ///
    /// # Errors
    /// When there is no such destination, a value is not legal, or the type would change; then nothing has changed.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Workers};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::parallel("orders")?)?;
    /// let mut config = (*bus.config("orders").ok_or("it is there")?).clone();
    /// config.workers = Workers { core: 4, max: 8, ..config.workers };
    /// bus.reconfigure(config.clone())?;
    /// config.queue_entries_max = 0;
    /// assert!(bus.reconfigure(config).is_err());
    /// assert_eq!(bus.statistics("orders").map(|now| (now.workers_core, now.workers_max)), Some((4, 8)));
    /// # Ok(()) }
    /// ```
    pub fn reconfigure(&self, config: DestinationConfig) -> Result<(), DestinationError> {
        Ok(self.destination(config.name.as_str())?.reconfigure(config)?)
    }

    /// Takes out everything that waits at a destination, also for a retry, a first listener or a listener whose circuit
    /// breaker is open. What runs goes on. Each pair counts as dropped, `purged`.
    ///
    /// Returns what was taken out, the oldest first, in the form of dead letters that the bus does not keep.
    ///
    /// # Errors
    /// When there is no such destination.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outgoing};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::serial("orders")?)?;
    /// bus.send("orders", Outgoing::text("held: nobody listens")).await?;
    /// let purged = bus.purge("orders")?;
    /// assert_eq!(purged[0].message.payload(), "held: nobody listens");
    /// # Ok(()) }
    /// ```
    pub fn purge(&self, destination: &str) -> Result<Vec<DeadLetter>, DestinationError> {
        let ranks = self.existing_ranks(destination)?;
        let mut purged: Vec<_> = ranks.iter().flat_map(|found| found.purge()).collect();
        purged.sort_by_key(|letter| letter.message.accepted_at());
        Ok(purged)
    }

    /// Has a listener stand aside at every destination where it listens, until [`Bus::release_listener`]: on queued types
    /// its deliveries wait, in order and within the bounds, and the others go on; on synchronous ones and in direct mode it is
    /// `listener-unavailable`. What runs goes on. Answers at how many destinations it listens.
    ///
    /// A listener that registers afterwards stands aside if [`MessageListener::is_suspended`](crate::MessageListener) says so.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::serial("orders")?)?;
    /// bus.register("orders", listener_fn("l", |_| async { Outcome::done() }))?;
    /// assert_eq!(bus.suspend_listener("l"), 1);
    /// bus.send("orders", Outgoing::text("waits")).await?;
    /// bus.idle().await;
    /// assert_eq!(bus.statistics("orders").map(|now| (now.aside, now.completed)), Some((1, 0)));
    /// bus.release_listener("l");
    /// bus.idle().await;
    /// assert_eq!(bus.statistics("orders").map(|now| (now.aside, now.completed)), Some((0, 1)));
    /// # Ok(()) }
    /// ```
    pub fn suspend_listener(&self, listener: &str) -> usize {
        self.set_aside(listener, true)
    }

    /// Has a listener that was suspended be called again; what waits for it comes first, in order. Answers at how many
    /// destinations it listens.
    pub fn release_listener(&self, listener: &str) -> usize {
        self.set_aside(listener, false)
    }

    fn set_aside(&self, listener: &str, suspended: bool) -> usize {
        // Under the lock: a destination that appears meanwhile takes over how its listeners stand.
        let registry = self.shared.changes.lock();
        registry.hidden().for_each(|destination| _ = destination.suspend(listener, suspended));
        registry.shown().filter(|destination| destination.suspend(listener, suspended)).count()
    }

    /// Has the bus let go of instances of a listener that are not usable any more, wherever workers keep them.
    ///
    /// Without this a worker that sleeps keeps such an instance until its next message.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// bus.forget_instances("stock");
    /// # Ok(()) }
    /// ```
    pub fn forget_instances(&self, listener: &str) {
        self.shared.everywhere().iter().for_each(|destination| destination.forget_instances(listener));
    }

    /// Switches a queued destination to running inline, for a test, or back.
    ///
    /// While it is on, `send` returns after every listener settled, in the sender's task: retries come at once, delays and
    /// backoff count as passed, and nothing expires. What waited at the switch stays with the workers, and nothing is lost at
    /// either switch. A paused destination queues as ever.
    ///
    /// # Errors
    /// When there is no such destination.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::parallel("orders")?)?;
    /// bus.register("orders", listener_fn("l", |_| async { Outcome::retry("not yet") }))?;
    /// bus.run_inline("orders", true)?;
    /// bus.send("orders", Outgoing::text("x")).await?;
    /// assert_eq!(bus.dead_letters("orders")[0].attempts, 3);
    /// # Ok(()) }
    /// ```
    pub fn run_inline(&self, destination: &str, inline: bool) -> Result<(), DestinationError> {
        self.existing_ranks(destination)?.iter().for_each(|found| found.set_inline(inline));
        Ok(())
    }
}
