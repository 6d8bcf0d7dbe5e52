//! One line that a guest wrote, and where lines go. It knows no bounds: a line comes here escaped and cut.

use std::sync::Arc;

use sandbus_bus::Message;

/// Which of its outputs a guest wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `wasi:logging`, at this level.
    Logging(LogLevel),
}

/// How much a line matters, as its guest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of `wasi:logging`, which says no more")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl LogStream {
    /// The level of its lines: standard output is `info`, standard error `warn`.
    #[must_use]
    pub fn level(self) -> LogLevel {
        match self {
            Self::Stdout => LogLevel::Info,
            Self::Stderr => LogLevel::Warn,
            Self::Logging(level) => level,
        }
    }

    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Logging(_) => "logging",
        }
    }
}

impl LogLevel {
    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// One line that a guest printed: escaped, at most 1 KiB.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Who printed it.
    pub guest: Arc<str>,
    /// Where to.
    pub stream: LogStream,
    /// The message in hand; none in `activate` and `deactivate`.
    pub message: Option<Arc<Message>>,
    /// The number of the worker that made the call, where a worker did.
    pub worker: Option<u32>,
    /// The line.
    pub text: String,
}

/// Takes the lines that guests print. It is called in the guest's call and must not wait.
pub type LogSink = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// A sink that makes each line a `tracing` event of the target `sandbus::guest`.
pub(crate) fn tracing_sink() -> LogSink {
    Arc::new(|line: &LogLine| {
        let message_id = line.message.as_ref().map(|message| tracing::field::display(message.id()));
        let destination = line.message.as_ref().map(|message| message.destination().as_str());
        let (guest, worker, text) = (&*line.guest, line.worker, line.text.as_str());
        // The level of an event is part of its static description, so that each has a call of its own.
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: "sandbus::guest",
                    tracing::Level::$level,
                    guest,
                    destination,
                    worker,
                    message_id,
                    "{text}"
                )
            };
        }
        match line.stream.level() {
            LogLevel::Trace => event!(TRACE),
            LogLevel::Debug => event!(DEBUG),
            LogLevel::Info => event!(INFO),
            LogLevel::Warn => event!(WARN),
            LogLevel::Error | LogLevel::Critical => event!(ERROR),
        }
    })
}
