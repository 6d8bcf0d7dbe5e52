//! What a guest prints: whole lines, escaped, cut and counted, with the guest and the message they belong to. The sink
//! swallows what is over the limit: one that refuses makes an honest guest panic.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use sandbus_bus::Message;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::fuel::HostFuel;
use crate::limits::LOG_LINE_BYTES_MAX;

/// Which of its outputs a guest wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
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
        match line.stream {
            LogStream::Stdout => {
                tracing::info!(target: "sandbus::guest", guest, destination, worker, message_id, "{text}");
            }
            LogStream::Stderr => {
                tracing::warn!(target: "sandbus::guest", guest, destination, worker, message_id, "{text}");
            }
        }
    })
}

/// The output of one instance, shared with the streams that its WASI context hands out.
pub(crate) struct GuestOutput {
    guest: Arc<str>,
    sink: LogSink,
    fuel: Arc<HostFuel>,
    /// Guards the call that runs and what it has written; the sink is called under it, so that lines keep their order.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    message: Option<Arc<Message>>,
    worker: Option<u32>,
    bytes_left: usize,
    bytes_cut: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The last that went to standard error: a panic's text is nowhere else.
    stderr_tail: String,
}

impl GuestOutput {
    pub(crate) fn new(guest: Arc<str>, sink: LogSink) -> Arc<Self> {
        Arc::new(Self { guest, sink, fuel: Arc::default(), state: Mutex::default() })
    }

    /// What the call that writes pays with.
    pub(crate) fn fuel(&self) -> &Arc<HostFuel> {
        &self.fuel
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call that may write so many bytes.
    pub(crate) fn begin(&self, message: Option<Arc<Message>>, worker: Option<u32>, bytes_max: usize) {
        let mut state = self.state();
        state.message = message;
        state.worker = worker;
        state.bytes_left = bytes_max;
    }

    /// Ends the call: unfinished lines go out, and what was cut is said. Answers the last of standard error.
    pub(crate) fn end(&self) -> String {
        let mut state = self.state();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let rest = std::mem::take(state.buffer(stream));
            if !rest.is_empty() {
                self.line(&mut state, stream, &rest);
            }
        }
        if state.bytes_cut > 0 {
            let text = format!("… {} bytes of output cut: one call may write no more", state.bytes_cut);
            self.emit(&state, LogStream::Stderr, text);
            state.bytes_cut = 0;
        }
        state.message = None;
        std::mem::take(&mut state.stderr_tail)
    }

    fn write(&self, stream: LogStream, bytes: &[u8]) {
        self.fuel.charge_bytes(bytes.len());
        let mut state = self.state();
        let taken = bytes.len().min(state.bytes_left);
        state.bytes_left -= taken;
        state.bytes_cut += bytes.len() - taken;
        let mut rest = bytes.get(..taken).unwrap_or_default();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            let mut whole = std::mem::take(state.buffer(stream));
            whole.extend_from_slice(line);
            self.line(&mut state, stream, &whole);
            rest = after.get(1..).unwrap_or_default();
        }
        state.buffer(stream).extend_from_slice(rest);
    }

    fn line(&self, state: &mut State, stream: LogStream, bytes: &[u8]) {
        let text = escaped(&String::from_utf8_lossy(bytes));
        if stream == LogStream::Stderr && state.stderr_tail.len() < LOG_LINE_BYTES_MAX {
            let separator = if state.stderr_tail.is_empty() { "" } else { "\n" };
            let _ = write!(state.stderr_tail, "{separator}{text}");
        }
        self.emit(state, stream, text);
    }

    fn emit(&self, state: &State, stream: LogStream, text: String) {
        let (guest, message) = (Arc::clone(&self.guest), state.message.clone());
        (self.sink)(&LogLine { guest, stream, message, worker: state.worker, text });
    }
}

impl State {
    fn buffer(&mut self, stream: LogStream) -> &mut Vec<u8> {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        }
    }
}

/// Escapes control characters and cuts the line to its limit.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut out = String::with_capacity(text.len().min(LOG_LINE_BYTES_MAX));
    for c in text.chars() {
        let before = out.len();
        // What steers a terminal or turns the direction of text could forge other lines.
        let steers = (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > LOG_LINE_BYTES_MAX - '…'.len_utf8() {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// One of the two streams, as WASI wants it.
#[derive(Clone)]
pub(crate) struct GuestStream {
    pub(crate) output: Arc<GuestOutput>,
    pub(crate) stream: LogStream,
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {
        // It can be written to at any time. That its fuel is used up is seen by whoever polls the call.
        let _ = self.output.fuel.pause().await;
    }
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collecting() -> (Arc<GuestOutput>, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: LogSink = Arc::new(move |line: &LogLine| kept.lock().unwrap().push(line.text.clone()));
        (GuestOutput::new(Arc::from("g"), sink), lines)
    }

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let (output, lines) = collecting();
        output.begin(None, None, 1_000);
        output.write(LogStream::Stdout, b"one\ntw");
        output.write(LogStream::Stderr, b"err");
        output.write(LogStream::Stdout, b"o\n");
        output.write(LogStream::Stdout, b"rest");
        assert_eq!(output.end(), "err");
        assert_eq!(*lines.lock().unwrap(), ["one", "two", "rest", "err"]);
    }

    #[test]
    fn a_line_cannot_forge_another_and_a_flood_is_cut_and_counted() {
        let (output, lines) = collecting();
        output.begin(None, None, 20);
        output.write(LogStream::Stdout, b"a\x1b[2Jb\r\n");
        output.write(LogStream::Stdout, &[b'x'; 100]);
        output.end();
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0], "a\\u{1b}[2Jb");
        assert_eq!(lines[1], "x".repeat(12));
        assert_eq!(lines[2], "… 88 bytes of output cut: one call may write no more");
    }

    #[test]
    fn a_long_line_is_cut_at_its_limit() {
        assert!(escaped(&"ä\u{1b}".repeat(10_000)).len() <= LOG_LINE_BYTES_MAX);
    }
}
