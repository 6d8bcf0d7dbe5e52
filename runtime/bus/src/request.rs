//! Those who wait for an answer: one tracker each, found by its response id. It sends nothing and runs no timer.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::error::{RequestError, SendError};
use crate::limits::FINISHED_REQUESTS_MAX;
use crate::name::DestinationName;
use crate::outcome::{Cause, ErrorText, Fault, Outcome, Reply};
use crate::statistics::DropReason;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

type Answered = Result<Reply, RequestError>;

/// One request that somebody waits for.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) id: Arc<str>,
    pub(crate) response_destination: DestinationName,
    /// Guards who is told what: of an answer, the news that none can come, and the end of the wait, one comes first.
    state: Mutex<TrackerState>,
}

#[derive(Debug)]
struct TrackerState {
    /// (message, listener) pairs that carry the response id and have not settled.
    outstanding: u64,
    failure: Option<RequestError>,
    /// Whether an answer came in time: the next one is a duplicate, and not late.
    answered: bool,
    slot: AnswerSlot,
}

/// What passes from whoever ends the wait to the sender who waits; once.
#[derive(Debug)]
enum AnswerSlot {
    /// Nothing has come; whom to wake, once the sender has looked.
    Empty(Option<Waker>),
    Told(Answered),
    /// The sender has what it was told, or waits no more.
    Left,
}

impl Tracker {
    fn new(id: Arc<str>, response_destination: DestinationName) -> Self {
        let slot = AnswerSlot::Empty(None);
        let state = TrackerState { outstanding: 0, failure: None, answered: false, slot };
        Self { id, response_destination, state: Mutex::new(state) }
    }

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
        if state.outstanding == 0 {
            let ended = state.failure.clone().unwrap_or(RequestError::NoReply);
            // The sender may have its answer, or have stopped waiting; then there is nobody to tell.
            tell(state, Err(ended));
        }
    }

    /// Gives the sender its answer, or says as what the answer counts because it came second or late. Whoever gets a waker
    /// wakes the sender, outside of all locks.
    pub(crate) fn answer(&self, reply: Reply) -> Result<Option<Waker>, DropReason> {
        let mut state = self.state.lock();
        if state.answered {
            return Err(DropReason::DuplicateReply);
        }
        let AnswerSlot::Empty(waker) = &mut state.slot else { return Err(DropReason::LateReply) };
        let waker = waker.take();
        state.slot = AnswerSlot::Told(Ok(reply));
        state.answered = true;
        Ok(waker)
    }

    /// As what an answer counts that comes after the wait.
    fn later(&self) -> DropReason {
        if self.state.lock().answered { DropReason::DuplicateReply } else { DropReason::LateReply }
    }

    /// Ends the wait, and takes what was told before.
    fn leave(&self) -> Option<Answered> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.slot, AnswerSlot::Left) {
            AnswerSlot::Told(answered) => Some(answered),
            AnswerSlot::Empty(_) | AnswerSlot::Left => None,
        }
    }

    /// Takes what was told, if anything was.
    fn try_take(&self) -> Option<Answered> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.slot, AnswerSlot::Left) {
            AnswerSlot::Told(answered) => Some(answered),
            untold => {
                state.slot = untold;
                None
            }
        }
    }

    /// Takes what was told, or has `waker` woken when something is.
    fn poll(&self, waker: &Waker) -> Poll<Answered> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.slot, AnswerSlot::Left) {
            AnswerSlot::Told(answered) => Poll::Ready(answered),
            AnswerSlot::Empty(_) => {
                state.slot = AnswerSlot::Empty(Some(waker.clone()));
                Poll::Pending
            }
            AnswerSlot::Left => Poll::Ready(Err(RequestError::NoReply)),
        }
    }
}

/// Puts `told` into a slot, if it is empty. Wakes the sender outside of the lock.
fn tell(mut state: MutexGuard<'_, TrackerState>, told: Answered) {
    let AnswerSlot::Empty(waker) = &mut state.slot else { return };
    let waker = waker.take();
    state.slot = AnswerSlot::Told(told);
    drop(state);
    waker.into_iter().for_each(Waker::wake);
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
        let tracker = Arc::new(Tracker::new(fresh_id()?, response_destination));
        let mut table = self.table.lock();
        if table.waiting.len() >= self.waiting_max {
            return Err(SendError::Busy { waiting: table.waiting.len() });
        }
        table.waiting.insert(Arc::clone(&tracker.id), Arc::clone(&tracker));
        self.waiting.fetch_add(1, Ordering::Release);
        Ok(Waiting { requests: self, tracker })
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
        match tracker.answer(reply()) {
            Ok(waker) => {
                waker.into_iter().for_each(Waker::wake);
                Found::Answered
            }
            Err(reason) => Found::Nobody(reason),
        }
    }

    fn what_was(&self, id: &str) -> DropReason {
        self.table.lock().finished.get(id).copied().unwrap_or(DropReason::ForgedReply)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// Seeded by the system when the thread first asks: a call of the system for each request takes longer than all else that
    /// an id needs.
    static IDS: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// An id that nobody can guess, also not from others: of a generator that is fit for cryptography.
fn fresh_id() -> Result<Arc<str>, SendError> {
    let mut bytes = [0u8; 16];
    IDS.with_borrow_mut(|ids| {
        let ids = match ids {
            Some(ids) => ids,
            none => {
                let mut seed = <StdRng as SeedableRng>::Seed::default();
                getrandom::fill(&mut seed)
                    .map_err(|error| SendError::Other(format!("cannot draw a response id: {error}")))?;
                none.insert(StdRng::from_seed(seed))
            }
        };
        ids.fill_bytes(&mut bytes);
        Ok::<(), SendError>(())
    })?;
    let mut text = [0; uuid::fmt::Simple::LENGTH];
    Ok(Arc::from(&*uuid::Uuid::from_bytes(bytes).simple().encode_lower(&mut text)))
}

/// A place among those that wait; leaving it makes every later answer a late one, or a duplicate.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    requests: &'a Requests,
    pub(crate) tracker: Arc<Tracker>,
}

impl Waiting<'_> {
    /// Waits for the answer, or for the news that none can come.
    pub(crate) async fn answered(&self) -> Answered {
        std::future::poll_fn(|cx| self.tracker.poll(cx.waker())).await
    }

    /// What has come already.
    pub(crate) fn try_answered(&self) -> Option<Answered> {
        self.tracker.try_take()
    }

    /// Stops waiting. What came at the last moment was counted as received, and is.
    pub(crate) fn leave(self) -> Option<Answered> {
        self.tracker.leave()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        drop(self.tracker.leave());
        self.requests.table.lock().finish(&self.tracker.id, self.tracker.later());
        self.requests.waiting.fetch_sub(1, Ordering::Release);
    }
}
