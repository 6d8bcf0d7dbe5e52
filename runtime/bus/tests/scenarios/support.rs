//! What the scenarios share: listeners that note, block and fail on demand, waiting with a bound, and the accounting law.

use std::sync::{Arc, Mutex};
pub(crate) use std::time::Duration;

pub(crate) use sandbus_bus::*;
use tokio::sync::Semaphore;

/// What listeners received, in the order of their calls.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    /// Takes all of them out.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut all = self.all();
        all.sort();
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.all().iter().filter(|known| *known == note).count()
    }
}

/// What a blocking listener waits at until the test lets it go on.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everybody pass, now and later.
    pub(crate) fn open(&self) {
        self.0.add_permits(1 << 30);
    }

    /// Lets one more call pass.
    pub(crate) fn let_one_pass(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

pub(crate) fn bus() -> Bus {
    Bus::new(BusConfig::default())
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A text's note: `listener:text`.
pub(crate) fn note_of(delivery: &Delivery) -> String {
    format!("{}:{}", delivery.listener(), delivery.text().unwrap())
}

/// A listener that notes `name:text` and ends as `end` says.
pub(crate) fn ending(
    name: &str,
    notes: &Notes,
    end: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static,
) -> NativeListener {
    let notes = notes.clone();
    listener_fn(name, move |delivery| {
        notes.add(note_of(&delivery));
        std::future::ready(end(&delivery))
    })
}

/// A listener that notes what it receives and ends done.
pub(crate) fn noting(name: &str, notes: &Notes) -> NativeListener {
    ending(name, notes, |_| Outcome::done())
}

/// A listener that notes what it receives and refuses it with this text.
pub(crate) fn refusing(name: &str, notes: &Notes, text: &'static str) -> NativeListener {
    ending(name, notes, move |_| Outcome::refused(text))
}

/// A listener that returns what it received as its reply.
pub(crate) fn echo(name: &str) -> NativeListener {
    listener_fn(name, |delivery| async move {
        Outcome::reply(Reply::new(delivery.payload().clone(), delivery.content_type()))
    })
}

/// A listener that notes what it receives and waits at the gate, for an hour if need be.
pub(crate) fn blocking(name: &str, notes: &Notes, gate: &Gate) -> NativeListener {
    let (notes, gate) = (notes.clone(), gate.clone());
    listener_fn(name, move |delivery| {
        let (notes, gate) = (notes.clone(), gate.clone());
        async move {
            notes.add(note_of(&delivery));
            gate.pass().await;
            Outcome::done()
        }
    })
    .with_deadline(secs(3_600))
}

/// A destination of each type with its defaults.
pub(crate) fn each_type() -> [DestinationConfig; 3] {
    [parallel("t/parallel"), serial("t/serial"), synchronous("t/synchronous")]
}

pub(crate) fn parallel(name: &str) -> DestinationConfig {
    DestinationConfig::parallel(name).unwrap()
}

pub(crate) fn serial(name: &str) -> DestinationConfig {
    DestinationConfig::serial(name).unwrap()
}

pub(crate) fn synchronous(name: &str) -> DestinationConfig {
    DestinationConfig::synchronous(name).unwrap()
}

/// The configuration with what `change` changes.
pub(crate) fn with(
    mut config: DestinationConfig,
    change: impl FnOnce(&mut DestinationConfig),
) -> DestinationConfig {
    change(&mut config);
    config
}

/// A policy of `attempts` attempts with always the same delay between them.
pub(crate) fn retries(attempts: u32, delay: Duration) -> RetryPolicy {
    RetryPolicy {
        attempts_max: attempts,
        delay_initial: delay,
        delay_max: delay,
        multiplier: 1.0,
        jitter: Jitter::None,
        on: RetryOn::default(),
    }
}

pub(crate) fn name(name: &str) -> DestinationName {
    DestinationName::new(name).unwrap()
}

pub(crate) fn text(text: impl Into<String>) -> Outgoing {
    Outgoing::text(text)
}

/// Waits until `state` holds, with a bound: turns first, then steps of the clock, which cost nothing while it is paused.
#[track_caller]
pub(crate) fn eventually(state: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let mut state = state;
    async move {
        for turn in 0..6_000 {
            if state() {
                return;
            }
            if turn < 1_000 {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(ms(1)).await;
            }
        }
        panic!("the state that is waited for at {caller} did not come");
    }
}

/// Gives every task that can run its turns, without moving a paused clock.
pub(crate) async fn turns() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// The end of every test: nothing runs any more, and the books balance.
#[track_caller]
pub(crate) fn settled(bus: &Bus) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let bus = bus.clone();
    async move {
        let rest = tokio::time::timeout(secs(120), bus.idle()).await;
        assert!(rest.is_ok(), "the bus at {caller} does not come to rest: {:#?}", bus.all_statistics());
        for figures in bus.all_statistics() {
            assert!(figures.adds_up(), "the books at {caller} do not balance: {figures:#?}");
            assert_eq!(figures.running, 0, "something runs at {caller}: {figures:#?}");
        }
    }
}

/// The figures of a destination that exists.
#[track_caller]
pub(crate) fn figures(bus: &Bus, destination: &str) -> DestinationStatistics {
    bus.statistics(destination).unwrap()
}

/// The reasons of the dead letters of a destination.
pub(crate) fn reasons(bus: &Bus, destination: &str) -> Vec<&'static str> {
    bus.dead_letters(destination).iter().map(|letter| letter.reason.name()).collect()
}

/// A message with these options.
pub(crate) fn asking(payload: &str, ask: impl FnOnce(&mut SendOptions)) -> Outgoing {
    let mut options = SendOptions::default();
    ask(&mut options);
    Outgoing { options: Some(Box::new(options)), ..text(payload) }
}

pub(crate) fn expiring(payload: &str, within: Duration) -> Outgoing {
    asking(payload, |options| options.expires_after = Some(within))
}

pub(crate) fn delayed(payload: &str, by: Duration) -> Outgoing {
    asking(payload, |options| options.deliver_after = Some(by))
}

pub(crate) fn keyed(payload: &str, key: &str) -> Outgoing {
    asking(payload, |options| options.ordering_key = Some(key.into()))
}

pub(crate) fn once(payload: &str, key: &str) -> Outgoing {
    asking(payload, |options| options.dedup_key = Some(key.into()))
}

pub(crate) fn prior(payload: &str, priority: u8) -> Outgoing {
    asking(payload, |options| options.priority = Some(priority))
}

/// The configuration that a destination runs with.
pub(crate) fn config_of(bus: &Bus, destination: &str) -> DestinationConfig {
    (*bus.config(destination).unwrap()).clone()
}
