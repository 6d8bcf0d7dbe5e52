//! A guest as a listener of the bus: a name that stays, over a build that can be swapped while messages flow. What a build
//! is stands in `build`; when it is swapped, the platform decides.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sandbus_bus::{
    BoxFuture, Bus, Cause, CircuitBreaker, Delivery, Fault, Instant, ListenerInstance, MessageListener,
};
use tokio::sync::Notify;

use super::build::Build;
use super::component::Loaded;
use super::counts::Counts;
use super::cut::Cut;
use super::engine::SandboxEngine;
use super::gauge::Gauge;
use super::pool::Share;
use super::told::once_told;
use crate::host::{Buckets, GuestFacts, LogSink, Made, Secrets, TotalMemory};
use crate::settings::GuestSettings;

/// A guest: what the bus knows of it, whichever of its builds runs.
pub(crate) struct Guest {
    name: Arc<str>,
    engine: SandboxEngine,
    bus: Bus,
    sink: LogSink,
    /// The build that runs; none before the first one was activated and after the last one was taken away.
    current: ArcSwapOption<Build>,
    /// What its builds have made of destinations, and left.
    made: Arc<Made>,
    /// What they keep through `wasi:keyvalue`.
    buckets: Arc<Buckets>,
    counts: Arc<Counts>,
    /// The deadline of a call of the current build in nanoseconds, for the look at each delivery.
    deadline_nanos: AtomicU64,
    /// Whether there is a build to call, for the look before each call.
    ready: AtomicBool,
    /// Whether it stands aside everywhere, with or without a build.
    suspended: AtomicBool,
    /// Told when one of the two changes.
    settled: Notify,
    /// Is told of each fault that speaks against the guest.
    on_fault: OnFault,
    own: Weak<Self>,
}

/// Takes the faults that speak against a guest: what it did in a call, or that no instance could be made of it.
pub(crate) type OnFault = Box<dyn Fn(&Fault) + Send + Sync>;

impl Guest {
    /// Makes a guest without a build.
    pub(crate) fn new(
        engine: &SandboxEngine,
        bus: &Bus,
        name: &str,
        sink: LogSink,
        on_fault: OnFault,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            name: Arc::from(name),
            engine: engine.clone(),
            bus: bus.clone(),
            sink,
            current: ArcSwapOption::empty(),
            made: Arc::default(),
            buckets: Arc::default(),
            counts: Arc::new(Counts::new()),
            deadline_nanos: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            suspended: AtomicBool::new(false),
            settled: Notify::new(),
            on_fault,
            own: Weak::clone(own),
        })
    }

    /// Makes a build of a loaded component under these settings. Nothing of it runs yet.
    pub(crate) fn build_of(&self, settings: &GuestSettings, loaded: Arc<Loaded>) -> Arc<Build> {
        let facts = Arc::new(GuestFacts {
            name: Arc::clone(&self.name),
            limits: settings.limits.clone(),
            grants: settings.grants.clone(),
            listens_to: settings.listens_to.clone(),
            bus: self.bus.clone(),
            memory: TotalMemory::new(settings.limits.total_memory_bytes_max),
            config: settings.config.clone(),
            secrets: Secrets::of(settings.env.iter().chain(&settings.config)),
            buckets: Arc::clone(&self.buckets),
            listener: OnceLock::new(),
            listened: Mutex::default(),
            unlistened: Mutex::default(),
            retired: AtomicBool::new(false),
            made: Arc::clone(&self.made),
        });
        if loaded.is_listener() {
            let own: Weak<Self> = Weak::clone(&self.own);
            // Set once, here; nobody else has seen these facts yet.
            let _ = facts.listener.set(own);
        }
        Arc::new(Build {
            engine: self.engine.clone(),
            facts,
            name: loaded.build(),
            env: settings.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            circuit_breaker: settings.circuit_breaker,
            instances: settings.instances.clone(),
            share: Share::new(&self.engine.pool, settings.limits.instances_max, loaded.slots()),
            loaded,
            sink: Arc::clone(&self.sink),
            seat: tokio::sync::Mutex::default(),
            activated: AtomicBool::new(false),
            sweep: OnceLock::new(),
            cut: Cut::new(),
            alive: Gauge::new(),
            counts: Arc::clone(&self.counts),
            guest: Weak::clone(&self.own),
        })
    }

    /// Has calls run on `build` from now on, which was activated; gives back the one that did until now.
    pub(crate) fn run_on(&self, build: Arc<Build>) -> Option<Arc<Build>> {
        let nanos = u64::try_from(build.call_deadline().as_nanos()).unwrap_or(u64::MAX);
        self.deadline_nanos.store(nanos, Ordering::Relaxed);
        let before = self.current.swap(Some(build));
        // After the swap: an instance that is turned away must find the new build.
        if let Some(before) = &before {
            before.retire();
        }
        self.ready.store(true, Ordering::Release);
        self.settle();
        before
    }

    /// Has no call begin any more, until another build is there.
    pub(crate) fn run_on_nothing(&self) -> Option<Arc<Build>> {
        self.ready.store(false, Ordering::Release);
        let before = self.current.swap(None);
        if let Some(before) = &before {
            before.retire();
        }
        self.settle();
        before
    }

    /// Says whether it stands aside, for registrations to come; those that are there the bus must be told of.
    pub(crate) fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Release);
        self.settle();
    }

    fn settle(&self) {
        self.settled.notify_waiters();
    }

    /// Whether there is nothing to wait for before a call.
    fn is_settled(&self) -> bool {
        self.ready.load(Ordering::Acquire) || self.suspended.load(Ordering::Acquire)
    }

    /// Tells of a fault that speaks against it.
    pub(super) fn faulted(&self, fault: &Fault) {
        (self.on_fault)(fault);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The build that runs.
    pub(crate) fn current(&self) -> Option<Arc<Build>> {
        self.current.load_full()
    }

    /// What was counted of its calls, over all builds.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What its builds have made of destinations, and left.
    pub(crate) fn made(&self) -> &Made {
        &self.made
    }

    /// An instance of the build that runs.
    pub(super) async fn fresh(&self, deadline: Instant) -> Result<Box<dyn ListenerInstance>, Fault> {
        match self.current() {
            Some(build) => build.instance(deadline).await,
            None => Err(Fault::new(Cause::Instantiate, "the guest has no build that runs")),
        }
    }
}

impl MessageListener for Guest {
    fn name(&self) -> &str {
        &self.name
    }

    fn build(&self) -> Option<Arc<str>> {
        self.current.load().as_ref().map(|build| Arc::clone(&build.name))
    }

    fn call_deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline_nanos.load(Ordering::Relaxed))
    }

    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        self.current.load().as_ref().and_then(|build| build.circuit_breaker)
    }

    fn is_single(&self) -> bool {
        self.current.load().as_ref().is_some_and(|build| build.is_single())
    }

    fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            once_told(&self.settled, || self.is_settled().then_some(())).await;
        })
    }

    fn not_received(&self, delivery: &Delivery, fault: &Fault) {
        if let Some(build) = self.current() {
            build.tell_not_received(delivery, fault);
        }
    }

    fn instantiate(&self, deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        Box::pin(self.fresh(deadline))
    }
}
