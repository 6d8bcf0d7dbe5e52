//! How many of something there are at this moment, and waiting until there is none.

use std::sync::Arc;

use tokio::sync::watch;

/// A number that goes up and down with the marks that live.
#[derive(Debug, Clone)]
pub(crate) struct Gauge(Arc<watch::Sender<usize>>);

/// Counts in its gauge as long as it lives.
#[derive(Debug)]
pub(crate) struct Mark(Gauge);

impl Gauge {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// One more, until the mark is dropped.
    pub(crate) fn mark(&self) -> Mark {
        // Nobody waits for more of them.
        self.0.send_if_modified(|count| {
            *count += 1;
            false
        });
        Mark(self.clone())
    }

    #[allow(dead_code, reason = "until guests can be replaced")]
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        // The sender lives as long as this gauge does, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|count| {
            *count -= 1;
            *count == 0
        });
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
