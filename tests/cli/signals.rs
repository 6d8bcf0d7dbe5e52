//! How a run ends that somebody else ends: signals, and a reader that goes away.

use std::process::Stdio;

use crate::program::{Place, Running};

/// A guest that is busy for longer than the test, in a host that waits a moment only.
const BUSY: &str = "run --dest t=serial --guest 'g=guests/zoo.wasm,listens-to=t,deadline=60s' --send 't=sleep 50000' \
                    --set runtime.shutdown-grace=200ms";

#[test]
fn a_run_until_idle_that_is_stopped_ends_with_143_or_130() {
    // It was ended before it was done, and says what it could not finish.
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let place = Place::new();
        let mut running = Running::start(place.command(&format!("{BUSY} --until idle")));
        running.until_it_says("ready");
        running.signal(signal);
        let ran = running.end().ended(code);
        ran.says(&["stopped after", "1 accepted, 0 completed", "saved 1 dead letters"]);
        assert_eq!(place.left().len(), 1, "{signal}");
    }
}

#[test]
fn a_run_until_a_signal_drains_and_ends_with_0() {
    // What was accepted is finished first: that is what the grace is for.
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let line = "run guests/plugin_zoo.wasm --dest t=serial --send t=hello --until signal";
        let mut running = Running::start(place.command(line));
        running.until_it_says("receive hello");
        running.signal(signal);
        let ran = running.end().ended(0);
        ran.says(&[
            "stopped after",
            "1 accepted, 1 completed, 0 dead letters",
            "[lifecycle][plugin_zoo] deactivate",
        ]);
        assert!(place.left().is_empty());
    }
}

#[test]
fn a_closed_stdout_ends_every_command_with_141_and_without_a_word() {
    // The reader went away on purpose, as `head` does: there is nobody to tell.
    let place = Place::new();
    let commands = [
        "",
        "--version",
        "inspect guests/noop.wasm",
        "check-config sample-guests/tour --effective",
        "completions bash",
        "call guests/zoo.wasm 'echo hi' -q",
        "run --dest t=serial --dry-run",
        "bench t --source guests/noop.wasm --dest t=serial -n 1 -q",
        "run --dest t=serial --send t=x --print t --until signal -q",
    ];
    for line in commands {
        for json in ["", " --json"] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.command(&format!("{line}{json}"));
            command.stdout(Stdio::from(writer));
            let ran = Running::start_with_stdout(command).end();
            assert_eq!((ran.code, ran.stderr.as_str()), (141, ""), "{line}{json}");
        }
    }
}
