//! A guest: a loaded component with its settings, as a listener of the bus. It makes instances; the bus decides when.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use sandbus_bus::{
    BoxFuture, Bus, Cause, CircuitBreaker, DeadLetter, Fault, Instant, ListenerInstance, MessageListener,
    Origin, until,
};

use super::admission::Admission;
use super::component::Loaded;
use super::engine::SandboxEngine;
use super::instance::{GuestInstance, Step};
use super::store;
use crate::host::{GuestFacts, LogSink};
use crate::settings::GuestSettings;

/// A guest that can run.
pub struct Guest {
    engine: SandboxEngine,
    facts: Arc<GuestFacts>,
    loaded: Loaded,
    build: Arc<str>,
    env: Vec<(String, String)>,
    circuit_breaker: Option<CircuitBreaker>,
    slots: Admission,
    /// The place of the instance that `activate` and `deactivate` run on, beside those that receive.
    own_slot: Admission,
    sink: LogSink,
    /// The instance on which `activate` ran, kept for `deactivate`.
    own: tokio::sync::Mutex<Option<GuestInstance>>,
    /// Whether `activate` has returned: its first message waits for that.
    activated: tokio::sync::watch::Sender<bool>,
    /// The same, for the look before each call.
    ready: AtomicBool,
}

/// Why `activate` or `deactivate` did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// It said so itself.
    #[error("it answered with the error: {0}")]
    Answered(sandbus_bus::ErrorText),
    /// It did not finish.
    #[error("it faulted ({}): {}", .0.cause, .0.text)]
    Faulted(Fault),
}

impl Guest {
    /// Makes a guest of a loaded component. Nothing of it runs yet.
    #[must_use]
    pub fn new(
        engine: &SandboxEngine,
        bus: &Bus,
        settings: &GuestSettings,
        loaded: Loaded,
        sink: LogSink,
    ) -> Arc<Self> {
        let facts = Arc::new(GuestFacts {
            name: Arc::from(settings.name.as_str()),
            limits: settings.limits.clone(),
            grants: settings.grants.clone(),
            listens_to: settings.listens_to.clone(),
            bus: bus.clone(),
            listener: OnceLock::new(),
            created: Mutex::default(),
            left: Mutex::default(),
        });
        let guest = Arc::new(Self {
            engine: engine.clone(),
            facts,
            build: loaded.build(),
            env: settings.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            circuit_breaker: settings.circuit_breaker,
            slots: Admission::new(settings.limits.instances_max),
            own_slot: Admission::new(1),
            loaded,
            sink,
            own: tokio::sync::Mutex::default(),
            activated: tokio::sync::watch::Sender::new(false),
            ready: AtomicBool::new(false),
        });
        if guest.loaded.is_listener() {
            let own: Weak<Self> = Arc::downgrade(&guest);
            // Set once, here; nobody else has seen the guest yet.
            let _ = guest.facts.listener.set(own);
        }
        guest
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Its component.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The dead letters of the destinations that it has removed; they are the caller's then.
    #[must_use]
    pub fn take_left_letters(&self) -> Vec<DeadLetter> {
        self.facts.left().take()
    }

    /// Live instances.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.slots.taken()
    }

    async fn instance(&self, slots: &Admission, deadline: Instant) -> Result<GuestInstance, Fault> {
        let slot = Admission::admit(slots, &self.engine.admission, deadline).await?;
        let failed = |error: wasmtime::Error| Fault::new(Cause::Instantiate, format!("{error:#}"));
        let mut store = store::build(&self.engine, &self.facts, &self.env, &self.sink).map_err(failed)?;
        let instance = match until(deadline, pin!(self.loaded.pre.instantiate_async(&mut store))).await {
            Ok(instance) => instance.map_err(failed)?,
            Err(_) => {
                return Err(Fault::new(Cause::Instantiate, "instantiating took longer than the deadline"));
            }
        };
        let listener = self.loaded.listener.as_ref().map(|indices| indices.load(&mut store, &instance));
        let lifecycle = self.loaded.lifecycle.as_ref().map(|indices| indices.load(&mut store, &instance));
        Ok(GuestInstance {
            store,
            listener: listener.transpose().map_err(failed)?,
            lifecycle: lifecycle.transpose().map_err(failed)?,
            _slot: slot,
        })
    }

    /// Runs `activate`, where the guest exports it, on an instance of its own.
    ///
    /// # Errors
    /// What it answered, or what stopped it; the guest is then not fit to run.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call; the guest is not activated.
    pub async fn activate(&self) -> Result<(), LifecycleError> {
        let activated = self.run_activate().await;
        if activated.is_ok() {
            self.ready.store(true, Ordering::Release);
            self.activated.send_replace(true);
        }
        activated
    }

    async fn run_activate(&self) -> Result<(), LifecycleError> {
        if !self.loaded.has_lifecycle() {
            return Ok(());
        }
        let deadline = Instant::now() + self.facts.limits.activate_deadline;
        let mut instance = self.instance(&self.own_slot, deadline).await.map_err(LifecycleError::Faulted)?;
        let answer = instance.step(Step::Activate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        answer.map_err(|text| LifecycleError::Answered(text.as_str().into()))?;
        *self.own.lock().await = Some(instance);
        Ok(())
    }

    /// Runs `deactivate`, if `activate` ran.
    ///
    /// # Errors
    /// What stopped it; the guest is gone all the same.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call.
    pub async fn deactivate(&self) -> Result<(), LifecycleError> {
        let Some(mut instance) = self.own.lock().await.take() else { return Ok(()) };
        let ended = instance.step(Step::Deactivate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        ended.map_err(|text| LifecycleError::Answered(text.as_str().into()))
    }

    fn origin(&self) -> Origin {
        Origin::named(&self.facts.name)
    }
}

impl MessageListener for Guest {
    fn name(&self) -> &str {
        &self.facts.name
    }

    fn build(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.build))
    }

    fn call_deadline(&self) -> Duration {
        self.facts.limits.deadline
    }

    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        self.circuit_breaker
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut activated = self.activated.subscribe();
            // The sender lives as long as this guest does, so that waiting cannot fail.
            let _ = activated.wait_for(|activated| *activated).await;
        })
    }

    fn instantiate(&self, deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        Box::pin(async move {
            let instance = self.instance(&self.slots, deadline).await?;
            Ok(Box::new(instance) as Box<dyn ListenerInstance>)
        })
    }
}
