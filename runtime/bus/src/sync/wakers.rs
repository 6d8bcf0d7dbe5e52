//! Tasks that wait for something to change. It knows nothing of what they wait for.

use std::task::{Poll, Waker};

use super::Mutex;

/// Tasks that wait for something to change, woken all together.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    seats: Vec<(u64, Waker)>,
}

/// One task's place among those that wait; leaving it behind would keep the waker for ever.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    wakers: &'a Wakers,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.wakers.0.lock().seats.retain(|(number, _)| *number != self.number);
    }
}

impl Wakers {
    /// Has the task woken at the next [`Wakers::wake_all`]. Look at the state again after this call, not before.
    pub(crate) fn register<'a>(&'a self, seat: &mut Option<Seat<'a>>, waker: &Waker) {
        let mut waiting = self.0.lock();
        let number = match seat {
            Some(seat) => seat.number,
            None => {
                waiting.next += 1;
                waiting.next
            }
        };
        waiting.seats.retain(|(known, _)| *known != number);
        waiting.seats.push((number, waker.clone()));
        // Not dropped under the lock: only a new seat is made here, never one replaced.
        if seat.is_none() {
            *seat = Some(Seat { wakers: self, number });
        }
    }

    pub(crate) fn wake_all(&self) {
        let seats = std::mem::take(&mut self.0.lock().seats);
        seats.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Waits until `ready` answers something; `ready` is asked at first and after each wake-up.
    pub(crate) async fn wait_for<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let mut seat = None;
        std::future::poll_fn(|cx| {
            if let Some(value) = ready() {
                return Poll::Ready(value);
            }
            self.register(&mut seat, cx.waker());
            match ready() {
                Some(value) => Poll::Ready(value),
                None => Poll::Pending,
            }
        })
        .await
    }
}
