//! H52, H53, GUEST-6: components are compiled by another process, within limits, one at a time; what ends it is a load
//! error that says so, and a warm cache needs no such process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbus::{
    Allocator, CompileCache, CompileError, CompileLimits, Compiler, LoadError, RuntimeSettings, SandboxEngine,
};

use crate::bombs::{around, body_of, file, functions};
use crate::support::{Asking, harness, runtime, serial, zoo};

/// The program that the tests of the command line run.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbus-under-test"))
}

fn settings(program: PathBuf, cache: Option<&Path>) -> RuntimeSettings {
    RuntimeSettings {
        compiler: Compiler::Program(program),
        compile_cache: cache.map_or(CompileCache::Off, |path| CompileCache::Path(path.to_owned())),
        allocator: Allocator::OnDemand,
        ..runtime()
    }
}

fn engine(program: PathBuf, limits: CompileLimits) -> SandboxEngine {
    let settings = RuntimeSettings { compile_limits: limits, ..settings(program, None) };
    SandboxEngine::new(&settings).expect("the engine starts")
}

fn component(name: &str) -> PathBuf {
    PathBuf::from(env!("TEST_GUESTS")).join(format!("{name}.wasm"))
}

/// Why it was not compiled.
fn not_compiled(engine: &SandboxEngine, path: &Path) -> CompileError {
    match engine.load(path) {
        Err(LoadError::NotCompiled { source, .. }) => source,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it must not load"),
    }
}

