//! One build of a guest: a loaded component with the settings that it runs under. It makes instances, runs `activate` and
//! `deactivate` on one of its own, and can be retired: then no call begins on it any more. Which build runs stands in `guest`.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sandbus_bus::{Cause, CircuitBreaker, Delivery, Ended, Fault, Instant, Origin, Outcome, Usage, until};
use wasmtime::PoolConcurrencyLimitError;

use super::component::Loaded;
use super::counts::Counts;
use super::cut::{Cut, CutBy};
use super::engine::SandboxEngine;
use super::gauge::Gauge;
use super::guest::Guest;
use super::instance::{GuestInstance, Step};
use super::policies::Seat;
use super::pool::{Admitted, Share, Waiting};
use super::report::{FaultFrame, Occasion};
use super::store;
use super::sweep::Sweep;
use crate::host::{Denied, GuestFacts, LogSink, Reclaim, Whose};
use crate::settings::{InstancePolicy, Instances};

/// A build that can run.
pub(crate) struct Build {
    pub(super) engine: SandboxEngine,
    pub(super) facts: Arc<GuestFacts>,
    pub(super) loaded: Arc<Loaded>,
    /// The build as it stands in logs and dead letters.
    pub(super) name: Arc<str>,
    pub(super) env: Vec<(String, String)>,
    pub(super) circuit_breaker: Option<CircuitBreaker>,
    pub(super) instances: Instances,
    /// What it may take of the pool of all instances.
    pub(super) share: Arc<Share>,
    pub(super) sink: LogSink,
    /// The instance on which `activate` ran, kept for `deactivate`; under the policy `single` the one instance there is. Its
    /// lock is the turn of whoever calls it.
    pub(super) seat: tokio::sync::Mutex<Seat>,
    /// Whether `activate` has run, so that `deactivate` is to.
    pub(super) activated: AtomicBool,
    /// Drops what is idle for too long, where there is such a limit.
    pub(super) sweep: OnceLock<Sweep>,
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
    pub(crate) fn loaded(&self) -> &Arc<Loaded> {
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
        self.facts.is_retired()
    }

    /// From now on no call begins on it.
    pub(super) fn retire(&self) {
        self.facts.retired.store(true, Ordering::Release);
        self.share.drop_idle();
    }

    /// Ends the calls that still run.
    pub(crate) fn cut(&self, by: CutBy) {
        self.cut.cut(by);
    }

    /// Where its `activate` has begun to listen.
    pub(crate) fn listened(&self) -> Vec<String> {
        self.facts.listened().iter().cloned().collect()
    }

    /// Whether there is an `activate` or a `deactivate` to call.
    pub(crate) fn has_lifecycle(&self) -> bool {
        self.loaded.has_lifecycle()
    }

    /// Where its `activate` has ended listening.
    pub(crate) fn unlistened(&self) -> Vec<String> {
        self.facts.unlistened().iter().cloned().collect()
    }

    /// Its live instances, without the one that `activate` ran on.
    pub(crate) fn alive(&self) -> &Gauge {
        &self.alive
    }

    /// Whether the guest has one instance.
    pub(super) fn is_single(&self) -> bool {
        self.instances.policy == InstancePolicy::Single
    }

    /// Live instances that receive.
    pub(crate) fn live_instances(&self) -> usize {
        self.share.taken()
    }

    /// Whether an instance may receive another message.
    pub(super) fn may_use_again(&self, instance: &GuestInstance) -> bool {
        !self.is_retired() && self.instances.uses_max.is_none_or(|uses_max| instance.uses < uses_max)
    }

    /// Counts a fault that speaks against the guest, in a call or because no instance could be made for one.
    pub(super) fn faulted(&self, fault: &Fault) {
        self.counts.fault(fault.cause);
        // What a replaced build does says nothing against the one that runs.
        if let Some(guest) = self.guest.upgrade().filter(|_| !self.is_retired()) {
            guest.faulted(fault);
        }
    }

    /// Makes an instance for a call.
    pub(super) async fn make_for_call(
        self: &Arc<Self>,
        deadline: Instant,
    ) -> Result<Box<GuestInstance>, Fault> {
        let unmade = match self.make(deadline).await {
            Ok(made) => return Ok(made),
            Err(unmade) => unmade,
        };
        self.counts.call_without_instance();
        match unmade {
            Unmade::Fault(fault) => {
                self.faulted(&fault);
                Err(fault)
            }
            // To wait in vain for what others have says nothing against the guest.
            Unmade::NoRoom(fault) => {
                self.counts.fault(fault.cause);
                Err(fault)
            }
        }
    }

