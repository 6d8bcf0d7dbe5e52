//! Files that are no guest: each is told what it is, with its path, its code and a next step, and nothing is started.

use std::os::unix::fs::PermissionsExt;

use crate::program::Place;

/// `run` beside a guest that would print when it is activated, and `inspect`: both must refuse the file.
fn refused(place: &Place, file: &str, exit: i32, texts: &[&str]) {
    let line = format!(
        "run --dest t=serial --guest good=guests/plugin_zoo.wasm --guest bad={file},listens-to=t --send t=x --until idle"
    );
    let ran = place.run(&line).ended(exit).started_nothing().says(texts).says(&[file, "`bad`", "help:"]);
    assert!(!ran.stderr.contains("ready"), "{}", ran.stderr);
    assert!(place.left().is_empty(), "{:?}", place.left());
    let inspected = place.run(&format!("inspect {file}")).ended(exit).says(texts).says(&[file, "help:"]);
    // One that compiles is told apart as far as it goes, and nothing else is an answer.
    let told = inspected.stdout.is_empty() || inspected.stdout.ends_with("  loads     no\n");
    assert!(told, "{}", inspected.stdout);
}

#[test]
fn a_missing_file_is_4_and_a_folder_or_an_unreadable_one_is_3() {
    // An error of input and output always carries the path.
    let place = Place::new();
    refused(&place, "nowhere.wasm", 4, &["SB0201", "No such file"]);
    std::fs::create_dir(place.path().join("folder.wasm")).unwrap();
    refused(&place, "folder.wasm", 3, &["SB0202", "directory"]);
    place.file("secret.wasm", "x");
    let path = place.path().join("secret.wasm");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything; then the bytes decide.
    if std::fs::read(&path).is_err() {
        refused(&place, "secret.wasm", 3, &["SB0203"]);
    }
}

#[test]
fn empty_truncated_and_random_bytes_are_told_apart() {
    // "Not a component" alone would send somebody looking in the wrong place.
    let place = Place::new();
    place.file("empty.wasm", "");
    refused(&place, "empty.wasm", 3, &["SB0204", "the file is empty"]);
    let noop = std::fs::read(place.path().join("guests/noop.wasm")).unwrap();
    place.file("half.wasm", &noop[..noop.len() / 2]);
    refused(&place, "half.wasm", 3, &["SB0205", "damaged"]);
    let random: Vec<u8> = (0..512_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    place.file("random.wasm", random);
    refused(&place, "random.wasm", 3, &["SB0206", "not WebAssembly"]);
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    // The most likely mistake: built for wasm32-wasip1 or wasm32-unknown-unknown.
    let place = Place::new();
    place.file("core.wasm", b"\0asm\x01\0\0\0");
    refused(&place, "core.wasm", 3, &["SB0207", "core module", "wasm32-wasip2", "wasm-tools component new"]);
}

#[test]
fn wasm_text_and_precompiled_code_are_told_how_to_become_one() {
    // Neither is read further: the text format is off, and machine code of others is never trusted.
    let place = Place::new();
    place.file("text.wasm", "(component)");
    refused(&place, "text.wasm", 3, &["SB0208", "wasm-tools parse"]);
    place.file("elf.wasm", b"\x7fELF\x02\x01\x01");
    refused(&place, "elf.wasm", 3, &["SB0209", "precompiled"]);
}

#[test]
fn a_missing_import_and_http_are_named_with_what_is_offered() {
    // The name of the import is what its author searches for.
    let place = Place::new();
    let offered = "sandbus:bus/message-bus";
    refused(&place, "guests/missing_import.wasm", 3, &["SB0214", "acme:printer/print@1.0.0", offered]);
    refused(&place, "guests/wants_http.wasm", 3, &["SB0214", "wasi:http/client@0.3.0", offered]);
}

#[test]
fn a_wrong_world_and_a_wrong_type_name_the_export() {
    // What it exports instead is shown, so that a wrong file is recognised.
    let place = Place::new();
    let listener = "sandbus:bus/message-listener@0.1.0";
    refused(&place, "guests/wrong_world.wasm", 3, &["SB0216", listener, "acme:calculator/add@1.0.0"]);
    refused(&place, "guests/wrong_type.wasm", 3, &["SB0217", "message-listener@0.1.0#receive"]);
}

#[test]
fn inspect_names_what_is_missing_among_what_is_provided() {
    // Whoever has to change the component sees all of it at once, not one import after the other.
    let place = Place::new();
    let ran = place.run("inspect guests/missing_import.wasm").ended(3);
    let line = |start: &str| ran.stdout.lines().find(|line| line.contains(start)).unwrap_or_default();
    assert!(
        line("acme:printer/print@1.0.0").ends_with("missing: the host does not offer it"),
        "{}",
        ran.stdout
    );
    assert!(line("sandbus:bus/types@0.1.0").ends_with("provided"), "{}", ran.stdout);
    let json = place.run("inspect guests/missing_import.wasm --json").ended(3).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["missing_imports"], serde_json::json!(["acme:printer/print@1.0.0"]));
    assert_eq!(json["loads"], false);
    assert!(
        json["functions"].as_u64() > Some(10) && json["error"].as_str().unwrap().contains("acme:printer")
    );
}

#[test]
fn a_file_over_the_limit_is_named_with_both_numbers() {
    // By its size, before the rest is read.
    let place = Place::new();
    std::fs::File::create(place.path().join("huge.wasm")).unwrap().set_len((32 << 20) + 1).unwrap();
    refused(&place, "huge.wasm", 3, &["SB0210", "33554433", "33554432", "runtime.max-component-size"]);
}

#[test]
fn what_is_wrong_with_a_component_is_said_once() {
    // A cause that repeats the sentence above it makes one problem look like two.
    let place = Place::new();
    place.file("core.wasm", b"\0asm\x01\0\0\0");
    let said = place.run("run core.wasm --dest t=serial --until idle").ended(3).said();
    assert_eq!(said.matches("it is a core module").count(), 1, "{said}");
}

#[test]
fn a_guest_that_traps_in_activate_starts_nothing_and_is_named() {
    // Its own lines and its text are shown; the message was never sent.
    let place = Place::new();
    let guest = "bad=guests/plugin_zoo.wasm,listens-to=t,env.ACTIVATE=\"panic no licence\"";
    let ran = place.run(&format!("run --dest t=serial --guest '{guest}' --send t=x --print t --until idle"));
    let ran = ran.ended(3).says(&["SB0219", "`bad`", "cannot be activated", "trap", "no licence"]);
    assert_eq!(ran.stdout, "");
    assert!(!ran.stderr.contains("ready") && !ran.stderr.contains("receive x"), "{}", ran.stderr);
    let looping = "bad=guests/plugin_zoo.wasm,env.ACTIVATE=loop,limits.activate-fuel=1M";
    let ran = place.run(&format!("run --dest t=serial --guest '{looping}' --until idle")).ended(3);
    ran.says(&["SB0219", "out-of-fuel", "1000000", "limits.activate-fuel"]);
}
