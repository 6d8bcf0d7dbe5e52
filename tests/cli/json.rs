//! `--json`: stdout has documents and nothing else, each with its kind and version; errors are one line on stderr.

use serde_json::Value as Json;

use crate::program::{Place, Ran};

fn documents(ran: &Ran) -> Vec<Json> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    ran.stdout.lines().map(parse).collect()
}

#[test]
fn every_command_answers_with_documents_of_its_kind() {
    // A script must be able to read every answer without knowing which command was typed.
    let place = Place::new();
    let cases = [
        ("call", "call guests/zoo.wasm 'echo hi' --json", 0),
        ("call", "call guests/zoo.wasm noop --json", 0),
        ("call", "call guests/zoo.wasm 'panic oh' --json", 10),
        ("call", "call guests/zoo.wasm 'refuse no' --json", 9),
        ("bench", "bench t --source guests/noop.wasm --dest t=serial -n 10 --json", 0),
        ("bench", "bench t 'refuse no' --source guests/zoo.wasm --dest t=serial -n 10 --json", 1),
        ("inspect", "inspect guests/noop.wasm --json", 0),
        ("inspect", "inspect guests/noop.wasm --suggest --json", 0),
        ("check-config", "check-config sample-guests/tour --json", 0),
        ("check-config", "check-config sample-guests/tour --effective --json", 0),
        ("completions", "completions bash --json", 0),
        ("run", "run --dest t=serial --send t=x --print t --until idle --json", 0),
        ("run", "run --dest t=serial --dry-run --json", 0),
        ("run", "run sample-guests/n8k5 --until idle --json", 0),
    ];
    for (kind, line, exit) in cases {
        let ran = place.run(line).ended(exit);
        let all = documents(&ran);
        assert!(!all.is_empty(), "{line}: no document");
        for document in all {
            assert_eq!((&document["kind"], &document["v"]), (&Json::from(kind), &Json::from(1)), "{line}");
        }
    }
}

#[test]
fn an_error_is_one_line_on_stderr_with_code_exit_and_message() {
    // The same codes and texts as for people; the exit code tells success.
    let place = Place::new();
    place.file("core.wasm", b"\0asm\x01\0\0\0");
    let cases = [
        ("inspect core.wasm --json", 3, "SB0207"),
        ("inspect nowhere.wasm --json", 4, "SB0201"),
        ("check-config nowhere.toml --json", 4, "SB0120"),
        ("run core.wasm --dest t=serial --json", 3, "SB0207"),
        ("run --dest orders --json", 2, "SB0903"),
        ("run --no-such-flag --json", 2, "SB0902"),
        ("call nowhere.wasm x --json", 4, "SB0201"),
        ("call guests/zoo.wasm 'refuse no' --json", 9, "SB0301"),
        ("bench t --dest t=serial -n 1 --json", 7, "SB0402"),
        ("run guests/noop.wasm --dest e=synchronous,paused=true --send e=x --json", 7, "SB0411"),
    ];
    for (line, exit, code) in cases {
        let ran = place.run(line).ended(exit);
        assert_eq!(ran.stderr.lines().count(), 1, "{line}: {}", ran.stderr);
        let error: Json = serde_json::from_str(&ran.stderr).expect(line);
        assert_eq!((&error["kind"], &error["v"]), (&Json::from("error"), &Json::from(1)), "{line}");
        assert_eq!((&error["code"], &error["exit"]), (&Json::from(code), &Json::from(exit)), "{line}");
        assert!(!error["message"].as_str().unwrap().is_empty() && error["help"].is_string(), "{line}");
    }
}

#[test]
fn lines_of_guests_are_events_on_stderr() {
    // Each line of a guest with who printed it, where, and about which message.
    let place = Place::new();
    let ran =
        place.run("run guests/zoo.wasm --dest t=serial --send 't=log 1 here' --until idle --json").ended(0);
    let events: Vec<Json> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event["kind"].as_str(), event["event"].as_str()), (Some("event"), Some("log")));
    assert_eq!((event["guest"].as_str(), event["destination"].as_str()), (Some("zoo"), Some("t")));
    assert_eq!((event["text"].as_str(), event["stream"].as_str()), (Some("here"), Some("stdout")));
    assert_eq!(event["message_id"].as_str().map(str::len), Some(36));
}

#[test]
fn names_are_snake_case_with_the_unit_at_the_end_and_payloads_say_how_they_are_written() {
    // Numbers are numbers, payloads are text or base64, never a guess.
    let place = Place::new();
    let ran = place.run("run --dest t=serial --send t=x --print t --until idle --json").ended(0);
    let all = documents(&ran);
    assert_eq!((all[0]["event"].as_str(), all[0]["payload_text"].as_str()), (Some("received"), Some("x")));
    let last = all.last().unwrap();
    assert_eq!((last["accepted"].as_u64(), last["completed"].as_u64()), (Some(1), Some(1)));
    assert!(last["after_ms"].is_number());
    for key in last["destinations"][0].as_object().unwrap().keys() {
        assert!(key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{key}");
    }
    let called = documents(&place.run("call guests/zoo.wasm 'random 1' --json").ended(0));
    assert_eq!(called[0]["reply"]["payload_text"].as_str(), Some("1"));
    assert!(called[0]["time_ms"].is_number() && called[0]["fuel"].is_number());
}

#[test]
fn figures_of_a_destination_tell_what_was_owed_and_how_long_it_took() {
    // Whoever adds up must have every term of the law; a figure of something that never happened is null, not absent.
    let place = Place::new();
    let guest = "--guest z=guests/zoo.wasm,listens-to=t";
    let line = "run --dest t=serial --dest u=serial --send 't=noop' --send 't=refuse no' --send 't=noop' --dedup-key";
    let same = documents(&place.run(&format!("{line} k {guest} --json")).ended(0));
    let of = |document: &Json, name: &str| {
        let all = document["destinations"].as_array().unwrap();
        all.iter().find(|each| each["name"] == name).unwrap().clone()
    };
    let t = of(&same[0], "t");
    assert_eq!((&t["accepted"], &t["duplicates"], &t["owed"]), (&1.into(), &2.into(), &1.into()), "{t}");
    for name in ["queue_wait", "call", "end_to_end"] {
        let figure = |part: &str| t[format!("{name}_{part}_ms")].as_f64().unwrap();
        assert!(
            0.0 < figure("p50") && figure("p50") <= figure("p90") && figure("p90") <= figure("p99"),
            "{t}"
        );
        assert!(figure("p99") <= figure("max"), "{t}");
        assert_eq!(of(&same[0], "u")[format!("{name}_p99_ms")], Json::Null);
    }
    let called = &t["listeners"][0];
    assert!(
        called["fuel_p50"].as_u64() > Some(0) && called["fuel_p99"].as_u64() <= called["fuel_max"].as_u64(),
        "{t}"
    );
    assert!(called["instance_age_ms"].is_number() && called["fuel_total"] == called["fuel_max"], "{t}");

    let line = "run --dest t=serial --send 't=noop' --send 't=refuse no'";
    let each = documents(&place.run(&format!("{line} {guest} --json")).ended(1));
    let t = of(&each[0], "t");
    let number = |name: &str| t[name].as_u64().unwrap();
    let ended = ["completed", "reported", "listener_removed", "dead_letters_kept", "waiting", "running"];
    assert_eq!(number("owed"), ended.into_iter().map(number).sum::<u64>(), "{t}");
    assert_eq!(t["dead_letters_by_reason"], serde_json::json!({"refused": 1}));
}
