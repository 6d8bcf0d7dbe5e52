//! What a guest prints: whole lines, escaped, cut and counted, with the guest and the message they belong to. The sink
//! swallows what is over the limit: one that refuses makes an honest guest panic.

use std::borrow::Cow;
use std::collections::VecDeque;
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
use super::log_line::{LogLevel, LogLine, LogSink, LogStream};
use super::secrets::Secrets;
use crate::limits::{FAULT_LINES_MAX, LOG_LINE_BYTES_MAX, LOG_LINE_COST_BYTES};

/// The output of one instance, shared with the streams that its WASI context hands out.
pub(crate) struct GuestOutput {
    guest: Arc<str>,
    sink: LogSink,
    fuel: Arc<HostFuel>,
    secrets: Option<Arc<Secrets>>,
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
    /// The last lines of the call, for the report of a fault.
    last_lines: VecDeque<String>,
}

impl GuestOutput {
    pub(crate) fn new(guest: Arc<str>, sink: LogSink, secrets: Option<Arc<Secrets>>) -> Arc<Self> {
        Arc::new(Self { guest, sink, fuel: Arc::default(), secrets, state: Mutex::default() })
    }

    /// What the call that writes pays with.
    pub(crate) fn fuel(&self) -> &Arc<HostFuel> {
        &self.fuel
    }

    /// The text with every secret of the guest masked; none where it has none of them.
    pub(crate) fn masked(&self, text: &str) -> Option<String> {
        match self.secrets.as_ref()?.mask(text) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        }
    }

    /// The last lines of the call that has ended.
    pub(crate) fn take_last_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.state().last_lines).into()
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
        state.last_lines.clear();
    }

    /// Has what is written from now on belong to another message of the same call. Unfinished lines go out.
    pub(super) fn turn_to(&self, message: Option<Arc<Message>>) {
        let mut state = self.state();
        self.finish_lines(&mut state);
        state.message = message;
    }

    fn finish_lines(&self, state: &mut State) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let rest = state.buffer(stream).map(std::mem::take).unwrap_or_default();
            if !rest.is_empty() {
                // As a line that the guest has ended: what it does not end must not be cheaper.
                state.bytes_left = state.bytes_left.saturating_sub(LOG_LINE_COST_BYTES);
                self.line(state, stream, &rest);
            }
        }
    }

    /// Ends the call: unfinished lines go out, and what was cut is said. Answers the last of standard error.
    pub(crate) fn end(&self) -> String {
        let mut state = self.state();
        self.finish_lines(&mut state);
        if state.bytes_cut > 0 {
            let text = format!("… {} bytes of output cut: one call may write no more", state.bytes_cut);
            self.emit(&mut state, LogStream::Stderr, text);
            state.bytes_cut = 0;
        }
        state.message = None;
        std::mem::take(&mut state.stderr_tail)
    }

    /// Takes what came through `wasi:logging`: each line for itself, with its context before it, from the same bytes of the
    /// call that the streams have.
    pub(crate) fn log(&self, level: LogLevel, context: &str, message: &str) {
        let mut state = self.state();
        let mut rest = Some(message);
        while let Some(text) = rest {
            if state.bytes_left == 0 {
                // Not line by line: there may be millions of them, and this costs the guest nothing.
                state.bytes_cut += text.len() + 1;
                break;
            }
            let (line, after) =
                text.split_once('\n').map_or((text, None), |(line, after)| (line, Some(after)));
            let separator = if context.is_empty() { "" } else { ": " };
            let mut whole = String::new();
            for part in [context, separator, line] {
                let taken = part.floor_char_boundary(state.bytes_left);
                state.bytes_left -= taken;
                state.bytes_cut += part.len() - taken;
                whole.push_str(part.get(..taken).unwrap_or_default());
            }
            // Each line is an event of its own, also an empty one.
            state.bytes_left = state.bytes_left.saturating_sub(LOG_LINE_COST_BYTES);
            self.line(&mut state, LogStream::Logging(level), whole.as_bytes());
            rest = after;
        }
    }

    fn write(&self, stream: LogStream, bytes: &[u8]) {
        let mut state = self.state();
        let mut rest = bytes;
        while !rest.is_empty() {
            if state.bytes_left == 0 {
                state.bytes_cut += rest.len();
                return;
            }
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let taken = line.len().min(state.bytes_left);
            state.bytes_left -= taken;
            state.bytes_cut += line.len() - taken;
            let mut whole = state.buffer(stream).map(std::mem::take).unwrap_or_default();
            whole.extend_from_slice(line.get(..taken).unwrap_or_default());
            if end.is_some() {
                // Each line is an event of its own, also an empty one.
                state.bytes_left = state.bytes_left.saturating_sub(LOG_LINE_COST_BYTES);
                self.line(&mut state, stream, &whole);
            } else if let Some(buffer) = state.buffer(stream) {
                *buffer = whole;
            }
            rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        }
    }

    fn line(&self, state: &mut State, stream: LogStream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = match &self.secrets {
            Some(secrets) if state.bytes_cut > 0 => escaped(&secrets.mask_cut(&text)),
            Some(secrets) => escaped(&secrets.mask(&text)),
            None => escaped(&text),
        };
        if stream == LogStream::Stderr && state.stderr_tail.len() < LOG_LINE_BYTES_MAX {
            let separator = if state.stderr_tail.is_empty() { "" } else { "\n" };
            let _ = write!(state.stderr_tail, "{separator}{text}");
        }
        self.emit(state, stream, text);
    }

    fn emit(&self, state: &mut State, stream: LogStream, text: String) {
        if state.last_lines.len() == FAULT_LINES_MAX {
            state.last_lines.pop_front();
        }
        state.last_lines.push_back(text.clone());
        let (guest, message) = (Arc::clone(&self.guest), state.message.clone());
        (self.sink)(&LogLine { guest, stream, message, worker: state.worker, text });
    }
}

