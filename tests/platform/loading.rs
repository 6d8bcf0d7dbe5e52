//! GUEST-2, GUEST-3, GUEST-6, H45 to H51: what is a component, what is none, and what is not compiled twice.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sandbus::{Allocator, CompileCache, LoadError, RuntimeSettings, SandboxEngine, StartError};

use crate::support::{Asking, engine, guest, harness, runtime, serial, zoo};

fn component(name: &str) -> PathBuf {
    PathBuf::from(env!("TEST_GUESTS")).join(format!("{name}.wasm"))
}

fn error_of(path: &Path) -> String {
    match engine().load(path) {
        Ok(_) => panic!("{} must not load", path.display()),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        }
    }
}

fn file(directory: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn guest_2_h49_a_missing_import_is_named_with_what_the_host_offers() {
    // The one who reads it must see what to change, without asking the host.
    let text = error_of(&component("missing_import"));
    assert!(text.contains("acme:printer/print@1.0.0"), "{text}");
    assert!(text.contains("sandbus:bus/message-bus") && text.contains("wasi:clocks"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_2_one_guest_that_does_not_load_starts_nothing() {
    // Errors of components appear before the first message is accepted, and before any `activate` runs.
    let started = harness()
        .destination(serial("t/a"))
        .guest(crate::support::plugin("good", "", ""))
        .guest(guest("missing_import", "bad", &["t/a"]))
        .start()
        .await;
    let Err(StartError::Load { guest, source }) = started else { panic!("it must not start") };
    assert_eq!(guest, "bad");
    assert!(matches!(source, LoadError::MissingImports { .. }));
}

#[test]
fn guest_3_h45_h46_h47_h48_what_is_no_component_is_told_what_it_is() {
    // The first bytes decide; nothing of a wrong file reaches the compiler.
    let directory = tempfile::tempdir().unwrap();
    let noop = std::fs::read(component("noop")).unwrap();
    let random: Vec<u8> = (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty.wasm", b"", "the file is empty"),
        ("core.wasm", b"\0asm\x01\0\0\0", "core module"),
        ("text.wat", b"(component)", "WebAssembly text"),
        ("elf.wasm", b"\x7fELF\x02\x01\x01", "precompiled"),
        ("script.wasm", b"#!/bin/sh\n", "not WebAssembly"),
        ("random.wasm", &random, "not WebAssembly"),
        ("half.wasm", &noop[..noop.len() / 2], "damaged"),
    ];
    for (name, bytes, wanted) in cases {
        let text = error_of(&file(&directory, name, bytes));
        assert!(text.contains(wanted) && text.contains(name), "{name}: {text}");
    }
}

#[test]
fn h45_no_truncation_and_no_flipped_byte_does_more_than_fail_to_load() {
    // A damaged file is an error or, where the damage is in data only, a component that was checked anew.
    let directory = tempfile::tempdir().unwrap();
    let noop = std::fs::read(component("noop")).unwrap();
    for place in (0..noop.len()).step_by(noop.len() / 40) {
        let path = file(&directory, "cut.wasm", &noop[..place]);
        assert!(engine().load(&path).is_err(), "the first {place} bytes are no component");
    }
    for place in (8..200.min(noop.len())).step_by(7) {
        let mut flipped = noop.clone();
        flipped[place] ^= 0x55;
        let _ = engine().load(&file(&directory, "flipped.wasm", &flipped));
    }
}

#[test]
fn guest_3_a_path_that_is_no_file_is_named() {
    // An error of input and output always carries the path.
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere.wasm");
    assert!(error_of(&missing).contains(&missing.display().to_string()));
    assert!(error_of(directory.path()).contains(&directory.path().display().to_string()));
}

#[test]
fn h50_a_component_without_our_exports_or_with_another_type_is_named() {
    // What it exports decides, by name and by type, before anything of it runs.
    let world = error_of(&component("wrong_world"));
    assert!(world.contains("message-listener") && world.contains("acme:calculator/add@1.0.0"), "{world}");
    let typed = error_of(&component("wrong_type"));
    assert!(typed.contains("sandbus:bus/message-listener@0.1.0#receive"), "{typed}");
    let alone = error_of(&component("batch_alone"));
    assert!(
        alone.contains("message-listener-batch@0.1.0` and not `sandbus:bus/message-listener@0.1.0`"),
        "{alone}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h50_an_export_that_the_host_does_not_know_is_tolerated() {
    // A component may serve several hosts.
    let harness = harness()
        .destination(serial("t/a"))
        .guest(guest("extra_export", "guest", &["t/a"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "x").await, "extra");
    let exports = engine().load(&component("extra_export")).unwrap().exports.clone();
    assert_eq!(exports, ["acme:calculator/add@1.0.0", "sandbus:bus/message-listener@0.1.0"]);
    harness.settled().await;
}

#[test]
fn h57_a_component_is_read_once_and_what_was_read_is_what_runs() {
    // A pipe gives its bytes to one reader, once: a second look at the path would wait for ever.
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = {
        let (pipe, bytes) = (pipe.clone(), std::fs::read(component("noop")).unwrap());
        std::thread::spawn(move || std::fs::write(pipe, bytes))
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(engine().load(&pipe).map(|loaded| loaded.digest.clone())));
    let digest =
        receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("one look is enough").unwrap();
    assert_eq!(digest, engine().load(&component("noop")).unwrap().digest);
    writer.join().unwrap().unwrap();
}

#[test]
fn h51_a_file_over_the_limit_is_refused_by_its_size_with_both_numbers() {
    // The rest of it is not even read: the file here is sparse and has no bytes at all.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.wasm");
    std::fs::File::create(&path).unwrap().set_len((32 << 20) + 1).unwrap();
    let text = error_of(&path);
    assert!(text.contains("33554433") && text.contains("33554432"), "{text}");
    assert!(text.contains("runtime.max-component-size"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_6_two_builds_of_one_source_are_told_apart_by_their_digest() {
    // The build names what ran: in dead letters and logs, and in the cache, where neither stands for the other.
    let harness = harness()
        .destination(serial("t/one"))
        .destination(serial("t/two"))
        .guest(guest("version_one", "one", &["t/one"]))
        .guest(guest("version_two", "two", &["t/two"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/one", "which").await, "one");
    assert_eq!(harness.answer("t/two", "which").await, "two");
    let builds: Vec<_> = harness.platform().guests().iter().map(|guest| guest.build.clone()).collect();
    assert_ne!(builds[0], builds[1]);
    harness.settled().await;
}

#[test]
fn guest_6_the_same_bytes_in_use_are_loaded_once_and_let_go_with_their_last_guest() {
    // 10,000 guests of one component have its machine code once; a build that is replaced does not stay.
    let directory = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(component("noop")).unwrap();
    let other = [&bytes[..], &[0, 2, 1, b'x']].concat();
    let (copy, other) = (file(&directory, "copy.wasm", &bytes), file(&directory, "other.wasm", &other));
    let engine = engine_with_cache(&directory.path().join("cache"));
    let first = engine.load(&component("noop")).unwrap();
    assert!(Arc::ptr_eq(&first, &engine.load(&copy).unwrap()), "the bytes count, not the path");
    let second = engine.load(&other).unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && first.digest != second.digest);
    let gone = Arc::downgrade(&first);
    drop(first);
    assert!(gone.upgrade().is_none(), "nobody has it any more");
    assert_eq!(engine.load(&copy).unwrap().bytes, bytes.len(), "it is loaded again");
}

/// An engine of its own whose cache is here.
fn engine_with_cache(directory: &Path) -> SandboxEngine {
    let settings = RuntimeSettings {
        compile_cache: CompileCache::Path(directory.to_owned()),
        allocator: Allocator::OnDemand,
        ..runtime()
    };
    SandboxEngine::new(&settings).expect("the engine starts")
}

fn entries(directory: &Path) -> Vec<(PathBuf, SystemTime)> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    files.map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap())).collect()
}

#[test]
fn guest_6_a_component_is_compiled_once_and_then_comes_from_the_cache() {
    // What was written stays untouched by the second engine, which stands for the restarted host.
    let directory = tempfile::tempdir().unwrap();
    let first = engine_with_cache(directory.path()).load(&component("noop")).unwrap();
    let written = entries(directory.path());
    assert_eq!(written.len(), 1);
    let second = engine_with_cache(directory.path()).load(&component("noop")).unwrap();
    assert_eq!(first.digest, second.digest);
    assert_eq!(entries(directory.path()), written);
    assert!(written[0].0.file_name().unwrap().to_str().unwrap().starts_with(&*first.digest));
}

#[test]
fn guest_6_what_another_engine_version_compiled_is_not_used() {
    // The engine's hash stands in the name of an entry; one of another version is simply not found.
    let directory = tempfile::tempdir().unwrap();
    let digest = engine_with_cache(directory.path()).load(&component("noop")).unwrap().digest.clone();
    let path = entries(directory.path()).remove(0).0;
    std::fs::rename(&path, directory.path().join(format!("{digest}-{:016x}.cwasm", 1))).unwrap();
    engine_with_cache(directory.path()).load(&component("noop")).unwrap();
    assert!(path.exists() && entries(directory.path()).len() == 2, "it was compiled anew");
}

#[test]
fn guest_6_h48_a_damaged_cache_entry_is_compiled_anew_and_never_run() {
    // One flipped bit in machine code: the checksum is looked at before the code is.
    let directory = tempfile::tempdir().unwrap();
    engine_with_cache(directory.path()).load(&component("noop")).unwrap();
    let path = entries(directory.path()).remove(0).0;
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), whole[..10].to_vec(), Vec::new()] {
        std::fs::write(&path, &damaged).unwrap();
        engine_with_cache(directory.path()).load(&component("noop")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len(), "the entry was written again");
    }
}

#[test]
fn guest_6_the_cache_belongs_to_its_user_alone() {
    // Whoever can write machine code there can have it run: mode 0700, also where the directory was open before.
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    engine_with_cache(directory.path());
    assert_eq!(std::fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_6_a_guest_from_the_cache_works_as_one_that_was_compiled() {
    // The same component twice in one host: both are loaded, each has its own instances.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("first", &["t/a"]))
        .guest(zoo("second", &["t/b"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "count").await, "1");
    assert_eq!(harness.answer("t/b", "count").await, "1");
    harness.settled().await;
}
