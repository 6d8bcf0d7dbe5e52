//! What a schedule does when its time comes: it sends, skips, or counts as missed. Sending never holds up its timer.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use super::config::{Misfire, Overlap, ScheduleConfig};
use super::plan::{Due, Moment, Plan};
use super::status::{ScheduleState, ScheduleStatus};
use crate::bus::{Bus, Shared};
use crate::call::until;
use crate::clock::Clock;
use crate::error::SendError;
use crate::limits::{SCHEDULE_CLOCK_CHECK, SCHEDULE_LATE_MAX, SCHEDULE_SENDS_MAX};
use crate::outcome::ErrorText;
use crate::sync::{Mutex, Wakers, after};
use crate::tracked::TrackedSend;

/// One schedule.
pub(super) struct Schedule {
    pub(super) config: ScheduleConfig,
    /// Guards whether it fires, and what it has done.
    state: Mutex<State>,
    /// Woken when somebody pauses, resumes or ends it.
    changed: Wakers,
}

struct State {
    phase: ScheduleState,
    /// How often somebody changed the phase.
    changes: u64,
    /// When it was resumed, until its task has seen it: what was due before was missed.
    resumed: Option<Moment>,
    /// Whether one message is owed for what it missed.
    catch_up: bool,
    /// Firings whose send has not ended, or whose message is not settled where that counts.
    unsettled: usize,
    /// Whether its last message was not accepted, so that one episode is one warning.
    failing: bool,
    next: Option<SystemTime>,
    last: Option<SystemTime>,
    fired: u64,
    skipped: u64,
    missed: u64,
    errors: BTreeMap<&'static str, u64>,
    last_error: Option<ErrorText>,
}

/// What its task does next.
enum Turn {
    Fire,
    /// Waits, at most so long, for a change after so many.
    Wait(Duration, u64),
    Over,
}

/// Waits for the times of a schedule and has it send, until it ends or its bus is gone.
pub(super) async fn keep(schedule: Arc<Schedule>, mut plan: Plan, clock: Clock, bus: Weak<Shared>) {
    loop {
        let now = Moment::now(&clock);
        match schedule.turn(&mut plan, now) {
            Turn::Over => return,
            Turn::Fire => {
                let Some(shared) = bus.upgrade() else { return };
                shared.spawn(send(Place(Arc::clone(&schedule)), Weak::clone(&bus)));
            }
            Turn::Wait(time, changes) => {
                let look = if clock.may_be_set() && plan.follows_the_wall() {
                    time.min(SCHEDULE_CLOCK_CHECK)
                } else {
                    time
                };
                let change = schedule.changed.wait_for(|| schedule.has_changed_since(changes).then_some(()));
                let _ = until(after(now.instant, look), pin!(change)).await;
            }
        }
    }
}

/// A firing that has begun and not ended; given up with its task, too.
struct Place(Arc<Schedule>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.lock().unsettled -= 1;
    }
}

/// Sends the message of one firing and, where the next one must not overlap it, follows it to its end.
async fn send(place: Place, bus: Weak<Shared>) {
    let schedule = &place.0;
    let sent = {
        let Some(shared) = bus.upgrade() else { return };
        // Paused or ended since its time came, which must mean that nothing more is sent.
        if !schedule.may_begin() {
            return;
        }
        schedule.post(&Bus { shared }).await
    };
    // The bus is let go before the wait: a message that nobody settles must not keep it.
    if let Some(tracked) = schedule.note(sent) {
        tracked.await;
    }
}

impl Schedule {
    pub(super) fn new(config: ScheduleConfig, next: Option<SystemTime>) -> Self {
        let state = State {
            phase: ScheduleState::Running,
            changes: 0,
            resumed: None,
            catch_up: false,
            unsettled: 0,
            failing: false,
            next,
            last: None,
            fired: 0,
            skipped: 0,
            missed: 0,
            errors: BTreeMap::new(),
            last_error: None,
        };
        Self { config, state: Mutex::new(state), changed: Wakers::default() }
    }

