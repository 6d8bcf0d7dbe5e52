//! What is asked for the messages of `run --send`: delay, expiry, priority, keys; and what cannot be asked for.

use serde_json::{Value as Json, json};

use crate::program::Place;

golden! {
    run_help_tells_every_flag: "run --help";
    run_sends_a_duplicate_and_says_so:
        "run --dest o=serial --send o=once --send o=twice --dedup-key order-7 --print o --until idle";
    send_with_a_priority_that_would_not_count: "run --dest o=serial --send o=x --priority 9";
}

#[test]
fn what_is_asked_for_a_send_reaches_its_message() {
    // A message that waits for a listener is saved with all that its sender asked for.
    let place = Place::new();
    let flags = "--expires-in 1h --deliver-in 1ms --priority 7 --ordering-key customer-7 --dedup-key order-7";
    place.run(&format!("run --dest t=serial,priority=true --send t=x {flags} --until idle")).ended(1);
    let saved = std::fs::read_to_string(&place.left()[0]).unwrap();
    let letter: Json = serde_json::from_str(saved.lines().next().unwrap()).unwrap();
    let wanted = json!({
        "expires_after_ms": 3_600_000, "deliver_after_ms": 1, "priority": 7, "ordering_key": "customer-7",
        "dedup_key": "order-7",
    });
    assert_eq!(letter["message"]["options"], wanted);
    // And nothing is asked for where no flag asks.
    let plain = Place::new();
    plain.run("run --dest t=serial,priority=true --send t=x --until idle").ended(1);
    let saved = std::fs::read_to_string(&plain.left()[0]).unwrap();
    assert!(!saved.contains("options"), "{saved}");
}

#[test]
fn a_send_that_is_delayed_is_waited_for() {
    // It will run by itself, so a run until idle is not over before.
    let place = Place::new();
    let ran =
        place.run("run --dest t=serial --send t=x --deliver-in 200ms --print t --until idle --json").ended(0);
    let lines: Vec<Json> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["payload_text"]), (2, &json!("x")));
    let of = lines[1]["destinations"].as_array().unwrap().iter().find(|each| each["name"] == "t").unwrap();
    assert!(of["queue_wait_max_ms"].as_f64() >= Some(200.0), "{of}");
}

#[test]
fn a_send_that_expires_is_a_dead_letter_with_its_code() {
    // Its retry comes after its time, whenever its first attempt was.
    let place = Place::new();
    let retry = "retry.initial=50ms,retry.jitter=none";
    let line = format!("run guests/zoo.wasm --dest t=serial,{retry} --send 't=retry 50' --expires-in 1ms");
    place.run(&line).ended(1).says(&["dead 1 at t for zoo: expired (SB0420)"]);
    let ran = place.run(&format!("{line} --json")).ended(1);
    let last: Json = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let of = last["destinations"].as_array().unwrap().iter().find(|each| each["name"] == "t").unwrap();
    assert_eq!(
        (&of["dead_letters_by_reason"], &of["dead_letters_kept"]),
        (&json!({"expired": 1}), &json!(1))
    );
}

#[test]
fn what_cannot_be_asked_for_is_wrong_use_with_what_may_be() {
    // Each is found before anything starts, with the value and the range.
    let place = Place::new();
    let long = "k".repeat(256);
    let cases = [
        ("o=serial", "--priority 10", ["--priority `10`", "from 0 to 9"]),
        ("o=serial", "--priority high", ["--priority `high`", "from 0 to 9"]),
        ("o=serial", "--priority 0", ["`o`", "`priority = true`"]),
        ("o=synchronous", "--priority 5", ["--priority", "a synchronous destination delivers at once"]),
        ("o=synchronous", "--deliver-in 5s", ["--deliver-in", "a synchronous destination delivers at once"]),
        ("o=synchronous", "--expires-in 5s", ["--expires-in", "a synchronous destination delivers at once"]),
        ("o=serial", "--expires-in 0s", ["--expires-in `0s`", "from 1ms to 366d"]),
        ("o=serial", "--deliver-in 367d", ["--deliver-in `367d`", "from 1ms to 366d"]),
        (
            "o=serial",
            "--deliver-in soon",
            ["--deliver-in `soon`", "write a time such as `--deliver-in 500ms`"],
        ),
        ("o=serial", "--deliver-in 2s --expires-in 1s", ["--expires-in `1s`", "--deliver-in `2s`"]),
        ("o=serial", "--ordering-key=", ["--ordering-key", "empty"]),
        ("o=serial", &format!("--dedup-key {long}"), ["256 bytes", "1 to 255"]),
    ];
    for (destination, flags, texts) in cases {
        let line = format!("run guests/plugin_zoo.wasm --dest {destination} --send o=x {flags} --until idle");
        let ran = place.run(&line).ended(2).started_nothing().says(&["SB0902"]).says(&texts);
        assert!(!ran.stderr.contains("ready"), "{line} half started:\n{}", ran.stderr);
    }
}

#[test]
fn what_is_asked_for_a_send_needs_one() {
    // Without a message it would do nothing, and no flag does nothing.
    let place = Place::new();
    for flag in ["--expires-in 1s", "--deliver-in 1s", "--priority 5", "--ordering-key k", "--dedup-key k"] {
        place.run(&format!("run --dest o=serial {flag} --until idle")).ended(2).says(&["--send"]);
    }
}
