//! H4, H42, H43, U5, U6: what is told of a fault. Each is one report and one count, says where in the guest's code it was,
//! what the call used and what the guest last printed, and gives nothing away.

use std::sync::{Arc, Mutex};

use sandbus::bus::{Cause, DeadLetter};
use sandbus::harness::Harness;
use sandbus::{
    Allocator, CompileCache, Compiler, FaultReport, Platform, PlatformConfig, RuntimeSettings, SandboxEngine,
};

use crate::support::{Asking, beside_a_neighbour, engine, harness, plugin, runtime, serial, zoo};

/// Sends a command to a zoo that has this secret; its end, its dead letter and the reports.
async fn ended(command: &str, secret: Option<&str>) -> (Harness, DeadLetter, Vec<FaultReport>) {
    let mut guest = zoo("guest", &["t/a"]);
    if let Some(secret) = secret {
        guest.env.insert("DB_PASSWORD".to_owned(), secret.to_owned());
    }
    let mut destination = serial("t/a");
    destination.retry.attempts_max = 1;
    let harness = beside_a_neighbour().destination(destination).guest(guest).start().await.unwrap();
    harness.tell("t/a", command).await;
    harness.idle().await.unwrap();
    let (letter, faults) = (harness.letter("t/a"), harness.faults());
    (harness, letter, faults)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_a_fault_is_one_report_and_one_count_that_name_guest_build_and_message() {
    // Whoever reads it must find the message, the code and the place.
    let (harness, letter, faults) = ended("divide", None).await;
    let [report] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((&*report.guest, report.during, report.attempt), ("guest", "receive", Some(1)));
    let message = report.message.as_ref().unwrap();
    assert_eq!((message.id(), message.destination().as_str()), (letter.message.id(), "t/a"));
    assert_eq!((report.fault.cause, report.code()), (Cause::Trap, "SB0310"));
    assert_eq!(Some(&report.build), letter.build.as_ref());
    assert_eq!(report.fault.text, letter.last_error);
    assert_eq!(report.usage.fuel, letter.fuel);
    assert!(report.fuel_max == Some(50_000_000) && report.usage.memory_bytes > Some(64 << 10), "{report:?}");
    let guest = harness.platform().guest("guest").unwrap();
    assert_eq!((guest.calls, guest.faults["trap"]), (1, 1));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_each_attempt_is_a_report_of_its_own() {
    // A deadline is retried by default: the number of the attempt tells them apart.
    let mut guest = zoo("guest", &["t/a"]);
    guest.limits.deadline = std::time::Duration::from_millis(20);
    let mut destination = serial("t/a");
    destination.retry.attempts_max = 3;
    destination.retry.delay_initial = std::time::Duration::from_millis(1);
    let harness = beside_a_neighbour().destination(destination).guest(guest).start().await.unwrap();
    harness.tell("t/a", "sleep 60000").await;
    harness.idle().await.unwrap();
    let faults = harness.faults();
    let seen: Vec<_> = faults.iter().map(|report| (report.attempt, report.code())).collect();
    assert_eq!(seen, [(Some(1), "SB0312"), (Some(2), "SB0312"), (Some(3), "SB0312")]);
    assert!(faults.iter().all(|report| report.took >= std::time::Duration::from_millis(20)));
    assert_eq!(harness.platform().guest("guest").unwrap().faults["deadline"], 3);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_names_the_functions_on_the_stack_the_innermost_first() {
    // Without debug information names are what there is.
    let (harness, letter, faults) = ended("divide", None).await;
    let own: Vec<String> = faults[0].own_frames().map(ToString::to_string).collect();
    assert!(own[0].contains("divide_unchecked"), "{own:?}");
    assert!(own.len() > 1 && own.iter().all(|name| !name.starts_with("core::")), "{own:?}");
    assert!(letter.last_error.as_str().contains("divide_unchecked"), "{}", letter.last_error);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_stack_of_thousands_is_told_in_20_frames() {
    // The rest says the same, and a report must not be as large as a stack.
    let (harness, letter, faults) = ended("recurse-engine", None).await;
    assert_eq!((faults[0].fault.cause, faults[0].frames.len()), (Cause::Trap, 20));
    assert!(letter.last_error.as_str().len() <= 1_024);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_repeats_the_last_lines_of_its_call_and_no_other_ones() {
    // At most ten: the log has them all.
    let mut guest = zoo("guest", &["t/a"]);
    guest.limits.log_bytes_max = 1 << 20;
    let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
    harness.tell("t/a", "log 30 of the call before").await;
    harness.tell("t/a", "panic of this call").await;
    harness.idle().await.unwrap();
    let report = harness.faults().remove(0);
    assert!(report.lines.iter().any(|line| line == "of this call"), "{:?}", report.lines);
    assert!(report.lines.len() <= 10 && report.lines.iter().all(|line| !line.contains("before")));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_an_instance_that_cannot_be_made_is_reported_with_the_message_that_needed_it() {
    // No call began, so that there is no fuel and no stack to tell of.
    let mut guest = zoo("guest", &["t/a"]);
    guest.limits.memory_bytes_max = 64 << 10;
    let mut destination = serial("t/a");
    destination.retry.attempts_max = 1;
    let harness = harness().destination(destination).guest(guest).start().await.unwrap();
    let id = harness.tell("t/a", "echo").await;
    harness.idle().await.unwrap();
    let faults = harness.faults();
    let [report] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((report.during, report.code(), report.fuel_max), ("instantiate", "SB0314", None));
    assert_eq!(report.message.as_ref().unwrap().id(), id);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_a_fault_in_deactivate_is_reported_without_a_message() {
    // There is none in hand, and the shutdown goes on.
    let faults = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&faults);
    let config = PlatformConfig {
        guests: vec![plugin("guest", "", "panic no way out")],
        fault_sink: Arc::new(move |report: &FaultReport| kept.lock().unwrap().push(report.clone())),
        save_left: false,
        ..PlatformConfig::default()
    };
    let platform = Platform::start_on(engine(), config).await.unwrap();
    let ended = platform.shutdown().await;
    assert!(ended.not_deactivated[0].1.contains("no way out"), "{:?}", ended.not_deactivated);
    let faults = faults.lock().unwrap();
    let [report] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((report.during, report.code()), ("deactivate", "SB0310"));
    assert!(report.message.is_none() && report.attempt.is_none() && report.fuel_max == Some(100_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_a_configured_secret_is_masked_in_log_error_and_dead_letter() {
    // The value of a variable whose name says that it is secret; the message here makes the guest print it.
    let secret = "hunter22-\"quoted\"";
    for command in ["panic", "refuse"] {
        let (harness, letter, faults) =
            ended(&format!("{command} cannot log in as {secret}"), Some(secret)).await;
        let text = letter.last_error.as_str();
        assert!(text.contains("cannot log in as ***") && !text.contains("hunter22"), "{text}");
        for report in &faults {
            let told = format!("{} {:?}", report.fault.text, report.lines);
            assert!(told.contains("***") && !told.contains("hunter22"), "{told}");
        }
        let logs = harness.lines_of("guest").join("\n");
        assert!(!logs.contains("hunter22"), "{logs}");
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_a_secret_that_stands_where_a_text_is_cut_is_masked() {
    // Of half a secret nobody would know that it is one.
    let secret = "hunter22-and-some-more";
    let before = "x".repeat(sandbus::bus::limits::ERROR_TEXT_BYTES_MAX - 12);
    let (harness, letter, _) = ended(&format!("refuse {before}{secret}"), Some(secret)).await;
    let text = letter.last_error.as_str();
    assert!(text.starts_with("xxx") && !text.contains("hunter"), "{text}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_a_secret_in_output_is_masked_and_an_ordinary_variable_is_not() {
    // Also where the output of a call ends in the middle of it.
    let mut guest = zoo("guest", &["t/a"]);
    guest.env.insert("API_TOKEN".to_owned(), "abcdefghijkl".to_owned());
    guest.env.insert("REGION".to_owned(), "eu-west".to_owned());
    guest.config.insert("client-secret".to_owned(), "from-config".to_owned());
    guest.limits.log_bytes_max = 26;
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(guest).start().await.unwrap();
    harness.tell("t/a", "log 1 abcdefghijkl eu-west").await;
    harness.tell("t/a", "log 1 the token is abcdefghijkl").await;
    harness.tell("t/a", "log 1 from-config").await;
    harness.idle().await.unwrap();
    let lines = harness.lines_of("guest");
    assert_eq!(lines[0], "*** eu-west");
    assert_eq!(lines[1], "the token is ***");
    assert!(lines.contains(&"***".to_owned()) && !lines.join("\n").contains("abcd"), "{lines:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_a_function_name_with_escape_sequences_is_escaped_wherever_it_is_told() {
    // A component may have any names: here one that would clear the line and forge the next one.
    let bytes = std::fs::read(zoo("guest", &[]).path).unwrap();
    let (name, forged) = (b"divide_unchecked", b"\x1b[2K\nERROR forgd");
    let mut patched = bytes.clone();
    let mut found = 0;
    for place in 0..bytes.len() - name.len() {
        if &bytes[place..place + name.len()] == name {
            patched[place..place + name.len()].copy_from_slice(forged);
            found += 1;
        }
    }
    assert!(found > 0, "the name section stays in the zoo");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zoo.wasm");
    std::fs::write(&path, patched).unwrap();
    let mut guest = zoo("guest", &["t/a"]);
    guest.path = path;
    let harness =
        beside_a_neighbour().engine(engine()).destination(serial("t/a")).guest(guest).start().await.unwrap();
    harness.tell("t/a", "divide").await;
    harness.idle().await.unwrap();
    let report = harness.faults().remove(0);
    let told = format!("{} {}", report.fault.text, report.frames[0]);
    assert!(told.contains("\\u{1b}[2K\\nERROR forgd") && !told.contains(char::is_control), "{told:?}");
    assert!(!harness.letter("t/a").last_error.as_str().contains(char::is_control));
    harness.settled().await;
}

/// A zoo with debug information in it, on an engine that has another process compile.
async fn traced(path: std::path::PathBuf, cache: CompileCache) -> FaultReport {
    let settings = RuntimeSettings {
        compiler: Compiler::Program(env!("CARGO_BIN_EXE_sandbus-under-test").into()),
        compile_cache: cache,
        allocator: Allocator::OnDemand,
        ..runtime()
    };
    let mut guest = zoo("guest", &["t/a"]);
    guest.path = path;
    let engine = SandboxEngine::new(&settings).unwrap();
    let harness = harness().engine(engine).destination(serial("t/a")).guest(guest).start().await.unwrap();
    harness.tell("t/a", "divide").await;
    harness.idle().await.unwrap();
    let report = harness.faults().remove(0);
    assert_eq!(harness.letter("t/a").last_error, report.fault.text);
    harness.settled().await;
    report
}

fn traced_zoo() -> std::path::PathBuf {
    std::path::PathBuf::from(env!("TRACED_GUESTS")).join("zoo.wasm")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_names_file_and_line_where_the_component_carries_debug_information() {
    // The compiling process reads it, and the cache keeps what it found: the second engine compiles nothing.
    let directory = tempfile::tempdir().unwrap();
    let source = std::fs::read_to_string("guests/zoo/src/faults.rs").unwrap();
    let begins = 1 + source.lines().position(|line| line.starts_with("fn divide_unchecked")).unwrap();
    for _ in 0..2 {
        let report = traced(traced_zoo(), CompileCache::Path(directory.path().to_owned())).await;
        let frame = report.own_frames().next().unwrap();
        assert!(frame.function.as_deref().unwrap().contains("divide_unchecked"), "{frame}");
        let place = frame.place.as_deref().unwrap();
        // Within the function itself, although the division is the library's.
        let line: usize = place.strip_prefix("zoo/src/faults.rs:").expect(place).parse().unwrap();
        assert!((begins..begins + 9).contains(&line), "{place}");
        let told = format!("{frame}");
        assert!(report.fault.text.as_str().contains(&told), "{}", report.fault.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h42_broken_debug_information_costs_the_lines_and_nothing_else() {
    // The component is good, and runs; names are what is left, or lines that are wrong.
    let whole = std::fs::read(traced_zoo()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for name in [&b".debug_line"[..], b".debug_info", b".debug_abbrev"] {
        let mut broken = whole.clone();
        for place in 0..whole.len() - name.len() {
            // Behind the name of the section: its contents.
            if &whole[place..place + name.len()] == name && whole.len() > place + 200 {
                let contents = &mut broken[place + name.len() + 12..place + 150];
                contents.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 89) as u8);
            }
        }
        assert!(broken != whole);
        let path = directory.path().join("zoo.wasm");
        std::fs::write(&path, broken).unwrap();
        let report = traced(path, CompileCache::Off).await;
        assert!(
            report.frames.iter().any(|frame| frame.to_string().contains("divide_unchecked")),
            "{report:?}"
        );
    }
}
