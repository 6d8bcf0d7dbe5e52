//! The three ways in which a guest's instances are used: kept by whoever uses it, one for each message, one for the whole
//! guest. Each is what the bus holds as an instance; how a call runs on one stands in `instance`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::{
    Batch, BoxFuture, Cause, Delivery, Ended, EndedBatch, Fault, Instant, ListenerInstance, Outcome, until,
};

use super::build::Build;
use super::instance::{Called, GuestInstance};
use super::pool::{Kept, Place};

impl Build {
    /// What the bus is to hold as an instance of this build.
    pub(super) async fn instance(
        self: &Arc<Self>,
        deadline: Instant,
    ) -> Result<Box<dyn ListenerInstance>, Fault> {
        use crate::settings::InstancePolicy::{PerMessage, PerWorker, Single};
        match self.instances.policy {
            PerWorker => Ok(Box::new(KeptInstance::of(self.make_for_call(deadline).await?))),
            PerMessage => Ok(Box::new(FreshInstance(self.make_for_call(deadline).await?))),
            Single => Ok(Box::new(Turn(Arc::clone(self)))),
        }
    }
}

/// An instance that is used again. While it is idle it may be dropped for another one that is needed.
struct KeptInstance {
    build: Arc<Build>,
    /// The instance before its first call, and between two calls of a row: nobody takes it away there. Whoever wants what it
    /// holds is heard at the end of each call.
    in_hand: Option<Box<GuestInstance>>,
    last_used: Instant,
    /// Where it is while its worker waits.
    place: Arc<Place>,
    /// Messages that it has received: a batch must not go beyond what it may.
    uses: u64,
}

impl KeptInstance {
    fn of(instance: Box<GuestInstance>) -> Self {
        let build = Arc::clone(&instance.build);
        let place = build.share.place();
        Self { build, in_hand: Some(instance), last_used: Instant::now(), place, uses: 0 }
    }

    fn is_older_than(&self, idle_max: Duration) -> bool {
        let now = Instant::now();
        match self.in_hand {
            Some(_) => now.saturating_duration_since(self.last_used) > idle_max,
            None => self.place.is_older_than(idle_max, now),
        }
    }

    /// Puts the instance where others may take it from.
    fn lay_down(&mut self) {
        let Some(instance) = self.in_hand.take() else { return };
        // Retired meanwhile: whoever retires it looks into the places afterwards, too.
        if self.place.put(instance, self.last_used) == Kept::Yes && self.build.is_retired() {
            self.place.empty();
        }
    }
}

impl Drop for KeptInstance {
    fn drop(&mut self) {
        self.place.give_up();
    }
}

impl ListenerInstance for KeptInstance {
    fn is_usable(&self) -> bool {
        !self.build.is_retired()
            && !self.place.is_emptied()
            && !self.build.instances.idle_max.is_some_and(|idle_max| self.is_older_than(idle_max))
    }

    fn rest(&mut self) {
        self.lay_down();
    }

    fn receive<'a>(mut self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            let instance = self.in_hand.take().or_else(|| self.place.take());
            let Some(instance) = instance.filter(|_| !self.build.is_retired()) else {
                // It was dropped, or its build replaced, since the worker looked at it.
                let build = Arc::clone(&self.build);
                drop(self);
                return elsewhere(&build, delivery).await;
            };
            let Called { outcome, usage, instance } = instance.call(delivery).await;
            let instance = self.keep(instance, delivery.started());
            Ended { outcome, usage, instance }
        })
    }

    fn batch_max(&self) -> usize {
        let left =
            self.build.instances.uses_max.map_or(u64::MAX, |uses_max| uses_max.saturating_sub(self.uses));
        self.build.batch_max().min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn receive_batch<'a>(mut self: Box<Self>, batch: &'a Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
        Box::pin(async move {
            let instance = self.in_hand.take().or_else(|| self.place.take());
            let Some(instance) = instance.filter(|_| !self.build.is_retired()) else {
                return EndedBatch::not_begun();
            };
            let mut called = instance.call_batch(batch).await;
            let began = batch.deliveries().first().map_or_else(Instant::now, Delivery::started);
            let instance = self.keep(called.instance.take(), began);
            called.ended(instance)
        })
    }
}

impl KeptInstance {
    /// Keeps the instance after a call that began then, if it may be used again.
    fn keep(
        mut self: Box<Self>,
        instance: Option<Box<GuestInstance>>,
        began: Instant,
    ) -> Option<Box<dyn ListenerInstance>> {
        let instance = instance.filter(|instance| self.build.may_use_again(instance))?;
        self.last_used = match self.build.instances.idle_max {
            // Only then is it worth a look at the clock.
            Some(_) => Instant::now(),
            None => began,
        };
        self.uses = instance.uses;
        self.in_hand = Some(instance);
        if self.place.is_wanted() {
            self.lay_down();
        }
        (!self.place.is_emptied()).then_some(self as Box<dyn ListenerInstance>)
    }
}

