//! F8, F20, F22, H60: the program itself among faults of its surroundings, with real guests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value as Json;

use crate::program::{Place, Ran, Running};

fn saved(place: &Place) -> Vec<Json> {
    let text: String = place.left().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn f8_a_run_that_is_ended_under_load_finishes_what_runs_and_saves_the_rest() {
    // Running calls finish, what they send is refused as `closed`, `deactivate` runs, and whatever waits is saved: for its
    // turn, or for its retry.
    let place = Place::new();
    let guests = "--guest z=guests/zoo.wasm,listens-to=load,grants.send=hello --guest r=guests/zoo.wasm,listens-to=retries \
                  --guest p=guests/plugin_zoo.wasm,listens-to=hello";
    let sends = "--send 'retries=retry 60000' --send 'load=sleep-send 1000 hello too-late' ".to_owned()
        + &"--send 'load=put-sleep-get k 100 one-more' ".repeat(50);
    let line = format!(
        "run --dest load=serial --dest hello=serial --dest retries=serial,retry.max=120s {guests} {sends} --until signal \
         --set runtime.shutdown-grace=2500ms"
    );
    let mut running = Running::start(place.command(&line));
    running.until_it_says("began");
    running.signal("TERM");
    let ran = running.end();
    let said = ran.said();
    assert!(said.contains("not sent: closed"), "{said}");
    assert!(said.contains("deactivate") && !said.contains("receive too-late"), "{said}");
    let letters = saved(&place);
    let texts: Vec<&str> =
        letters.iter().map(|letter| letter["message"]["payload_text"].as_str().unwrap()).collect();
    assert!(texts.contains(&"retry 60000"), "a waiting retry is saved: {texts:?}");
    assert!(letters.iter().all(|letter| letter["reason"] == "closed"), "{letters:?}");
    // Each of the 52 that were accepted has one end: the first call, those that the grace had time for, and the rest.
    let finished = 1 + said.matches("saw one-more").count();
    assert_eq!(finished + letters.len(), 52, "{said}");
    assert!(
        said.contains("52 accepted") && said.contains(&format!("saved {} dead letters", letters.len())),
        "{said}"
    );
}

/// A shell that has these limits, and then is the program.
fn limited(place: &Place, limits: &str, line: &str) -> Ran {
    let command = place.command(line);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{limits}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    shell.current_dir(place.path()).env("NO_COLOR", "1").stdin(std::process::Stdio::null());
    Running::start(shell).end()
}

#[test]
fn f20_with_few_file_descriptors_or_little_memory_the_program_works_or_says_why_not() {
    // Neither a panic nor a signal, whichever descriptor or page is the one too many.
    let place = Place::new();
    let line = "run guests/zoo.wasm --dest t=serial --send 't=echo on' --until idle";
    assert_eq!(place.run(line).code, 0);
    let descriptors = (4..=16).map(|number| format!("ulimit -n {number}"));
    let memory = [300_000, 1_000_000, 8_000_000].map(|kibibytes| format!("ulimit -v {kibibytes}"));
    let mut ends = Vec::new();
    for limits in descriptors.chain(memory) {
        let ran = limited(&place, &limits, line);
        assert!(!ran.stderr.contains("panicked"), "{limits}: {}", ran.stderr);
        assert!([0, 1, 3, 4, 5, 6, 7].contains(&ran.code), "{limits}: {} {}", ran.code, ran.stderr);
        assert!(
            ran.code == 0 || ran.stderr.contains("SB") || ran.stderr.contains("error"),
            "{limits}: {}",
            ran.stderr
        );
        ends.push(ran.code);
    }
    assert!(ends.iter().any(|code| *code != 0), "one of the limits is too low to work: {ends:?}");
    assert_eq!(place.run(line).code, 0, "and it works again");
}

/// The shim of the wall clock, built once.
fn wall_clock() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/wall_clock_shim.rs");
        let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wall_clock_shim.so");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let arguments = ["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-Copt-level=1", "-o"];
        let built = Command::new(compiler)
            .args(arguments)
            .arg(&output)
            .arg(source)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        output
    });
    built.clone()
}

