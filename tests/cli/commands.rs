//! `inspect`, `check-config`, `completions`, and the program without a command.

use crate::program::Place;

golden! {
    overview_without_a_command: "";
    version: "--version";
    inspect_a_listener: "inspect guests/noop.wasm";
    inspect_what_does_not_load_says_what_is_missing: "inspect guests/missing_import.wasm";
    inspect_a_plugin: "inspect guests/plugin_zoo.wasm";
    inspect_a_guest_of_another_interface: "inspect guests/foreign_wasmcloud.wasm";
    inspect_a_guest_of_two_interfaces: "inspect guests/foreign_types_alone.wasm";
    inspect_suggests_a_manifest: "inspect guests/version_one.wasm --suggest";
    check_config_of_a_sample: "check-config sample-guests/tour";
    check_config_shows_every_value_in_force: "check-config sample-guests/hostile/sandbus.toml --effective";
}

#[test]
fn what_inspect_suggests_runs() {
    // A suggestion that does not work is worse than none.
    let place = Place::new();
    let suggested = place.run("inspect guests/version_one.wasm --suggest").ended(0).stdout;
    place.file("sandbus.toml", suggested);
    place.run("check-config").ended(0);
    let ran = place.run("run --until idle --send version-one=x").ended(0);
    ran.says(&["1 accepted, 1 completed, 0 dead letters"]);
}

#[test]
fn completions_know_every_command() {
    // The script is made from the same definition as the program.
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&format!("completions {shell}")).ended(0).stdout;
        for command in ["run", "call", "bench", "inspect", "check-config", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    place.file("completions.bash", place.run("completions bash").stdout);
    let bash =
        std::process::Command::new("bash").arg("-n").arg(place.path().join("completions.bash")).status();
    assert!(bash.expect("bash").success());
}

#[test]
fn a_folder_or_a_file_names_a_manifest_and_the_nearest_one_is_found_going_up() {
    // The same manifest, however it is named.
    let place = Place::new();
    let whole = "sample-guests/tour/sandbus.toml: 2 destinations, 3 guests, 0 warnings\n";
    assert_eq!(place.run("check-config sample-guests/tour/sandbus.toml").ended(0).stdout, whole);
    assert_eq!(place.run("check-config -f sample-guests/tour/sandbus.toml").ended(0).stdout, whole);
    let above = place.run("check-config -C sample-guests/tour").ended(0);
    assert!(above.stdout.ends_with("2 destinations, 3 guests, 0 warnings\n"), "{}", above.stdout);
}

#[test]
fn wrong_use_of_the_command_line_ends_with_2() {
    // And says where help is; nothing of it was run.
    let place = Place::new();
    for line in
        ["nonsense", "run --no-such-flag", "call", "inspect", "completions tcsh", "call a.wasm --repeat 0"]
    {
        let ran = place.run(line).ended(2).started_nothing();
        assert!(ran.stderr.contains("--help") || ran.stderr.contains("error"), "{line}: {}", ran.stderr);
    }
}
