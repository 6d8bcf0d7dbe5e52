//! Everything that is a figure: shares, times, memory, and the long forms of what `tests/platform` tries in short. It takes
//! minutes and a quiet machine, so that nothing of it runs unless it is asked for: `.ci/long`. It prints a table.
//!
//! `SANDBUS_LONG_SECONDS` is how long the forms of ten minutes take (60), `SANDBUS_LONG_MESSAGES` how many the soak sends
//! (1,000,000), `SANDBUS_LONG_ONLY` a part of the names of the cases that are wanted.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]
#![allow(clippy::indexing_slicing, reason = "a test that indexes past the end has failed")]
#![allow(dead_code, reason = "what it shares with `tests/platform` is not all used here")]

#[path = "../platform/crafted.rs"]
mod crafted;
#[path = "../platform/neighbourhood.rs"]
mod neighbourhood;
#[path = "../platform/soak.rs"]
mod soak;
#[path = "../platform/support.rs"]
mod support;
#[path = "../platform/watch.rs"]
mod watch;

mod fairness;
mod load;
mod machine;
mod times;

use std::fmt::Display;

/// One figure against its bound.
pub(crate) struct Row {
    case: &'static str,
    figure: String,
    bound: String,
    met: bool,
}

/// The table.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure and says it at once.
    pub(crate) fn row(&mut self, case: &'static str, figure: impl Display, bound: impl Display, met: bool) {
        let row = Row { case, figure: figure.to_string(), bound: bound.to_string(), met };
        println!("{}", line(&row));
        self.rows.push(row);
    }
}

fn line(row: &Row) -> String {
    format!("| {} | {} | {} | {} |", row.case, row.figure, row.bound, if row.met { "met" } else { "NOT MET" })
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

async fn all(table: &mut Table) {
    let only = std::env::var("SANDBUS_LONG_ONLY").unwrap_or_default();
    let wanted = |name: &str| name.contains(&only);
    macro_rules! run {
        ($($module:ident::$case:ident),* $(,)?) => {
            $(if wanted(stringify!($case)) { $module::$case(table).await; })*
        };
    }
    run!(
        fairness::neighbour_beside_a_burner,
        fairness::longest_slice,
        times::loops_and_sleeps_end_soon_after_their_deadline,
        times::other_faults,
        times::bombs_are_refused,
        times::drain_at_the_end,
        times::poison_stalls_a_serial_destination,
        load::memory_comes_back,
        load::senders_ten_times_faster,
        load::every_call_fails,
        load::due_in_one_second,
        load::ten_thousand_destinations,
        load::soak_without_protection,
        load::soak_with_protection,
    );
}

#[test]
#[ignore = "takes minutes and a quiet machine: .ci/long"]
fn figures() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut table = Table::default();
    println!("| Case | Figure | Bound | |\n| --- | --- | --- | --- |");
    runtime.block_on(all(&mut table));
    let missed: Vec<String> = table.rows.iter().filter(|row| !row.met).map(line).collect();
    assert!(missed.is_empty(), "not met:\n{}", missed.join("\n"));
}
