//! The command line: arguments in, text out, one exit code. What it says is decided elsewhere.

mod args;
mod bench;
mod call;
mod check_config;
mod faults;
mod figures;
mod inspect;
mod load;
mod output;
mod payload;
mod problems;
mod run;
mod sends;
mod signals;
mod summary;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::filter::LevelFilter;

use self::args::{Arguments, Command};
use self::output::Output;
use crate::diagnostic::{Code, Problem, Problems};

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = crate::sandbox::compiler_main_if_asked() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let output = Output::new(&arguments.global);
    output.start_logs(match arguments.command {
        // A queue that is full now and then is what it is for, and each time would be a line.
        Some(Command::Bench(_)) => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    });
    if let Some(directory) = &arguments.global.dir
        && let Err(error) = std::env::set_current_dir(directory)
    {
        let text = format!("cannot work in `{}`", directory.display());
        return output.fail(&Problem::caused_by(Code::FileMissing, text, &error).into());
    }
    let Some(command) = arguments.command else {
        return output.answer(&args::overview()).unwrap_or_else(|code| code);
    };
    let started =
        enough_descriptors().and_then(|()| tokio::runtime::Builder::new_multi_thread().enable_all().build());
    let runtime = match started {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = Problem::caused_by(Code::HostFailed, "cannot start the async runtime", &error);
            return output.fail(&problem.into());
        }
    };
    let ended = runtime.block_on(dispatch(command, &arguments.global, &output));
    // What still runs by now was asked to end and did not; the process does not wait for it.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(problems) => output.fail(&problems),
    }
}

/// Whether there are as many file descriptors as the async runtime takes when it starts: where it finds none for its signals,
/// it panics instead of telling.
fn enough_descriptors() -> std::io::Result<()> {
    let taken: std::io::Result<Vec<_>> = (0..3).map(|_| std::os::unix::net::UnixStream::pair()).collect();
    taken.map(drop)
}

async fn dispatch(command: Command, global: &args::Global, output: &Output) -> Result<ExitCode, Problems> {
    match command {
        Command::Run(run) => run::run(run, global, output).await,
        Command::Call(call) => call::call(call, global, output).await,
        Command::Bench(bench) => bench::bench(*bench, global, output).await,
        Command::Inspect(inspect) => inspect::inspect(&inspect, output),
        Command::CheckConfig(check) => check_config::check_config(&check, global, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sandbus", &mut script);
            let text = String::from_utf8_lossy(&script).into_owned();
            let json = serde_json::json!({ "kind": "completions", "v": 1, "shell": shell.to_string(), "script": text });
            Ok(output.document(&json, text.trim_end()))
        }
    }
}

/// clap's own answers: help and version are answers, everything else is wrong use.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = std::env::args_os().any(|argument| argument == "--json");
    if !asked && json {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        eprintln!("{}", Problem::new(Code::Usage, first).with_usual_help().to_json());
        return ExitCode::from(2);
    }
    match error.print() {
        Ok(()) if asked => ExitCode::SUCCESS,
        Err(_) if asked => ExitCode::from(output::READER_WENT_AWAY),
        _ => ExitCode::from(2),
    }
}
