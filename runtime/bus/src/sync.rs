//! The primitives that the bus waits, counts and locks with; one place, so that a test build can swap them all.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

pub(crate) use tokio::time::{Instant, sleep_until};

/// The moment `duration` from `now`; a duration too long for the clock is as good as a century.
pub(crate) fn after(now: Instant, duration: std::time::Duration) -> Instant {
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3_600);
    now.checked_add(duration).unwrap_or_else(|| now + CENTURY)
}

/// A `std` mutex around a few lines without `.await`. A panic under it does not poison it: what it guards is counters
/// and queues, each step of which leaves them whole.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

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
