//! A call while it runs: ended at its deadline, when its tank for host calls is empty, or from outside. It is one future for
//! all three, because what a call answers is moved once through each. It knows no guest.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use sandbus_bus::{BoxFuture, Instant};
use tokio::time::{Sleep, sleep_until};

use super::cut::{Cut, CutBy};
use crate::host::HostFuel;

/// How a call ended.
#[derive(Debug)]
pub(super) enum Over<T> {
    /// By itself, or because it had nothing left to pay host calls with.
    Itself(wasmtime::Result<T>),
    /// From outside.
    Cut(CutBy),
    /// At its deadline.
    Deadline,
}

/// What bounds one call.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) fuel: &'a HostFuel,
    pub(super) cut: &'a Cut,
    pub(super) deadline: Instant,
}

impl<'a> Bounds<'a> {
    /// Runs `call` within them. Whoever pinned the call drops it.
    pub(super) fn on<F>(self, call: F) -> Bounded<'a, F> {
        Bounded { call, bounds: self, waiting: None }
    }
}

/// The future of [`Bounds::on`].
#[must_use = "futures do nothing unless they are awaited"]
pub(super) struct Bounded<'a, F> {
    call: F,
    bounds: Bounds<'a>,
    /// Made when the call first waits, because most calls never do.
    waiting: Option<Box<Waiting>>,
}

struct Waiting {
    timer: Pin<Box<Sleep>>,
    cut: BoxFuture<'static, CutBy>,
}

impl<T, F: Future<Output = wasmtime::Result<T>> + Unpin> Future for Bounded<'_, F> {
    type Output = Over<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { call, bounds, waiting } = &mut *self;
        // A timer alone comes late when all workers are busy.
        if waiting.is_some() && Instant::now() >= bounds.deadline {
            return Poll::Ready(Over::Deadline);
        }
        if let Err(empty) = bounds.fuel.check() {
            return Poll::Ready(Over::Itself(Err(empty)));
        }
        if let Poll::Ready(ended) = Pin::new(call).poll(cx) {
            // Also a call that ended well: whether it is polled once more must not decide how it ends.
            let empty = if ended.is_ok() { bounds.fuel.check().err() } else { None };
            return Poll::Ready(Over::Itself(empty.map_or(ended, Err)));
        }
        let waiting = waiting.get_or_insert_with(|| {
            Box::new(Waiting { timer: Box::pin(sleep_until(bounds.deadline)), cut: bounds.cut.raised() })
        });
        if let Poll::Ready(by) = waiting.cut.as_mut().poll(cx) {
            return Poll::Ready(Over::Cut(by));
        }
        waiting.timer.as_mut().poll(cx).map(|()| Over::Deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use wasmtime::Trap;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn in_an_hour() -> Instant {
        Instant::now() + Duration::from_secs(3_600)
    }

    #[tokio::test]
    async fn a_call_that_waits_is_ended_from_outside_and_one_that_does_not_is_not() {
        let (fuel, cut) = (HostFuel::default(), Cut::new());
        fuel.begin(1);
        let bounds = Bounds { fuel: &fuel, cut: &cut, deadline: in_an_hour() };
        let by = CutBy::Replacing(SOON);
        let end = async {
            tokio::task::yield_now().await;
            cut.cut(by);
        };
        let waiting = pin!(pending::<wasmtime::Result<()>>());
        let (over, ()) = tokio::join!(bounds.on(waiting), end);
        assert!(matches!(over, Over::Cut(cut_by) if cut_by == by));
        let later = bounds.on(pin!(pending::<wasmtime::Result<()>>())).await;
        assert!(matches!(later, Over::Cut(_)), "also one that begins later: {later:?}");
        assert!(matches!(bounds.on(ready(Ok(7))).await, Over::Itself(Ok(7))));
    }

    #[tokio::test]
    async fn a_call_that_waits_ends_at_its_deadline() {
        let (fuel, cut) = (HostFuel::default(), Cut::new());
        fuel.begin(1);
        let bounds = Bounds { fuel: &fuel, cut: &cut, deadline: Instant::now() + SOON };
        let over = bounds.on(pin!(pending::<wasmtime::Result<()>>())).await;
        assert!(matches!(over, Over::Deadline), "{over:?}");
        assert!(Instant::now() >= bounds.deadline);
    }

    #[tokio::test]
    async fn an_empty_tank_ends_a_call_even_if_it_ended_well() {
        let (fuel, cut) = (HostFuel::default(), Cut::new());
        fuel.begin(1);
        let bounds = Bounds { fuel: &fuel, cut: &cut, deadline: in_an_hour() };
        let spending = pin!(async {
            fuel.charge_call();
            Ok(7)
        });
        let Over::Itself(Err(empty)) = bounds.on(spending).await else { panic!("it ended otherwise") };
        assert_eq!(empty.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel));
    }
}
