//! The bus against a naive reference: random operations on one to three destinations, and the promise "accountable" checked
//! after every step and at the end. Time is paused and there is one thread, so that a seed replays exactly.
//!
//! `SANDBUS_MODEL_CASES` sets the number of cases of each test (256), `SANDBUS_MODEL_SEED` the seed of the random one. Each
//! case has a seed of its own; a failure prints the shrunk case, and the command that replays it.

// Under the feature `shuttle` the bus runs in `concurrency.rs` and nowhere else.
#![cfg(not(feature = "shuttle"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests themselves do"
)]

#[path = "model/asked.rs"]
mod asked;
#[path = "model/case.rs"]
mod case;
#[path = "model/check.rs"]
mod check;
#[path = "model/log.rs"]
mod log;
#[path = "model/operator.rs"]
mod operator;
#[path = "model/order.rs"]
mod order;
#[path = "model/ranks.rs"]
mod ranks;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/settings.rs"]
mod settings;
#[path = "model/tally.rs"]
mod tally;
#[path = "model/together.rs"]
mod together;
#[path = "model/watch.rs"]
mod watch;
#[path = "model/world.rs"]
mod world;

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tally::Tally;

/// Replays a case, by the seed that a failure tells.
const REPLAY: &str = "cargo test -p sandbus-bus --test model random_operations";

/// The seed of the cases that are the same in every run.
const FIXED_SEED: u64 = 2026;

/// What must have happened many times in 256 cases: every operation, every way in which a message can end, and states in which
/// much can go wrong.
const REACHED: [&str; 89] = [
    "accepted",
    "answered",
    "batches",
    "batches stopped",
    "breaker openings",
    "cancelled",
    "destroyed",
    "dropped at the door",
    "dropped dead-letter-bound",
    "dropped dead-letter-dropped",
    "dropped duplicate-reply",
    "dropped forged-reply",
    "dropped late-reply",
    "dropped no-listener",
    "dropped no-response-destination",
    "dropped purged",
    "dropped queue-full",
    "dropped redriven",
    "duplicates",
    "followed",
    "followed and redriven",
    "given back",
    "handled",
    "held",
    "hidden from the start",
    "interrupted",
    "letters closed",
    "letters deadline",
    "letters dropped",
    "letters expired",
    "letters instantiate",
    "letters listener-removed",
    "letters listener-unavailable",
    "letters memory",
    "letters no-listener",
    "letters out-of-fuel",
    "letters purged",
    "letters queue-full",
    "letters refused",
    "letters retry",
    "letters trap",
    "no room",
    "not answered",
    "not redriven",
    "op Advance",
    "op Burst",
    "op Cancel",
    "op Close",
    "op CloseNow",
    "op Create",
    "op Destroy",
    "op Direct",
    "op DropLetters",
    "op Forge",
    "op Inline",
    "op Mistune",
    "op Pause",
    "op Purge",
    "op Redrive",
    "op Register",
    "op Reopen",
    "op Replace",
    "op Request",
    "op Resume",
    "op Send",
    "op Tune",
    "op Turn",
    "op Unregister",
    "op Unreplace",
    "redriven anew",
    "redriven elsewhere",
    "redriven home",
    "redriven to their listener",
    "refused closed",
    "refused invalid",
    "refused no-listener",
    "refused no-such-destination",
    "refused paused",
    "refused queue-full",
    "refused too-large",
    "reopened",
    "replaced",
    "replacements that went",
    "replies that arrived",
    "replies that were turned away",
    "retried",
    "room was made",
    "steps with something aside",
    "tuned",
];

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")))
}

#[test]
fn random_operations_leave_every_message_with_exactly_one_end_for_each_listener() {
    // Whatever is done in whatever order, nothing vanishes, nothing is done twice, and the books balance at every step.
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    run(number_of("SANDBUS_MODEL_SEED").unwrap_or_else(random));
}

#[test]
fn the_operations_of_a_fixed_seed_do_so_too_and_reach_what_can_go_wrong() {
    // A generator that never reaches a state is a test that cannot fail there.
    let (cases, tally) = run(FIXED_SEED);
    println!("{tally}");
    if cases >= 256 {
        assert_eq!(tally.too_seldom(&REACHED, 10), [], "in {cases} cases");
    }
}

/// Runs as many cases as are asked for, each on a seed of its own.
fn run(seed: u64) -> (u64, Tally) {
    let cases = number_of("SANDBUS_MODEL_CASES").unwrap_or(256);
    let mut tally = Tally::default();
    for case in 0..cases {
        tally.merge(run_one(seed.wrapping_add(case)));
    }
    (cases, tally)
}

fn run_one(seed: u64) -> Tally {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = RefCell::default();
    let result = runner.run(&case::cases(), |case| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let run = runtime.block_on(world::run(&case)).map_err(TestCaseError::fail)?;
        tally.replace(run);
        Ok(())
    });
    if let Err(failure) = result {
        let told = match failure {
            TestError::Fail(reason, shrunk) => format!("{reason}\nin {shrunk:?}"),
            TestError::Abort(reason) => reason.to_string(),
        };
        panic!("{told}\nTo replay this:\nSANDBUS_MODEL_SEED={seed} SANDBUS_MODEL_CASES=1 {REPLAY}");
    }
    tally.into_inner()
}
