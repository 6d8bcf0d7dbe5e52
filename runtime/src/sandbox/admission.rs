//! Slots for live instances: taken before an instance is made, given back when it is dropped. An exhausted pool would be
//! an error; waiting for a slot is not.

use std::pin::pin;
use std::sync::Arc;

use crate::host::{Reclaim, Whose};
use sandbus_bus::{Cause, Fault, Instant, until};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of all guests, or of one.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    slots_max: usize,
}

/// A live instance's place among all instances and among those of its guest.
#[derive(Debug)]
pub(super) struct Admitted {
    _of_guest: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Reclaim for Admission {
    fn reclaim(&self, _: Whose) -> bool {
        false
    }
}

impl Admission {
    pub(super) fn new(slots_max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots_max)), slots_max }
    }

    pub(super) fn taken(&self) -> usize {
        self.slots_max - self.slots.available_permits()
    }

    /// Takes a slot of the guest and one of all guests, waiting until `deadline`.
    pub(super) async fn admit(of_guest: &Self, of_all: &Self, deadline: Instant) -> Result<Admitted, Fault> {
        let both = async {
            // In this order everywhere, so that two who wait cannot hold what the other one needs.
            let guest = Arc::clone(&of_guest.slots).acquire_owned().await;
            let all = Arc::clone(&of_all.slots).acquire_owned().await;
            guest.ok().zip(all.ok())
        };
        match until(deadline, pin!(both)).await {
            Ok(Some((of_guest, of_all))) => Ok(Admitted { _of_guest: of_guest, _of_all: of_all }),
            _ => {
                let (own, all) = (of_guest.slots_max, of_all.slots_max);
                let text = format!(
                    "no instance came free in time: a guest has {own}, all guests together have {all}"
                );
                Err(Fault::new(Cause::Instantiate, text))
            }
        }
    }
}
