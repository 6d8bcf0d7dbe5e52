//! One build of a guest: a loaded component with the settings that it runs under. It makes instances, runs `activate` and
//! `deactivate` on one of its own, and can be retired: then no call begins on it any more. Which build runs stands in `guest`.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sandbus_bus::{Cause, CircuitBreaker, Fault, Instant, Origin, until};

use super::admission::Admission;
use super::component::Loaded;
use super::counts::Counts;
use super::cut::{Cut, CutBy};
use super::engine::SandboxEngine;
use super::gauge::Gauge;
use super::guest::Guest;
use super::instance::{GuestInstance, Step};
use super::store;
use crate::host::{GuestFacts, LogSink};

/// A build that can run.
pub(crate) struct Build {
    pub(super) engine: SandboxEngine,
    pub(super) facts: Arc<GuestFacts>,
    pub(super) loaded: Loaded,
    /// The build as it stands in logs and dead letters.
    pub(super) name: Arc<str>,
    pub(super) env: Vec<(String, String)>,
    pub(super) circuit_breaker: Option<CircuitBreaker>,
    pub(super) slots: Admission,
    /// The place of the instance that `activate` and `deactivate` run on, beside those that receive.
    pub(super) own_slot: Admission,
    pub(super) sink: LogSink,
    /// The instance on which `activate` ran, kept for `deactivate`.
    pub(super) own: tokio::sync::Mutex<Option<GuestInstance>>,
    /// Whether another build has taken its place. Set once; read before each call.
    pub(super) retired: AtomicBool,
    pub(super) cut: Cut,
    /// The instances that receive.
    pub(super) alive: Gauge,
    pub(super) counts: Arc<Counts>,
    /// Whose build it is.
    pub(super) guest: Weak<Guest>,
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

impl Build {
    /// Its component.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The build as it stands in logs and dead letters.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn call_deadline(&self) -> Duration {
        self.facts.limits.deadline
    }

    /// Whether another build has taken its place.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// From now on no call begins on it.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Ends the calls that still run.
    #[allow(dead_code, reason = "until guests can be replaced")]
    pub(crate) fn cut(&self, by: CutBy) {
        self.cut.cut(by);
    }

    /// Its live instances, without the one that `activate` ran on.
    pub(crate) fn alive(&self) -> &Gauge {
        &self.alive
    }

    /// Makes an instance that receives.
    pub(super) async fn instance(self: &Arc<Self>, deadline: Instant) -> Result<GuestInstance, Fault> {
        let mut made = self.make(&self.slots, deadline).await?;
        made.alive = Some(self.alive.mark());
        Ok(made)
    }

    async fn make(self: &Arc<Self>, slots: &Admission, deadline: Instant) -> Result<GuestInstance, Fault> {
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
            host_fuel: Arc::clone(&store.data().fuel),
            store,
            listener: listener.transpose().map_err(failed)?,
            lifecycle: lifecycle.transpose().map_err(failed)?,
            build: Arc::clone(self),
            _slot: slot,
            alive: None,
        })
    }

    /// Runs `activate`, where the component exports it, on an instance of its own.
    ///
    /// # Errors
    /// What it answered, or what stopped it; the build is then not fit to run.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call; the build is not activated.
    pub(crate) async fn activate(self: &Arc<Self>) -> Result<(), LifecycleError> {
        if !self.loaded.has_lifecycle() {
            return Ok(());
        }
        let deadline = Instant::now() + self.facts.limits.activate_deadline;
        let mut instance = self.make(&self.own_slot, deadline).await.map_err(LifecycleError::Faulted)?;
        let answer = instance.step(Step::Activate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        answer.map_err(|text| LifecycleError::Answered(text.as_str().into()))?;
        *self.own.lock().await = Some(instance);
        Ok(())
    }

    /// Runs `deactivate`, if `activate` ran.
    ///
    /// # Errors
    /// What stopped it; the build is done with all the same.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call.
    pub(crate) async fn deactivate(&self) -> Result<(), LifecycleError> {
        let Some(mut instance) = self.own.lock().await.take() else { return Ok(()) };
        let ended = instance.step(Step::Deactivate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        ended.map_err(|text| LifecycleError::Answered(text.as_str().into()))
    }

    fn origin(&self) -> Origin {
        Origin::named(&self.facts.name)
    }
}
