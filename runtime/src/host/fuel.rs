//! What a call's host calls cost. A host call takes time that the engine's own fuel does not see; here it is counted, against
//! a tank as large as the call's fuel. It stops nothing itself: whoever polls the call looks here.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use wasmtime::Trap;

use crate::limits::{FUEL_YIELD_INTERVAL, HOST_CALL_FUEL, HOST_KIB_FUEL};

/// The fuel for host calls of the call that runs. One task at a time writes it, so that plain loads and stores do.
#[derive(Debug, Default)]
pub(crate) struct HostFuel {
    whole: AtomicU64,
    left: AtomicU64,
    /// Used since the call last let others run.
    since_yield: AtomicU64,
}

impl HostFuel {
    /// Begins a call with a full tank.
    pub(crate) fn begin(&self, fuel: u64) {
        self.whole.store(fuel, Ordering::Relaxed);
        self.left.store(fuel, Ordering::Relaxed);
        self.since_yield.store(0, Ordering::Relaxed);
    }

    /// Takes what one host call costs.
    pub(crate) fn charge_call(&self) {
        self.charge(HOST_CALL_FUEL);
    }

    /// Takes what so many bytes cost that cross in a host call.
    pub(crate) fn charge_bytes(&self, bytes: usize) {
        self.charge((bytes as u64).saturating_mul(HOST_KIB_FUEL) >> 10);
    }

    fn charge(&self, fuel: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(fuel);
        self.left.store(left, Ordering::Relaxed);
        let since_yield = self.since_yield.load(Ordering::Relaxed).saturating_add(fuel);
        self.since_yield.store(since_yield, Ordering::Relaxed);
    }

    /// What the call's host calls have used.
    pub(crate) fn used(&self) -> u64 {
        self.whole.load(Ordering::Relaxed).saturating_sub(self.left.load(Ordering::Relaxed))
    }

    /// That there is something left.
    ///
    /// # Errors
    /// The trap that an empty tank of the engine's own would be.
    pub(crate) fn check(&self) -> wasmtime::Result<()> {
        if self.left.load(Ordering::Relaxed) == 0 { Err(Trap::OutOfFuel.into()) } else { Ok(()) }
    }

    /// Lets others run when the call's host calls have used as much as code may use at a stretch.
    ///
    /// # Errors
    /// As [`HostFuel::check`].
    pub(crate) async fn pause(&self) -> wasmtime::Result<()> {
        self.check()?;
        if self.since_yield.load(Ordering::Relaxed) >= FUEL_YIELD_INTERVAL {
            self.since_yield.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Takes what so many bytes cost that came with a host call, and lets others run as [`HostFuel::pause`] does.
    ///
    /// # Errors
    /// As [`HostFuel::check`].
    pub(crate) async fn pay(&self, bytes: usize) -> wasmtime::Result<()> {
        self.charge_bytes(bytes);
        self.pause().await
    }

    /// Runs a call until it ends or its tank is empty.
    pub(crate) fn meter<F>(&self, call: F) -> Metered<'_, F> {
        Metered { call, fuel: self }
    }
}

/// The future of [`HostFuel::meter`].
#[must_use = "futures do nothing unless they are awaited"]
pub(crate) struct Metered<'a, F> {
    call: F,
    fuel: &'a HostFuel,
}

impl<T, F: Future<Output = wasmtime::Result<T>> + Unpin> Future for Metered<'_, F> {
    type Output = wasmtime::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Err(empty) = self.fuel.check() {
            return Poll::Ready(Err(empty));
        }
        let polled = Pin::new(&mut self.call).poll(cx);
        // Also a call that ended well: whether it is polled once more must not decide how it ends.
        match (&polled, self.fuel.check()) {
            (Poll::Ready(Ok(_)), Err(empty)) => Poll::Ready(Err(empty)),
            _ => polled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_and_bytes_empty_the_tank_and_an_empty_one_ends_the_call() {
        let fuel = HostFuel::default();
        fuel.begin(HOST_CALL_FUEL + 3 * HOST_KIB_FUEL);
        fuel.charge_call();
        fuel.charge_bytes(2 << 10);
        assert_eq!(fuel.used(), HOST_CALL_FUEL + 2 * HOST_KIB_FUEL);
        assert_eq!(fuel.meter(std::future::ready(Ok(7))).await.unwrap(), 7);
        fuel.charge_bytes(1 << 10);
        assert!(fuel.pause().await.is_err());
        let ended = fuel.meter(std::future::ready(Ok(7))).await.unwrap_err();
        assert_eq!(ended.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel));
    }
}
