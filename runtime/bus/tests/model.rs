//! The bus against a naive reference: random operations on one to four destinations, and the promise "accountable" checked
//! after every step and at the end. Time is paused and there is one thread, so that a seed replays exactly.
//!
//! `SANDBUS_MODEL_CASES` sets the number of cases (256), `SANDBUS_MODEL_SEED` the seed, which a failure prints.

// Under the feature `shuttle` the bus runs in `concurrency.rs` and nowhere else.
#![cfg(not(feature = "shuttle"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests themselves do"
)]

#[path = "model/case.rs"]
mod case;
#[path = "model/check.rs"]
mod check;
#[path = "model/world.rs"]
mod world;

use std::hash::{BuildHasher, Hasher};

use case::Case;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")))
}

#[test]
fn random_operations_leave_every_message_with_exactly_one_end_for_each_listener() {
    // Whatever is done in whatever order, nothing vanishes, nothing is done twice, and the books balance at every step.
    check_all(case::cases(), async |case| world::run(case).await);
}

#[test]
fn random_operations_with_redrives_balance_at_every_step() {
    // A dead letter that comes back is owed once more, or moves; it is never lost and never done twice.
    check_all(case::redriving_cases(), async |case| world::run_redriving(case).await);
}

fn check_all(cases: impl Strategy<Value = Case>, run: impl AsyncFn(&Case) -> Result<(), String>) {
    let count = number_of("SANDBUS_MODEL_CASES").unwrap_or(256);
    let seed = number_of("SANDBUS_MODEL_SEED")
        .unwrap_or_else(|| std::collections::hash_map::RandomState::new().build_hasher().finish());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: u32::try_from(count).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&cases, |case| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(&case)).map_err(TestCaseError::fail)
    });
    if let Err(failure) = result {
        panic!("SANDBUS_MODEL_SEED={seed} SANDBUS_MODEL_CASES={count} replays this:\n{failure}");
    }
}
