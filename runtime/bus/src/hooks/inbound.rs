//! Inbound processors: they run around every delivery, and may replace the message for it. They decide nothing about what
//! follows: a failure of theirs is an outcome, and is settled like any other.

use std::sync::Arc;

use super::{HookSet, Hooks, caught};
use crate::delivery::Delivery;
use crate::destination::Destination;
use crate::kit::Kit;
use crate::listener::{Ended, ListenerInstance, Usage};
use crate::outcome::{Cause, Fault, Outcome};
use crate::registration::Slot;
use crate::sync::Instant;

/// Runs around every delivery: on each type of destination, in direct mode, at each attempt.
///
/// The first one registered is the outermost: `before_delivery` runs in the order of registration, `after_delivery` in the
/// opposite one. Both run in the task that calls the listener, without a lock and outside of the call's deadline: they must
/// not block. A panic is a failure.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, Delivery, InboundProcessor, Scope};
/// struct Upper;
/// impl InboundProcessor for Upper {
///     fn before_delivery(&self, delivery: Delivery) -> Result<Delivery, String> {
///         let text = delivery.text().ok_or("not a text")?.to_uppercase();
///         Ok(delivery.with_payload(text, Some("text/plain")))
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// bus.add_inbound(Scope::Destination("orders".parse()?), Upper)?;
/// # Ok(()) }
/// ```
pub trait InboundProcessor: Send + Sync + 'static {
    /// Gives back the delivery as the listener is to receive it: as it is, or with another payload or other values.
    ///
    /// What it replaces counts for this attempt of this listener. Other listeners, a retry and a dead letter begin with what
    /// was sent; only a listener that changes values itself hands all of them on.
    ///
    /// # Errors
    /// Why the listener must not receive it. The delivery ends faulted (cause `processor`), the listener is not called, and
    /// no further processor is; those that ran before are told by `after_delivery`.
    fn before_delivery(&self, delivery: Delivery) -> Result<Delivery, String> {
        Ok(delivery)
    }

    /// Learns how the delivery ended: once for each `before_delivery` that gave a delivery back.
    ///
    /// # Errors
    /// Why the delivery failed although the listener ended done: it then ends faulted (cause `processor`), and what the
    /// listener answered is discarded. A listener's own failure stays what it is.
    fn after_delivery(&self, delivery: &Delivery, outcome: &Outcome) -> Result<(), String> {
        let _ = (delivery, outcome);
        Ok(())
    }
}

/// The processors that wait to learn how a delivery ends.
struct Inbound {
    set: Arc<HookSet>,
    /// As the listener receives it.
    delivery: Delivery,
    /// So many of the set have had their `before_delivery`; none is left once they are told.
    begun: usize,
}

impl Hooks {
    fn inbound(&self, delivery: &Delivery) -> Inbound {
        Inbound { set: self.load(), delivery: delivery.clone(), begun: 0 }
    }
}

impl Inbound {
    fn before(&mut self) -> Result<(), String> {
        for processor in &self.set.inbound {
            if processor.sees(self.delivery.destination()) {
                let given = self.delivery.clone();
                let taken = caught(|| processor.hook.before_delivery(given)).flatten()?;
                if !taken.is_same(&self.delivery) {
                    return Err("it gave back another delivery than it got".to_owned());
                }
                self.delivery = taken;
            }
            self.begun += 1;
        }
        Ok(())
    }

    /// Tells them, the last one first, and answers what counts.
    fn after(&mut self, mut outcome: Outcome) -> Outcome {
        let begun = self.set.inbound.iter().take(std::mem::take(&mut self.begun)).rev();
        for processor in begun.filter(|processor| processor.sees(self.delivery.destination())) {
            let told = caught(|| processor.hook.after_delivery(&self.delivery, &outcome)).flatten();
            if let Err(text) = told
                && outcome.failure().is_none()
            {
                outcome = failed(&text);
            }
        }
        outcome
    }
}

impl Drop for Inbound {
    /// The task that made the call went away: they are told all the same.
    fn drop(&mut self) {
        if self.begun > 0 {
            self.after(Outcome::faulted(Cause::Interrupted, "the task that made the call went away"));
        }
    }
}

fn failed(text: &str) -> Outcome {
    Outcome::Faulted(Fault::new(Cause::Processor, text))
}

impl Destination {
    /// Makes a call with the inbound processors around it.
    pub(crate) async fn call_processed(
        &self,
        slot: &Arc<Slot>,
        instance: Option<Box<dyn ListenerInstance>>,
        delivery: &Delivery,
        kit: &mut Option<&mut Kit>,
        in_hand: &mut Option<Instant>,
    ) -> Ended {
        let mut inbound = self.hooks.inbound(delivery);
        if let Err(text) = inbound.before() {
            // The listener was not called: its instance is as good as before.
            let outcome = inbound.after(failed(&text));
            return Ended { outcome, usage: Usage::default(), instance };
        }
        let ended = self.call(slot, instance, &inbound.delivery, kit, in_hand).await;
        Ended { outcome: inbound.after(ended.outcome), ..ended }
    }
}

impl<T: InboundProcessor + ?Sized> InboundProcessor for Arc<T> {
    fn before_delivery(&self, delivery: Delivery) -> Result<Delivery, String> {
        (**self).before_delivery(delivery)
    }

    fn after_delivery(&self, delivery: &Delivery, outcome: &Outcome) -> Result<(), String> {
        (**self).after_delivery(delivery, outcome)
    }
}
