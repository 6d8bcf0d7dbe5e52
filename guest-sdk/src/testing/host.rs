//! The host's functions in a test: what is sent is kept, answers come from a script, destinations are a set of names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(crate) use super::current::Current;
use crate::destinations::{Settings, Statistics};
use crate::{DestinationError, MessageId, Outgoing, Reply, RequestError, SendError};

/// A message that the code under test has sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Where it was sent.
    pub destination: String,
    /// What was sent.
    pub message: Outgoing,
    /// How it was sent.
    pub by: SentBy,
}

/// How a message was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentBy {
    /// By `send`.
    Send,
    /// By `request`, with this timeout.
    Request(Option<Duration>),
    /// By `request_direct`, with this timeout.
    RequestDirect(Option<Duration>),
}

#[derive(Default)]
struct Double {
    sent: Vec<Sent>,
    refusals: BTreeMap<String, VecDeque<SendError>>,
    answers: BTreeMap<String, VecDeque<Result<Option<Reply>, RequestError>>>,
    destinations: BTreeSet<String>,
    listens: BTreeSet<String>,
}

thread_local! {
    static DOUBLE: RefCell<Double> = RefCell::default();
}

/// Returns what was accepted so far in this test, in order.
pub fn sent() -> Vec<Sent> {
    DOUBLE.with_borrow(|double| double.sent.clone())
}

/// Has the next request to `destination` that has no answer yet end like this. A request without one ends in `NoReply`.
pub fn answer(destination: impl Into<String>, answer: Result<Reply, RequestError>) {
    answer_direct(destination, answer.map(Some));
}

/// As [`answer`], for a direct request, which can end well without an answer.
pub fn answer_direct(destination: impl Into<String>, answer: Result<Option<Reply>, RequestError>) {
    DOUBLE.with_borrow_mut(|double| double.answers.entry(destination.into()).or_default().push_back(answer));
}

/// Has the next message to `destination` that has no refusal yet not be accepted.
pub fn refuse(destination: impl Into<String>, error: SendError) {
    DOUBLE.with_borrow_mut(|double| double.refusals.entry(destination.into()).or_default().push_back(error));
}

impl Double {
    fn accept(&mut self, destination: &str, message: Outgoing, by: SentBy) -> Result<MessageId, SendError> {
        if let Some(error) = self.refusals.get_mut(destination).and_then(VecDeque::pop_front) {
            return Err(error);
        }
        self.sent.push(Sent { destination: destination.to_owned(), message, by });
        Ok(MessageId::from(format!("sent-{}", self.sent.len())))
    }

    fn ask(
        &mut self,
        destination: &str,
        message: Outgoing,
        by: SentBy,
    ) -> Result<Option<Reply>, RequestError> {
        self.accept(destination, message, by)?;
        self.answers.get_mut(destination).and_then(VecDeque::pop_front).unwrap_or(Ok(None))
    }
}

pub(crate) fn send(destination: &str, message: Outgoing) -> Result<MessageId, SendError> {
    DOUBLE.with_borrow_mut(|double| double.accept(destination, message, SentBy::Send))
}

pub(crate) fn request(
    destination: &str,
    message: Outgoing,
    timeout: Option<Duration>,
) -> Result<Reply, RequestError> {
    DOUBLE
        .with_borrow_mut(|double| double.ask(destination, message, SentBy::Request(timeout)))?
        .ok_or(RequestError::NoReply)
}

pub(crate) fn request_direct(
    destination: &str,
    message: Outgoing,
    timeout: Option<Duration>,
) -> Result<Option<Reply>, RequestError> {
    DOUBLE.with_borrow_mut(|double| double.ask(destination, message, SentBy::RequestDirect(timeout)))
}

pub(crate) fn create_destination(name: &str, _settings: Settings) -> Result<(), DestinationError> {
    let added = DOUBLE.with_borrow_mut(|double| double.destinations.insert(name.to_owned()));
    if added { Ok(()) } else { Err(DestinationError::AlreadyExists) }
}

pub(crate) fn remove_destination(name: &str) -> Result<(), DestinationError> {
    let removed = DOUBLE.with_borrow_mut(|double| double.destinations.remove(name));
    if removed { Ok(()) } else { Err(DestinationError::NoSuchDestination) }
}

pub(crate) fn listen(name: &str) -> Result<bool, DestinationError> {
    Ok(DOUBLE.with_borrow_mut(|double| double.listens.insert(name.to_owned())))
}

pub(crate) fn stop_listening(name: &str) -> Result<bool, DestinationError> {
    Ok(DOUBLE.with_borrow_mut(|double| double.listens.remove(name)))
}

/// Counts what was sent to a destination that was created here; all else is zero.
pub(crate) fn statistics(name: &str) -> Result<Statistics, DestinationError> {
    DOUBLE.with_borrow(|double| {
        if !double.destinations.contains(name) {
            return Err(DestinationError::NoSuchDestination);
        }
        let accepted = double.sent.iter().filter(|sent| sent.destination == name).count();
        Ok(Statistics {
            listeners: u32::from(double.listens.contains(name)),
            accepted: u64::try_from(accepted).unwrap_or(u64::MAX),
            ..Statistics::default()
        })
    })
}
