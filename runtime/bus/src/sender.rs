//! Senders that are bound to one destination: its name is checked once, and so is how they send. They hold no message.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::bus::Bus;
use crate::error::{RequestError, SendError};
use crate::message::{MessageId, Outgoing};
use crate::name::{DestinationName, NameError};
use crate::origin::Origin;
use crate::outcome::Reply;

impl Bus {
    /// A sender for one destination, which need not exist yet.
    ///
    /// # Errors
    /// When the name is not a name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("stock/changed")?)?;
    /// # bus.register("stock/changed", listener_fn("stock", |_| async { Outcome::done() }))?;
    /// let changed = bus.sender("stock/changed")?;
    /// changed.send(Outgoing::text("A1")).await?;
    /// # Ok(()) }
    /// ```
    pub fn sender(&self, destination: &str) -> Result<DestinationSender, NameError> {
        Ok(DestinationSender { bus: self.clone(), destination: DestinationName::new(destination)? })
    }

    /// A synchronous sender for one destination, which need not exist yet, in one mode.
    ///
    /// # Errors
    /// When the name is not a name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, Reply, RequestMode, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("stock/check")?)?;
    /// # bus.register("stock/check", listener_fn("stock", |_| async { Outcome::reply(Reply::text("7")) }))?;
    /// let check = bus.requester("stock/check", RequestMode::Direct)?;
    /// let reply = check.request(Outgoing::text("A1")).await?;
    /// assert_eq!(reply.unwrap().payload, "7");
    /// # Ok(()) }
    /// ```
    pub fn requester(&self, destination: &str, mode: RequestMode) -> Result<DestinationRequester, NameError> {
        Ok(DestinationRequester { sender: self.sender(destination)?, mode, timeout: None })
    }
}

/// How a synchronous sender sends.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let asks = bus.requester("prices", RequestMode::Default)?;
/// assert_eq!((asks.mode(), asks.destination().as_str()), (RequestMode::Default, "prices"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestMode {
    /// Through the destination's queue; waits for the first answer.
    Default,
    /// In the sender's own task, without the queue; returns the last response that was set.
    Direct,
}

/// Sends to one destination and does not wait for its listeners. Cloning it copies pointers. It keeps the bus, like a clone
/// of it.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let orders: DestinationSender = bus.sender("orders")?;
/// let error = orders.send(Outgoing::text("A1")).await.unwrap_err();
/// assert_eq!(error.name(), "no-such-destination", "it is looked up at every send");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DestinationSender {
    bus: Bus,
    destination: DestinationName,
}

impl DestinationSender {
    /// Where it sends.
    #[must_use]
    pub fn destination(&self) -> &DestinationName {
        &self.destination
    }

    /// Sends a message as the host.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`].
    pub fn send(&self, message: Outgoing) -> impl Future<Output = Result<MessageId, SendError>> + Send {
        self.bus.send(self.destination.as_str(), message)
    }

    /// Sends a message as `origin`.
    ///
    /// # Errors
    /// As [`Bus::send`].
    ///
    /// # Cancel safety
    /// As [`Bus::send`].
    pub fn send_as(
        &self,
        origin: &Origin,
        message: Outgoing,
    ) -> impl Future<Output = Result<MessageId, SendError>> + Send {
        self.bus.send_as(origin, self.destination.as_str(), message)
    }
}

/// Sends to one destination in one mode and waits for the answer. Cloning it copies pointers. It keeps the bus, like a
/// clone of it.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::reply(Reply::text("7 left")) }))?;
/// use std::time::Duration;
/// let stock: DestinationRequester = bus.requester("orders", RequestMode::Default)?;
/// let reply = stock.with_timeout(Duration::from_secs(1)).request(Outgoing::text("A1")).await?;
/// assert_eq!(reply.ok_or("none")?.payload, "7 left");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DestinationRequester {
    sender: DestinationSender,
    mode: RequestMode,
    timeout: Option<Duration>,
}

impl DestinationRequester {
    /// Waits so long for each answer. Without it, as the destination says.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Where it sends.
    #[must_use]
    pub fn destination(&self) -> &DestinationName {
        &self.sender.destination
    }

    /// How it sends.
    #[must_use]
    pub fn mode(&self) -> RequestMode {
        self.mode
    }

    /// Sends a message as the host and returns the answer. In direct mode there may be none.
    ///
    /// # Errors
    /// As [`Bus::request`] and [`Bus::request_direct`].
    ///
    /// # Cancel safety
    /// As [`Bus::request`] and [`Bus::request_direct`].
    pub async fn request(&self, message: Outgoing) -> Result<Option<Reply>, RequestError> {
        self.request_as(&self.sender.bus.shared.host, message).await
    }

    /// The same as `origin`.
    ///
    /// # Errors
    /// As [`DestinationRequester::request`].
    ///
    /// # Cancel safety
    /// As [`DestinationRequester::request`].
    pub async fn request_as(
        &self,
        origin: &Origin,
        message: Outgoing,
    ) -> Result<Option<Reply>, RequestError> {
        let DestinationSender { bus, destination } = &self.sender;
        match self.mode {
            RequestMode::Default => {
                bus.request_as(origin, destination.as_str(), message, self.timeout).await.map(Some)
            }
            RequestMode::Direct => {
                bus.request_direct_as(origin, destination.as_str(), message, self.timeout).await
            }
        }
    }
}

impl fmt::Debug for DestinationSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationSender").field("destination", &self.destination).finish_non_exhaustive()
    }
}

impl fmt::Debug for DestinationRequester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationRequester")
            .field("destination", &self.sender.destination)
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
