//! The senders of a bench: each a task that sends as the plan says, counts what came of it, and stops when it is told. They
//! look at no figure of the bus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sandbus_bus::{Bus, Outgoing, RequestError, SendError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::super::args::Mode;
use super::plan::{Plan, Until};
use super::spread::Spread;
use crate::diagnostic::{Code, Problem};
use crate::limits;

/// A sender that finds no room looks again at once for so long, and then each millisecond.
const ROOM_LOOKS_AT_ONCE: Duration = Duration::from_micros(200);

/// Has all senders stop: told from outside, or by one of them.
#[derive(Default)]
pub(super) struct Stop {
    told: AtomicBool,
    wake: Notify,
}

impl Stop {
    pub(super) fn stop(&self) {
        self.told.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Waits for `future`; none when the senders are to stop first.
    async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        // Made before the look: who stops in between wakes it all the same.
        let stopped = self.wake.notified();
        if self.told.load(Ordering::SeqCst) {
            return None;
        }
        tokio::select! {
            biased;
            done = future => Some(done),
            () = stopped => None,
        }
    }
}

/// What the senders counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    /// Requests of them that got their answer are in `answered`, too.
    pub(super) accepted: u64,
    pub(super) answered: u64,
    /// Requests without an answer, by why.
    pub(super) unanswered: BTreeMap<&'static str, u64>,
    /// Sends that were turned away, by reason.
    pub(super) rejected: BTreeMap<&'static str, u64>,
    /// Sends that found the queue full and got in later.
    pub(super) waited_for_room: u64,
    /// Sends that began later than they were to.
    pub(super) late: u64,
    pub(super) latest: Duration,
    /// Until a send was accepted, or a request answered.
    pub(super) took: Spread,
    /// What ended the bench early.
    pub(super) gave_up: Option<SendError>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.answered += other.answered;
        for (of, to) in [(other.unanswered, &mut self.unanswered), (other.rejected, &mut self.rejected)] {
            of.into_iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
        }
        self.waited_for_room += other.waited_for_room;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
        self.took.add(&other.took);
        self.gave_up = self.gave_up.take().or(other.gave_up);
    }
}

/// Runs all senders to their end.
pub(super) async fn run(
    bus: &Bus,
    plan: &Arc<Plan>,
    until: Until,
    stop: &Arc<Stop>,
) -> Result<Tally, Problem> {
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for number in 0..plan.senders {
        let own_copy = bytes::Bytes::copy_from_slice(&plan.message.payload);
        let sender = Sender {
            bus: bus.clone(),
            plan: Arc::clone(plan),
            // Of its own: senders that share one would all count it up and down.
            message: Outgoing { payload: own_copy, ..plan.message.clone() },
            stop: Arc::clone(stop),
            number,
            began,
            ends: match until {
                Until::Elapsed(time) => began.checked_add(time),
                Until::Count(_) => None,
            },
            tally: Tally::default(),
        };
        let share = match until {
            Until::Count(count) => count / plan.senders + u64::from(number < count % plan.senders),
            Until::Elapsed(_) => u64::MAX,
        };
        senders.spawn(sender.send_all(share));
    }
    let mut tally = Tally::default();
    while let Some(ended) = senders.join_next().await {
        match ended {
            Ok(counted) => tally.add(counted),
            Err(error) => {
                return Err(Problem::caused_by(Code::HostFailed, "a sender of the bench failed", &error));
            }
        }
    }
    Ok(tally)
}

/// What came of one attempt to send.
enum Came {
    Accepted,
    Answered,
    Unanswered(&'static str),
    Refused(SendError),
}

struct Sender {
    bus: Bus,
    plan: Arc<Plan>,
    message: Outgoing,
    stop: Arc<Stop>,
    /// Its place among the senders.
    number: u64,
    began: Instant,
    ends: Option<Instant>,
    tally: Tally,
}

impl Sender {
    async fn send_all(mut self, share: u64) -> Tally {
        for place in 0..share {
            if self.stop.is_told() || !self.waits_for_its_time(place).await {
                break;
            }
            let now = Instant::now();
            if self.ends.is_some_and(|ends| now >= ends) || !self.send_one(now).await {
                break;
            }
        }
        self.tally
    }

