//! Says what stopped a call: cause and text, from the engine's error, the denials that the limiter remembers and what the
//! guest last wrote to standard error. It stops nothing itself.

use sandbus_bus::{Cause, Fault};
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::report::{FaultFrame, is_own};
use crate::host::Denied;

/// Frames of the guest's own code that a text names.
const FRAMES_NAMED: usize = 3;

/// What is known besides the error.
pub(super) struct Circumstances<'a> {
    /// The memory that was last denied to the guest in this call.
    pub(super) memory_denied: Option<Denied>,
    pub(super) fuel: u64,
    /// The last of standard error.
    pub(super) stderr: &'a str,
    /// The stack.
    pub(super) frames: &'a [FaultFrame],
}

/// Classifies the engine's error.
pub(super) fn classify(error: &wasmtime::Error, circumstances: &Circumstances<'_>) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return Fault::new(
            Cause::OutOfFuel,
            format!("used all of its {} fuel{}", circumstances.fuel, frames(circumstances.frames)),
        );
    }
    if let Some(denied) = circumstances.memory_denied {
        return Fault::new(Cause::Memory, format!("{denied} and stopped{}", frames(circumstances.frames)));
    }
    let what = match (error.downcast_ref::<I32Exit>(), trap) {
        (Some(exit), _) => format!("called exit with code {}", exit.0),
        (None, Some(Trap::UnreachableCodeReached)) => panicked(circumstances.stderr),
        (None, Some(trap)) => trap.to_string(),
        // Errors of the host's own functions, such as the limit of what the host allocates, are no `Trap`.
        (None, None) => error.root_cause().to_string(),
    };
    Fault::new(Cause::Trap, format!("{what}{}", frames(circumstances.frames)))
}

/// A Rust panic ends in `unreachable`; its text is on standard error only.
fn panicked(stderr: &str) -> String {
    match stderr.find("panicked at") {
        Some(at) => stderr
            .get(at..)
            .unwrap_or(stderr)
            .replace("\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", "")
            .replace(":\n", ": "),
        None if stderr.is_empty() => "unreachable code reached".to_owned(),
        None => format!("unreachable code reached; last on standard error: {stderr}"),
    }
}

/// The guest's own functions on the stack, the innermost first.
fn frames(frames: &[FaultFrame]) -> String {
    let own = frames.iter().filter(|frame| frame.function.as_deref().is_some_and(is_own));
    let names: Vec<String> = own.take(FRAMES_NAMED).map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!(" (in {})", names.join(", called by ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Circumstances<'static> =
        Circumstances { memory_denied: None, fuel: 100, stderr: "", frames: &[] };

    #[test]
    fn the_cause_is_told_from_trap_denial_and_exit() {
        let out_of_fuel = classify(&Trap::OutOfFuel.into(), &NONE);
        assert_eq!(
            (out_of_fuel.cause, out_of_fuel.text.as_str()),
            (Cause::OutOfFuel, "used all of its 100 fuel")
        );
        let denied = Circumstances { memory_denied: Some(Denied::Instance(64)), ..NONE };
        assert_eq!(classify(&Trap::UnreachableCodeReached.into(), &denied).cause, Cause::Memory);
        assert_eq!(classify(&Trap::OutOfFuel.into(), &denied).cause, Cause::OutOfFuel);
        let exit = classify(&wasmtime::Error::from(I32Exit(1)), &NONE);
        assert_eq!((exit.cause, exit.text.as_str()), (Cause::Trap, "called exit with code 1"));
    }

    #[test]
    fn a_panic_keeps_its_text_and_place() {
        let stderr = "thread 'main' panicked at src/lib.rs:4:2:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        let fault = classify(&Trap::UnreachableCodeReached.into(), &Circumstances { stderr, ..NONE });
        assert_eq!(fault.text.as_str(), "panicked at src/lib.rs:4:2: index out of bounds");
    }
}
