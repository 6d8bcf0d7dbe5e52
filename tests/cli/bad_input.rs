//! Bad input of every other kind: each names the thing, the value and the limit, ends with the right code, and leaves
//! nothing half started.

use crate::program::Place;

golden! {
    destination_that_is_not_defined: "run guests/noop.wasm --dest orders=serial --guest other=guests/noop.wasm,listens-to=ordres";
    manifest_is_missing: "check-config nowhere.toml";
    manifest_of_nobody: "run";
}

const MANIFEST: &str = "sandbus = 1\n[app]\nname = \"bad\"\n[destinations.orders]\ntype = \"serial\"\n";

fn manifest(rest: &str) -> Place {
    let place = Place::new();
    place.file("sandbus.toml", format!("{MANIFEST}{rest}"));
    place
}

fn refused(place: &Place, line: &str, exit: i32, texts: &[&str]) {
    let ran = place.run(line).ended(exit).started_nothing().says(texts);
    assert!(!ran.stderr.contains("ready"), "half started:\n{}", ran.stderr);
}

#[test]
fn an_unknown_key_has_its_nearest_name_line_and_column() {
    // No setting is accepted that does nothing.
    let place = manifest("[guests.v]\nsource = { path = \"guests/noop.wasm\" }\nfule = 3\n");
    refused(&place, "check-config", 3, &["SB0102", "fule", "did you mean `fuel`?", "sandbus.toml:8:1"]);
    refused(&place, "run --until idle", 3, &["SB0102", "sandbus.toml:8:1"]);
}

#[test]
fn an_unknown_destination_has_its_nearest_name_and_place() {
    // A name that does not exist is an error with the nearest name, never a silent fallback.
    let guest = "[guests.v]\nsource = { path = \"guests/noop.wasm\" }\nlistens-to = [\"ordres\"]\n";
    let place = manifest(guest);
    let texts =
        ["SB0112", "no destination is called `ordres`", "did you mean `orders`?", "sandbus.toml:8:15"];
    refused(&place, "check-config", 3, &texts);
    refused(&place, "run --until idle", 3, &texts);
}

#[test]
fn all_problems_of_a_file_are_told_in_one_run_in_its_order() {
    // One at a time would take as many runs as there are mistakes.
    let place = manifest(
        "colour = 1\n[guests.v]\nsource = { path = \"x.wasm\" }\nfuel = \"much\"\nlistens-to = [\"no\"]\n",
    );
    let said = place.run("check-config").ended(3).said();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text}: {said}"));
    assert!(at("`colour`") < at("much") && at("much") < at("`no`"), "{said}");
}

#[test]
fn an_invalid_destination_name_shows_the_name_and_the_rule() {
    // REG-14, H34: what the grammar does not allow, or reserves, is an error.
    let place = Place::new();
    for (name, code) in [
        ("a b", "SB0109"),
        ("a/*", "SB0109"),
        ("a//b", "SB0109"),
        ("../x", "SB0109"),
        ("sandbus/x", "SB0110"),
    ] {
        let texts = [code, name];
        refused(&place, &format!("run --dest '{name}=serial' --until idle"), 3, &texts);
    }
    let long = "x".repeat(256);
    refused(&place, &format!("run --dest {long}=serial --until idle"), 3, &["SB0109", "256", "255"]);
}

#[test]
fn an_illegal_value_shows_the_value_and_the_range() {
    // Both numbers, so that nobody has to look the limit up.
    let place = manifest("workers = { core = 2, max = 2 }\n");
    refused(&place, "check-config", 3, &["2", "1/1", "sandbus.toml"]);
    let place = manifest("max-queue-size = 0\n");
    refused(&place, "check-config", 3, &["SB0104", "max-queue-size", "0", "1"]);
}

#[test]
fn a_bad_spec_is_wrong_use_with_the_form_it_should_have() {
    // The command line is at fault, not a file: code 2.
    let place = Place::new();
    refused(&place, "run --dest orders --until idle", 2, &["SB0903", "`orders`", "KEY=VALUE"]);
    refused(&place, "run --guest =x.wasm --until idle", 2, &["SB0903"]);
    refused(&place, "run --dest t=serial --until sometimes", 2, &["SB0902", "`sometimes`", "--until"]);
    refused(&place, "run --dest t=serial --set nonsense --until idle", 2, &["SB0902", "nonsense", "="]);
    refused(&place, "run --dest t=cereal --until idle", 3, &["cereal", "serial"]);
}

