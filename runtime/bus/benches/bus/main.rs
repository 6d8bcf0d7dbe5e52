//! What the bus alone costs a message: native listeners, no wasm. Every row is measured in every round, beside its floor: a
//! tokio channel and a task that calls the same function.
//!
//! `cargo bench -p sandbus-bus` prints the table, `-- --json` one JSON document, `-- --markdown` a part of a page; a word after
//! `--` picks rows by name.

#[path = "../harness/mod.rs"]
mod harness;
mod rows;

use std::process::ExitCode;

use harness::{Asked, Failure, Table};

/// The allocator of the program `sandbus`, so that the bench measures what its user gets.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Asked::from_arguments().and_then(|asked| run(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &Asked) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut table = Table::new(&[]);
    for _ in 0..asked.rounds() {
        // A task like any other: what it makes ready usually runs next on the same thread.
        table = runtime.block_on(runtime.spawn(rows::round(table, asked.clone())))??;
    }
    table.print(
        "the bus alone, payload 64 B, a native listener that does nothing; ratio: of the rate of the floor",
        asked,
    );
    Ok(())
}
