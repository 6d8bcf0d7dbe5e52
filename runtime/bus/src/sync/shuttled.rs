//! The primitives of the concurrency test: shuttle's, which let it decide at each of them what runs next, and a clock that
//! moves only when the test says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::BuildHasherDefault;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) use shuttle::future::yield_now;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use shuttle::sync::{Mutex as RawMutex, MutexGuard};

/// A map whose order is the same in each run: a schedule could not be replayed over one that is drawn by chance.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// What hashes: the same in each run.
pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

/// Where tasks run: in the execution that shuttle runs at this moment.
pub(crate) struct Handle;

impl Handle {
    pub(crate) fn current() -> Self {
        Self
    }

    /// Starts a task that nobody waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(task));
    }
}

/// An execution has one runtime.
pub(crate) fn is_current(_: &Handle) -> bool {
    true
}

/// Tasks whose results are awaited, in the order in which they were started.
pub(crate) struct JoinSet<T>(std::collections::VecDeque<shuttle::future::JoinHandle<T>>);

impl<T: Send + 'static> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self(std::collections::VecDeque::new())
    }

    pub(crate) fn spawn_on(&mut self, task: impl Future<Output = T> + Send + 'static, _: &Handle) {
        self.0.push_back(shuttle::future::spawn(task));
    }

    pub(crate) async fn join_next(&mut self) -> Option<Result<T, shuttle::future::JoinError>> {
        Some(self.0.pop_front()?.await)
    }
}

/// A moment by the clock of the test, counted from the start of the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// What the clock shows.
    #[must_use]
    pub fn now() -> Self {
        Self(CLOCK.with_borrow(|clock| clock.now))
    }

    /// So much later, if there is such a moment.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// So much earlier, if there is such a moment.
    #[must_use]
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }

    /// How long after `earlier` it is; nothing if it is before.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The same.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// How long ago it was.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

thread_local! {
    /// Of the execution that runs on this thread. Not shuttle's own, so that neither a look at it nor a timer that is
    /// dropped at the end of an execution is one more step of the schedule.
    static CLOCK: RefCell<Clock> = const {
        RefCell::new(Clock { now: Duration::ZERO, timers: BTreeMap::new(), timers_made: 0 })
    };
}

struct Clock {
    now: Duration,
    /// Armed timers by the moment that they wait for.
    timers: BTreeMap<(Instant, u64), Waker>,
    timers_made: u64,
}

/// Sets the clock back to the start and forgets its timers; to be called when an execution begins.
pub fn start() {
    CLOCK.with_borrow_mut(|clock| {
        clock.now = Duration::ZERO;
        clock.timers.clear();
    });
}

/// Lets `duration` pass, and wakes those whose moment has come.
pub fn advance(duration: Duration) {
    let due = CLOCK.with_borrow_mut(|clock| {
        clock.now += duration;
        // Everything up to now, whichever timer it is.
        let later = clock.timers.split_off(&(Instant(clock.now), u64::MAX));
        std::mem::replace(&mut clock.timers, later)
    });
    due.into_values().for_each(Waker::wake);
}

/// Lets time pass until the next timer is due, if that is at most `within` after the start. Answers whether it did.
pub fn advance_to_next_timer(within: Duration) -> bool {
    let next = CLOCK.with_borrow(|clock| clock.timers.keys().next().map(|(due, _)| *due));
    let next = next.filter(|due| due.0 <= within);
    if let Some(due) = next {
        advance(due.saturating_duration_since(Instant::now()));
    }
    next.is_some()
}

/// Ready when the clock shows a moment.
#[derive(Debug)]
pub(crate) struct Sleep {
    deadline: Instant,
    number: u64,
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let number = CLOCK.with_borrow_mut(|clock| {
        clock.timers_made += 1;
        clock.timers_made
    });
    Sleep { deadline, number }
}

impl Sleep {
    pub(crate) fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
    }

    fn disarm(&self) {
        CLOCK.with_borrow_mut(|clock| clock.timers.remove(&(self.deadline, self.number)));
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let place = (self.deadline, self.number);
        CLOCK.with_borrow_mut(|clock| clock.timers.insert(place, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