impl State {
    /// The unfinished line of a stream of bytes.
    fn buffer(&mut self, stream: LogStream) -> Option<&mut Vec<u8>> {
        match stream {
            LogStream::Stdout => Some(&mut self.stdout),
            LogStream::Stderr => Some(&mut self.stderr),
            LogStream::Logging(_) => None,
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
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
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
        (GuestOutput::new(Arc::from("g"), sink, None), lines)
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
        output.begin(None, None, 19 + LOG_LINE_COST_BYTES);
        output.write(LogStream::Stdout, b"a\x1b[2Jb\r\n");
        output.write(LogStream::Stdout, &[b'x'; 100]);
        output.end();
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0], "a\\u{1b}[2Jb");
        assert_eq!(lines[1], "x".repeat(12));
        assert_eq!(lines[2], "… 88 bytes of output cut: one call may write no more");
    }

    #[test]
    fn lines_of_the_logging_interface_share_the_bytes_of_the_call() {
        let (output, lines) = collecting();
        output.begin(None, None, 18 + 2 * LOG_LINE_COST_BYTES);
        output.write(LogStream::Stdout, b"12345\n");
        output.log(LogLevel::Error, "shop", "one\ntwo");
        output.log(LogLevel::Info, "", &"\n".repeat(1_000_000));
        output.end();
        let lines = lines.lock().unwrap();
        // 5 + 9 + the 4 that are left of "shop: two"; of the rest not even the empty lines come.
        assert_eq!(
            *lines,
            ["12345", "shop: one", "shop", "… 1000006 bytes of output cut: one call may write no more"]
        );
    }

    #[test]
    fn a_line_of_the_logging_interface_cannot_forge_another() {
        let (output, lines) = collecting();
        output.begin(None, None, 1_000);
        output.log(LogLevel::Warn, "a\nb\u{202e}", "\x1b[2Jc");
        output.end();
        assert_eq!(*lines.lock().unwrap(), ["a\\nb\\u{202e}: \\u{1b}[2Jc"]);
    }

    #[test]
    fn a_line_that_another_message_ends_costs_what_any_line_does() {
        let (output, lines) = collecting();
        output.begin(None, None, 10 * (LOG_LINE_COST_BYTES + 1));
        for _ in 0..1_000 {
            output.write(LogStream::Stdout, b"x");
            output.turn_to(None);
        }
        output.end();
        assert_eq!(lines.lock().unwrap().len(), 11, "ten lines, and what was cut");
    }

    #[test]
    fn a_long_line_is_cut_at_its_limit() {
        assert!(escaped(&"ä\u{1b}".repeat(10_000)).len() <= LOG_LINE_BYTES_MAX);
    }
}
