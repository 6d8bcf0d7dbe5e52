//! What a host hooks into the way of every message: interceptors, outbound and inbound processors. Here they are kept, in
//! the order of registration; when they run stands in the files beside this one. Whatever fails in one of them fails
//! closed: the message goes no further.
//!
//! A bus without hooks pays for them one look at a flag at each send and at each delivery. With hooks, a send or a delivery
//! takes what is registered as a whole, without a lock: one that began before a change ends with the hooks it began with.

mod inbound;
mod interceptor;
mod outbound;
mod passage;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::bus::Bus;
use crate::call::panic_text;
use crate::limits::HOOKS_MAX;
use crate::name::DestinationName;
use crate::statistics::Counter;
use crate::sync::{AtomicBool, Mutex, Ordering};

pub use inbound::InboundProcessor;
pub use interceptor::{Interception, Interceptor, SendKind, Sending};
pub use outbound::{OutboundProcessor, Sent};
pub(crate) use passage::Passage;

/// Which messages a processor sees.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// struct Audit;
/// impl OutboundProcessor for Audit {}
/// let orders = Scope::Destination("orders".parse()?);
/// let hook: HookId = bus.add_outbound(orders, Audit)?;
/// assert!(bus.remove_hook(hook));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of every destination.
    Bus,
    /// Those of the destination of this name, which may come later, or go and come again.
    Destination(DestinationName),
}

/// A hook of a bus, to take it away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookId(u64);

/// A bus has as many hooks of one kind as it may have.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error = TooManyHooks { hooks: limits::HOOKS_MAX };
/// assert!(error.to_string().starts_with("the bus has 256 hooks of this kind"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bus has {hooks} hooks of this kind, and no more may be added: each is looked at for every message"
)]
pub struct TooManyHooks {
    /// How many it has.
    pub hooks: usize,
}

/// The figures of a whole bus, beside those of its destinations.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// let BusStatistics { intercepted, .. } = bus.figures();
/// assert_eq!(intercepted, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStatistics {
    /// Messages that an interceptor consumed. No destination accepted them, so that they count nowhere else; one that is
    /// released later counts at its destination then.
    pub intercepted: u64,
}

impl Bus {
    /// Has `interceptor` see every message that is sent from now on, after the interceptors that are there.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn add_interceptor(&self, interceptor: impl Interceptor) -> Result<HookId, TooManyHooks> {
        let hook: Arc<dyn Interceptor> = Arc::new(interceptor);
        self.shared.hooks.add(Scope::Bus, hook, |set| &mut set.interceptors)
    }

    /// Has `processor` run around every send within `scope` from now on, inside the processors that are there.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn add_outbound(
        &self,
        scope: Scope,
        processor: impl OutboundProcessor,
    ) -> Result<HookId, TooManyHooks> {
        let hook: Arc<dyn OutboundProcessor> = Arc::new(processor);
        self.shared.hooks.add(scope, hook, |set| &mut set.outbound)
    }

    /// Has `processor` run around every delivery within `scope` from now on, inside the processors that are there.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn add_inbound(
        &self,
        scope: Scope,
        processor: impl InboundProcessor,
    ) -> Result<HookId, TooManyHooks> {
        let hook: Arc<dyn InboundProcessor> = Arc::new(processor);
        self.shared.hooks.add(scope, hook, |set| &mut set.inbound)
    }

    /// Takes a hook away. Sends and deliveries that run end with it. Answers whether it was there.
    pub fn remove_hook(&self, hook: HookId) -> bool {
        self.shared.hooks.remove(hook)
    }

    /// The figures of the bus as a whole.
    #[must_use]
    pub fn figures(&self) -> BusStatistics {
        BusStatistics { intercepted: self.shared.hooks.intercepted.get() }
    }
}

/// The hooks of a bus; its destinations share them.
#[derive(Default)]
pub(crate) struct Hooks {
    /// Whether there is an interceptor or an outbound processor.
    at_send: AtomicBool,
    /// Whether there is an inbound processor.
    at_delivery: AtomicBool,
    set: ArcSwap<HookSet>,
    /// Serialises changes; the number of the last hook.
    changes: Mutex<u64>,
    intercepted: Counter,
}

/// All hooks at one moment, each kind in the order of registration.
#[derive(Default, Clone)]
struct HookSet {
    interceptors: Vec<Registered<dyn Interceptor>>,
    outbound: Vec<Registered<dyn OutboundProcessor>>,
    inbound: Vec<Registered<dyn InboundProcessor>>,
}

struct Registered<T: ?Sized> {
    id: HookId,
    scope: Scope,
    hook: Arc<T>,
}

impl<T: ?Sized> Clone for Registered<T> {
    fn clone(&self) -> Self {
        Self { id: self.id, scope: self.scope.clone(), hook: Arc::clone(&self.hook) }
    }
}

impl<T: ?Sized> Registered<T> {
    fn sees(&self, destination: &DestinationName) -> bool {
        match &self.scope {
            Scope::Bus => true,
            Scope::Destination(name) => name == destination,
        }
    }
}

impl Hooks {
    /// Whether a send has to look at them.
    pub(crate) fn at_send(&self) -> bool {
        self.at_send.load(Ordering::Relaxed)
    }

    /// Whether a delivery has to look at them.
    pub(crate) fn at_delivery(&self) -> bool {
        self.at_delivery.load(Ordering::Relaxed)
    }

    /// Whether an inbound processor sees what is delivered at `destination`.
    pub(crate) fn sees_deliveries(&self, destination: &DestinationName) -> bool {
        self.at_delivery() && self.load().inbound.iter().any(|processor| processor.sees(destination))
    }

    fn load(&self) -> Arc<HookSet> {
        self.set.load_full()
    }

    fn add<T: ?Sized>(
        &self,
        scope: Scope,
        hook: Arc<T>,
        kind: impl Fn(&mut HookSet) -> &mut Vec<Registered<T>>,
    ) -> Result<HookId, TooManyHooks> {
        // Before the lock, and so dropped after it: the last reference to a hook runs the host's code.
        let mut set;
        let mut last = self.changes.lock();
        set = HookSet::clone(&self.set.load());
        let hooks = kind(&mut set);
        if hooks.len() >= HOOKS_MAX {
            return Err(TooManyHooks { hooks: hooks.len() });
        }
        *last += 1;
        let id = HookId(*last);
        hooks.push(Registered { id, scope, hook });
        self.publish(set);
        drop(last);
        Ok(id)
    }

    fn remove(&self, id: HookId) -> bool {
        let before;
        let last = self.changes.lock();
        before = self.load();
        let mut set = HookSet::clone(&before);
        set.interceptors.retain(|known| known.id != id);
        set.outbound.retain(|known| known.id != id);
        set.inbound.retain(|known| known.id != id);
        let removed = set.len() != before.len();
        self.publish(set);
        drop(last);
        removed
    }

    fn publish(&self, set: HookSet) {
        let at_send = !set.interceptors.is_empty() || !set.outbound.is_empty();
        let at_delivery = !set.inbound.is_empty();
        self.set.store(Arc::new(set));
        // After the set: whoever sees the flag finds the hook.
        self.at_send.store(at_send, Ordering::Release);
        self.at_delivery.store(at_delivery, Ordering::Release);
    }
}

impl HookSet {
    fn len(&self) -> usize {
        self.interceptors.len() + self.outbound.len() + self.inbound.len()
    }
}

/// Runs a hook of the host; its panic is its failure, and nobody else's.
fn caught<T>(hook: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(hook)).map_err(|panic| panic_text(&*panic))
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("hooks", &self.load().len()).finish_non_exhaustive()
    }
}
