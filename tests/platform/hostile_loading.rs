//! H45 to H50: files that are no guest, tried beside a neighbour; and what a guest finds of files and sockets.

use std::path::PathBuf;

use sandbus::{LoadError, PrescanError};

use crate::bombs::file;
use crate::refused::beside_a_neighbour_does_not_load;
use crate::support::{Asking, beside_a_neighbour, serial, zoo};

fn component(name: &str) -> PathBuf {
    PathBuf::from(env!("TEST_GUESTS")).join(format!("{name}.wasm"))
}

async fn refused(bytes: &[u8]) -> LoadError {
    let (_directory, path) = file(bytes);
    beside_a_neighbour_does_not_load(&path).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h45_empty_truncated_and_random_bytes_do_not_load_beside_a_neighbour() {
    // The reason is told apart, since somebody has to look in the right place.
    let noop = std::fs::read(component("noop")).unwrap();
    let random: Vec<u8> = (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (bytes, said) in
        [(&b""[..], "empty"), (&noop[..noop.len() / 2], "damaged"), (&random, "not WebAssembly")]
    {
        let error = refused(bytes).await.to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h46_a_core_module_does_not_load_and_is_called_one() {
    // The most likely mistake: a module built for another target. The hint how to make a component of it belongs to the code.
    let module = wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"run\")))").unwrap();
    let error = refused(&module).await;
    assert!(matches!(error, LoadError::Prescan { source: PrescanError::CoreModule, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h47_the_text_of_a_component_does_not_load() {
    // No parser of text is built in: what is not there has no weakness.
    let error = refused(b"(component (core module (memory 1)))").await;
    assert!(matches!(error, LoadError::Prescan { source: PrescanError::Text, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h48_machine_code_that_somebody_else_compiled_does_not_load() {
    // It would be run as it is: only what this host compiled is.
    let engine = sandbus::SandboxEngine::new(&crate::support::runtime()).unwrap();
    engine.load(&component("noop")).unwrap();
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let entry = std::fs::read_dir(cache).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|ending| ending == "cwasm").then_some(path)
    });
    let whole = std::fs::read(entry.expect("an entry of the cache")).unwrap();
    // With its checksum, and as bare machine code.
    for bytes in [&whole[..], &whole[32..]] {
        let error = refused(bytes).await;
        assert!(matches!(error, LoadError::Prescan { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_imports_that_are_not_offered_do_not_load_and_each_is_named() {
    // Found before anything is instantiated: what is not offered cannot be called.
    for (guest, import) in
        [("missing_import", "acme:printer/print@1.0.0"), ("wants_http", "wasi:http/client")]
    {
        let error = beside_a_neighbour_does_not_load(&component(guest)).await;
        let LoadError::MissingImports { missing, .. } = &error else { panic!("{error}") };
        assert!(missing.iter().any(|name| name.contains(import)), "{missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_files_are_not_there_and_sockets_are_denied() {
    // Several languages import both unasked: they are linked, and empty.
    let harness =
        beside_a_neighbour().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listening.local_addr().unwrap().port();
    for command in [
        "read-file /etc/passwd",
        "read-file ../../etc/passwd",
        "read-file /proc/self/environ",
        "read-file .",
        "write-file here x",
        &format!("connect 127.0.0.1:{port}"),
        &format!("connect localhost:{port}"),
    ] {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.starts_with("error "), "{command}: {answer}");
    }
    listening.set_nonblocking(true).unwrap();
    assert!(listening.accept().is_err(), "nobody came");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h50_without_our_exports_or_with_another_type_it_does_not_load_beside_a_neighbour() {
    // By name and by type, before anything of it runs.
    let error = beside_a_neighbour_does_not_load(&component("wrong_world")).await;
    assert!(matches!(error, LoadError::NoExport { .. }), "{error}");
    let error = beside_a_neighbour_does_not_load(&component("wrong_type")).await;
    let LoadError::ExportType { export, .. } = &error else { panic!("{error}") };
    assert!(export.contains("message-listener"), "{export}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h51_a_file_over_the_limit_does_not_load_beside_a_neighbour() {
    // By its size; the rest of it is not read.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.wasm");
    std::fs::File::create(&path).unwrap().set_len((32 << 20) + 1).unwrap();
    let error = beside_a_neighbour_does_not_load(&path).await;
    assert!(matches!(error, LoadError::TooLarge { bytes: 33_554_433, .. }), "{error}");
}
