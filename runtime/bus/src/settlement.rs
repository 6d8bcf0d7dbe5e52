//! What becomes of a delivery: one pure function of outcome, attempt and policy. No clock, no I/O, no bus.

use std::time::Duration;

use crate::limits;
use crate::outcome::{Cause, FailureKind, Outcome};

/// When a failed delivery is tried again.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// use std::time::Duration;
/// let mut config = DestinationConfig::parallel("orders")?;
/// config.retry = RetryPolicy { attempts_max: 5, delay_initial: Duration::from_secs(1), ..config.retry };
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Deliveries in all, the first included; at least 1.
    pub attempts_max: u32,
    /// The longest delay before the second attempt.
    pub delay_initial: Duration,
    /// The longest delay before any attempt; also cuts what a listener asks for.
    pub delay_max: Duration,
    /// By what the longest delay grows; at least 1.
    pub multiplier: f64,
    /// Whether a delay is drawn between nothing and its longest, or is its longest.
    pub jitter: Jitter,
    /// The failures that are tried again; the others become dead letters at once.
    pub on: RetryOn,
}

/// Whether delays are spread.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let policy = RetryPolicy { jitter: Jitter::None, ..RetryPolicy::default() };
/// let delay = |attempt| settle(&Outcome::retry("later"), attempt, &policy, 0.0);
/// assert_eq!(delay(1), Settlement::RetryAfter(policy.delay_initial));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Anything between nothing and the longest delay, so that what failed together does not come back together.
    Full,
    /// Always the longest delay.
    None,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: limits::ATTEMPTS_MAX,
            delay_initial: limits::RETRY_DELAY_INITIAL,
            delay_max: limits::RETRY_DELAY_MAX,
            multiplier: limits::RETRY_MULTIPLIER,
            jitter: Jitter::Full,
            on: RetryOn::default(),
        }
    }
}

/// A set of failures.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let traps_too = RetryOn::of(&[FailureKind::Retry, FailureKind::Faulted(Cause::Trap)]);
/// assert!(traps_too.contains(FailureKind::Faulted(Cause::Trap)));
/// assert!(!RetryOn::default().contains(FailureKind::Faulted(Cause::Trap)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryOn(u16);

impl Default for RetryOn {
    /// What may well go better next time: a listener's own wish, a deadline, an instance or a processor that failed.
    fn default() -> Self {
        Self::of(&[
            FailureKind::Retry,
            FailureKind::Faulted(Cause::Deadline),
            FailureKind::Faulted(Cause::Instantiate),
            FailureKind::Faulted(Cause::Processor),
        ])
    }
}

impl RetryOn {
    /// Exactly these.
    #[must_use]
    pub fn of(kinds: &[FailureKind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | 1 << kind.index()))
    }

    /// Whether a failure of this kind is tried again.
    #[must_use]
    pub fn contains(self, kind: FailureKind) -> bool {
        self.0 & (1 << kind.index()) != 0
    }
}

/// What the bus does after one delivery.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let policy = RetryPolicy::default();
/// assert_eq!(settle(&Outcome::done(), 1, &policy, 0.5), Settlement::Complete);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The listener is done with the message.
    Complete,
    /// The same listener receives it again, after so long.
    RetryAfter(Duration),
    /// It becomes a dead letter for this listener.
    DeadLetter(FailureKind),
}

/// Decides what becomes of a delivery that ended with `outcome` at `attempt` (from 1).
///
/// `jitter` is a number in 0..1 that places the delay between nothing and its longest; equal arguments give equal results.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let policy = RetryPolicy::default();
/// let refused = settle(&Outcome::refused("bad total"), 1, &policy, 0.5);
/// assert_eq!(refused, Settlement::DeadLetter(FailureKind::Refused));
/// assert!(matches!(settle(&Outcome::retry("later"), 1, &policy, 0.5), Settlement::RetryAfter(_)));
/// assert_eq!(settle(&Outcome::retry("later"), 3, &policy, 0.5), Settlement::DeadLetter(FailureKind::Retry));
/// ```
#[must_use]
pub fn settle(outcome: &Outcome, attempt: u32, policy: &RetryPolicy, jitter: f64) -> Settlement {
    let Some(kind) = outcome.failure() else { return Settlement::Complete };
    let interrupted = kind == FailureKind::Faulted(Cause::Interrupted);
    if interrupted || attempt >= policy.attempts_max || !policy.on.contains(kind) {
        return Settlement::DeadLetter(kind);
    }
    match outcome {
        Outcome::Retry { after: Some(after), .. } => Settlement::RetryAfter((*after).min(policy.delay_max)),
        _ => Settlement::RetryAfter(backoff(attempt, policy, jitter)),
    }
}