    /// Looks what is due, and says what follows.
    fn turn(&self, plan: &mut Plan, now: Moment) -> Turn {
        let resumed = self.state.lock().resumed.take();
        // Before the lock: a search in a calendar is not a matter of a few lines.
        let paused = resumed.map(|resumed| plan.take_due(resumed)).unwrap_or_default();
        let due = plan.take_due(now);
        let (ended, next, wait) = (plan.has_ended(now), plan.next(now), plan.wait(now));
        let mut state = self.state.lock();
        state.miss(paused, self.config.misfire);
        let fires = match state.phase {
            ScheduleState::Completed => return Turn::Over,
            ScheduleState::Running if !ended => state.owes_message(due, self.config.misfire),
            ScheduleState::Running | ScheduleState::Paused => {
                state.miss(due, self.config.misfire);
                false
            }
        };
        if ended {
            state.end();
            return Turn::Over;
        }
        state.next = next.filter(|_| state.phase == ScheduleState::Running);
        if fires && state.begin(self.config.overlap, now) {
            return Turn::Fire;
        }
        Turn::Wait(wait, state.changes)
    }

    fn has_changed_since(&self, changes: u64) -> bool {
        self.state.lock().changes != changes
    }

    /// Whether a firing may still send; one that may not is missed.
    fn may_begin(&self) -> bool {
        let mut state = self.state.lock();
        let runs = state.phase == ScheduleState::Running;
        if !runs {
            state.miss(Due { count: 1, late: Duration::ZERO }, self.config.misfire);
        }
        runs
    }

    async fn post(&self, bus: &Bus) -> Result<Option<TrackedSend>, SendError> {
        let (destination, message) = (self.config.destination.as_str(), self.config.message.clone());
        match self.config.overlap {
            Overlap::Skip => bus.send_tracked(destination, message).await.map(Some),
            Overlap::Allow => bus.send(destination, message).await.map(|_| None),
        }
    }

    /// Counts what became of a send.
    fn note<T>(&self, sent: Result<Option<T>, SendError>) -> Option<T> {
        let mut state = self.state.lock();
        let error = match sent {
            Ok(tracked) => {
                state.fired += 1;
                state.failing = false;
                return tracked;
            }
            Err(error) => error,
        };
        *state.errors.entry(error.name()).or_default() += 1;
        state.last_error = Some(ErrorText::new(&error.to_string()));
        let begins = !std::mem::replace(&mut state.failing, true);
        drop(state);
        if begins {
            let (schedule, destination) = (&self.config.name, &self.config.destination);
            tracing::warn!(%schedule, %destination, reason = error.name(), "the message of a schedule was not accepted: {error}");
        }
        None
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        state.changes += 1;
        change(&mut state);
        drop(state);
        self.changed.wake_all();
    }

    pub(super) fn pause(&self) {
        self.change(|state| {
            if state.phase == ScheduleState::Running {
                state.phase = ScheduleState::Paused;
                state.next = None;
            }
        });
    }

    pub(super) fn resume(&self, now: Moment) {
        self.change(|state| {
            if state.phase == ScheduleState::Paused {
                state.phase = ScheduleState::Running;
                state.resumed = Some(now);
            }
        });
    }

    pub(super) fn end(&self) {
        self.change(State::end);
    }

    pub(super) fn status(&self) -> ScheduleStatus {
        let state = self.state.lock();
        ScheduleStatus {
            name: self.config.name.clone(),
            destination: self.config.destination.clone(),
            trigger: self.config.trigger.clone(),
            state: state.phase,
            next: state.next,
            last: state.last,
            fired: state.fired,
            skipped: state.skipped,
            missed: state.missed,
            errors: state.errors.clone(),
            last_error: state.last_error.clone(),
        }
    }
}

impl State {
    fn end(&mut self) {
        self.phase = ScheduleState::Completed;
        self.next = None;
    }

    fn miss(&mut self, due: Due, misfire: Misfire) {
        self.missed += due.count;
        self.catch_up |= due.count > 0 && misfire == Misfire::Once;
    }

    /// Whether what is due, or was missed before, comes to a message; the rest of it is missed.
    fn owes_message(&mut self, due: Due, misfire: Misfire) -> bool {
        if due.count > 0 && due.late <= SCHEDULE_LATE_MAX {
            // Of several that are due together one is sent; it stands for what was missed before as well.
            self.missed += due.count - 1;
            self.catch_up = false;
            return true;
        }
        self.miss(due, misfire);
        let caught_up = std::mem::take(&mut self.catch_up);
        if caught_up {
            self.missed -= 1;
        }
        caught_up
    }

    /// Begins a firing, unless it would overlap others.
    fn begin(&mut self, overlap: Overlap, now: Moment) -> bool {
        let unsettled_max = match overlap {
            Overlap::Skip => 1,
            Overlap::Allow => SCHEDULE_SENDS_MAX,
        };
        if self.unsettled >= unsettled_max {
            self.skipped += 1;
            return false;
        }
        self.unsettled += 1;
        self.last = Some(now.wall);
        true
    }
}
