//! Drops a build's instances that have been idle for too long, without waiting for a message: one task for each build that
//! has such a limit, and none for any other.

use std::sync::Weak;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::build::Build;
use crate::limits::{INSTANCE_SWEEP_INTERVAL_MAX, INSTANCE_SWEEP_INTERVAL_MIN};

/// The task; it ends with whoever holds this.
pub(super) struct Sweep(JoinHandle<()>);

impl Sweep {
    pub(super) fn start(build: Weak<Build>, idle_max: Duration) -> Self {
        let interval = (idle_max / 4).clamp(INSTANCE_SWEEP_INTERVAL_MIN, INSTANCE_SWEEP_INTERVAL_MAX);
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(build) = build.upgrade() else { return };
                build.share.drop_idle_longer_than(idle_max);
                // A seat that is taken is not idle.
                if build.is_single()
                    && let Ok(mut seat) = build.seat.try_lock()
                {
                    seat.drop_idle_longer_than(Some(idle_max));
                }
            }
        }))
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.abort();
    }
}
