//! What the bus does after a call: complete, again later, dead letter; the counters; the reply. The decision itself is
//! the pure function of `settlement`.

use std::sync::Arc;
use std::time::SystemTime;

use super::Destination;
use super::flight::{Flight, Turn};
use crate::call::guarded;
use crate::config::DestinationConfig;
use crate::dead_letter::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::delivery::Delivery;
use crate::entry::{Content, Entry, Target, Targets};
use crate::error::RequestError;
use crate::listener::Usage;
use crate::message::Message;
use crate::name::DestinationName;
use crate::outcome::{Answer, ErrorText, Outcome, Reply};
use crate::registration::Slot;
use crate::request::{failure_of, never_received};
use crate::settlement::{self, Settlement};
use crate::statistics::DropReason;
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

    /// A listener dealt with the message: its changes count, its reply goes out.
    async fn complete(&self, flight: &mut Flight<'_>, answer: Answer, manner: Manner) {
        let Answer { reply, values, response } = answer;
        flight.change(values, response);
        match reply {
            Some(reply) if manner.is_direct() => flight.delivery.response = Some(Box::new(reply)),
            Some(reply) => self.route_reply(&flight.delivery, reply).await,
            None => {}
        }
        flight.complete(None, None);
    }

    /// Completes a delivery of which nothing is left to wait for; gives the answer back where its reply must be sent.
    pub(super) fn complete_at_once(
        &self,
        flight: &mut Flight<'_>,
        answer: Answer,
        manner: Manner,
    ) -> Result<(), Answer> {
        let Answer { reply, values, response } = answer;
        let response = match reply {
            None => response,
            Some(reply) if manner.is_direct() => Some(Box::new(reply)),
            Some(reply) => match self.reply_at_once(&flight.delivery, reply) {
                Ok(()) => response,
                Err(reply) => return Err(Answer { reply: Some(reply), values, response }),
            },
        };
        flight.complete(values, response);
        Ok(())
    }

    /// Does with a returned reply what needs no waiting: drops one that nobody wants, gives one to the sender who waits for
    /// it. Any other one comes back.
    fn reply_at_once(&self, delivery: &Delivery, reply: Reply) -> Result<(), Reply> {
        let (Some(bus), Some(destination)) = (self.bus.upgrade(), delivery.message.response_destination())
        else {
            self.drop_reply();
            return Ok(());
        };
        bus.answer_at_once(delivery, destination, reply)
    }

    fn drop_reply(&self) {
        self.counters.door.owed.add(1);
        self.counters.drop(DropReason::NoResponseDestination, 1);
    }

    /// Sends a returned reply to where the sender wants answers; one that is not accepted there becomes a dead letter here.
    async fn route_reply(&self, delivery: &Delivery, reply: Reply) {
        let reply = match self.reply_at_once(delivery, reply) {
            Ok(()) => return,
            Err(reply) => reply,
        };
        let (Some(bus), Some(destination)) = (self.bus.upgrade(), delivery.message.response_destination())
        else {
            return self.drop_reply();
        };
        // Boxed: a reply to a synchronous destination runs its listeners, whose replies run others.
        let mut sending = Box::pin(bus.send_reply(delivery, destination, reply.clone()));
        let (reason, text, unsent) = match guarded(&self.interrupt, sending.as_mut()).await {
            Ok(Ok(())) => return,
            Ok(Err((error, unsent))) => {
                (DeadLetterReason::ReplyNotAccepted(error.name()), ErrorText::new(&error.to_string()), unsent)
            }
            Err(_) => {
                let text = ErrorText::new("the destination was closed while the reply waited for room");
                (DeadLetterReason::Closed, text, unsent_reply(delivery, destination, reply, self.clock.now()))
            }
        };
        self.counters.door.owed.add(1);
        self.keep_letter(Content::sent(&unsent), None, reason, text, &self.config());
        self.events.drain_pending();
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

    fn keep_letter(
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

/// A reply that was given up before any destination took it on.
fn unsent_reply(delivery: &Delivery, to: &DestinationName, reply: Reply, now: SystemTime) -> Arc<Message> {
    let message = delivery.message();
    let context = delivery.origin().context(now);
    Arc::new(Message::never_accepted(to.clone(), reply.into(), context, message.accepted_at()))
}

fn error_text(outcome: &Outcome) -> ErrorText {
    match outcome {
        Outcome::Done(_) => ErrorText::default(),
        Outcome::Refused(text) | Outcome::Retry { reason: text, .. } => text.clone(),
        Outcome::Faulted(fault) => fault.text.clone(),
    }
}
