//! Replays what the fuzzer found worth keeping, with the pinned compiler: the targets are plain functions.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

/// Calls `target` on every file of its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("an entry").path();
        println!("{}", path.display());
        target(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count >= 5, "{name} has {count} files");
}

#[test]
fn the_corpus_of_manifests_keeps_its_promises() {
    replay("manifest", targets::manifest);
}

#[test]
fn the_corpus_of_names_and_patterns_keeps_its_promises() {
    replay("names", targets::names);
}

#[test]
fn the_corpus_of_components_keeps_its_promises() {
    replay("prescan", targets::prescan);
}

#[test]
fn the_corpus_of_saved_messages_keeps_its_promises() {
    replay("messages", targets::messages);
}

#[test]
fn the_corpus_of_envelopes_keeps_its_promises() {
    replay("envelopes", targets::envelopes);
}
