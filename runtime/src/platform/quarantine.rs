//! Quarantine: a guest that faults too often, or cannot be activated, is not called anywhere until it was tried again on a
//! fresh instance. Its deliveries wait meanwhile, because the bus holds them. What a good call costs is not spent here.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use sandbus_bus::{Cause, ErrorText, Event, Fault};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Core;
use super::entry::{Entry, Standing, State};
use super::error::GuestError;
use super::status::GuestState;
use crate::settings::Quarantine;

/// The latest faults of a guest, as many as begin a quarantine, each with the number of calls that had ended when it came.
#[derive(Debug, Default)]
pub(super) struct FaultWindow(VecDeque<(Instant, u64)>);

impl FaultWindow {
    /// Notes a fault; answers whether it is one too many.
    fn fault(&mut self, policy: &Quarantine, now: Instant, calls: u64) -> bool {
        let wanted = policy.faults.max(1) as usize;
        self.0.push_back((now, calls));
        while self.0.len() > wanted
            || self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > policy.window)
        {
            self.0.pop_front();
        }
        let Some((_, before)) = self.0.front().filter(|_| self.0.len() == wanted) else { return false };
        // The first of the faults is itself among the calls since it.
        let calls_since = calls.saturating_sub(*before) + 1;
        (wanted as f64) >= policy.ratio * calls_since as f64
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// One quarantine.
pub(super) struct Episode {
    why: ErrorText,
    since: Instant,
    until: Instant,
    /// How often it was tried in vain.
    tries: u32,
    /// Told when it ends; also tells one episode from the next one.
    ended: Arc<Notify>,
}

impl Episode {
    pub(super) fn status(&self) -> GuestState {
        GuestState::Quarantined {
            why: self.why.clone(),
            since: self.since.elapsed(),
            retry_in: self.until.saturating_duration_since(Instant::now()),
        }
    }
}

/// Whether a fault speaks against the guest.
fn counts(cause: Cause) -> bool {
    !matches!(cause, Cause::Interrupted | Cause::Processor)
}

/// How long a quarantine takes that so many came before.
fn backoff(policy: &Quarantine, before: u32) -> Duration {
    let factor = 2u32.checked_pow(before).unwrap_or(u32::MAX);
    policy.initial.saturating_mul(factor).min(policy.max)
}

impl Entry {
    /// Learns of a fault that speaks against the guest.
    pub(super) fn faulted(self: &Arc<Self>, fault: &Fault) {
        if !counts(fault.cause) {
            return;
        }
        let mut state = self.state();
        let Some(policy) = state.settings.quarantine else { return };
        if !matches!(state.standing, Standing::Active) {
            return;
        }
        let now = Instant::now();
        if !state.window.fault(&policy, now, self.guest.counts().calls()) {
            return;
        }
        let calm = state.released.is_none_or(|at| now.saturating_duration_since(at) > policy.window);
        state.strikes = if calm { 0 } else { state.strikes.saturating_add(1) };
        let text = format!("{} faults; the last one: {}: {}", policy.faults, fault.cause, fault.text);
        self.begin_quarantine(state, &policy, &text);
    }

    /// Has its deliveries wait, and sees to it that it is tried again.
    pub(super) fn begin_quarantine(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        policy: &Quarantine,
        why: &str,
    ) {
        let Some(core) = self.core.upgrade() else { return };
        let now = Instant::now();
        let takes = backoff(policy, state.strikes);
        let ended = Arc::new(Notify::new());
        let why = ErrorText::new(why);
        state.window.clear();
        state.standing = Standing::Quarantined(Episode {
            why: why.clone(),
            since: now,
            until: now + takes,
            tries: 0,
            ended: Arc::clone(&ended),
        });
        // For registrations to come first, then for those that are there: none is missed. Under the lock, so that a release
        // cannot come in between.
        self.guest.set_suspended(true);
        core.bus.suspend_listener(self.name());
        drop(state);
        tracing::warn!(guest = self.name(), %why, retry_in = ?takes, "in quarantine");
        core.bus.announce(Event::GuestQuarantined { guest: Arc::from(self.name()), text: why });
        self.try_later(&core, takes, ended);
    }

