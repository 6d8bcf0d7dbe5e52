//! The seam between the bus and whatever receives messages: a factory of instances, and an instance that one worker
//! owns. The bus never learns what an instance is made of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, EndedBatch};
use crate::breaker::CircuitBreaker;
use crate::call;
use crate::delivery::Delivery;
use crate::limits::CALL_DEADLINE;
use crate::outcome::{Cause, Fault, Outcome};
use crate::sync::Instant;

/// A boxed future, as trait objects need it.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// fn soon<'a>() -> BoxFuture<'a, u32> {
///     Box::pin(async { 7 })
/// }
/// ```
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Receives messages, through instances: each worker makes its own when it needs one.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// /// A listener whose instances count what they receive.
/// struct Counter;
/// struct Instance(u64);
///
/// impl MessageListener for Counter {
///     fn name(&self) -> &str {
///         "counter"
///     }
///
///     fn instantiate(&self, _by: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
///         Box::pin(async { Ok(Box::new(Instance(0)) as Box<dyn ListenerInstance>) })
///     }
/// }
///
/// impl ListenerInstance for Instance {
///     fn receive<'a>(mut self: Box<Self>, _delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
///         Box::pin(async move {
///             self.0 += 1;
///             let outcome = Outcome::reply(Reply::text(self.0.to_string()));
///             Ended { outcome, usage: Usage::default(), instance: Some(self) }
///         })
///     }
/// }
///
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// bus.register("orders", Counter)?;
/// bus.request("orders", Outgoing::text("A1"), None).await?;
/// assert_eq!(bus.request("orders", Outgoing::text("A2"), None).await?.payload, "2");
/// # Ok(()) }
/// ```
pub trait MessageListener: Send + Sync + 'static {
    /// The name under which it stands in statistics, dead letters and logs; unique among a destination's listeners.
    fn name(&self) -> &str;

    /// The build of its code, where there is one: shown with dead letters.
    fn build(&self) -> Option<Arc<str>> {
        None
    }

    /// How long one call may take. The bus computes a deadline from it; the instance keeps it.
    fn call_deadline(&self) -> Duration {
        CALL_DEADLINE
    }

    /// When it is not called any more for a while; none: it is always called. Asked for at each fault.
    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        None
    }

    /// Whether it stands aside for now, as after [`Bus::suspend_listener`](crate::Bus::suspend_listener). Asked for when it
    /// registers.
    fn is_suspended(&self) -> bool {
        false
    }

    /// Whether it receives one message at a time, over all its destinations. To ask for what only a call of it could answer
    /// while one waits is `would-deadlock`. Asked for at such requests.
    fn is_single(&self) -> bool {
        false
    }

    /// Whether it may be called yet. A guest may not before its `activate` returned.
    fn is_ready(&self) -> bool {
        true
    }

    /// Waits until it may be called or stands aside, when [`MessageListener::is_ready`] says that it may not be called yet.
    /// The deadline of the call that waits for it begins afterwards.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Is told of a delivery that ended in a fault of which no instance knows: none could be made, or the call panicked. It
    /// must not wait.
    fn not_received(&self, _delivery: &Delivery, _fault: &Fault) {}

    /// Makes an instance, waiting for room until `deadline` where room is bounded.
    ///
    /// # Errors
    /// A fault, usually of the cause `instantiate`: the delivery that needed the instance ends with it.
    fn instantiate(&self, deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>>;
}

/// One instance. It belongs to one worker and receives one message at a time.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// /// One whose instances serve one message each: none comes back from a call.
/// struct Once;
/// impl ListenerInstance for Once {
///     fn receive<'a>(self: Box<Self>, _delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
///         Box::pin(async { Ended::spent(Outcome::done()) })
///     }
/// }
/// ```
pub trait ListenerInstance: Send + 'static {
    /// Whether it may receive another message. One that may not is dropped instead of being called: its code was replaced,
    /// or what it held was taken away for another one.
    fn is_usable(&self) -> bool {
        true
    }

    /// The next call may not come at once: what others may have of an idle instance, they may take from now on. It is told so
    /// at the end of a row of calls, and not after each one. It must not wait.
    fn rest(&mut self) {}

    /// Receives the message of `delivery`, ends by its deadline, and says how it ended.
    ///
    /// The instance is taken by value and comes back in [`Ended`] only if it may be used again: a spent one is not there
    /// to be called.
    ///
    /// # Cancel safety
    /// Dropping the future interrupts the call and drops the instance; the bus settles the delivery.
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended>;

    /// How many messages it takes in one call, where so many wait; 1: it takes one at a time. The bus has a bound of its own,
    /// [`BATCH_MESSAGES_MAX`](crate::limits::BATCH_MESSAGES_MAX).
    fn batch_max(&self) -> usize {
        1
    }

    /// Receives the messages of `batch`, ends by its deadline, and says how each of them ended. Called only where
    /// [`ListenerInstance::batch_max`] allows so many.
    ///
    /// A fault of the call is no failure of any message: each of them is then received for itself, so that only the one at
    /// fault fails. What the call did meanwhile, as the messages that it sent, is done all the same.
    ///
    /// # Cancel safety
    /// As [`ListenerInstance::receive`].
    fn receive_batch<'a>(self: Box<Self>, batch: &'a Arc<Batch>) -> BoxFuture<'a, EndedBatch> {
        let _ = batch;
        Box::pin(std::future::ready(EndedBatch::not_begun()))
    }
}