#[test]
fn a_bad_payload_or_value_is_wrong_use_and_a_missing_file_is_4() {
    // Read before anything is built or started.
    let place = Place::new();
    let run = "run guests/plugin_zoo.wasm --dest t=serial";
    refused(&place, &format!("{run} --send t"), 2, &["SB0904", "`t`", "DEST=PAYLOAD"]);
    refused(&place, &format!("{run} --send t=@nowhere.txt"), 4, &["SB0908", "nowhere.txt"]);
    refused(&place, "call guests/noop.wasm @nowhere.txt", 4, &["SB0908", "nowhere.txt"]);
    refused(&place, "call guests/noop.wasm x --value n:int=three", 2, &["SB0906", "n:int=three"]);
    refused(&place, "call guests/noop.wasm x --value n:number=3", 2, &["SB0906", "number"]);
    refused(&place, "call guests/noop.wasm x --mock nobody", 2, &["nobody"]);
    refused(&place, "call guests/noop.wasm x --fuel much", 3, &["much"]);
}

#[test]
fn a_send_to_a_destination_that_is_not_there_is_4_before_anything_starts() {
    // The name can be looked up in the configuration: no guest has to run for that.
    let place = Place::new();
    let line = "run guests/plugin_zoo.wasm --dest t=serial --send nowhere=x --until idle";
    refused(&place, line, 4, &["nowhere"]);
}

#[test]
fn a_print_of_a_destination_that_is_not_there_is_4_before_anything_starts() {
    // The same name, the same rule; and no guest is left active without its `deactivate`.
    let place = Place::new();
    refused(
        &place,
        "run guests/plugin_zoo.wasm --dest t=serial --print nowhere --until idle",
        4,
        &["nowhere"],
    );
}

#[test]
fn a_payload_over_the_limit_is_7_with_both_numbers() {
    // The bus refuses; nobody received it.
    let place = Place::new();
    let line = "run --dest t=serial,max-message-size=3 --send t=long --print t --until idle";
    let ran = place.run(line).ended(7).says(&["SB0410", "`t`", "4 bytes", "takes 3", "max-message-size"]);
    assert_eq!(ran.stdout, "");
}

#[test]
fn what_the_bus_refuses_is_7() {
    // One code for all that the bus, not the guest, turned away.
    let place = Place::new();
    place.run("run --dest e=synchronous --send e=x").ended(7).says(&["SB0402", "`e`"]);
    let full = "run --dest t=serial,max-queue-size=1 --send t=1 --send t=2 --until idle";
    place.run(full).ended(7).says(&["SB0403", "`t`", "1 of 1"]);
    let paused = "run guests/noop.wasm --dest e=synchronous,paused=true --send e=x";
    place.run(paused).ended(7).says(&["SB0411"]);
}

#[test]
fn a_manifest_that_is_none_is_told_what_it_is() {
    // Missing, a folder, not text, not TOML: four mistakes, four texts.
    let place = Place::new();
    std::fs::create_dir(place.path().join("folder.toml")).unwrap();
    place.file("binary.toml", [0xff, 0xfe]).file("broken.toml", "sandbus = \n");
    refused(&place, "run nowhere.toml --until idle", 4, &["SB0120", "nowhere.toml"]);
    refused(&place, "run -f folder.toml --until idle", 3, &["SB0121", "folder.toml"]);
    refused(&place, "run binary.toml --until idle", 3, &["SB0124", "binary.toml"]);
    refused(&place, "run broken.toml --until idle", 3, &["SB0101", "broken.toml:1"]);
}

#[test]
fn a_guest_whose_build_fails_is_11_with_the_builds_own_output() {
    // The guest's build is not this program's; its words are shown as they are.
    let build =
        "[guests.v]\nsource = { path = \"v.wasm\" }\nbuild = { command = \"echo no compiler; false\" }\n";
    let place = manifest(build);
    place.run("run --until idle").ended(11).says(&["no compiler", "SB0701", "`v`"]);
    let nothing = build.replace("; false", "");
    let place = manifest(&nothing);
    place.run("run --until idle").ended(11).says(&["SB0704", "`v`", "v.wasm"]);
}
