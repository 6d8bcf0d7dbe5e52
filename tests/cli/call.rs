//! `call`: one guest, one message, and how it ended.

use crate::program::Place;

golden! {
    call_with_a_reply: "call guests/zoo.wasm 'echo hello'";
    call_that_is_done_without_a_reply: "call guests/zoo.wasm noop";
    call_that_is_refused: "call guests/zoo.wasm 'refuse bad total'";
    call_that_asks_for_a_retry: "call guests/zoo.wasm retry";
    call_that_panics_shows_text_and_function: "call guests/zoo.wasm 'panic no such order'";
    call_that_reads_outside_its_memory: "call guests/zoo.wasm oob";
    call_out_of_fuel_shows_used_and_allowed: "call guests/zoo.wasm loop --fuel 1M";
    call_that_sleeps_past_its_deadline: "call guests/zoo.wasm 'sleep 60000' --deadline 300ms";
    call_that_is_denied_memory: "call guests/zoo.wasm abort-memory --memory 8MiB --fuel 10G";
    call_with_values_of_each_type:
        "call guests/zoo.wasm values --value sku=A1 --value n:int=3 --value x:float=1.5 --value ok:bool=true --value raw:bytes=ab";
    call_with_a_grant_says_what_was_sent: "call guests/zoo.wasm 'send t/b hello' --grant send=t/b";
    call_without_a_grant_names_it_to_the_operator: "call guests/zoo.wasm 'send t/b hello'";
    call_with_a_mock_answers_the_guests_request: "call guests/zoo.wasm 'request t/b 1000 how much' --mock t/b=42";
    call_repeated_keeps_the_instance: "call guests/zoo.wasm count --repeat 3";
    call_with_an_environment: "call guests/zoo.wasm env --env LEVEL=info";
    call_with_a_configuration: "call guests/host_interfaces.wasm 'config rc level' --config level=info";
    call_of_a_guest_of_a_manifest_that_is_not_there: "call nobody hello -f sample-guests/echo/sandbus.toml";
}

const MANIFEST: &str = r#"
sandbus = 1
[app]
name = "two"
[guests.echo]
source = { path = "guests/echo_bench.wasm" }
[guests.small]
source = { path = "guests/echo_bench.wasm" }
fuel = 1_000
"#;

#[test]
fn a_payload_comes_from_standard_input_or_a_file() {
    // The same everywhere: literal text, @file, - for standard input.
    let place = Place::new();
    place.file("order.json", r#"{"id":1}"#);
    assert_eq!(place.run("call guests/echo_bench.wasm @order.json").ended(0).stdout, "{\"id\":1}\n");
    assert_eq!(
        place.run_with_input("call guests/echo_bench.wasm -", "from stdin").ended(0).stdout,
        "from stdin\n"
    );
}

#[test]
fn a_guest_of_a_manifest_is_called_by_its_name() {
    // With the limits that the manifest gives it.
    let place = Place::new();
    place.file("sandbus.toml", MANIFEST);
    assert_eq!(place.run("call echo hello").ended(0).stdout, "hello\n");
    place.run("call small hello").ended(10).says(&["1,000 of 1,000"]);
}

#[test]
fn a_call_leaves_nothing_behind() {
    // It looks at a guest; a folder that fills up with dead letters at each look is a change that nobody asked for.
    let place = Place::new();
    let names = || {
        let entries = std::fs::read_dir(place.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    place.run("call guests/zoo.wasm 'refuse bad total'").ended(9);
    assert_eq!(names(), before);
}

#[test]
fn a_reply_that_is_too_large_is_7_with_both_numbers() {
    // The bus refuses it; the guest ended well, and the host has no fault of its own to report.
    let place = Place::new();
    let ran = place.run("call guests/zoo.wasm 'reply-big 2000000'").ended(7);
    ran.says(&["SB0410", "2000000", "1048576"]);
}

#[test]
fn a_file_is_found_whatever_its_name() {
    // Commas and equal signs have a meaning in specs, not in the path of a component.
    let place = Place::new();
    for name in ["a,b.wasm", "x=y.wasm"] {
        std::fs::copy(place.path().join("guests/zoo.wasm"), place.path().join(name)).unwrap();
        assert_eq!(place.run(&format!("call {name} 'echo hi'")).ended(0).stdout, "hi\n", "{name}");
    }
}

#[test]
fn a_guest_with_debug_information_is_told_with_file_and_line() {
    // The compiling process has read it; the golden files show guests that have names only.
    let place = Place::new();
    let guest = format!("{}/zoo.wasm", env!("TRACED_GUESTS"));
    let ran = place.run(&format!("call {guest} oob")).ended(10);
    ran.says(&["SB0310", "zoo::faults::read_outside_memory at zoo/src/faults.rs:"]);
    let json = place.run(&format!("call {guest} oob --json")).ended(10).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let frames = json["fault"]["frames"].as_array().unwrap();
    let places: Vec<&str> = frames.iter().filter_map(|frame| frame["place"].as_str()).collect();
    assert!(places.iter().any(|place| place.starts_with("zoo/src/faults.rs:")), "{places:?}");
}