/// How a call ended.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let ended = Ended::spent(Outcome::faulted(Cause::Trap, "boom"));
/// assert!(ended.instance.is_none(), "what has trapped is not called again");
/// ```
pub struct Ended {
    /// What the listener says, or what stopped it.
    pub outcome: Outcome,
    /// What the call used.
    pub usage: Usage,
    /// The instance, if it may be used again.
    pub instance: Option<Box<dyn ListenerInstance>>,
}

impl Ended {
    /// Ended, with the instance spent.
    #[must_use]
    pub fn spent(outcome: Outcome) -> Self {
        Self { outcome, usage: Usage::default(), instance: None }
    }
}

/// What one call used, as far as the instance can tell.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let usage = Usage { fuel: Some(1_200), ..Usage::default() };
/// assert_eq!(usage.memory_bytes, None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel; none where none is counted, and at least so much after a fault.
    pub fuel: Option<u64>,
    /// Linear memory of the instance after the call, in bytes.
    pub memory_bytes: Option<u64>,
}

/// Makes a listener of a closure: the native counterpart of a guest.
///
/// The closure gets a [`Delivery`] of its own and answers with an [`Outcome`]. It is stopped at its deadline (2 s unless
/// [`NativeListener::with_deadline`] says otherwise), and a panic in it is a `trap`.
///
/// # Examples
/// ```
/// use sandbus_bus::{listener_fn, Outcome, Reply};
/// let echo = listener_fn("echo", |delivery| async move {
///     Outcome::reply(Reply::new(delivery.payload().clone(), delivery.content_type()))
/// });
/// assert_eq!(sandbus_bus::MessageListener::name(&echo), "echo");
/// ```
pub fn listener_fn<F, R>(name: &str, receive: F) -> NativeListener
where
    F: Fn(Delivery) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let receive = Arc::new(move |delivery| -> BoxFuture<'static, Outcome> { Box::pin(receive(delivery)) });
    NativeListener { name: Arc::from(name), deadline: CALL_DEADLINE, breaker: None, receive }
}

type Receive = dyn Fn(Delivery) -> BoxFuture<'static, Outcome> + Send + Sync;

/// A listener made of a closure.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// use std::time::Duration;
/// let slow = listener_fn("slow", |_| async { Outcome::done() })
///     .with_deadline(Duration::from_secs(30))
///     .with_circuit_breaker(CircuitBreaker::default());
/// assert_eq!(slow.call_deadline(), Duration::from_secs(30));
/// ```
#[derive(Clone)]
pub struct NativeListener {
    name: Arc<str>,
    deadline: Duration,
    breaker: Option<CircuitBreaker>,
    receive: Arc<Receive>,
}

impl NativeListener {
    /// Leaves it alone for a while after too many faults.
    #[must_use]
    pub fn with_circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Gives each call so long.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl MessageListener for NativeListener {
    fn name(&self) -> &str {
        &self.name
    }

    fn call_deadline(&self) -> Duration {
        self.deadline
    }

    fn circuit_breaker(&self) -> Option<CircuitBreaker> {
        self.breaker
    }

    fn instantiate(&self, _deadline: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        let instance = NativeInstance { receive: Arc::clone(&self.receive) };
        Box::pin(std::future::ready(Ok(Box::new(instance) as Box<dyn ListenerInstance>)))
    }
}

struct NativeInstance {
    receive: Arc<Receive>,
}

impl ListenerInstance for NativeInstance {
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            let call = (self.receive)(delivery.clone());
            match call::until(delivery.deadline(), call).await {
                Ok(outcome) => Ended { outcome, usage: Usage::default(), instance: Some(self) },
                Err(_) => Ended::spent(Outcome::faulted(Cause::Deadline, delivery.deadline_text())),
            }
        })
    }
}