/// A component that takes seconds to compile, and is within every limit of size.
fn slow() -> Vec<u8> {
    around(&functions(40, 0, &body_of(500 << 10)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_6_what_another_process_compiled_runs_here() {
    // With the pool, too: the process that compiles has none.
    let settings = RuntimeSettings { allocator: Allocator::Pooling, ..settings(program(), None) };
    let engine = SandboxEngine::new(&settings).unwrap();
    let harness = harness()
        .engine(engine)
        .destination(serial("t/a"))
        .guest(zoo("guest", &["t/a"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "count").await, "1");
    harness.settled().await;
}

#[test]
fn guest_6_a_warm_cache_starts_no_process() {
    // The second engine could not start one: there is no such program.
    let directory = tempfile::tempdir().unwrap();
    let first = SandboxEngine::new(&settings(program(), Some(directory.path()))).unwrap();
    let missing = directory.path().join("no-such-program");
    let second = SandboxEngine::new(&settings(missing, Some(directory.path()))).unwrap();
    assert!(matches!(not_compiled(&second, &component("noop")), CompileError::Start { .. }));
    first.load(&component("noop")).unwrap();
    second.load(&component("noop")).unwrap();
}

#[test]
fn guest_6_both_ways_of_compiling_fill_one_cache() {
    // The machine code is the same, so that an entry does not depend on who made it.
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    SandboxEngine::new(&settings(program(), Some(one.path()))).unwrap().load(&component("noop")).unwrap();
    let inside = RuntimeSettings { compiler: Compiler::InProcess, ..settings(program(), Some(other.path())) };
    SandboxEngine::new(&inside).unwrap().load(&component("noop")).unwrap();
    let entry = |directory: &Path| {
        let path = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
        (path.file_name().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    let (one, other) = (entry(one.path()), entry(other.path()));
    assert_eq!(one.0, other.0, "the names");
    assert!(one.1 == other.1, "the contents");
}

#[test]
fn h53_a_compiler_that_wants_more_memory_is_stopped_and_the_error_names_the_limit() {
    // The address space of the compiling process is limited, so that this one never sees the gigabytes.
    let limits = CompileLimits { memory_bytes_max: 64 << 20, ..CompileLimits::default() };
    let (_directory, path) = file(&slow());
    let error = not_compiled(&engine(program(), limits), &path);
    assert!(matches!(error, CompileError::Memory { bytes_max } if bytes_max == 64 << 20), "{error:?}");
    assert!(error.to_string().contains("67108864 bytes of memory"), "{error}");
}

#[test]
fn h52_a_compiler_that_wants_more_of_the_processor_is_stopped_and_the_error_names_the_limit() {
    // 20 MiB of code are more than a second of work.
    let limits = CompileLimits { cpu_max: Duration::from_secs(1), ..CompileLimits::default() };
    let (_directory, path) = file(&slow());
    let error = not_compiled(&engine(program(), limits), &path);
    assert!(matches!(error, CompileError::Cpu { .. }), "{error:?}");
    assert!(error.to_string().contains("1 s of processor time"), "{error}");
}

#[test]
fn h52_a_compiler_that_takes_too_long_is_killed_and_the_error_names_the_limit() {
    // A machine that is busy with other things must not keep a load waiting for ever.
    let limits = CompileLimits { time_max: Duration::from_millis(20), ..CompileLimits::default() };
    let (_directory, path) = file(&slow());
    let error = not_compiled(&engine(program(), limits), &path);
    assert!(matches!(error, CompileError::Time { .. }), "{error:?}");
    assert!(error.to_string().contains("longer than 20 ms"), "{error}");
}

#[test]
fn what_the_compiler_refuses_is_told_in_its_words() {
    // The text crosses the pipe; it is not a fault of the process.
    let memory = wasm_encoder::MemoryType {
        minimum: 1,
        maximum: Some(2),
        memory64: true,
        shared: false,
        page_size_log2: None,
    };
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(memory);
    let mut module = wasm_encoder::Module::new();
    module.section(&memories);
    let (_directory, path) = file(&around(&module));
    match engine(program(), CompileLimits::default()).load(&path) {
        Err(LoadError::Compile { reason, .. }) => assert!(reason.contains("memory64"), "{reason}"),
        other => panic!("{:?}", other.map(|loaded| loaded.digest.clone())),
    }
}

/// A program of a few lines of shell.
fn script(directory: &Path, lines: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_program_that_is_no_compiler_is_an_error_and_nothing_of_its_answer_is_run() {
    // Whatever it prints, and however it ends: an error with its status and its last words, escaped.
    let cases = [
        ("exit 0", "exit status: 0"),
        ("cat >/dev/null; echo hello", "exit status: 0"),
        ("cat >/dev/null; printf 'Chalf an answer'", "half an answer"),
        ("cat >/dev/null; printf 'C'; head -c 5000 /dev/zero", "half an answer"),
        ("echo 'no \\033[31mred' >&2; exit 3", "exit status: 3: no \\u{1b}[31mred"),
        ("kill -ABRT $$", "signal: 6"),
        ("kill -KILL $$", "signal: 9"),
    ];
    for (lines, wanted) in cases {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(script(directory.path(), lines), CompileLimits::default());
        let error = not_compiled(&engine, &component("noop"));
        assert!(matches!(error, CompileError::Died { .. }), "{lines}: {error:?}");
        assert!(error.to_string().contains(wanted), "{lines}: {error}");
    }
}

#[test]
fn a_program_of_another_release_is_an_error_that_says_so() {
    // It compares what its machine code depends on, and compiles nothing.
    let directory = tempfile::tempdir().unwrap();
    let lines =
        format!("sed '1s/\"engine_hash\":[0-9]*/\"engine_hash\":1/' | {} __compile", program().display());
    let engine = engine(script(directory.path(), &lines), CompileLimits::default());
    let error = not_compiled(&engine, &component("noop"));
    assert!(matches!(error, CompileError::OtherEngine { .. }), "{error:?}");
}

#[test]
fn the_compiling_process_does_not_know_the_environment_of_the_host() {
    // What a broken compiler could give away is not there: variables hold passwords.
    let directory = tempfile::tempdir().unwrap();
    let seen = directory.path().join("seen");
    let engine =
        engine(script(directory.path(), &format!("env >{}", seen.display())), CompileLimits::default());
    not_compiled(&engine, &component("noop"));
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("RAYON_NUM_THREADS="), "{seen}");
    assert!(!seen.contains("CARGO") && !seen.contains("HOME"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_components_are_compiled_one_after_the_other() {
    // Two hostile ones at once would have twice the memory.
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display();
    let compile = program();
    let lines = format!(
        "mkdir {here}/turn || touch {here}/overlap\n{} __compile\nrmdir {here}/turn",
        compile.display()
    );
    let engine = engine(script(directory.path(), &lines), CompileLimits::default());
    let paths = [component("noop"), component("version_one"), component("version_two")];
    let [one, two, three] = paths.each_ref().map(|path| engine.load_aside(path));
    let (one, two, three) = tokio::join!(one, two, three);
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert!(!directory.path().join("overlap").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_nobody_waits_for_ends_its_process() {
    // A replacement that was given up must not keep the turn of the next one.
    let directory = tempfile::tempdir().unwrap();
    let started = directory.path().join("started");
    let lines = format!("echo $$ >{0}.part; mv {0}.part {0}; exec sleep 1000", started.display());
    let engine = engine(script(directory.path(), &lines), CompileLimits::default());
    let loading = tokio::spawn(async move { engine.load_aside(&component("noop")).await.map(|_| ()) });
    let pid = loop {
        match std::fs::read_to_string(&started) {
            Ok(pid) => break pid.trim().to_owned(),
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let process = PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());
    loading.abort();
    for _ in 0..5_000 {
        if !process.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it still runs");
}

#[test]
fn f5_a_host_that_is_killed_while_it_compiles_leaves_nothing_that_another_would_trust() {
    // Whatever it had written by then, the next one loads the component.
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    for round in 0..6_u64 {
        let mut host = std::process::Command::new(program())
            .args(["run", "--dest", "t=serial", "--send", "t=x", "--until", "idle"])
            .arg("--guest")
            .arg(format!("g={},listens-to=t", component("version_one").display()))
            .arg("--set")
            .arg(format!("runtime.compile-cache={}", cache.display()))
            .arg("--set")
            .arg(format!("runtime.state-dir={}", directory.path().join("state").display()))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(30 * round * round));
        host.kill().unwrap();
        host.wait().unwrap();
        let inside = RuntimeSettings { compiler: Compiler::InProcess, ..settings(program(), Some(&cache)) };
        SandboxEngine::new(&inside).unwrap().load(&component("version_one")).unwrap();
        std::fs::remove_dir_all(&cache).unwrap();
    }
}

#[test]
fn f20_without_file_descriptors_loading_is_an_error_and_works_again_afterwards() {
    // In a process of its own: the limit holds for all that runs beside.
    let test = "compiling::f20_within_a_process_of_its_own";
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by f20_without_file_descriptors_…, in a process of its own"]
fn f20_within_a_process_of_its_own() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::os::fd::AsRawFd;
    let engine = engine(program(), CompileLimits::default());
    let path = component("noop");
    let before = getrlimit(Resource::Nofile);
    // The lowest number that is free: the next file gets it.
    let free = std::fs::File::open(&path).unwrap().as_raw_fd() as u64;
    let allow = |files| setrlimit(Resource::Nofile, Rlimit { current: Some(files), ..before }).unwrap();
    allow(free);
    let no_file = engine.load(&path).map(|_| ()).unwrap_err();
    allow(free + 2);
    let no_pipe = engine.load(&path).map(|_| ()).unwrap_err();
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(
        matches!(&no_file, LoadError::Read { source, .. } if source.raw_os_error() == Some(24)),
        "{no_file:?}"
    );
    let LoadError::NotCompiled { source: CompileError::Start { source, .. }, .. } = &no_pipe else {
        panic!("{no_pipe:?}")
    };
    assert_eq!(source.raw_os_error(), Some(24), "{source}");
    engine.load(&path).unwrap();
}
