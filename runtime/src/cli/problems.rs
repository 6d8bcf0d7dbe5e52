//! Errors of the library as problems with a code and a next step. It decides no error; it names them.

use std::error::Error;

use sandbus_bus::{Cause, DeadLetterReason, FailureKind, SendError};

use crate::diagnostic::{Code, Problem};
use crate::platform::{BuildError, GuestError, StartError};
use crate::sandbox::{CompileError, LifecycleError, LoadError, PrescanError};

/// Why a guest cannot be loaded.
pub(super) fn load_problem(error: &LoadError) -> Problem {
    causes_of_load(Problem::new(load_code(error), error.to_string()).with_usual_help(), error)
}

/// What stands in the text already is not repeated as a cause.
fn causes_of_load(problem: Problem, error: &LoadError) -> Problem {
    match error {
        LoadError::Prescan { .. } => problem,
        LoadError::NotCompiled { source, .. } => causes(problem, source),
        _ => causes(problem, error),
    }
}

fn load_code(error: &LoadError) -> Code {
    match error {
        LoadError::Read { source, .. } => match source.kind() {
            std::io::ErrorKind::NotFound => Code::ComponentMissing,
            std::io::ErrorKind::IsADirectory => Code::ComponentIsDirectory,
            _ => Code::ComponentUnreadable,
        },
        LoadError::TooLarge { .. } => Code::ComponentTooLarge,
        LoadError::Prescan { source, .. } => match source {
            PrescanError::Empty => Code::ComponentEmpty,
            PrescanError::Text => Code::WasmText,
            PrescanError::Precompiled => Code::Precompiled,
            PrescanError::CoreModule => Code::CoreModule,
            PrescanError::NotWebAssembly => Code::NotWebAssembly,
            PrescanError::Damaged(_) => Code::ComponentTruncated,
            PrescanError::TooManyFunctions => Code::TooManyFunctions,
            PrescanError::FunctionTooLarge(_) => Code::FunctionTooLarge,
            PrescanError::TooManyParts => Code::TooManyParts,
            PrescanError::FunctionTooWide(_)
            | PrescanError::TooMany { .. }
            | PrescanError::TypeTooLarge
            | PrescanError::TypeTooDeep
            | PrescanError::TakesComponent => Code::ComponentTooComplex,
        },
        LoadError::NotCompiled { source, .. } => match source {
            CompileError::Start { .. } | CompileError::OtherEngine { .. } => Code::CompilerUnusable,
            _ => Code::CompileFailed,
        },
        LoadError::Compile { .. } => Code::DoesNotCompile,
        LoadError::MissingImports { .. } => Code::MissingImport,
        LoadError::ImportType { .. } => Code::WrongImportType,
        LoadError::NoExport { .. } | LoadError::BatchAlone { .. } => Code::MissingExport,
        LoadError::ExportType { .. } => Code::WrongExportType,
    }
}

/// Why a platform did not start, and which guest it was about.
pub(super) fn start_problem(error: &StartError) -> (Problem, Option<&str>) {
    match error {
        StartError::Engine(error) => {
            (causes(Problem::new(Code::EngineFailed, error.to_string()).with_usual_help(), error), None)
        }
        StartError::Type(error) => (Problem::new(Code::IllegalValue, error.to_string()), None),
        StartError::Schedule(error) => (Problem::new(Code::IllegalValue, error.to_string()), None),
        StartError::Destination(error) => (Problem::new(Code::IllegalValue, error.to_string()), None),
        StartError::Load { guest, source } => {
            let problem = load_problem(source);
            let text = format!("guest `{guest}` cannot be loaded: {}", problem.message());
            let mut named = Problem::new(problem.code(), text);
            if let Some(help) = problem.help() {
                named = named.with_help(help);
            }
            (causes_of_load(named, source), Some(guest))
        }
        StartError::NotAListener { guest, .. } => {
            let help = "export `sandbus:bus/message-listener`, or remove its `listens-to`";
            (Problem::new(Code::MissingExport, error.to_string()).with_help(help), Some(guest))
        }
        StartError::Guest(error @ GuestError::Folder { guest, source, .. }) => {
            let text = format!("{error}: {source}");
            (Problem::new(Code::FolderUnusable, text).with_usual_help(), Some(guest))
        }
        StartError::Guest(error) => (Problem::new(Code::HostFailed, error.to_string()), None),
        StartError::Activate { guest, source } => {
            let text = format!("guest `{guest}` cannot be activated: {source}");
            (Problem::new(Code::ActivationFailed, text).with_help(activation_help(source)), Some(guest))
        }
    }
}

