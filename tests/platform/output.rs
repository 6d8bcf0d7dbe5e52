//! GUEST-7, H40 to H42: what guests print becomes events with guest, destination and message, bounded and harmless.

use sandbus::LogStream;
use sandbus::bus::Cause;

use crate::neighbourhood::Neighbourhood;
use crate::support::{Asking, harness, serial, zoo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_7_each_line_is_an_event_with_guest_stream_destination_and_message() {
    // Whoever reads a line must know which message it is about.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let first = harness.tell("t/a", "log 2 hello").await;
    let second = harness.tell("t/a", "stderr oh no").await;
    harness.idle().await.unwrap();
    let logs = harness.logs();
    let seen: Vec<_> = logs
        .iter()
        .map(|line| {
            let message = line.message.as_ref().expect("a message in hand");
            (message.id(), message.destination().as_str(), line.stream, line.text.as_str())
        })
        .collect();
    let wanted = [
        (first, "t/a", LogStream::Stdout, "hello"),
        (first, "t/a", LogStream::Stdout, "hello"),
        (second, "t/a", LogStream::Stderr, "oh no"),
    ];
    assert_eq!(seen, wanted);
    assert!(logs.iter().all(|line| &*line.guest == "guest" && line.worker.is_some()));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h40_a_flood_of_lines_is_cut_at_the_bytes_of_a_call_and_the_rest_is_counted() {
    // The sink swallows what is too much: one that refused would make an honest guest panic.
    let here = Neighbourhood::with(|hostile| {
        hostile.limits.fuel = 10_000_000_000;
        hostile.limits.deadline = std::time::Duration::from_secs(30);
    })
    .await;
    assert_eq!(here.answer("log 50000 xxxxxxxxx").await, "logged");
    let lines = here.harness.lines_of("hostile");
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!(bytes <= (64 << 10) + 1_024, "{bytes}");
    let last = lines.last().unwrap();
    // Each line costs its text, and what an event costs.
    let whole = (64_usize << 10).div_ceil(9 + sandbus::limits::LOG_LINE_COST_BYTES);
    let cut = (50_000 - whole) * 10;
    assert_eq!(last, &format!("… {cut} bytes of output cut: one call may write no more"));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h40_a_long_line_is_cut_at_1_kib() {
    // One line in a log is one line on a screen, whatever the guest wrote.
    let here = Neighbourhood::new().await;
    here.answer("log-bytes 50000").await;
    let lines = here.harness.lines_of("hostile");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() <= 1_024 && lines[0].ends_with('…'), "{}", lines[0].len());
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h41_standard_error_has_the_same_path_and_bounds() {
    // Both streams share the bytes of a call.
    let here = Neighbourhood::with(|hostile| hostile.limits.log_bytes_max = 100).await;
    assert_eq!(here.answer(&format!("stderr {}", "e".repeat(500))).await, "logged");
    let lines = here.harness.lines_of("hostile");
    assert_eq!(lines[0], "e".repeat(100));
    assert!(lines[1].contains("401 bytes of output cut"), "{}", lines[1]);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_no_control_character_and_no_forged_line_reaches_the_log() {
    // Escape sequences, a bell, a right-to-left override, a line that looks like the host's.
    let here = Neighbourhood::new().await;
    here.answer("log-raw").await;
    let lines = here.harness.lines_of("hostile");
    for line in &lines {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    // A line break does begin a new line, but under the guest's own name.
    assert!(lines[0].starts_with("\\u{1b}[31mred"), "{lines:?}");
    assert!(lines[1].starts_with("ERROR forged line\\u{202e}"), "{lines:?}");
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_panic_text_of_100_kb_with_escape_sequences_is_cut_and_escaped() {
    // It stands in dead letters, logs and terminals: at most 1 KiB, and nothing that steers.
    let here = Neighbourhood::new().await;
    let (fault, letter) = here.fault("panic-raw 100000").await;
    assert_eq!(fault.cause, Cause::Trap);
    for text in [fault.text.as_str(), letter.last_error.as_str()] {
        assert!(text.len() <= 1_024 && text.contains("panicked at"), "{text}");
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    assert!(here.harness.lines_of("hostile").iter().all(|line| line.len() <= 1_024));
    here.end().await;
}