/// The delay before attempt `attempt + 1`: up to `initial` × `multiplier`^(`attempt` − 1), at most `max`.
fn backoff(attempt: u32, policy: &RetryPolicy, jitter: f64) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let longest = (policy.delay_initial.as_secs_f64() * policy.multiplier.powi(exponent))
        .min(policy.delay_max.as_secs_f64());
    let drawn = match policy.jitter {
        Jitter::Full => longest * jitter.clamp(0.0, 1.0),
        Jitter::None => longest,
    };
    Duration::try_from_secs_f64(drawn).unwrap_or(policy.delay_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let mut all = vec![Outcome::done(), Outcome::refused("bad"), Outcome::retry("later")];
        all.extend(Cause::ALL.iter().map(|cause| Outcome::faulted(*cause, "x")));
        all
    }

    #[test]
    fn err_14_settlement_is_the_table_of_the_semantics_for_every_outcome_attempt_and_policy() {
        let default = RetryPolicy::default();
        let once = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() };
        let all = RetryPolicy { on: RetryOn::of(&FailureKind::ALL), ..RetryPolicy::default() };
        let retried_by_default = ["retry", "deadline", "instantiate", "processor"];
        for outcome in outcomes() {
            for attempt in 1..=4 {
                for (policy, name) in [(&default, "default"), (&once, "once"), (&all, "all")] {
                    let got = settle(&outcome, attempt, policy, 0.5);
                    assert_eq!(got, settle(&outcome, attempt, policy, 0.5), "equal arguments, equal results");
                    let Some(kind) = outcome.failure() else {
                        assert_eq!(got, Settlement::Complete);
                        continue;
                    };
                    let wanted = match name {
                        "once" => false,
                        "all" => kind.name() != "interrupted",
                        _ => retried_by_default.contains(&kind.name()),
                    };
                    let again = matches!(got, Settlement::RetryAfter(_));
                    assert_eq!(again, wanted && attempt < 3, "{kind} at {attempt} under {name}: {got:?}");
                    if !again {
                        assert_eq!(got, Settlement::DeadLetter(kind));
                    }
                }
            }
        }
    }

    #[test]
    fn err_9_delays_lie_within_the_doubling_bound_and_spread_over_it() {
        let policy = RetryPolicy { attempts_max: 100, ..RetryPolicy::default() };
        for attempt in 1..=12u32 {
            let bound = (0.2 * 2f64.powi(attempt as i32 - 1)).min(30.0);
            let delays: Vec<f64> = (0..1_000)
                .map(|_| match settle(&Outcome::retry("x"), attempt, &policy, fastrand::f64()) {
                    Settlement::RetryAfter(delay) => delay.as_secs_f64(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(delays.iter().all(|delay| (0.0..=bound + 1e-9).contains(delay)), "attempt {attempt}");
            assert!(delays.iter().any(|delay| *delay < bound * 0.1), "attempt {attempt}");
            assert!(delays.iter().any(|delay| *delay > bound * 0.9), "attempt {attempt}");
        }
    }

    #[test]
    fn a_delay_that_a_listener_asks_for_is_capped() {
        let ask = Outcome::Retry { reason: "x".into(), after: Some(Duration::from_secs(3_600)) };
        assert_eq!(
            settle(&ask, 1, &RetryPolicy::default(), 0.0),
            Settlement::RetryAfter(Duration::from_secs(30))
        );
    }
}
