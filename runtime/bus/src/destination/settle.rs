//! What the bus does after a call: complete, again later, dead letter; the counters; the reply. The decision itself is
//! the pure function of `settlement`.

use std::sync::Arc;

use super::Destination;
use super::flight::{Flight, Turn};
use crate::config::DestinationConfig;
use crate::dead_letter::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::entry::{Content, Entry, Target, Targets};
use crate::error::RequestError;
use crate::listener::Usage;
use crate::message::Message;
use crate::outcome::{ErrorText, Outcome};
use crate::registration::Slot;
use crate::request::{failure_of, never_received};
use crate::settlement::{self, Settlement};
use crate::sync::{Instant, after};

/// Who makes a call, which decides about attempts and where an answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// A worker of the destination, with its number.
    Worker(u32),
    /// The sender's own task, because there was no room in the queue; a retry goes through the queue all the same.
    CallerRuns(Option<Instant>),
    /// The sender's own task, on a synchronous destination: one attempt.
    Synchronous(Option<Instant>),
    /// The sender's own task, because a test switched the destination to it; retries come at once.
    Inline(Option<Instant>),
    /// The sender's own task, in direct mode: one attempt, and the sender is told instead of a dead letter being kept.
    Direct(Option<Instant>),
}

impl Manner {
    pub(crate) fn worker(self) -> Option<u32> {
        match self {
            Manner::Worker(number) => Some(number),
            _ => None,
        }
    }

    /// When a call must end for the sender's sake.
    pub(crate) fn limit(self) -> Option<Instant> {
        match self {
            Manner::Worker(_) => None,
            Manner::CallerRuns(limit)
            | Manner::Synchronous(limit)
            | Manner::Inline(limit)
            | Manner::Direct(limit) => limit,
        }
    }

    pub(crate) fn is_direct(self) -> bool {
        matches!(self, Manner::Direct(_))
    }

    pub(crate) fn in_senders_task(self) -> bool {
        !matches!(self, Manner::Worker(_))
    }

    fn one_attempt(self) -> bool {
        matches!(self, Manner::Synchronous(_) | Manner::Direct(_))
    }
}

/// Whether a delivery has ended for good.
pub(crate) enum Settled {
    Ended,
    /// It must be put back for this.
    Again(Target),
}

/// One attempt that failed for good, as it stands in the dead letter.
pub(super) struct LastAttempt<'a> {
    slot: &'a Slot,
    attempts: u32,
    outcome: &'a Outcome,
    usage: Usage,
}

impl Destination {
    /// Settles one call.
    pub(crate) async fn settle(
        &self,
        flight: &mut Flight<'_>,
        turn: &Turn<'_>,
        outcome: Outcome,
        usage: Usage,
        manner: Manner,
    ) -> Settled {
        let outcome = match outcome {
            Outcome::Done(answer) => {
                self.complete(flight, answer, manner).await;
                return Settled::Ended;
            }
            failed => failed,
        };
        if let Some(kind) = outcome.failure() {
            self.counters.fail(kind);
        }
        self.tell_fault(&flight.delivery.message, turn, &outcome);
        let last = LastAttempt { slot: &turn.slot, attempts: turn.attempt, outcome: &outcome, usage };
        if manner.is_direct() {
            self.counters.reported.add(1);
            flight.failure = failure_of(&outcome);
            flight.runs_no_more(1);
            flight.tell_settled(failure_of(&outcome));
            return Settled::Ended;
        }
        let config = self.config();
        let decided = settlement::settle(&outcome, turn.attempt, &config.retry, fastrand::f64());
        match decided {
            Settlement::RetryAfter(delay) if !manner.one_attempt() => {
                self.counters.retried.add(1);
                Settled::Again(Target {
                    slot: Arc::clone(&turn.slot),
                    attempt: turn.attempt + 1,
                    due: Some(after(Instant::now(), delay)),
                    trial: false,
                    stood_aside: false,
                    alone: false,
                })
            }
            _ => {
                let reason = match outcome.failure() {
                    Some(kind) => DeadLetterReason::of(kind),
                    None => DeadLetterReason::Closed,
                };
                self.bury(flight.content(), Some(last), reason, &config);
                flight.runs_no_more(1);
                Settled::Ended
            }
        }
    }

    /// Settles a delivery in the sender's task whose listener is not called for a while.
    pub(super) fn unavailable(&self, flight: &mut Flight<'_>, turn: &Turn<'_>, manner: Manner) -> Settled {
        match manner {
            Manner::Direct(_) => {
                self.counters.reported.add(1);
                flight.failure = Some(RequestError::ListenerUnavailable);
                flight.runs_no_more(1);
                flight.tell_settled(flight.failure.clone());
                Settled::Ended
            }
            // On a queued type it waits, as the others do.
            Manner::CallerRuns(_) => {
                let due = turn.slot.breaker.trial_due().unwrap_or_else(Instant::now);
                Settled::Again(Target { due: Some(due), ..turn.target() })
            }
            _ => {
                let reason = DeadLetterReason::ListenerUnavailable;
                self.bury_all(flight.content(), &[turn.target()], reason, &self.config());
                flight.runs_no_more(1);
                Settled::Ended
            }
        }
    }