    /// Makes an instance that receives.
    async fn make(self: &Arc<Self>, deadline: Instant) -> Result<Box<GuestInstance>, Unmade> {
        if let Some(idle_max) = self.instances.idle_max {
            self.sweep.get_or_init(|| Sweep::start(Arc::downgrade(self), idle_max));
        }
        let slot = self.share.admit(deadline).await.map_err(Unmade::NoRoom)?;
        let mut made = self.make_in(slot, deadline).await?;
        // The one instance lives as long as its build; what is counted of it are its calls.
        made.alive = (!self.is_single()).then(|| self.alive.mark());
        Ok(made)
    }

    /// Makes an instance in a slot, waiting until `deadline` for memory that others have.
    async fn make_in(
        self: &Arc<Self>,
        slot: Admitted,
        deadline: Instant,
    ) -> Result<Box<GuestInstance>, Unmade> {
        let mut no_room = None;
        let making = async {
            let mut wanted: Vec<(Whose, Waiting<'_>)> = Vec::new();
            loop {
                let mut dropped = pin!(self.share.dropped());
                if !wanted.is_empty() {
                    // Before the attempt: what is dropped during it may be what it lacked.
                    dropped.as_mut().enable();
                }
                let (whose, text) = match self.instantiate().await {
                    Ok(made) => return Ok(made),
                    Err(Failed::Fault(fault)) => return Err(Unmade::Fault(fault)),
                    Err(Failed::NoRoom(whose, text)) => (whose, text),
                };
                no_room = Some(text);
                // Usually there is room at once. Only who has said that it wants some is told of what is dropped from then on, and
                // so it looks once more before it waits.
                let is_first = !wanted.iter().any(|(known, _)| *known == whose);
                if is_first {
                    wanted.push((whose, self.share.want(whose)));
                }
                if !self.share.reclaim(whose) && !is_first {
                    dropped.await;
                }
            }
        };
        let made = until(deadline, pin!(making)).await;
        match made {
            Ok(made) => made.map(|made| Box::new(GuestInstance { _slot: Some(slot), ..made })),
            Err(_) => Err(match no_room {
                Some(text) => Unmade::NoRoom(Fault::new(Cause::Instantiate, text)),
                None => {
                    let text = "instantiating took longer than the deadline";
                    Unmade::Fault(Fault::new(Cause::Instantiate, text))
                }
            }),
        }
    }

    async fn instantiate(self: &Arc<Self>) -> Result<GuestInstance, Failed> {
        let failed =
            |error: wasmtime::Error| Failed::Fault(Fault::new(Cause::Instantiate, format!("{error:#}")));
        let share = Arc::clone(&self.share);
        let mut store =
            store::build(&self.engine, &self.facts, &self.env, &self.sink, share).map_err(failed)?;
        let fuel = Arc::clone(&store.data().fuel);
        let making = fuel.meter(pin!(self.loaded.pre.instantiate_async(&mut store))).await;
        // What its initialisers printed belongs to no message.
        store.data_mut().end();
        let instance = match making {
            Ok(instance) => instance,
            Err(error) => {
                return Err(match store.data().limiter.denied {
                    Some(denied @ Denied::Together(whose, _)) => {
                        Failed::NoRoom(whose, format!("no memory came free in time: the instance {denied}"))
                    }
                    _ if error.is::<PoolConcurrencyLimitError>() => {
                        Failed::NoRoom(Whose::All, format!("no instance came free in time: {error:#}"))
                    }
                    _ => failed(error),
                });
            }
        };
        let listener = self.loaded.listener.as_ref().map(|indices| indices.load(&mut store, &instance));
        let batch = self.loaded.batch.as_ref().map(|indices| indices.load(&mut store, &instance));
        let lifecycle = self.loaded.lifecycle.as_ref().map(|indices| indices.load(&mut store, &instance));
        Ok(GuestInstance {
            host_fuel: Arc::clone(&store.data().fuel),
            store,
            listener: listener.transpose().map_err(failed)?,
            batch: batch.transpose().map_err(failed)?,
            lifecycle: lifecycle.transpose().map_err(failed)?,
            build: Arc::clone(self),
            uses: 0,
            calls: match self.instances.policy {
                // It has one call, and is gone.
                InstancePolicy::PerMessage => self.counts.single(),
                InstancePolicy::PerWorker | InstancePolicy::Single => self.counts.counter(),
            },
            _slot: None,
            alive: None,
        })
    }

    /// Runs `activate`, where the component exports it, on an instance of its own; under the policy `single` on the one that
    /// receives.
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
        let mut instance = self.make_own().await?;
        let answer = instance.step(Step::Activate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        answer.map_err(|text| LifecycleError::Answered(text.as_str().into()))?;
        self.activated.store(true, Ordering::Release);
        self.seat.lock().await.put(Some(instance));
        Ok(())
    }

    /// An instance to run `activate` or `deactivate` on.
    async fn make_own(self: &Arc<Self>) -> Result<Box<GuestInstance>, LifecycleError> {
        let deadline = Instant::now() + self.facts.limits.activate_deadline;
        let made = if self.is_single() {
            self.make(deadline).await
        } else {
            match self.share.admit_own(deadline).await {
                Ok(slot) => self.make_in(slot, deadline).await,
                Err(fault) => Err(Unmade::NoRoom(fault)),
            }
        };
        made.map_err(|unmade| match unmade {
            Unmade::Fault(fault) | Unmade::NoRoom(fault) => LifecycleError::Faulted(fault),
        })
    }

    /// Runs `activate`; where there is none, looks at least whether an instance can be made.
    ///
    /// # Errors
    /// As [`Build::activate`].
    ///
    /// # Cancel safety
    /// As [`Build::activate`].
    pub(crate) async fn rehearse(self: &Arc<Self>) -> Result<(), LifecycleError> {
        if self.loaded.has_lifecycle() {
            return self.activate().await;
        }
        self.make_own().await.map(drop)
    }

    /// Runs `deactivate`, if `activate` ran. Where a fault took the one instance of the policy `single`, it runs on a new one.
    ///
    /// # Errors
    /// What stopped it; the build is done with all the same.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call.
    pub(crate) async fn deactivate(self: &Arc<Self>) -> Result<(), LifecycleError> {
        let kept = self.seat.lock().await.take(None);
        if !self.activated.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mut instance = match kept {
            Some(instance) => instance,
            None => self.make_own().await?,
        };
        let ended = instance.step(Step::Deactivate, self.origin()).await.map_err(LifecycleError::Faulted)?;
        ended.map_err(|text| LifecycleError::Answered(text.as_str().into()))
    }

    /// Ends a delivery for which no instance could be had.
    pub(super) fn not_received(&self, delivery: &Delivery, fault: Fault) -> Ended {
        self.tell_not_received(delivery, &fault);
        Ended::spent(Outcome::Faulted(fault))
    }

    /// Has a fault told of which no instance knows.
    pub(super) fn tell_not_received(&self, delivery: &Delivery, fault: &Fault) {
        let took = delivery.started().elapsed();
        let occasion = Occasion {
            during: "instantiate",
            delivery: Some(delivery),
            message: None,
            batch: &[],
            fuel_max: None,
            took,
        };
        self.tell(occasion, fault, Usage::default(), Vec::new(), Vec::new());
    }

    /// Has a fault told.
    pub(super) fn tell(
        &self,
        occasion: Occasion<'_>,
        fault: &Fault,
        usage: Usage,
        frames: Vec<FaultFrame>,
        lines: Vec<String>,
    ) {
        let whose = (&self.facts.name, &self.name);
        (self.engine.faults)(&occasion.report(whose, fault, usage, frames, lines));
    }

    fn origin(&self) -> Origin {
        let origin = Origin::named(&self.facts.name);
        if self.is_single() { origin.in_call_of(&self.facts.name) } else { origin }
    }
}

/// Why no instance was made.
enum Unmade {
    /// In time no room for it came free.
    NoRoom(Fault),
    Fault(Fault),
}

/// Why there is no instance, at the first look.
enum Failed {
    /// Others have what it needs.
    NoRoom(Whose, String),
    Fault(Fault),
}
