//! Many messages over eight guests, one in a hundred faulting in one of five ways: the books are right at the end, and no
//! instance is left. `soaks` has the short form, `tests/long` the long one.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use sandbus::bus::{Cause, CircuitBreaker, DestinationStatistics, Outgoing, RejectedExecution};
use sandbus::harness::Harness;
use sandbus::{GuestSettings, Quarantine, SandboxEngine};

use crate::crafted;
use crate::support::{Asking, harness, parallel, runtime};

/// Guests, each with a destination and workers of its own.
const LISTENERS: u64 = 8;

/// Whether guests that fault too often are left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    Off,
    On,
}

/// What a soak came to.
#[derive(Debug, Default)]
pub(crate) struct Soaked {
    pub(crate) completed: u64,
    pub(crate) dead_letters: u64,
    /// Attempts that were stopped, by cause.
    pub(crate) faults: [u64; Cause::ALL.len()],
}

/// Its `start` traps in one of five instances, so that one fault in five is an instance that could not be made.
fn guest() -> PathBuf {
    let acts = [
        ('t', "unreachable"),
        ('l', "(loop (br 0))"),
        ('s', "(call $block (call $after (i64.const 60000000000)))"),
        ('m', "(if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable))"),
    ];
    let start = "(func $by_chance (if (i64.eqz (i64.rem_u (call $random) (i64.const 5))) (then unreachable)))
                 (start $by_chance)";
    crafted::listener("soak", &acts, start)
}

/// What message `number` asks for: of a thousand, two each trap, loop, sleep and ask for memory.
fn payload(number: u64) -> &'static str {
    match number % 1_000 {
        100 | 600 => "t",
        200 | 700 => "l",
        300 | 800 => "s",
        400 | 900 => "m",
        _ => "ok",
    }
}

/// How many of so many messages ask for this.
pub(crate) fn asked(messages: u64, letter: &str) -> u64 {
    LISTENERS * (0..messages / LISTENERS).filter(|number| payload(*number) == letter).count() as u64
}

async fn start(engine: SandboxEngine, path: PathBuf, protection: Protection) -> Harness {
    let mut builder = harness().engine(engine);
    for number in 0..LISTENERS {
        let mut place = parallel(&format!("t/soak/{number}"));
        place.rejected_execution = RejectedExecution::Block(Duration::from_secs(3_600));
        place.retry.delay_initial = Duration::from_millis(5);
        let mut settings = GuestSettings::new(format!("soak-{number}"), &path);
        settings.listens_to = vec![place.name.to_string()];
        settings.limits.fuel = 1_000_000;
        settings.limits.deadline = Duration::from_millis(50);
        settings.circuit_breaker = match protection {
            Protection::Off => None,
            // So few faults open it here that it opens all the time.
            Protection::On => Some(CircuitBreaker {
                faults: 3,
                ratio: 0.0,
                cooldown: Duration::from_millis(20),
                ..CircuitBreaker::default()
            }),
        };
        settings.quarantine = match protection {
            Protection::Off => None,
            Protection::On => Some(Quarantine {
                faults: 20,
                ratio: 0.0,
                initial: Duration::from_millis(20),
                max: Duration::from_millis(50),
                ..Quarantine::default()
            }),
        };
        builder = builder.destination(place).guest(settings);
    }
    builder.start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends so many messages, waits for all of them, and checks the books. `rested` is called when all have ended, while the
/// guests still have their instances.
pub(crate) async fn soak(messages: u64, protection: Protection, rested: impl AsyncFnOnce()) -> Soaked {
    let own = SandboxEngine::new(&runtime()).expect("the engine starts");
    let harness = start(own.clone(), guest(), protection).await;
    let mut sending = tokio::task::JoinSet::new();
    for listener in 0..LISTENERS {
        let bus = harness.bus().clone();
        sending.spawn(async move {
            let place = format!("t/soak/{listener}");
            for number in 0..messages / LISTENERS {
                bus.send(&place, Outgoing::text(payload(number))).await.expect("it waits for room");
            }
        });
    }
    sending.join_all().await;
    wait_for_rest(&harness).await;
    rested().await;
    let soaked = add_up(&harness, messages / LISTENERS);
    let live: usize = harness.platform().guests().iter().map(|guest| guest.instances).sum();
    assert_eq!(own.instances(), live, "every live instance is held by a worker");
    assert!(live <= 5 * LISTENERS as usize, "{live}");
    harness.settled().await;
    assert_eq!((own.instances(), own.memory_bytes()), (0, 0), "no instance outlives its platform");
    soaked
}

async fn wait_for_rest(harness: &Harness) {
    let all = async {
        // What stands aside is not at rest for ever: a trial call will come.
        while !harness.bus().all_statistics().iter().all(|of| of.waiting + of.running == 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rested = tokio::time::timeout(Duration::from_secs(3_600), all).await;
    assert!(rested.is_ok(), "{:?}", harness.bus().all_statistics());
}

fn add_up(harness: &Harness, each: u64) -> Soaked {
    let mut soaked = Soaked::default();
    for listener in 0..LISTENERS {
        let place = format!("t/soak/{listener}");
        let of: DestinationStatistics = harness.figures(&place);
        assert!(of.adds_up(), "{of:?}");
        assert_eq!((of.accepted, of.owed, of.completed + of.dead_letters), (each, each, each), "{of:?}");
        let letters = harness.dead_letters(&place);
        assert_eq!(letters.len() as u64, of.dead_letters, "none has left at a bound");
        let ids: HashSet<_> = letters.iter().map(|letter| letter.message.id()).collect();
        assert_eq!(ids.len(), letters.len(), "a message has one end");
        for letter in &letters {
            let honest = letter.message.payload() == "ok";
            let unlucky = ["instantiate", "deadline"].contains(&letter.reason.name());
            assert!(!honest || unlucky, "{letter:?}");
        }
        // One delivery, and one for each retry.
        assert_eq!(of.delivered, of.accepted + of.retried, "{of:?}");
        soaked.completed += of.completed;
        soaked.dead_letters += of.dead_letters;
        for cause in Cause::ALL {
            soaked.faults[cause as usize] += of.failed.get(cause.name()).copied().unwrap_or_default();
        }
    }
    for cause in [Cause::Trap, Cause::OutOfFuel, Cause::Deadline, Cause::Memory, Cause::Instantiate] {
        let letter = || harness.dead_letters("t/soak/0").pop();
        assert!(soaked.faults[cause as usize] > 0, "{cause}: {soaked:?}: {:?}", letter());
    }
    soaked
}
