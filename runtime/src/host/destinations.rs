//! `sandbus:bus/destinations`: making, removing, looking at and listening to destinations, within the grants.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use sandbus_bus as bus;
use sandbus_bus::{Bus, DestinationConfig, Registered, Workers};

use super::bindings::sandbus::bus::destinations::{
    DestinationError, DestinationStatistics, DestinationType, Host, Settings,
};
use super::state::{GuestFacts, HostState, Phase};
use crate::limits::{
    GUEST_DESTINATIONS_MAX, GUEST_LISTENS_MAX, GUEST_QUEUE_BYTES_MAX, GUEST_QUEUE_ENTRIES_MAX,
    GUEST_WORKERS_MAX,
};

impl Host for HostState {
    async fn create(
        &mut self,
        name: String,
        settings: Settings,
    ) -> wasmtime::Result<Result<(), DestinationError>> {
        self.fuel.pay(name.len()).await?;
        Ok(match self.may_create(&name) {
            true if self.facts.is_retired() => Err(replaced()),
            true => self.make(&name, settings),
            false => Err(DestinationError::Denied),
        })
    }

    async fn remove(&mut self, name: String) -> wasmtime::Result<Result<(), DestinationError>> {
        self.fuel.pay(name.len()).await?;
        if !self.may_create(&name) {
            return Ok(Err(DestinationError::Denied));
        }
        if self.facts.is_retired() && !self.facts.made.is_leaving() {
            return Ok(Err(replaced()));
        }
        let facts = Arc::clone(&self.facts);
        // In a task of its own: removing the destination of the message in hand interrupts this very call.
        let removing = tokio::spawn(async move { facts.remove(&name).await });
        let ended = removing.await.map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        Ok(ended.map_err(wire_error))
    }

    async fn listen(&mut self, name: String) -> wasmtime::Result<Result<bool, DestinationError>> {
        self.fuel.pay(name.len()).await?;
        if !self.may_listen(&name) {
            return Ok(Err(DestinationError::Denied));
        }
        let Some(listener) = self.facts.listener.get().and_then(Weak::upgrade) else {
            let text = "this guest exports no `message-listener`".to_owned();
            return Ok(Err(DestinationError::Invalid(text)));
        };
        if self.facts.made.is_leaving() {
            let text = "this guest is being unloaded".to_owned();
            return Ok(Err(DestinationError::Invalid(text)));
        }
        if self.facts.is_retired() {
            return Ok(Err(replaced()));
        }
        let configured = self.facts.listens_to.contains(&name);
        if !configured && !self.facts.made.begin_listening(&name) {
            let text = format!("a guest listens to {GUEST_LISTENS_MAX} names beyond its settings at most");
            return Ok(Err(DestinationError::LimitReached(text)));
        }
        let registered = self.facts.bus.register_shared(&name, listener).map_err(wire_error);
        if registered.is_err() {
            self.facts.made.ended_listening(&name);
        }
        let now = registered.map(|registered| registered != Registered::Already);
        if matches!(now, Ok(true)) && matches!(self.phase(), Phase::Lifecycle(_)) {
            self.facts.listened().insert(name);
        }
        Ok(now)
    }

    async fn stop_listening(&mut self, name: String) -> wasmtime::Result<Result<bool, DestinationError>> {
        self.fuel.pay(name.len()).await?;
        if !self.may_listen(&name) {
            return Ok(Err(DestinationError::Denied));
        }
        // What listens there is the guest: a build that was replaced must not take it away from the one that runs.
        if self.facts.is_retired() {
            return Ok(Ok(false));
        }
        self.facts.made.ended_listening(&name);
        let own = match self.phase() {
            Phase::Receiving(receiving) => receiving.delivery.destination().as_str() == name,
            _ => false,
        };
        let mut removing = std::pin::pin!(self.facts.bus.unregister(&name, &self.facts.name));
        if !own {
            let removed = removing.await;
            if removed && matches!(self.phase(), Phase::Lifecycle(_)) {
                self.facts.stopped(name.clone());
            }
            return Ok(Ok(removed));
        }
        // This call is one of those that run there: it must not wait for itself. The listener is taken away at once.
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(removing.as_mut().poll(cx))).await;
        Ok(Ok(match first {
            std::task::Poll::Ready(removed) => removed,
            std::task::Poll::Pending => true,
        }))
    }

    async fn statistics(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<DestinationStatistics, DestinationError>> {
        self.fuel.pay(name.len()).await?;
        if !self.may_look_at(&name) {
            return Ok(Err(DestinationError::Denied));
        }
        let statistics = self.facts.bus.statistics(&name);
        Ok(statistics.map(|s| wire_statistics(&s)).ok_or(DestinationError::NoSuchDestination))
    }
}