fn activation_help(error: &LifecycleError) -> &'static str {
    match error {
        LifecycleError::Faulted(fault) if fault.cause == Cause::OutOfFuel => "raise `limits.activate-fuel`",
        LifecycleError::Faulted(fault) if fault.cause == Cause::Deadline => {
            "raise `limits.activate-deadline`"
        }
        _ => "the guest's own lines are above; a send that was denied needs an entry in `grants.send`",
    }
}

/// Why a guest was not built.
pub(super) fn build_problem(error: &BuildError) -> Problem {
    let code = match error {
        BuildError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Code::BuildDirectoryMissing
        }
        BuildError::Start { .. } => Code::BuildToolMissing,
        BuildError::Failed { .. } => Code::BuildFailed,
        BuildError::Target { .. } => Code::RustTargetMissing,
    };
    causes(Problem::new(code, error.to_string()).with_usual_help(), error)
}

/// Why a message was not accepted.
pub(super) fn send_problem(destination: &str, error: &SendError) -> Problem {
    let code = send_code(error);
    Problem::new(code, format!("message to `{destination}` was not accepted: {error}")).with_usual_help()
}

fn send_code(error: &SendError) -> Code {
    match error {
        SendError::NoSuchDestination(_) => Code::NoSuchDestination,
        SendError::NoListener(_) => Code::NoListener,
        SendError::QueueFull { .. } => Code::QueueFull,
        SendError::Closed(_) => Code::Closed,
        SendError::Paused(_) => Code::Paused,
        SendError::Denied { .. } => Code::Denied,
        SendError::TooLarge { .. } => Code::TooLarge,
        SendError::HopsExceeded { .. } => Code::HopsExceeded,
        SendError::Busy { .. } => Code::Busy,
        SendError::LimitReached(_) => Code::LimitReached,
        SendError::Interceptor(_) | SendError::Processor(_) => Code::Processor,
        SendError::Invalid(_) | SendError::NotBuilt(_) | SendError::Other(_) => Code::InvalidMessage,
    }
}

/// Why a message became a dead letter, with its code where it has one: errors and reasons share their names.
pub(super) fn reason_text(reason: &DeadLetterReason) -> String {
    match reason {
        DeadLetterReason::Failed(kind) => format!("{kind} ({})", failure_code(*kind)),
        other => match Code::find(other.name()) {
            Some(code) => format!("{other} ({code})"),
            None => other.to_string(),
        },
    }
}

/// The code of a failed delivery.
pub(super) fn failure_code(kind: FailureKind) -> Code {
    match kind {
        FailureKind::Refused => Code::Refused,
        FailureKind::Retry => Code::Retry,
        FailureKind::Faulted(cause) => cause_code(cause),
    }
}

/// The code of a fault.
pub(super) fn cause_code(cause: Cause) -> Code {
    match cause {
        Cause::Trap => Code::Trap,
        Cause::OutOfFuel => Code::OutOfFuel,
        Cause::Deadline => Code::Deadline,
        Cause::Memory => Code::Memory,
        Cause::Instantiate => Code::Instantiate,
        Cause::Processor => Code::Processor,
        Cause::Interrupted => Code::Interrupted,
    }
}

fn causes(problem: Problem, error: &dyn Error) -> Problem {
    match error.source() {
        Some(source) => problem.with_causes_of(source),
        None => problem,
    }
}
