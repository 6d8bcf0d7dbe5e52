//! Sends whose sender learns how they ended: accepted like any other, and followed until every listener has settled. It
//! waits for no answer; that is what a request does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::bus::Bus;
use crate::error::{RequestError, SendError};
use crate::message::{MessageId, Outgoing};
use crate::origin::Origin;
use crate::request::{Tracker, never_received};
use crate::sync::Mutex;

impl Bus {
    /// Sends a message as the host, like [`Bus::send`], and answers what resolves once every listener has settled.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`]. Who drops the [`TrackedSend`] stops following the message, and changes nothing about it.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::parallel("orders")?)?;
    /// bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// bus.register("orders", listener_fn("price", |_| async { Outcome::refused("no such article") }))?;
    /// let end = bus.send_tracked("orders", Outgoing::text("7 of 9")).await?.await;
    /// assert_eq!((end.completed, end.failed), (1, 1));
    /// assert_eq!(end.failure.map(|failure| failure.name()), Some("listener-refused"));
    /// # Ok(()) }
    /// ```
    pub async fn send_tracked(&self, destination: &str, message: Outgoing) -> Result<TrackedSend, SendError> {
        self.send_tracked_as(&self.shared.host, destination, message).await
    }

    /// The same as `origin`.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send_tracked`].
    pub async fn send_tracked_as(
        &self,
        origin: &Origin,
        destination: &str,
        message: Outgoing,
    ) -> Result<TrackedSend, SendError> {
        let end = Arc::<End>::default();
        let watched = Watched::Send(Box::new(SendTracker::new(Arc::clone(&end))));
        let id = self.shared.send(origin, destination, message, watched).await?;
        Ok(TrackedSend { id, end })
    }
}

/// An accepted message on its way; awaited, it tells how the message ended. It keeps neither the message nor the bus.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::done() }))?;
/// let sent: TrackedSend = bus.send_tracked("orders", Outgoing::text("A1")).await?;
/// println!("{} is on its way", sent.id());
/// assert_eq!(sent.await.completed, 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "who does not want to know how a message ended sends it with `Bus::send`"]
pub struct TrackedSend {
    id: MessageId,
    end: Arc<End>,
}

impl TrackedSend {
    /// The id of the message; of the first one, if this was a duplicate.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }
}

impl Future for TrackedSend {
    type Output = SendEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SendEnd> {
        let mut told = self.end.0.lock();
        match &told.end {
            Some(end) => Poll::Ready(end.clone()),
            None => {
                told.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// How a message ended: settled for each listener that it was owed to.
///
/// Nothing is counted where nothing was owed: for a duplicate, and where somebody else took the message over.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::refused("unknown article") }))?;
/// let SendEnd { completed, failed, failure } = bus.send_tracked("orders", Outgoing::text("A1")).await?.await;
/// assert_eq!((completed, failed), (0, 1));
/// assert_eq!(failure.map(|failure| failure.name()), Some("listener-refused"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendEnd {
    /// Listeners that received it and ended done.
    pub completed: u64,
    /// Those that did not: a dead letter, dropped, or removed.
    pub failed: u64,
    /// The failure that settled last.
    pub failure: Option<RequestError>,
}

/// What passes from the last settlement to whoever follows the message; once.
#[derive(Debug, Default)]
pub(crate) struct End(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    end: Option<SendEnd>,
    waker: Option<Waker>,
}

impl End {
    fn tell(&self, end: SendEnd) {
        let mut told = self.0.lock();
        told.end.get_or_insert(end);
        let waker = told.waker.take();
        drop(told);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// What its sender wants to learn of a message that is about to be stamped.
pub(crate) enum Watched {
    /// Nothing more.
    Nothing,
    /// It is a request, and waits for the answer.
    Request(Arc<Tracker>),
    /// How it ends; told at once where no message is made of it. Boxed, because it is in the future of every send.
    Send(Box<SendTracker>),
}

/// Who is told of the settlements of a message.
#[derive(Debug, Clone)]
pub(crate) enum Watch {
    /// The sender of the request that an answer to the message would end.
    Request(Arc<Tracker>),
    /// The sender of the message.
    Send(Arc<SendTracker>),
}

impl Watch {
    /// Counts pairs that were taken on.
    pub(crate) fn owe(&self, pairs: u64) {
        match self {
            Watch::Request(request) => request.owe(pairs),
            Watch::Send(send) => send.owe(pairs),
        }
    }

    /// Counts a pair that has settled.
    pub(crate) fn settled(&self, failure: Option<RequestError>) {
        match self {
            Watch::Request(request) => request.settled(failure),
            Watch::Send(send) => send.settled(failure),
        }
    }

    /// Nothing is owed, because somebody else took the message over, or had it already.
    pub(crate) fn owed_nothing(&self, failure: Option<RequestError>) {
        match self {
            Watch::Request(request) => {
                request.owe(1);
                request.settled(failure);
            }
            Watch::Send(send) => send.owed_nothing(failure),
        }
    }
}

/// Counts the settlements of a message for its sender.
#[derive(Debug)]
pub(crate) struct SendTracker {
    /// The request that an answer to the message would end besides: its sender waits through the message, too.
    request: Option<Arc<Tracker>>,
    /// Guards the pairs that are owed, and how those ended that are not any more.
    state: Mutex<Pairs>,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct Pairs {
    outstanding: u64,
    so_far: SendEnd,
}

impl SendTracker {
    fn new(end: Arc<End>) -> Self {
        Self { request: None, state: Mutex::default(), end }
    }

    pub(crate) fn with_request(mut self, request: Option<Arc<Tracker>>) -> Self {
        self.request = request;
        self
    }

    fn owe(&self, pairs: u64) {
        if let Some(request) = &self.request {
            request.owe(pairs);
        }
        self.state.lock().outstanding += pairs;
    }

    fn settled(&self, failure: Option<RequestError>) {
        if let Some(request) = &self.request {
            request.settled(failure.clone());
        }
        let mut state = self.state.lock();
        state.outstanding = state.outstanding.saturating_sub(1);
        match failure {
            None => state.so_far.completed += 1,
            Some(failure) => {
                state.so_far.failed += 1;
                state.so_far.failure = Some(failure);
            }
        }
        if state.outstanding == 0 {
            let end = state.so_far.clone();
            drop(state);
            self.end.tell(end);
        }
    }

    fn owed_nothing(&self, failure: Option<RequestError>) {
        if let Some(request) = &self.request {
            Watch::Request(Arc::clone(request)).owed_nothing(failure.clone());
        }
        self.end.tell(SendEnd { failure, ..SendEnd::default() });
    }
}

impl Drop for SendTracker {
    /// The message is gone, and nobody can settle it any more: its bus went away, or took nothing on.
    fn drop(&mut self) {
        let state = self.state.lock();
        let (left, mut end) = (state.outstanding, state.so_far.clone());
        drop(state);
        if left > 0 {
            end.failed += left;
            end.failure = Some(never_received("the bus went away before the message was settled"));
        }
        self.end.tell(end);
    }
}
