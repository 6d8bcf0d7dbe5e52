//! The life of a destination: pause and resume, close with a drain, close now, open again. What cannot be delivered any
//! more becomes a dead letter.

use std::pin::pin;
use std::sync::Arc;

use super::{Destination, Life, State};
use crate::call::until;
use crate::entry::{Entry, pairs_of};
use crate::sync::Instant;

/// What a close left behind.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.send("orders", Outgoing::text("nobody listens yet")).await?;
/// let Closed { dead_letters, interrupted } = bus.close_now("orders").await?;
/// assert_eq!((dead_letters, interrupted), (1, false));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// (message, listener) pairs that became dead letters because their turn did not come.
    pub dead_letters: u64,
    /// Whether running calls had to be interrupted.
    pub interrupted: bool,
}

/// Those who close a destination at this moment.
#[derive(Debug, Default)]
pub(super) struct Closings {
    under_way: usize,
    /// Whether one of them is through; the last one that ends closes the destination.
    through: bool,
}

/// One who closes a destination. As long as there is one, nobody can open it again: a close that began before would stop
/// what began after.
struct Closing<'a> {
    destination: &'a Destination,
    through: bool,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.destination.state();
        state.closings.under_way -= 1;
        state.closings.through |= self.through;
        if state.closings.under_way == 0 && std::mem::take(&mut state.closings.through) {
            state.life = Life::Closed;
        }
        drop(state);
        self.destination.tell_change();
    }
}

impl Destination {
    pub(crate) fn pause(&self) {
        let mut state = self.state();
        state.paused = true;
        state.gather();
        drop(state);
        self.tell_change();
    }

    pub(crate) fn resume(self: &Arc<Self>) {
        let mut state = self.state();
        state.paused = false;
        let ready = state.queue.ready_len();
        self.rouse(state, ready);
        // Workers that sleep through a retry's delay must look again, too.
        self.wake_all_workers();
    }

    /// Takes nothing on any more and finishes what waits, until `deadline`; then interrupts what still runs.
    ///
    /// Retries that wait, and messages without a listener, become dead letters at once: nothing will come for them.
    pub(crate) async fn close(&self, deadline: Instant) -> Closed {
        let mut closing = self.begin_to_close();
        let before = self.counters.dead_letters.get();
        self.bury_all_that(
            |state| {
                if state.paused { state.queue.take_all() } else { state.queue.take_not_ready() }
            },
        );
        self.tell_room(self.state());
        self.wake_all_workers();
        self.room.wake_all();
        let interrupted = until(deadline, pin!(self.workers_gone())).await.is_err();
        if interrupted {
            self.stop_now().await;
        }
        closing.through = true;
        Closed { dead_letters: self.counters.dead_letters.get() - before, interrupted }
    }

    /// Interrupts what runs, and makes dead letters of all that waits.
    pub(crate) async fn close_now(&self) -> Closed {
        let mut closing = self.begin_to_close();
        let before = self.counters.dead_letters.get();
        self.room.wake_all();
        let running = self.state().running(&self.counters) > 0;
        self.stop_now().await;
        closing.through = true;
        Closed { dead_letters: self.counters.dead_letters.get() - before, interrupted: running }
    }

    fn begin_to_close(&self) -> Closing<'_> {
        let mut state = self.state();
        state.life = Life::Draining;
        state.closings.under_way += 1;
        Closing { destination: self, through: false }
    }

    async fn stop_now(&self) {
        self.interrupt.raise();
        self.bury_all_that(|state| state.queue.take_all());
        self.tell_room(self.state());
        self.wake_all_workers();
        self.workers_gone().await;
        self.interrupt.lower();
    }

    /// Makes dead letters `closed` of what `take` takes out of the queue.
    fn bury_all_that(&self, take: impl FnOnce(&mut State) -> Vec<Entry>) {
        let (taken, config, _settling) = {
            let mut state = self.state();
            state.gather_fixed();
            let taken = take(&mut state);
            let settling = self.settling(pairs_of(&taken));
            (taken, Arc::clone(&state.config), settling)
        };
        for entry in taken {
            self.bury_entry(&entry, &config);
        }
    }

    /// Ends the workers of a bus that nobody holds any more, once they have run what is ready.
    pub(crate) fn abandon(&self) {
        self.state().life = Life::Draining;
        self.wake_all_workers();
    }

    /// Waits until no worker is left and no call runs.
    async fn workers_gone(&self) {
        self.changed
            .wait_for(|| {
                let gone = self.state().pool.current == 0 && self.counters.running.get() == 0;
                gone.then_some(())
            })
            .await;
    }

    /// Opens a closed destination again: listeners are kept, statistics start from zero. An open one stays as it is.
    pub(crate) fn reopen(self: &Arc<Self>) {
        let mut state = self.state();
        if state.life != Life::Closed || state.leaving {
            return;
        }
        state.life = Life::Open;
        state.paused = state.config.paused;
        state.pool.largest = 0;
        for slot in state.listeners.iter() {
            slot.counters.reset();
            slot.breaker.reset();
        }
        // Held meanwhile: one that left in between would be counted as dropped and not as owed.
        let letters = self.dead_letters.lock();
        self.counters.reset();
        // What is kept of the dead letters is still owed an end.
        self.counters.door.owed.add(letters.len() as u64);
    }
}
