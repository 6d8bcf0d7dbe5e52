//! One call of a listener: ended at its deadline, by an interrupt, or by its own panic. It knows no queue and no outcome.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::sync::{AtomicBool, Instant, Ordering, Wakers, sleep_until};

/// The deadline passed before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Runs `future` until `deadline`.
///
/// The clock is looked at each time the future is polled, because a timer alone comes late when all workers are busy; the
/// timer is armed when the future first waits, because most calls never do.
///
/// # Errors
/// [`Elapsed`] when the deadline passes first; the future is then dropped.
///
/// # Cancel safety
/// Dropping it drops `future`.
pub async fn until<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = std::pin::pin!(future);
    let mut timer = std::pin::pin!(None);
    let mut polled = false;
    std::future::poll_fn(move |cx| {
        if polled && Instant::now() >= deadline {
            return Poll::Ready(Err(Elapsed));
        }
        polled = true;
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if timer.is_none() {
            timer.set(Some(sleep_until(deadline)));
        }
        match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(Elapsed)),
            _ => Poll::Pending,
        }
    })
    .await
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

/// Runs `call` so that neither its panic nor its waiting can hold the task that runs it.
pub(crate) async fn guarded<T>(
    interrupt: &Interrupt,
    mut call: Pin<Box<dyn Future<Output = T> + Send + '_>>,
) -> Result<T, Stopped> {
    let mut seat = None;
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if interrupt.is_raised() {
            return Poll::Ready(Err(Stopped::Interrupted));
        }
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
            Err(panic) => Poll::Ready(Err(Stopped::Panicked(panic_text(&*panic)))),
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => {
                interrupt.waiting.register(&mut seat, cx.waker());
                // Raised between the look above and the registration: nobody would wake this task for it.
                if interrupt.is_raised() { Poll::Ready(Err(Stopped::Interrupted)) } else { Poll::Pending }
            }
        }
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_future_that_waits_ends_at_the_deadline_and_a_quick_one_does_not() {
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(until(deadline, std::future::ready(7)).await, Ok(7));
        assert_eq!(until(deadline, std::future::pending::<()>()).await, Err(Elapsed));
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn a_panic_and_an_interrupt_end_the_call_and_nothing_else() {
        let interrupt = Interrupt::default();
        let panicking = guarded::<()>(&interrupt, Box::pin(async { panic!("boom") })).await;
        assert!(matches!(panicking, Err(Stopped::Panicked(text)) if text.contains("boom")));
        let raise = async {
            tokio::task::yield_now().await;
            interrupt.raise();
        };
        let (stopped, ()) = tokio::join!(guarded::<()>(&interrupt, Box::pin(std::future::pending())), raise);
        assert!(matches!(stopped, Err(Stopped::Interrupted)));
    }
}
