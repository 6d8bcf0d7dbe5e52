//! What a run leaves in its state directory: dead letters and what still waited, as JSON lines, and that it says so.

use serde_json::Value as Json;

use crate::program::Place;

fn saved(place: &Place) -> Vec<Json> {
    let files = place.left();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn dead_letters_are_saved_with_reason_guest_attempts_and_message() {
    // Nothing vanishes with the host: what could not be delivered can be read, and sent anew, by hand.
    let place = Place::new();
    let line =
        "run guests/zoo.wasm --dest t=serial --send 't=refuse bad total' --send 't=panic oh' --until idle";
    place.run(line).ended(1).says(&["2 dead letters", "saved 2 dead letters in", "left-"]);
    let letters = saved(&place);
    assert_eq!(letters.len(), 2);
    let text = letters[0].to_string();
    for part in ["refused", "bad total", "zoo", "\"t\"", "refuse bad total"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(letters[1].to_string().contains("trap"), "{}", letters[1]);
}

#[test]
fn what_still_waits_at_the_end_is_saved_too() {
    // A held message is owed a settlement; the host that ends says where it is.
    let place = Place::new();
    let ran = place.run("run --dest t=serial --send t=waits --until idle").ended(1);
    ran.says(&["waits 1 at t (no listener)", "saved 1"]);
    assert!(saved(&place)[0].to_string().contains("waits"));
}

#[test]
fn dead_letters_of_a_destination_that_a_guest_removed_are_saved_too() {
    // They belong to no destination any more when the run ends; they are owed to whoever sent them all the same.
    let place = Place::new();
    let guest = "z=guests/zoo.wasm,listens-to=t,grants.create=tmp/,grants.send=tmp/x";
    let sends = "--send 't=create tmp/x' --send 't=send tmp/x hello' --send 't=remove tmp/x'";
    let ran = place.run(&format!("run --dest t=serial --guest {guest} {sends} --until idle")).ended(1);
    ran.says(&["1 dead letters", "dead 1 of destinations that guests removed", "saved 1 dead letters in"]);
    let letters = saved(&place);
    assert_eq!((&letters[0]["reason"], letters.len()), (&Json::from("closed"), 1));
    assert_eq!(letters[0]["message"]["payload_text"], "hello");
    assert_eq!(letters[0]["message"]["destination"], "tmp/x");
}

#[test]
fn a_run_without_dead_letters_saves_nothing() {
    // The state directory may be there, for the cache; letters are not.
    let place = Place::new();
    place.run("run guests/noop.wasm --dest t=serial --send t=x --until idle").ended(0);
    assert!(place.left().is_empty(), "{:?}", place.left());
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    // Found at the start, not when something has to be saved.
    let place = Place::new();
    place.file("state", "a file, not a folder");
    let line = "run guests/zoo.wasm --dest t=serial --send 't=refuse no' --until idle";
    let ran = place.run(line);
    assert_ne!(ran.code, 0);
    ran.says(&["state"]);
}
