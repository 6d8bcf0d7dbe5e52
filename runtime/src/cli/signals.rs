//! The two signals that end a command, and the code that it ends with then.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::diagnostic::{Code, Problem};

/// Which of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signalled {
    Interrupt,
    Terminate,
}

impl Signalled {
    /// What a command ends with that was ended before it was done: 128 and the number of the signal.
    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Signalled::Interrupt => ExitCode::from(130),
            Signalled::Terminate => ExitCode::from(143),
        }
    }
}

/// The two signals that end a command.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Problem> {
        let failed = |error| Problem::caused_by(Code::HostFailed, "cannot listen for signals", &error);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    pub(super) async fn any(&mut self) -> Signalled {
        tokio::select! {
            _ = self.interrupt.recv() => Signalled::Interrupt,
            _ = self.terminate.recv() => Signalled::Terminate,
        }
    }
}
