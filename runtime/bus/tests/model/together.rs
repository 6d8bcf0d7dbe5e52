//! Listeners of the model that take several messages in one call. Each message is dealt with as it would be alone, so that the
//! reference need not know: what would fault, or wait, is not begun, and comes alone.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sandbus_bus::{
    Batch, BoxFuture, Cause, CircuitBreaker, Delivery, Ended, EndedBatch, Fault, Instant, ListenerInstance,
    MessageListener, NativeListener, Usage,
};

use crate::log::SharedLog;
use crate::settings::number_of;

/// Whether a delivery ends at once, and well enough that the instance goes on.
type IsQuick = Arc<dyn Fn(&Delivery) -> bool + Send + Sync>;

/// A listener whose instances take several messages in one call.
pub(crate) struct Together {
    pub(crate) single: NativeListener,
    pub(crate) is_quick: IsQuick,
    pub(crate) log: SharedLog,
}

struct Instance {
    listener: NativeListener,
    is_quick: IsQuick,
    log: SharedLog,
}

impl MessageListener for Together {
    fn name(&self) -> &str {
        self.single.name()
    }

    fn call_deadline(&self) -> Duration {
        self.single.call_deadline()
    }

    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        self.single.circuit_breaker()
    }

    fn instantiate(&self, _: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let (is_quick, log) = (Arc::clone(&self.is_quick), Arc::clone(&self.log));
        let instance = Instance { listener: self.single.clone(), is_quick, log };
        let instance: Box<dyn ListenerInstance> = Box::new(instance);
        Box::pin(std::future::ready(Ok(instance)))
    }
}

impl Instance {
    async fn alone(&self, delivery: &Delivery) -> Ended {
        match self.listener.instantiate(delivery.deadline()).await {
            Ok(single) => single.receive(delivery).await,
            Err(fault) => Ended::spent(sandbus_bus::Outcome::Faulted(fault)),
        }
    }
}

impl ListenerInstance for Instance {
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            let ended = self.alone(delivery).await;
            let again = ended.instance.is_some().then_some(self as Box<dyn ListenerInstance>);
            Ended { instance: again, ..ended }
        })
    }

    fn batch_max(&self) -> usize {
        5
    }

    fn receive_batch<'a>(self: Box<Self>, batch: &'a Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
        let first = batch.deliveries().first().map_or(0, |delivery| number_of(delivery.payload()));
        if first.is_multiple_of(2) {
            self.log.lock().unwrap().stopped += 1;
            // Stopped before it began: nobody is blamed, and each comes alone.
            return Box::pin(std::future::ready(EndedBatch::spent(Fault::new(Cause::Trap, "a batch"))));
        }
        let mut outcomes = Vec::new();
        for delivery in batch.deliveries().iter().take_while(|delivery| (self.is_quick)(delivery)) {
            let ended = pin!(self.alone(delivery)).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ended { outcome, .. }) = ended else { break };
            let stops = batch.stops_at_failure() && outcome.failure().is_some();
            outcomes.push(outcome);
            if stops {
                break;
            }
        }
        let mut log = self.log.lock().unwrap();
        log.together += 1;
        log.given_back += usize::from(outcomes.len() < batch.deliveries().len());
        drop(log);
        let ended = EndedBatch { outcomes: Ok(outcomes), usage: Usage::default(), instance: Some(self) };
        Box::pin(std::future::ready(ended))
    }
}
