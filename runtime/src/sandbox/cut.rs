//! Ends the running calls of a build from outside: when it was replaced or unloaded and they do not end by themselves. A
//! call that never waits pays nothing for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbus_bus::{BoxFuture, Cause, Fault};
use tokio::sync::Notify;

use super::told::once_told;

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

/// What the calls of one build look at while they wait; how, stands in `bounded`.
#[derive(Debug, Default)]
pub(super) struct Cut(Arc<Ending>);

#[derive(Debug, Default)]
struct Ending {
    by: Mutex<Option<CutBy>>,
    ended: Notify,
}

impl Ending {
    fn by(&self) -> MutexGuard<'_, Option<CutBy>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cut {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Ends all calls that run under this.
    pub(super) fn cut(&self, by: CutBy) {
        *self.0.by() = Some(by);
        self.0.ended.notify_waiters();
    }

    /// Ready when the calls are ended, now or later.
    pub(super) fn raised(&self) -> BoxFuture<'static, CutBy> {
        let ending = Arc::clone(&self.0);
        Box::pin(async move { once_told(&ending.ended, || *ending.by()).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_who_ended_it_also_when_that_was_before() {
        let cut = Cut::new();
        let by = CutBy::Replacing(Duration::from_millis(5));
        let raised = cut.raised();
        cut.cut(by);
        assert_eq!((raised.await, cut.raised().await), (by, by));
        assert_eq!(by.fault().text.as_str(), "its build was replaced, and it did not end within 5 ms");
    }
}
