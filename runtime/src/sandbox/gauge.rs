//! How many of something there are at this moment, and waiting until there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::told::once_told;

/// A number that goes up and down with the marks that live.
#[derive(Debug, Clone)]
pub(crate) struct Gauge(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    count: AtomicUsize,
    none: Notify,
}

/// Counts in its gauge as long as it lives.
#[derive(Debug)]
pub(crate) struct Mark(Gauge);

impl Gauge {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// One more, until the mark is dropped.
    pub(crate) fn mark(&self) -> Mark {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Mark(self.clone())
    }

    #[allow(dead_code, reason = "until guests can be replaced")]
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::SeqCst)
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        once_told(&self.0.none, || (self.count() == 0).then_some(())).await;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.0.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_none_wakes_when_the_last_one_is_gone() {
        let gauge = Gauge::new();
        let (first, second) = (gauge.mark(), gauge.mark());
        let waiting = tokio::spawn({
            let gauge = gauge.clone();
            async move { gauge.none().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert_eq!((gauge.count(), waiting.is_finished()), (1, false));
        drop(second);
        waiting.await.unwrap();
        gauge.none().await;
    }
}
