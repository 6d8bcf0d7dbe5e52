//! H10, H12 to H15, LIMIT-6: components whose shape is the attack. Each is a few lines of WebAssembly text with a `lifecycle`
//! only; what it tries is tried when it is instantiated, or in `activate`.

use std::path::PathBuf;

use sandbus::bus::{Cause, Fault};
use sandbus::{GuestSettings, LifecycleError, LoadError, OnStartupError, RuntimeSettings, StartError};

use crate::support::{Asking, engine, harness, runtime, serial, zoo_that};

/// A component around the text of a core module. The module's `activate` answers where in its memory its answer stands: 0
/// there is done.
fn component(name: &str, module: &str, more: &str) -> GuestSettings {
    let text = format!(
        r#"(component
            (core module $m {module})
            {more}
            (core instance $i (instantiate $m))
            (func $activate (result (result (error string)))
                (canon lift (core func $i "activate") (memory (core memory $i "memory"))))
            (func $deactivate (canon lift (core func $i "deactivate")))
            (instance $lifecycle (export "activate" (func $activate)) (export "deactivate" (func $deactivate)))
            (export "sandbus:bus/lifecycle@0.1.0" (instance $lifecycle)))"#
    );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.wasm"));
    std::fs::write(&path, wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap();
    GuestSettings::new(name, path)
}

/// The functions that every such module has, with one memory, and the body of `activate`.
fn module(before: &str, activate: &str) -> String {
    format!(
        r#"(memory (export "memory") 1) {before}
           (func (export "activate") (result i32) {activate} i32.const 16)
           (func (export "deactivate"))"#
    )
}

/// Starts it beside a neighbour that completes everything; how it failed, if it did.
async fn started_beside_a_neighbour(hostile: GuestSettings) -> Option<StartError> {
    let failed = harness().guest(hostile.clone()).start().await.err();
    let tolerant = RuntimeSettings { on_startup_error: OnStartupError::Continue, ..runtime() };
    let harness = harness()
        .runtime(tolerant)
        .destination(serial("t/good"))
        .guest(hostile)
        .guest(zoo_that("note", "good", &["t/good"]))
        .start()
        .await
        .unwrap();
    for _ in 0..20 {
        harness.tell("t/good", "work").await;
    }
    harness.idle().await.unwrap();
    assert_eq!(harness.figures("t/good").completed, 20);
    harness.settled().await;
    failed
}

async fn fault(hostile: GuestSettings) -> Fault {
    let name = hostile.name.clone();
    match started_beside_a_neighbour(hostile).await {
        Some(StartError::Activate { source: LifecycleError::Faulted(fault), .. }) => fault,
        other => panic!("{name}: {other:?}"),
    }
}