    /// Ends its quarantine, if it is in one, now that a build runs. `by_hand`: somebody says that its cause is gone.
    pub(super) fn end_quarantine(&self, core: &Core, by_hand: bool) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.standing, Standing::Active);
        state.window.clear();
        let Standing::Quarantined(episode) = before else { return };
        if by_hand {
            (state.strikes, state.released) = (0, None);
        } else {
            state.released = Some(Instant::now());
        }
        self.guest.set_suspended(false);
        core.bus.release_listener(self.name());
        drop(state);
        episode.ended.notify_one();
        tracing::info!(guest = self.name(), "out of quarantine");
        core.bus.announce(Event::GuestRecovered { guest: Arc::from(self.name()) });
    }

    /// It goes away, in quarantine or not.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        if let Standing::Quarantined(episode) = std::mem::replace(&mut state.standing, Standing::Leaving) {
            episode.ended.notify_one();
        }
        state.window.clear();
        state.released = None;
        state.strikes = 0;
    }

    /// It was tried in vain: answers after what time it is tried again, if it is still in quarantine.
    pub(super) fn tried_in_vain(&self, error: &GuestError) -> Option<Duration> {
        let mut state = self.state();
        let policy = state.settings.quarantine.unwrap_or_default();
        let strikes = state.strikes;
        let Standing::Quarantined(episode) = &mut state.standing else { return None };
        episode.tries = episode.tries.saturating_add(1);
        let takes = backoff(&policy, strikes.saturating_add(episode.tries));
        episode.until = Instant::now() + takes;
        episode.why = ErrorText::new(&told(error));
        Some(takes)
    }

    fn is_in(&self, ended: &Arc<Notify>) -> bool {
        matches!(&self.state().standing, Standing::Quarantined(episode) if Arc::ptr_eq(&episode.ended, ended))
    }

    /// Tries it again after `takes`, and after longer and longer times, until its quarantine ends.
    fn try_later(self: &Arc<Self>, core: &Arc<Core>, takes: Duration, ended: Arc<Notify>) {
        let (entry, weak_core) = (Arc::downgrade(self), Arc::downgrade(core));
        let mark = core.tasks.mark();
        let mut closing = core.closing.subscribe();
        tokio::spawn(async move {
            let _mark = mark;
            let mut takes = takes;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(takes) => {}
                    () = ended.notified() => return,
                    // Shut down, or dropped without: in both cases nobody is to be called any more.
                    _ = closing.wait_for(|closing| *closing) => return,
                }
                let (Some(entry), Some(core)) = (entry.upgrade(), weak_core.upgrade()) else { return };
                let _turn = entry.turn.lock().await;
                if !entry.is_in(&ended) {
                    return;
                }
                match core.try_again(&entry, false).await {
                    Ok(_) | Err(GuestError::ShuttingDown { .. }) => return,
                    Err(error) => match entry.tried_in_vain(&error) {
                        Some(longer) => takes = longer,
                        None => return,
                    },
                }
                tracing::warn!(guest = entry.name(), retry_in = ?takes, "stays in quarantine");
            }
        });
    }
}

/// An error with its cause, on one line.
pub(super) fn told(error: &GuestError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Quarantine = Quarantine {
        faults: 4,
        ratio: 0.5,
        window: Duration::from_secs(10),
        initial: Duration::from_secs(1),
        max: Duration::from_secs(5),
    };

    #[test]
    fn faults_begin_a_quarantine_when_they_are_many_at_once_and_a_good_part_of_the_calls() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = FaultWindow::default();
        let quick: Vec<bool> = (1..=4).map(|call| window.fault(&POLICY, start, call)).collect();
        assert_eq!(quick, [false, false, false, true]);
        let mut window = FaultWindow::default();
        let slow: Vec<bool> = (1..=6).map(|call| window.fault(&POLICY, at(call * 4), call)).collect();
        assert_eq!(slow, [false; 6], "never four within ten seconds");
        let mut window = FaultWindow::default();
        let seldom: Vec<bool> = (1..=6).map(|fault| window.fault(&POLICY, start, fault * 3)).collect();
        assert_eq!(seldom, [false; 6], "one call in three faults");
    }

    #[test]
    fn each_quarantine_takes_twice_as_long_up_to_the_longest() {
        let seconds: Vec<u64> = (0..4).map(|before| backoff(&POLICY, before).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5]);
        assert_eq!(backoff(&POLICY, u32::MAX), POLICY.max);
    }
}
