//! What the stories share: the schedulers that run them, time that passes by chance, and the books at the end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
pub(crate) use std::time::Duration;

pub(crate) use sandbus_bus::*;
pub(crate) use shuttle::future::{spawn, yield_now};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{Config, MaxSteps, Runner};

/// The seed of both schedulers where none is given.
const SEED: u64 = 0x05a4_db05;
/// How many changes of task at unlikely places PCT makes.
const PCT_DEPTH: usize = 3;
/// Runs of which it is checked that a second one with the same schedule takes the same steps.
const RUNS_REPEATED: usize = 2;
/// Far more steps than any story takes: one that passes it goes round in circles.
const STEPS_MAX: usize = 20_000;

/// Runs `story` so many times under each scheduler, from a clock that stands at its start; or replays one schedule.
pub(crate) fn explore<R: Future<Output = ()> + 'static>(
    runs: usize,
    story: impl Fn() -> R + Send + Sync + Clone + 'static,
) {
    let told = |name: &str| std::env::var(name).ok();
    if let Some(schedule) = told("SANDBUS_SHUTTLE_REPLAY") {
        let schedule = std::fs::read_to_string(&schedule).unwrap_or(schedule);
        return run(ReplayScheduler::new_from_encoded(schedule.trim()), story);
    }
    let number = |name, otherwise| told(name).map_or(otherwise, |number| number.parse().expect(name));
    let seed = number("SANDBUS_SHUTTLE_SEED", SEED);
    let runs = runs * usize::try_from(number("SANDBUS_SHUTTLE_RUNS", 1)).unwrap();
    let random = |runs| RandomScheduler::new_from_seed(seed, runs);
    run(UncontrolledNondeterminismCheckScheduler::new(random(RUNS_REPEATED)), story.clone());
    run(random(runs), story.clone());
    run(PctScheduler::new_from_seed(seed, PCT_DEPTH, runs), story);
}

fn run<R: Future<Output = ()> + 'static>(
    scheduler: impl Scheduler + 'static,
    story: impl Fn() -> R + Send + Sync + 'static,
) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || {
        test_clock::start();
        shuttle::future::block_on(story());
    });
}

/// Time that passes by chance, as long as this is held: whatever the others do, the next timer may be due.
pub(crate) struct Time(Arc<AtomicBool>);

impl Time {
    pub(crate) fn passes() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        drop(spawn(async move {
            while !seen.load(Ordering::SeqCst) {
                test_clock::advance_to_next_timer(AN_HOUR);
                yield_now().await;
            }
        }));
        Self(over)
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// As long as any story lets pass.
const AN_HOUR: Duration = Duration::from_secs(3_600);
/// Longer than any story lets pass.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// What listeners did, in the order of their calls. Not shuttle's: a note is no step of the schedule.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut all = self.all();
        all.sort();
        all
    }
}

pub(crate) fn bus() -> Bus {
    Bus::new(BusConfig::default())
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A listener that lets others run, and then notes what it received and ends done, in one step.
pub(crate) fn noting(name: &str, notes: &Notes) -> NativeListener {
    let notes = notes.clone();
    listener_fn(name, move |delivery| {
        let notes = notes.clone();
        async move {
            yield_now().await;
            notes.add(delivery.text().unwrap());
            Outcome::done()
        }
    })
    .with_deadline(FOR_EVER)
}

/// The end of a story: the bus comes to rest and shuts down, every book balances, and no worker is left.
pub(crate) async fn settled(bus: &Bus) {
    bus.idle().await;
    bus.shutdown(FOR_EVER).await;
    for figures in bus.all_statistics() {
        assert!(figures.adds_up(), "the books do not balance: {figures:#?}");
        let left = (figures.waiting, figures.running, figures.pending, figures.workers_current);
        assert_eq!(left, (0, 0, 0, 0), "pairs wait, pairs run, entries wait, workers stay: {figures:#?}");
    }
}

/// Each of `accepted` was received or is a dead letter, and nothing happened twice.
pub(crate) fn nothing_lost(bus: &Bus, destination: &str, accepted: &[String], received: &Notes) {
    let letters = bus.dead_letters(destination);
    let texts = letters.iter().map(|letter| String::from_utf8(letter.message.payload().to_vec()).unwrap());
    let mut ended = received.all();
    ended.extend(texts);
    let once: BTreeSet<&String> = ended.iter().collect();
    assert_eq!(once.len(), ended.len(), "ended twice: {ended:?}");
    assert_eq!(once, accepted.iter().collect(), "accepted is not what ended");
}

/// The figures of a destination that exists.
pub(crate) fn figures(bus: &Bus, destination: &str) -> DestinationStatistics {
    bus.statistics(destination).unwrap()
}
