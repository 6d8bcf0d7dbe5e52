//! The circuit breaker of one listener: after too many faults it is not called for a while, then one trial call decides.
//! It looks at outcomes, and at what its owner says; what waits meanwhile stands aside in the queue.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;
use crate::outcome::{Cause, FailureKind};
use crate::sync::{AtomicUsize, Instant, Mutex, Ordering, after};

/// When a listener is not called any more for a while.
///
/// It opens when `faults` calls faulted within `window`, and they are at least `ratio` of the calls since the first of them.
/// Only faults of the listener itself count: `trap`, `out-of-fuel`, `memory`, `deadline` and `instantiate`.
///
/// # Examples
/// ```
/// use sandbus_bus::{CircuitBreaker, Outcome, listener_fn};
/// use std::time::Duration;
/// let breaker = CircuitBreaker { faults: 5, window: Duration::from_secs(60), ..CircuitBreaker::default() };
/// breaker.check()?;
/// let listener = listener_fn("flaky", |_| async { Outcome::done() }).with_circuit_breaker(breaker);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CircuitBreaker {
    /// Faults that open it; at least 1.
    pub faults: u32,
    /// The share of the calls that they must be, from 0 to 1.
    pub ratio: f64,
    /// How long a fault counts.
    pub window: Duration,
    /// How long the listener is left alone before the trial call.
    pub cooldown: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            faults: limits::BREAKER_FAULTS,
            ratio: limits::BREAKER_RATIO,
            window: limits::BREAKER_WINDOW,
            cooldown: limits::BREAKER_COOLDOWN,
        }
    }
}

impl CircuitBreaker {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is not legal, with the range.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=limits::BREAKER_FAULTS_CEILING).contains(&self.faults) {
            return Err(format!("`circuit-breaker.faults` is {}; it must be from 1 to 10,000", self.faults));
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(format!("`circuit-breaker.ratio` is {}; it must be from 0 to 1", self.ratio));
        }
        if self.window.is_zero() {
            return Err("`circuit-breaker.window` is 0; it must be longer than nothing".to_owned());
        }
        Ok(())
    }
}

/// The state of the breaker of one listener at one destination.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// One of the four below; read before every call.
    phase: AtomicUsize,
    state: Mutex<BreakerState>,
}

/// Calls go through.
const CLOSED: usize = 0;
/// No call until the cooldown is over.
const OPEN: usize = 1;
/// One call runs, and decides.
const TRIAL: usize = 2;
/// No call until somebody says so; no trial either.
const SUSPENDED: usize = 3;

#[derive(Debug, Default)]
struct BreakerState {
    /// The latest faults, each with the number of calls that had ended when it came.
    faults: VecDeque<(Instant, u64)>,
    trial_due: Option<Instant>,
}

/// What a call changed about its listener's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    Nothing,
    /// It is open now, for so long.
    Opened(Duration),
    /// Calls go through again.
    Closed,
}

/// Whether a failure of this kind speaks against the listener.
fn counts(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Faulted(cause) if !matches!(cause, Cause::Interrupted | Cause::Processor))
}

impl Breaker {
    /// Whether the listener is not to be called by whoever has no trial.
    pub(crate) fn is_open(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != CLOSED
    }

    /// Whether the listener stands aside until it is released.
    pub(crate) fn is_suspended(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == SUSPENDED
    }

    /// When a trial call may be made; none while one runs or none is needed.
    pub(crate) fn trial_due(&self) -> Option<Instant> {
        if self.phase.load(Ordering::Relaxed) == OPEN { self.state.lock().trial_due } else { None }
    }

    /// Takes the one trial call, if it is time for it.
    pub(crate) fn begin_trial(&self, now: Instant) -> bool {
        if self.phase.load(Ordering::Relaxed) != OPEN {
            return false;
        }
        let state = self.state.lock();
        let due = state.trial_due.is_none_or(|due| due <= now);
        due && self.change(OPEN, TRIAL)
    }

    /// Learns how a call ended. `calls` counts the listener's calls so far; it is asked for at a fault only.
    pub(crate) fn ended(
        &self,
        failure: Option<FailureKind>,
        trial: bool,
        policy: impl FnOnce() -> Option<CircuitBreaker>,
        calls: impl FnOnce() -> u64,
    ) -> Changed {
        let faulted = failure.is_some_and(counts);
        if !faulted && !trial {
            return Changed::Nothing;
        }
        let Some(policy) = policy() else {
            return if trial { self.close() } else { Changed::Nothing };
        };
        if trial {
            // A call that was stopped from outside says nothing; the next trial comes after another cooldown.
            let answered = matches!(failure, None | Some(FailureKind::Refused | FailureKind::Retry));
            return if answered { self.close() } else { self.open(TRIAL, policy.cooldown) };
        }
        self.fault(&policy, calls())
    }

    fn fault(&self, policy: &CircuitBreaker, calls: u64) -> Changed {
        let now = Instant::now();
        let mut state = self.state.lock();
        if self.phase.load(Ordering::Relaxed) != CLOSED {
            return Changed::Nothing;
        }
        state.faults.push_back((now, calls));
        let wanted = policy.faults.max(1) as usize;
        while state.faults.len() > wanted {
            state.faults.pop_front();
        }
        while state.faults.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > policy.window) {
            state.faults.pop_front();
        }
        let Some((_, before)) = state.faults.front().filter(|_| state.faults.len() == wanted) else {
            return Changed::Nothing;
        };
        // The first of the faults is itself among the calls since it.
        let calls_since = calls.saturating_sub(*before) + 1;
        if (wanted as f64) < policy.ratio * calls_since as f64 {
            return Changed::Nothing;
        }
        drop(state);
        self.open(CLOSED, policy.cooldown)
    }

    /// Opens it, unless somebody else has changed the phase meanwhile.
    fn open(&self, from: usize, cooldown: Duration) -> Changed {
        let mut state = self.state.lock();
        state.faults.clear();
        state.trial_due = Some(after(Instant::now(), cooldown));
        if self.change(from, OPEN) { Changed::Opened(cooldown) } else { Changed::Nothing }
    }

    fn close(&self) -> Changed {
        if self.change(TRIAL, CLOSED) { Changed::Closed } else { Changed::Nothing }
    }

    fn change(&self, from: usize, to: usize) -> bool {
        self.phase.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Has the listener stand aside until it is released, whatever its calls say.
    pub(crate) fn suspend(&self) {
        self.phase.store(SUSPENDED, Ordering::Relaxed);
    }

    /// Ends that; true when it was so.
    pub(crate) fn release(&self) -> bool {
        self.state.lock().faults.clear();
        self.change(SUSPENDED, CLOSED)
    }

    /// A trial came to no call: the next delivery may be one at once.
    pub(crate) fn trial_without_call(&self) {
        let mut state = self.state.lock();
        state.trial_due = None;
        self.change(TRIAL, OPEN);
    }

    /// Forgets what calls said; a suspension stays.
    pub(crate) fn reset(&self) {
        self.state.lock().faults.clear();
        if !self.change(OPEN, CLOSED) {
            self.change(TRIAL, CLOSED);
        }
    }
}
