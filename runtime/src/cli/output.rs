//! Where text goes: the answer to stdout, everything else to stderr; one line a document with `--json`. It knows no command.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tracing_subscriber::filter::LevelFilter;

use super::args::{Global, When};
use crate::diagnostic::{Problem, Problems, RenderOptions};
use crate::host::{LogLine, LogSink};

/// The exit code when whoever reads stdout went away.
pub(super) const READER_WENT_AWAY: u8 = 141;

/// How this process talks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
    quiet: bool,
    verbose: u8,
    render: RenderOptions,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !refused && (forced || std::io::stderr().is_terminal()),
        };
        let render = RenderOptions { color, ..RenderOptions::default() };
        Self { json: global.json, quiet: global.quiet, verbose: global.verbose, render }
    }

    /// Sends the host's own log to stderr, from this level on where nobody asked for more or less.
    pub(super) fn start_logs(&self, usual: LevelFilter) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => usual,
            (false, 1) => LevelFilter::INFO,
            (false, _) => LevelFilter::DEBUG,
        };
        let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
        // A second start in one process, as in tests, keeps the first one's settings.
        let _ = if self.json {
            builder.json().try_init()
        } else {
            builder.with_ansi(self.render.color).with_target(false).try_init()
        };
    }

    /// Whether somebody asked for more.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Writes a line to stdout.
    ///
    /// # Errors
    /// The exit code, when nobody reads any more.
    pub(super) fn answer(&self, text: &str) -> Result<ExitCode, ExitCode> {
        let mut stdout = std::io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(_) => Err(ExitCode::from(READER_WENT_AWAY)),
        }
    }

    /// Writes the answer: as a document with `--json`, else as text.
    pub(super) fn document(&self, json: &Json, text: &str) -> ExitCode {
        let written = if self.json { self.answer(&json.to_string()) } else { self.answer(text) };
        written.unwrap_or_else(|code| code)
    }

    /// Says something beside the answer; not with `-q`, and not with `--json`, whose documents say it.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{text}");
        }
    }

    /// Says what is doubtful.
    pub(super) fn warn(&self, problem: &Problem) {
        if self.json {
            eprintln!("{}", problem.to_json());
        } else if !self.quiet {
            eprint!("{}", problem.render(&self.render));
        }
    }

    /// Says what is wrong.
    pub(super) fn fail(&self, problems: &Problems) -> ExitCode {
        if self.json {
            eprintln!("{}", problems.to_json());
        } else {
            eprint!("{}", problems.render(&self.render));
        }
        ExitCode::from(problems.exit_code())
    }

    /// Shows the lines that guests print: `[destination-worker][guest] text`.
    pub(super) fn guest_lines(&self) -> LogSink {
        let (json, quiet) = (self.json, self.quiet);
        Arc::new(move |line: &LogLine| {
            if json {
                eprintln!("{}", log_document(line));
            } else if !quiet {
                eprintln!("{}", log_text(line));
            }
        })
    }
}

fn log_text(line: &LogLine) -> String {
    let place = match (&line.message, line.worker) {
        (Some(message), Some(worker)) => format!("{}-{worker}", message.destination()),
        (Some(message), None) => message.destination().to_string(),
        (None, _) => "lifecycle".to_owned(),
    };
    format!("[{place}][{}] {}", line.guest, line.text)
}

fn log_document(line: &LogLine) -> Json {
    json!({
        "kind": "event",
        "v": 1,
        "event": "log",
        "guest": &*line.guest,
        "stream": line.stream.name(),
        "level": line.stream.level().name(),
        "destination": line.message.as_ref().map(|message| message.destination().as_str()),
        "message_id": line.message.as_ref().map(|message| message.id().to_string()),
        "worker": line.worker,
        "text": line.text,
    })
}
