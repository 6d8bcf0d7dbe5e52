//! Ends the running calls of a build from outside: when it was replaced or unloaded and they do not end by themselves. A
//! call that never waits pays nothing for it.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sandbus_bus::{BoxFuture, Cause, Fault};
use tokio::sync::watch;

/// Why running calls are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutBy {
    /// Another build took the place of theirs: they may be tried again, on that one.
    Replacing(Duration),
    /// The guest goes away: nobody is there to try again.
    Unloading(Duration),
}

impl CutBy {
    /// How such a call ended.
    pub(super) fn fault(self) -> Fault {
        match self {
            CutBy::Replacing(drain) => {
                let text =
                    format!("its build was replaced, and it did not end within {} ms", drain.as_millis());
                Fault::new(Cause::Deadline, text)
            }
            CutBy::Unloading(drain) => {
                let text =
                    format!("its guest was unloaded, and it did not end within {} ms", drain.as_millis());
                Fault::new(Cause::Interrupted, text)
            }
        }
    }
}

/// What the calls of one build look at while they wait.
#[derive(Debug)]
pub(super) struct Cut(watch::Sender<Option<CutBy>>);

impl Cut {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Ends all calls that run under this.
    pub(super) fn cut(&self, by: CutBy) {
        self.0.send_replace(Some(by));
    }

    /// Runs `call` until it ends, or is ended from outside. Whoever pinned the call drops it.
    pub(super) async fn unless<F: Future>(&self, mut call: Pin<&mut F>) -> Result<F::Output, CutBy> {
        // Made when the call first waits, because most calls never do.
        let mut cut: Option<BoxFuture<'static, CutBy>> = None;
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(output) = call.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let cut = cut.get_or_insert_with(|| {
                let mut seen = self.0.subscribe();
                Box::pin(async move {
                    match seen.wait_for(Option::is_some).await.map(|by| *by) {
                        Ok(Some(by)) => by,
                        // The build is gone, and with it whoever could end its calls.
                        _ => std::future::pending().await,
                    }
                })
            });
            cut.as_mut().poll(cx).map(Err)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_call_that_waits_is_ended_and_one_that_does_not_is_not() {
        let cut = Cut::new();
        let by = CutBy::Replacing(Duration::from_millis(5));
        let end = async {
            tokio::task::yield_now().await;
            cut.cut(by);
        };
        let waiting = pin!(std::future::pending::<()>());
        let (ended, ()) = tokio::join!(cut.unless(waiting), end);
        assert_eq!(ended, Err(by));
        assert_eq!(
            cut.unless(pin!(std::future::pending::<()>())).await,
            Err(by),
            "also one that begins later"
        );
        assert_eq!(cut.unless(pin!(std::future::ready(7))).await, Ok(7));
        assert_eq!(by.fault().text.as_str(), "its build was replaced, and it did not end within 5 ms");
    }
}