/// An instance for one message.
struct FreshInstance(Box<GuestInstance>);

impl ListenerInstance for FreshInstance {
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            let Self(instance) = *self;
            if instance.build.is_retired() {
                let build = Arc::clone(&instance.build);
                // Its slot may be the one that the next instance needs.
                drop(instance);
                return elsewhere(&build, delivery).await;
            }
            let Called { outcome, usage, .. } = instance.call(delivery).await;
            Ended { outcome, usage, instance: None }
        })
    }
}

/// The right to wait for the one instance of a guest. Each worker holds one; the instance is the build's.
struct Turn(Arc<Build>);

impl ListenerInstance for Turn {
    fn is_usable(&self) -> bool {
        !self.0.is_retired()
    }

    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            let build = &self.0;
            if delivery.is_awaited_by(&build.facts.name) {
                // The bus tells requests before they are sent; what is sent without an answer comes here.
                return Ended::spent(Outcome::refused(
                    "would deadlock: a call of the guest waits for this one",
                ));
            }
            let Ok(mut seat) = until(delivery.deadline(), pin!(build.seat.lock())).await else {
                let busy = "the guest has one instance, and it was busy until the deadline";
                return build.not_received(delivery, Fault::new(Cause::Instantiate, busy));
            };
            if build.is_retired() {
                drop(seat);
                return elsewhere(build, delivery).await;
            }
            // What waits for the end of the running calls looks here; an idle instance is none of them.
            let _running = build.alive.mark();
            let instance = match seat.take(build.instances.idle_max) {
                Some(instance) => instance,
                None => match Box::pin(build.make_for_call(delivery.deadline())).await {
                    Ok(instance) => instance,
                    Err(fault) => return build.not_received(delivery, fault),
                },
            };
            let Called { outcome, usage, instance } = instance.call(delivery).await;
            seat.put(instance.filter(|instance| build.may_use_again(instance)));
            drop(seat);
            Ended { outcome, usage, instance: Some(self) }
        })
    }

    fn batch_max(&self) -> usize {
        // How often the instance may still be used is known only to whose turn it is.
        if self.0.instances.uses_max.is_some() { 1 } else { self.0.batch_max() }
    }

    fn receive_batch<'a>(self: Box<Self>, batch: &'a Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
        Box::pin(async move {
            let build = &self.0;
            let awaited = |delivery: &Delivery| delivery.is_awaited_by(&build.facts.name);
            let deadline = batch.deadline().unwrap_or_else(Instant::now);
            if batch.deliveries().iter().any(awaited) {
                return EndedBatch::not_begun();
            }
            // What there is to say when there is no instance in time is said of single messages.
            let Ok(mut seat) = until(deadline, pin!(build.seat.lock())).await else {
                return EndedBatch::not_begun();
            };
            if build.is_retired() {
                return EndedBatch::not_begun();
            }
            let _running = build.alive.mark();
            let Some(instance) = seat.take(build.instances.idle_max) else {
                return EndedBatch::not_begun();
            };
            let mut called = instance.call_batch(batch).await;
            let instance = called.instance.take();
            seat.put(instance.filter(|instance| build.may_use_again(instance)));
            drop(seat);
            called.ended(Some(self))
        })
    }
}

/// Receives on what the guest's build of now has for it. Boxed: what comes seldom must not make the future of every call
/// larger, which is allocated and moved once for each.
fn elsewhere<'a>(build: &'a Build, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
    Box::pin(async move {
        let Some(guest) = build.guest.upgrade() else {
            return build.not_received(delivery, Fault::new(Cause::Instantiate, "the guest is gone"));
        };
        match guest.fresh(delivery.deadline()).await {
            Ok(instance) => instance.receive(delivery).await,
            Err(fault) => build.not_received(delivery, fault),
        }
    })
}

/// The place of the one instance of a guest, or of the one that `activate` ran on. No other instance takes its place.
#[derive(Default)]
pub(super) struct Seat {
    instance: Option<Box<GuestInstance>>,
    last_used: Option<Instant>,
}

impl Seat {
    /// Takes the instance, unless it was idle for too long.
    pub(super) fn take(&mut self, idle_max: Option<Duration>) -> Option<Box<GuestInstance>> {
        self.drop_idle_longer_than(idle_max);
        self.instance.take()
    }

    /// Puts it back, or notes that it is gone.
    pub(super) fn put(&mut self, instance: Option<Box<GuestInstance>>) {
        self.last_used = Some(Instant::now());
        self.instance = instance;
    }

    pub(super) fn drop_idle_longer_than(&mut self, idle_max: Option<Duration>) {
        let idle = self.last_used.map(|at| Instant::now().saturating_duration_since(at));
        if let (Some(idle), Some(idle_max)) = (idle, idle_max)
            && idle > idle_max
        {
            self.instance = None;
        }
    }
}
