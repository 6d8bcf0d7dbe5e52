//! Waiting for a state that whoever changes it tells of. A `Notify` is a tenth of a watch channel, and of some kinds of these there is
//! one for each of ten thousand guests.

use std::pin::pin;

use tokio::sync::Notify;

/// Asks `look` now and each time that `told` was told, until there is an answer.
///
/// # Cancel safety
/// Safe.
pub(super) async fn once_told<T>(told: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        let mut next = pin!(told.notified());
        // Before the look: what changes between the two must not be missed.
        next.as_mut().enable();
        if let Some(seen) = look() {
            return seen;
        }
        next.await;
    }
}