impl GuestFacts {
    /// Where `activate` has begun to listen.
    pub(crate) fn listened(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.listened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its `activate` has ended listening that began before it.
    pub(crate) fn unlistened(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unlistened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `activate` has ended listening there.
    fn stopped(&self, name: String) {
        if !self.listened().remove(&name) {
            self.unlistened().insert(name);
        }
    }

    /// Whether another build has taken its place, or none runs any more: what the guest has made and where it listens is not
    /// its own any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Removes the destination of this name that `create` makes: one that the host put before it stays.
    async fn remove(&self, name: &str) -> Result<(), bus::DestinationError> {
        let making = self.made.making_of(name);
        let destroyed = self.bus.destroy_ranked(name, 0).await?;
        self.made.removed(name, making);
        self.made.left().keep(&self.name, destroyed.dead_letters);
        Ok(())
    }
}

impl HostState {
    fn may_create(&self, name: &str) -> bool {
        self.facts.grants.create.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    fn may_listen(&self, name: &str) -> bool {
        self.facts.listens_to.iter().any(|configured| configured == name)
            || self.facts.grants.listen.iter().any(|grant| grant.matches(name))
    }

    fn may_look_at(&self, name: &str) -> bool {
        self.may_create(name)
            || self.may_listen(name)
            || self.facts.grants.send.iter().any(|grant| grant.matches(name))
    }

    fn make(&self, name: &str, settings: Settings) -> Result<(), DestinationError> {
        let config = config(&self.facts.bus, name, settings)?;
        let Some(making) = self.facts.made.begin_making(name) else {
            let text =
                format!("this guest has made {GUEST_DESTINATIONS_MAX} destinations and may have no more");
            return Err(DestinationError::LimitReached(text));
        };
        let made = self.facts.bus.create(config).map_err(wire_error);
        if made.is_err() {
            self.facts.made.not_made(name, making);
        }
        made
    }
}

fn config(bus: &Bus, name: &str, settings: Settings) -> Result<DestinationConfig, DestinationError> {
    let mut config = match settings.destination_type {
        DestinationType::Parallel => DestinationConfig::parallel(name),
        DestinationType::Serial => DestinationConfig::serial(name),
        DestinationType::Synchronous => DestinationConfig::synchronous(name),
        DestinationType::Custom(type_name) => bus.configuration(&type_name, name),
    }
    .map_err(|error| DestinationError::Invalid(error.to_string()))?;
    let Settings { queue_messages_max, queue_bytes_max, workers_core, workers_max, .. } = settings;
    let entries = within("queue-messages-max", queue_messages_max.map(u64::from), GUEST_QUEUE_ENTRIES_MAX)?;
    let bytes = within("queue-bytes-max", queue_bytes_max, GUEST_QUEUE_BYTES_MAX)?;
    let core = within("workers-core", workers_core.map(u64::from), GUEST_WORKERS_MAX)?;
    let max = within("workers-max", workers_max.map(u64::from), GUEST_WORKERS_MAX)?;
    config.queue_entries_max =
        entries.unwrap_or_else(|| config.queue_entries_max.min(GUEST_QUEUE_ENTRIES_MAX));
    config.queue_bytes_max = bytes.unwrap_or_else(|| config.queue_bytes_max.min(GUEST_QUEUE_BYTES_MAX));
    config.dead_letters.bytes_max = config.dead_letters.bytes_max.min(GUEST_QUEUE_BYTES_MAX);
    config.workers = Workers {
        core: core.unwrap_or(config.workers.core),
        max: max.unwrap_or(config.workers.max),
        ..config.workers
    };
    Ok(config)
}

/// What a guest asks for, unless it is more than a guest may have.
fn within(setting: &str, asked: Option<u64>, most: usize) -> Result<Option<usize>, DestinationError> {
    let Some(asked) = asked else { return Ok(None) };
    match usize::try_from(asked).ok().filter(|asked| *asked <= most) {
        Some(asked) => Ok(Some(asked)),
        None => Err(DestinationError::Invalid(format!(
            "`{setting}` is {asked}; a destination that a guest makes has {most} at most"
        ))),
    }
}

/// What a build hears that does not run any more.
fn replaced() -> DestinationError {
    DestinationError::Other("another build of this guest has taken its place".to_owned())
}

fn wire_error(error: bus::DestinationError) -> DestinationError {
    match error {
        bus::DestinationError::NoSuchDestination(_) | bus::DestinationError::NoSuchRanking { .. } => {
            DestinationError::NoSuchDestination
        }
        bus::DestinationError::AlreadyExists { .. } => DestinationError::AlreadyExists,
        bus::DestinationError::BuiltIn(_) => DestinationError::Denied,
        bus::DestinationError::Config(error) => DestinationError::Invalid(error.to_string()),
        error @ (bus::DestinationError::TooManyDestinations(_)
        | bus::DestinationError::TooManyListeners(..)) => DestinationError::LimitReached(error.to_string()),
    }
}

fn wire_statistics(statistics: &bus::DestinationStatistics) -> DestinationStatistics {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let oldest = statistics.oldest_waiting.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    DestinationStatistics {
        listeners: count(statistics.listeners.len()),
        workers_active: count(statistics.workers_active),
        workers_current: count(statistics.workers_current),
        pending: statistics.pending as u64,
        pending_bytes: statistics.pending_bytes as u64,
        oldest_waiting_ms: oldest,
        accepted: statistics.accepted,
        rejected: statistics.rejected.values().sum(),
        delivered: statistics.delivered,
        completed: statistics.completed,
        failed: statistics.failed_total(),
        retried: statistics.retried,
        dropped: statistics.dropped.values().sum(),
        dead_letters: statistics.dead_letters,
    }
}