async fn runs(hostile: GuestSettings) {
    let name = hostile.name.clone();
    let failed = started_beside_a_neighbour(hostile).await;
    assert!(failed.is_none(), "{name}: {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_6_h14_a_table_does_not_grow_beyond_the_limit_and_the_guest_goes_on() {
    // A refused growth is −1, an answer that the guest can handle; up to the limit it grows.
    let grown = "(if (i32.ne (table.grow $t (ref.null func) (i32.const 50000000)) (i32.const -1)) (then unreachable))
                 (if (i32.ne (table.grow $t (ref.null func) (i32.const 99990)) (i32.const 10)) (then unreachable))
                 (if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))";
    runs(component("table-growth", &module("(table $t 10 funcref)", grown), "")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_6_table_elements_are_summed_over_the_tables_of_an_instance() {
    // Several tables are no way around the limit of one.
    let tables = "(table $t 60000 funcref) (table $u 30000 funcref)";
    let grown = "(if (i32.ne (table.grow $u (ref.null func) (i32.const 10001)) (i32.const -1)) (then unreachable))
                 (if (i32.eq (table.grow $u (ref.null func) (i32.const 10000)) (i32.const -1)) (then unreachable))";
    runs(component("table-sum", &module(tables, grown), "")).await;
    let tables = "(table $t 60000 funcref) (table $u 40001 funcref)";
    let fault = fault(component("table-sum-at-once", &module(tables, ""), "")).await;
    assert_eq!(fault.cause, Cause::Instantiate, "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h12_memory_does_not_grow_to_4_gib_and_a_guest_that_traps_of_it_is_the_cause_memory() {
    // The limit is the instance's own, whatever the module says about its memory.
    let handled = "(if (i32.ne (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))";
    runs(component("memory-growth", &module("", handled), "")).await;
    let dies = "(if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))";
    let fault = fault(component("memory-death", &module("", dies), "")).await;
    assert_eq!(fault.cause, Cause::Memory, "{fault:?}");
    assert!(fault.text.as_str().contains("67108864"), "{}", fault.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_h15_memories_of_all_core_instances_and_of_one_module_are_summed() {
    // 62.5 MiB fit once; twice they do not, as another core instance or as another memory of one module.
    let once = module("(memory 990)", "");
    runs(component("memory-once", &once, "")).await;
    let twice = fault(component("memory-twice", &once, "(core instance (instantiate $m))")).await;
    assert_eq!(twice.cause, Cause::Instantiate, "{twice:?}");
    let hundred: String = "(core instance (instantiate $m))".repeat(99);
    let many = started_beside_a_neighbour(component("memory-hundred", &once, &hundred)).await;
    assert!(many.is_some(), "100 core instances");
    let two = fault(component("memory-two", &module("(memory 600) (memory 600)", ""), "")).await;
    assert_eq!(two.cause, Cause::Instantiate, "{two:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_numbers_of_core_instances_memories_and_tables_are_bounded() {
    // As many as language engines need are fine; one more than the limit is an error that says so.
    let small = module("", "");
    runs(component("instances-7", &small, &"(core instance (instantiate $m))".repeat(7))).await;
    let no_memory = "(core module $n) ".to_owned() + &"(core instance (instantiate $n))".repeat(63);
    runs(component("instances-64", &small, &no_memory)).await;
    for (name, module, more) in [
        ("instances-65", small.clone(), no_memory + "(core instance (instantiate $n))"),
        ("memories-9", module(&"(memory 1)".repeat(8), ""), String::new()),
        ("tables-101", module(&"(table 1 funcref)".repeat(101), ""), String::new()),
    ] {
        let failed = started_beside_a_neighbour(component(name, &module, &more)).await;
        let text = failed.as_ref().map(|failed| format!("{failed:?}")).unwrap_or_default();
        assert!(text.contains("limit") || text.contains("exceed"), "{name}: {text}");
    }
}

#[test]
fn h10_h15_shared_memories_and_64_bit_ones_do_not_load() {
    // What nobody needs is off: it is refused before anything of it is compiled.
    for (name, memory) in [("memory-64", "(memory i64 1)"), ("memory-shared", "(memory 1 2 shared)")] {
        let hostile = component(name, &module(memory, ""), "");
        match engine().load(&hostile.path) {
            Err(LoadError::Compile { .. } | LoadError::Prescan { .. }) => {}
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} must not load"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h13_an_instance_with_many_tables_takes_many_slots_and_leaves_its_neighbours_theirs() {
    // The pool has so many tables for a slot; whoever has more would take those of its neighbours.
    let tables = "(table 1 funcref)".repeat(99);
    let sleep = "(call $block (call $after (i64.const 60000000000)))";
    let path = crate::crafted::listener("many-tables", &[('s', sleep)], &tables);
    let mut hostile = GuestSettings::new("hostile", path);
    hostile.listens_to = vec!["t/hostile".to_owned()];
    hostile.limits.deadline = std::time::Duration::from_secs(20);
    let mut place = crate::support::parallel("t/hostile");
    place.workers = sandbus::bus::Workers { core: 20, max: 20, ..place.workers };
    // Enough for both, but not for twenty of the one.
    let engine =
        sandbus::SandboxEngine::new(&RuntimeSettings { total_instances_max: 40, ..runtime() }).unwrap();
    let harness = harness()
        .engine(engine)
        .destination(place)
        .destination(serial("t/good"))
        .guest(hostile)
        .guest(zoo_that("note", "good", &["t/good"]))
        .start()
        .await
        .unwrap();
    for _ in 0..20 {
        harness.tell("t/hostile", "s").await;
    }
    crate::support::eventually("two of them sleep", || {
        harness.platform().guest("hostile").unwrap().instances == 2
    })
    .await;
    for _ in 0..20 {
        harness.tell("t/good", "work").await;
    }
    crate::support::eventually("its neighbour is done", || harness.figures("t/good").completed == 20).await;
    let guest = harness.platform().guest("hostile").unwrap();
    assert_eq!((guest.instances, harness.figures("t/good").failed_total()), (2, 0));
    harness.end().await;
}
