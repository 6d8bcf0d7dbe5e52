//! One call of a listener: ended at its deadline, by an interrupt, or by its own panic. It knows no queue and no outcome.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::listener::BoxFuture;
use crate::sync::{AtomicBool, Instant, Ordering, Seat, Sleep, Wakers, sleep_until};

/// The deadline passed before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Runs `future` until `deadline`.
///
/// The clock is looked at each time the future is polled again, because a timer alone comes late when all workers are busy;
/// the timer is made when the future first waits, because most calls never do. The future comes pinned (`std::pin::pin!`),
/// so that it is not moved once more.
///
/// # Errors
/// [`Elapsed`] when the deadline passes first; whoever pinned the future drops it.
///
/// # Cancel safety
/// As `future`.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use sandbus_bus::{Elapsed, Instant, until};
/// use std::{pin::pin, time::Duration};
/// let soon = Instant::now() + Duration::from_millis(5);
/// assert_eq!(until(soon, pin!(async { 7 })).await, Ok(7));
/// assert_eq!(until(soon, pin!(std::future::pending::<()>())).await, Err(Elapsed));
/// # }
/// ```
pub fn until<F: Future + Unpin>(deadline: Instant, future: F) -> Until<F> {
    Until { future, deadline, timer: None, polled: false }
}

/// The future of [`until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Until<F> {
    future: F,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    polled: bool,
}

impl<F: Future + Unpin> Future for Until<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polled && Instant::now() >= self.deadline {
            return Poll::Ready(Err(Elapsed));
        }
        self.polled = true;
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Err(Elapsed))
    }
}

/// Ends the calls of a destination that is closed now.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    raised: AtomicBool,
    waiting: Wakers,
}

impl Interrupt {
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.waiting.wake_all();
    }

    pub(crate) fn lower(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }
}

/// How a guarded call ended without its own answer.
pub(crate) enum Stopped {
    /// The interrupt was raised; the call is dropped.
    Interrupted,
    /// It panicked with this text.
    Panicked(String),
}

/// Runs `call` so that neither its panic nor its waiting can hold the task that runs it. What makes the call belongs into
/// it: it may panic, too.
pub(crate) async fn guarded<F: Future>(
    interrupt: &Interrupt,
    mut call: Pin<&mut F>,
) -> Result<F::Output, Stopped> {
    guarded_from(interrupt, call.as_mut(), false).await
}

/// The same for a call that was polled in this very turn, and waits: to poll it once more would give it a second turn.
pub(crate) async fn guarded_on<F: Future>(
    interrupt: &Interrupt,
    call: Pin<&mut F>,
) -> Result<F::Output, Stopped> {
    guarded_from(interrupt, call, true).await
}

async fn guarded_from<F: Future>(
    interrupt: &Interrupt,
    mut call: Pin<&mut F>,
    mut polled: bool,
) -> Result<F::Output, Stopped> {
    let mut seat = None;
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if interrupt.is_raised() {
            return Poll::Ready(Err(Stopped::Interrupted));
        }
        if std::mem::take(&mut polled) {
            return wait(interrupt, &mut seat, cx);
        }
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Err(panic) => Poll::Ready(Err(Stopped::Panicked(panic_text(&*panic)))),
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => wait(interrupt, &mut seat, cx),
        }
    })
    .await
}

fn wait<'a, T>(
    interrupt: &'a Interrupt,
    seat: &mut Option<Seat<'a>>,
    cx: &Context<'_>,
) -> Poll<Result<T, Stopped>> {
    interrupt.waiting.register(seat, cx.waker());
    // Raised between the look before and the registration: nobody would wake this task for it.
    if interrupt.is_raised() { Poll::Ready(Err(Stopped::Interrupted)) } else { Poll::Pending }
}

/// How the first poll of a call ended.
pub(crate) enum First<'a, T> {
    Ended(Result<T, Stopped>),
    Waits(BoxFuture<'a, T>),
}

/// Begins a call and polls it once, guarded as above. Most calls never wait, and then this is all that is done for them.
pub(crate) fn begin<'a, T>(
    interrupt: &Interrupt,
    cx: &mut Context<'_>,
    call: impl FnOnce() -> BoxFuture<'a, T>,
) -> First<'a, T> {
    if interrupt.is_raised() {
        return First::Ended(Err(Stopped::Interrupted));
    }
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let mut call = call();
        match call.as_mut().poll(cx) {
            Poll::Ready(ended) => First::Ended(Ok(ended)),
            Poll::Pending => First::Waits(call),
        }
    }));
    polled.unwrap_or_else(|panic| First::Ended(Err(Stopped::Panicked(panic_text(&*panic)))))
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}

#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_future_that_waits_ends_at_the_deadline_and_a_quick_one_does_not() {
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(until(deadline, std::future::ready(7)).await, Ok(7));
        assert_eq!(until(deadline, std::pin::pin!(std::future::pending::<()>())).await, Err(Elapsed));
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn a_panic_and_an_interrupt_end_the_call_and_nothing_else() {
        let interrupt = Interrupt::default();
        let panicking = guarded::<_>(&interrupt, std::pin::pin!(async { panic!("boom") })).await;
        assert!(matches!(panicking, Err(Stopped::Panicked(text)) if text.contains("boom")));
        let raise = async {
            tokio::task::yield_now().await;
            interrupt.raise();
        };
        let waiting = std::pin::pin!(std::future::pending::<()>());
        let (stopped, ()) = tokio::join!(guarded(&interrupt, waiting), raise);
        assert!(matches!(stopped, Err(Stopped::Interrupted)));
    }
}