    /// Waits until a send is due, where there is a rate; false when it does not come to that.
    async fn waits_for_its_time(&mut self, place: u64) -> bool {
        let Some(per_second) = self.plan.per_second else { return true };
        let turn = place.saturating_mul(self.plan.senders).saturating_add(self.number);
        let after = Duration::from_secs_f64(turn as f64 / per_second as f64);
        let Some(due) = self.began.checked_add(after) else { return false };
        if self.ends.is_some_and(|ends| due >= ends) {
            return false;
        }
        let now = Instant::now();
        if due > now && self.stop.unless(tokio::time::sleep(due - now)).await.is_none() {
            return false;
        }
        let late = due.elapsed();
        if late > limits::BENCH_LATE_MAX {
            self.tally.late += 1;
            self.tally.latest = self.tally.latest.max(late);
        }
        true
    }

    /// Sends one message; false when the sender is to end.
    async fn send_one(&mut self, began: Instant) -> bool {
        let mut found_it_full = false;
        loop {
            let came = self.stop.unless(attempt(&self.bus, &self.plan, &self.message)).await;
            let error = match came {
                // Whether it got in is not known; it counts only if the bus says so.
                None => return false,
                Some(Came::Refused(error)) => error,
                Some(other) => {
                    self.tally.waited_for_room += u64::from(found_it_full);
                    self.count(other, began.elapsed());
                    return true;
                }
            };
            let full = matches!(error, SendError::QueueFull { .. });
            if full && self.plan.per_second.is_none() && began.elapsed() < limits::BENCH_ROOM_WAIT {
                found_it_full = true;
                if self.ends.is_some_and(|ends| Instant::now() >= ends)
                    || self.wait_for_room(began).await.is_none()
                {
                    // It never was in, and does not count.
                    return false;
                }
                continue;
            }
            let goes_on = self.refused(error);
            // What was refused at once is not asked for again before others had their turn.
            tokio::task::yield_now().await;
            return goes_on;
        }
    }

    async fn wait_for_room(&self, since: Instant) -> Option<()> {
        if since.elapsed() < ROOM_LOOKS_AT_ONCE {
            tokio::task::yield_now().await;
            return Some(());
        }
        self.stop.unless(tokio::time::sleep(Duration::from_millis(1))).await
    }

    fn count(&mut self, came: Came, took: Duration) {
        self.tally.sent += 1;
        self.tally.accepted += 1;
        match came {
            Came::Unanswered(why) => *self.tally.unanswered.entry(why).or_default() += 1,
            Came::Answered => {
                self.tally.answered += 1;
                self.tally.took.record(took);
            }
            _ => self.tally.took.record(took),
        }
    }

    /// Counts a send that was turned away. What would turn each one away ends the bench.
    fn refused(&mut self, error: SendError) -> bool {
        self.tally.sent += 1;
        *self.tally.rejected.entry(error.name()).or_default() += 1;
        let passes = match error {
            SendError::QueueFull { .. } => self.plan.per_second.is_some(),
            SendError::Busy { .. } => true,
            _ => false,
        };
        if !passes {
            self.tally.gave_up = Some(error);
            self.stop.stop();
        }
        passes
    }
}

async fn attempt(bus: &Bus, plan: &Plan, message: &Outgoing) -> Came {
    match plan.mode {
        Mode::Send => match bus.send(&plan.destination, message.clone()).await {
            Ok(_) => Came::Accepted,
            Err(error) => Came::Refused(error),
        },
        Mode::Request => match bus.request(&plan.destination, message.clone(), None).await {
            Ok(_) => Came::Answered,
            Err(RequestError::NotSent(error)) => Came::Refused(error),
            Err(error) => Came::Unanswered(error.name()),
        },
    }
}