    /// Settles a delivery whose task went away in the middle of it.
    pub(crate) fn settle_abandoned(
        self: &Arc<Self>,
        flight: &Flight<'_>,
        turn: &Turn<'_>,
        outcome: &Outcome,
    ) {
        if let Some(kind) = outcome.failure() {
            self.counters.fail(kind);
        }
        if turn.trial {
            turn.slot.breaker.trial_without_call();
            self.rouse_for_trial();
        }
        let last = LastAttempt { slot: &turn.slot, attempts: turn.attempt, outcome, usage: Usage::default() };
        self.bury(flight.content(), Some(last), DeadLetterReason::Closed, &self.config());
        flight.runs_no_more(1);
    }

    /// Settles what was owed to a listener that is not there any more.
    pub(crate) fn settle_removed(
        &self,
        content: Content<'_>,
        target: &Target,
        listeners: usize,
        config: &DestinationConfig,
    ) {
        if listeners > 1 {
            self.counters.listener_removed.add(1);
            self.end_pairs(content.message, 1, || Some(never_received("its listener was removed")));
            return;
        }
        let outcome = Outcome::refused("its only listener was removed");
        let attempts = target.attempt.saturating_sub(1);
        let last = LastAttempt { slot: &target.slot, attempts, outcome: &outcome, usage: Usage::default() };
        self.bury(content, Some(last), DeadLetterReason::ListenerRemoved, config);
    }

    /// Makes dead letters `closed` of an entry that nobody will run any more.
    pub(crate) fn bury_entry(&self, entry: &Entry, config: &DestinationConfig) {
        let content = entry.content();
        match &entry.targets {
            // Named by `Queue::fix` before an entry is taken to be buried.
            Targets::Current { .. } => {}
            Targets::Held => self.bury(content, None, DeadLetterReason::Closed, config),
            Targets::One(target) => {
                self.bury_all(content, std::slice::from_ref(target), DeadLetterReason::Closed, config)
            }
            Targets::Some(targets) => self.bury_all(content, targets, DeadLetterReason::Closed, config),
            Targets::All(set) => {
                let targets: Vec<Target> = set.iter().map(Target::first).collect();
                self.bury_all(content, &targets, DeadLetterReason::Closed, config);
            }
        }
    }

    /// The same for these listeners of a message.
    pub(super) fn bury_all(
        &self,
        content: Content<'_>,
        targets: &[Target],
        reason: DeadLetterReason,
        config: &DestinationConfig,
    ) {
        let outcome = Outcome::refused(match reason {
            DeadLetterReason::QueueFull => "there was no room for its retry",
            DeadLetterReason::Expired => "its turn did not come in time",
            DeadLetterReason::ListenerUnavailable => "its listener failed too often lately and is not called",
            _ => "the destination was closed before its turn came",
        });
        for target in targets {
            let attempts = target.attempt.saturating_sub(1);
            let last =
                LastAttempt { slot: &target.slot, attempts, outcome: &outcome, usage: Usage::default() };
            self.bury(content, Some(last), reason.clone(), config);
        }
    }

    /// Keeps a message, for one listener or for none, as a dead letter, and ends the pair. To be called under no lock.
    pub(super) fn bury(
        &self,
        content: Content<'_>,
        last: Option<LastAttempt<'_>>,
        reason: DeadLetterReason,
        config: &DestinationConfig,
    ) {
        self.bury_quietly(content, last, reason, config);
        self.events.drain_pending();
    }

    /// The same for a caller that drains the events itself.
    pub(super) fn bury_quietly(
        &self,
        content: Content<'_>,
        last: Option<LastAttempt<'_>>,
        reason: DeadLetterReason,
        config: &DestinationConfig,
    ) {
        let failure = match (&reason, &last) {
            (DeadLetterReason::Failed(_), Some(last)) => failure_of(last.outcome),
            (DeadLetterReason::ListenerUnavailable, _) => Some(RequestError::ListenerUnavailable),
            (reason, _) => Some(never_received(&format!("the message became a dead letter: {reason}"))),
        };
        let text = last.as_ref().map_or(ErrorText::default(), |last| error_text(last.outcome));
        self.keep_letter(content, last, reason, text, config);
        self.end_pairs(content.message, 1, || failure.clone());
    }

    pub(super) fn keep_letter(
        &self,
        Content { message, values }: Content<'_>,
        last: Option<LastAttempt<'_>>,
        reason: DeadLetterReason,
        last_error: ErrorText,
        config: &DestinationConfig,
    ) {
        tracing::debug!(message_id = %message.id(), destination = %self.name, %reason, %last_error, "dead letter");
        let now = Instant::now();
        let at = self.clock.at(now);
        let letter = DeadLetter {
            id: DeadLetterId::fresh(at),
            message: Arc::clone(message),
            values: values.clone(),
            listener: last.as_ref().map(|last| Arc::clone(&last.slot.name)),
            attempts: last.as_ref().map_or(0, |last| last.attempts),
            fuel: last.as_ref().and_then(|last| last.usage.fuel),
            build: last.as_ref().and_then(|last| last.slot.listener.build()),
            reason,
            last_error,
            at,
            since: now,
        };
        self.keep(letter, config);
    }

    /// Tells the waiting sender, if there is one, that pairs of the message have ended.
    pub(crate) fn end_pairs(
        &self,
        message: &Message,
        pairs: u64,
        failure: impl Fn() -> Option<RequestError>,
    ) {
        if let Some(request) = &message.request {
            for _ in 0..pairs {
                request.settled(failure());
            }
        }
    }
}

fn error_text(outcome: &Outcome) -> ErrorText {
    match outcome {
        Outcome::Done(_) => ErrorText::default(),
        Outcome::Refused(text) | Outcome::Retry { reason: text, .. } => text.clone(),
        Outcome::Faulted(fault) => fault.text.clone(),
    }
}
