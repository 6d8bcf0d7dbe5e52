//! Those who wait for an answer: one tracker each, found by its response id. It sends nothing and runs no timer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{RequestError, SendError};
use crate::limits::FINISHED_REQUESTS_MAX;
use crate::name::DestinationName;
use crate::outcome::{Cause, ErrorText, Fault, Outcome, Reply};
use crate::statistics::DropReason;
use crate::sync::{AtomicUsize, Mutex, Ordering};

type Answered = Result<Reply, RequestError>;

/// One request that somebody waits for.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) id: Arc<str>,
    pub(crate) response_destination: DestinationName,
    state: Mutex<TrackerState>,
}

#[derive(Debug)]
struct TrackerState {
    /// (message, listener) pairs that carry the response id and have not settled.
    outstanding: u64,
    failure: Option<RequestError>,
    sender: Option<oneshot::Sender<Answered>>,
}

impl Tracker {
    /// Counts pairs that could still bring an answer.
    pub(crate) fn owe(&self, pairs: u64) {
        self.state.lock().outstanding += pairs;
    }

    /// Counts a pair that has settled; after the last one, the sender learns that no answer can come any more.
    pub(crate) fn settled(&self, failure: Option<RequestError>) {
        let mut state = self.state.lock();
        state.outstanding = state.outstanding.saturating_sub(1);
        if failure.is_some() {
            state.failure = failure;
        }
        if state.outstanding == 0
            && let Some(sender) = state.sender.take()
        {
            let ended = state.failure.take().unwrap_or(RequestError::NoReply);
            // The sender may have stopped waiting just now; then there is nobody to tell.
            let _ = sender.send(Err(ended));
        }
    }

    fn answer(&self, reply: Reply) -> bool {
        match self.state.lock().sender.take() {
            Some(sender) => sender.send(Ok(reply)).is_ok(),
            None => false,
        }
    }
}

/// What a waiting sender is told of an outcome that no answer follows.
pub(crate) fn failure_of(outcome: &Outcome) -> Option<RequestError> {
    match outcome {
        Outcome::Done(_) => None,
        Outcome::Refused(text) => Some(RequestError::ListenerRefused(text.clone())),
        Outcome::Retry { reason, .. } => Some(RequestError::ListenerRefused(reason.clone())),
        Outcome::Faulted(fault) => Some(RequestError::ListenerFaulted(fault.clone())),
    }
}

/// The failure of a message that became a dead letter before anybody received it.
pub(crate) fn never_received(text: &str) -> RequestError {
    RequestError::ListenerFaulted(Fault { cause: Cause::Interrupted, text: ErrorText::new(text) })
}

/// All that wait, and for a while those that waited.
#[derive(Debug)]
pub(crate) struct Requests {
    table: Mutex<Table>,
    /// How many wait, so that a bus without requests looks nothing up.
    waiting: AtomicUsize,
    waiting_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<Arc<str>, Arc<Tracker>>,
    finished: HashMap<Arc<str>, DropReason>,
    finished_order: VecDeque<Arc<str>>,
}

impl Table {
    fn finish(&mut self, id: &Arc<str>, later: DropReason) {
        if self.waiting.remove(id).is_none() {
            return;
        }
        self.finished.insert(Arc::clone(id), later);
        self.finished_order.push_back(Arc::clone(id));
        if self.finished_order.len() > FINISHED_REQUESTS_MAX
            && let Some(oldest) = self.finished_order.pop_front()
        {
            self.finished.remove(&oldest);
        }
    }
}

/// What a reply found under its response id.
pub(crate) enum Found {
    /// Somebody waited and has it now.
    Answered,
    /// Nobody waits; this is what such a reply counts as at the built-in destination.
    Nobody(DropReason),
}

impl Requests {
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self { table: Mutex::default(), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Makes room for one more that waits, under a fresh id that nobody can guess.
    pub(crate) fn open(&self, response_destination: DestinationName) -> Result<Waiting<'_>, SendError> {
        let id = fresh_id()?;
        let (sender, answered) = oneshot::channel();
        let state = TrackerState { outstanding: 0, failure: None, sender: Some(sender) };
        let tracker = Arc::new(Tracker { id, response_destination, state: Mutex::new(state) });
        let mut table = self.table.lock();
        if table.waiting.len() >= self.waiting_max {
            return Err(SendError::Busy { waiting: table.waiting.len() });
        }
        table.waiting.insert(Arc::clone(&tracker.id), Arc::clone(&tracker));
        self.waiting.fetch_add(1, Ordering::Release);
        Ok(Waiting { requests: self, tracker, answered })
    }

    /// The request that an answer under `id` would end.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Tracker>> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.table.lock().waiting.get(id).cloned()
    }

    /// Gives `reply` to whoever waits for `id` at `destination`.
    pub(crate) fn answer(
        &self,
        destination: &DestinationName,
        id: &str,
        reply: impl FnOnce() -> Reply,
    ) -> Found {
        let tracker = match self.find(id) {
            Some(tracker) if tracker.response_destination == *destination => tracker,
            _ => return Found::Nobody(self.what_was(id)),
        };
        // Before the sender wakes: its leaving would call every later answer a late one.
        self.table.lock().finish(&tracker.id, DropReason::DuplicateReply);
        let woken = tracker.answer(reply());
        if woken { Found::Answered } else { Found::Nobody(DropReason::LateReply) }
    }

    fn what_was(&self, id: &str) -> DropReason {
        self.table.lock().finished.get(id).copied().unwrap_or(DropReason::ForgedReply)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

fn fresh_id() -> Result<Arc<str>, SendError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| SendError::Other(format!("cannot draw a response id: {error}")))?;
    Ok(Arc::from(uuid::Uuid::from_bytes(bytes).simple().to_string()))
}

/// A place among those that wait; leaving it makes every later answer a late one.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    requests: &'a Requests,
    pub(crate) tracker: Arc<Tracker>,
    answered: oneshot::Receiver<Answered>,
}

impl Waiting<'_> {
    /// Waits for the answer, or for the news that none can come.
    pub(crate) async fn answered(&mut self) -> Answered {
        (&mut self.answered).await.unwrap_or(Err(RequestError::NoReply))
    }

    /// What has come already.
    pub(crate) fn try_answered(&mut self) -> Option<Answered> {
        self.answered.try_recv().ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.requests.table.lock().finish(&self.tracker.id, DropReason::LateReply);
        self.requests.waiting.fetch_sub(1, Ordering::Release);
    }
}