#[test]
fn f22_deadlines_retries_and_timeouts_do_not_notice_that_the_wall_clock_jumps_a_day() {
    // Ahead or behind, in the middle of calls and waits: they are measured by a clock that nobody sets.
    std::thread::scope(|both| {
        both.spawn(|| jump("WALL_AHEAD", true));
        both.spawn(|| jump("WALL_BEHIND", false));
    });
}

fn jump(variable: &str, ahead: bool) {
    let place = Place::new();
    let jump = place.path().join("jump");
    let guests = "--guest a=guests/zoo.wasm,listens-to=awake,deadline=60s \
                  --guest s=guests/zoo.wasm,listens-to=asleep,deadline=3s \
                  --guest q=guests/zoo.wasm,listens-to=asks,grants.send=nobody,deadline=60s \
                  --guest r=guests/zoo.wasm,listens-to=retries";
    let places = "--dest awake=serial --dest asleep=serial,retry.max-attempts=1 --dest asks=serial --dest nobody=serial \
                  --dest retries=serial,retry.jitter=none";
    // What says that the jump may come is sent last.
    let sends = "--send 'retries=retry 2500' --send 'retries=refuse after the jump' --send 'asleep=sleep 600000' \
                 --send 'asks=request nobody 3000 x' --send 'awake=sleep-send 4000 nobody x'";
    let mut command = place.command(&format!("run {places} {guests} {sends} --until idle --json"));
    command.env("LD_PRELOAD", wall_clock()).env(variable, &jump);
    let mut running = Running::start(command);
    running.until_it_says("began");
    std::fs::write(&jump, "").unwrap();
    let ran = running.end();
    let letters = saved(&place);
    let of = |place: &str| {
        letters.iter().filter(|letter| letter["message"]["destination"] == place).collect::<Vec<_>>()
    };
    assert_eq!(of("awake").len(), 0, "a call that was within its deadline: {}", ran.stderr);
    assert_eq!(of("asleep")[0]["reason"], "deadline", "{letters:?}");
    assert_eq!(of("asks").len(), 0, "its request ended in a timeout, and it with an answer");
    let retries = of("retries");
    assert_eq!((retries[0]["reason"].as_str(), retries[0]["attempts"].as_u64()), (Some("retry"), Some(3)));
    // The jump was seen where the time of day is meant: in a dead letter's own.
    let between = seconds(&retries[0]["at"]) - seconds(&retries[0]["message"]["sent_at"]);
    assert!(between.abs() > 80_000, "{between} s");
    assert_eq!(between > 0, ahead, "{between} s");
}

/// Seconds since 1970.
fn seconds(json: &Json) -> i64 {
    let time = humantime::parse_rfc3339(json.as_str().unwrap()).unwrap();
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn h60_input_that_is_no_text_is_an_error_at_the_edge_or_kept_as_bytes() {
    // A manifest and names are text; a payload is bytes, and comes back as the bytes that went in.
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    place.file("sandbus.toml", b"sandbus = 1\n[app]\nname = \"\xff\xfe\"\n");
    let refused = place.run("check-config");
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.said().contains("UTF-8") && refused.said().contains("sandbus.toml"),
        "{}",
        refused.stderr
    );
    let bytes = b"echo\xff\xfe\x00\x1b[31m";
    place.file("payload", bytes);
    let answer: Json =
        serde_json::from_str(&place.run("call guests/echo_bench.wasm @payload --json").ended(0).stdout)
            .unwrap();
    let text = answer.to_string();
    assert!(text.contains(&base64(bytes)), "{text}");
    for line in ["run --dest", "call guests/echo_bench.wasm", "--guest"] {
        let mut command = place.command(line);
        command.arg(std::ffi::OsStr::from_bytes(b"a\xff=serial"));
        let ran = Running::start(command).end();
        assert!(
            ran.code == 2 || ran.code == 0 && line.starts_with("call"),
            "{line}: {} {}",
            ran.code,
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

/// As JSON holds bytes that are no text.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        let digit = |place: usize| DIGITS[(number >> (18 - 6 * place)) as usize & 63] as char;
        (0..4).map(|place| if place <= three.len() { digit(place) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
