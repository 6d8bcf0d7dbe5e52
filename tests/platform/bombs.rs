//! H10, H15, H52 to H54 and their cousins: components that are made to be hard to compile. Most end in milliseconds, by
//! their size and shape; none of them reaches the compiler.

use std::path::PathBuf;

use sandbus::{LoadError, PrescanError};
use wasm_encoder::{
    CodeSection, Component, ComponentTypeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, HeapType, ImportSection, MemorySection, MemoryType, Module,
    ModuleSection, PrimitiveValType, RefType, TypeSection, ValType,
};

use crate::refused::does_not_load;
use crate::support::engine;

/// A component around one core module.
pub(crate) fn around(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

/// A module of functions that all have this type and this body.
pub(crate) fn functions(count: u32, parameters: usize, body: &Function) -> Module {
    let mut types = TypeSection::new();
    types.ty().function(vec![ValType::I32; parameters], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..count {
        declared.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    module
}

/// A body of about so many bytes that do nothing.
pub(crate) fn body_of(bytes: usize) -> Function {
    let mut body = Function::new([(8, ValType::I32)]);
    for place in 0..bytes / 7 {
        let (from, to) = (place as u32 % 8, (place as u32 * 5 + 1) % 8);
        body.instructions().local_get(from).local_get(to).i32_add().local_set(to);
    }
    body.instructions().end();
    body
}

/// Writes a component into a folder of its own.
pub(crate) fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bomb.wasm");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// Why these bytes do not load.
fn refused(bytes: &[u8]) -> LoadError {
    let (_directory, path) = file(bytes);
    does_not_load(&path)
}

/// Fails unless the pre-scan refused them, and said this.
fn refused_before_compiling(bytes: &[u8], text: &str) {
    let error = refused(bytes);
    assert!(matches!(error, LoadError::Prescan { .. }), "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

fn empty() -> Function {
    let mut body = Function::new([]);
    body.instructions().end();
    body
}

#[test]
fn h52_300_000_tiny_functions_are_refused_by_their_number() {
    // 1.8 MiB that would cost 10 s of processor time and 1.7 GB.
    refused_before_compiling(&around(&functions(300_000, 0, &empty())), "more than 50000 functions");
}

#[test]
fn h52_functions_of_many_modules_are_counted_together() {
    // Each module alone is within the limit.
    let module = functions(20_000, 0, &empty());
    let mut component = Component::new();
    for _ in 0..3 {
        component.section(&ModuleSection(&module));
    }
    refused_before_compiling(&component.finish(), "more than 50000 functions");
}

#[test]
fn h53_one_function_of_6_mib_is_refused_by_its_size() {
    // It would cost a minute and 7.7 GB.
    refused_before_compiling(&around(&functions(1, 0, &body_of(6 << 20))), "it may have 524288");
}

#[test]
fn h53_a_few_bytes_that_declare_50_000_locals_in_each_function_are_refused() {
    // The cousin that has neither many functions nor large ones.
    let mut body = Function::new([(50_000, ValType::I64)]);
    body.instructions().end();
    refused_before_compiling(&around(&functions(1_000, 0, &body)), "4000000 locals and parameters");
}

#[test]
fn h53_functions_with_a_thousand_parameters_are_refused() {
    // Each call in a body would cost the compiler so many values.
    refused_before_compiling(&around(&functions(1, 1_000, &empty())), "1000 parameters and results");
}

#[test]
fn h54_types_that_double_are_refused() {
    // Forty lines, each a pair of the one before.
    let mut types = ComponentTypeSection::new();
    types.defined_type().primitive(PrimitiveValType::U8);
    for line in 0..40 {
        let before = wasm_encoder::ComponentValType::Type(line);
        types.defined_type().tuple([before, before]);
    }
    let mut component = Component::new();
    component.section(&types);
    refused_before_compiling(&component.finish(), "when it is written out");
}

#[test]
fn h54_nesting_as_deep_as_the_file_is_long_is_refused_and_does_not_end_the_process() {
    // Parsers follow nested types by recursion; a file of 30 MiB has ten million of them.
    let opened = [0x42_u8, 0x01, 0x01].repeat(10_000_000);
    let body = [vec![1], opened, vec![0x42, 0x00]].concat();
    let mut component = Component::new();
    component.section(&wasm_encoder::RawSection { id: 7, data: &body });
    refused_before_compiling(&component.finish(), "nested more than 100 deep");
}

#[test]
fn h54_imports_exports_globals_and_names_have_their_limits() {
    // What is cheap to write and kept for each instance, or looked at for each export.
    let mut imports = ImportSection::new();
    let memory =
        MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    for _ in 0..50_001 {
        imports.import("", "", EntityType::Memory(memory));
    }
    let mut module = Module::new();
    module.section(&imports);
    refused_before_compiling(&around(&module), "more than 50000 imports");

    let mut exports = ExportSection::new();
    for _ in 0..100_001 {
        exports.export("", ExportKind::Func, 0);
    }
    let mut module = Module::new();
    module.section(&exports);
    refused_before_compiling(&around(&module), "more than 100000 exports");

    let mut globals = GlobalSection::new();
    let global = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
    for _ in 0..50_001 {
        globals.global(global, &ConstExpr::i32_const(0));
    }
    let mut module = Module::new();
    module.section(&globals);
    refused_before_compiling(&around(&module), "more than 50000 globals");

    let long = "n".repeat(99_999);
    let mut exports = ExportSection::new();
    for _ in 0..50 {
        exports.export(&long, ExportKind::Func, 0);
    }
    let mut module = Module::new();
    module.section(&exports);
    refused_before_compiling(&around(&module), "bytes of names");
}

/// A module with one memory.
fn with_memory(memory64: bool, shared: bool) -> Module {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: Some(2), memory64, shared, page_size_log2: None });
    let mut module = Module::new();
    module.section(&memories);
    module
}

/// Fails unless the compiler refused a component around this module, and said this.
fn off(module: &Module, text: &str) {
    let error = refused(&around(module));
    let LoadError::Compile { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains(text), "{reason}");
}

#[test]
fn h10_shared_memory_does_not_load() {
    // Threads are off, and so nothing can wait for another thread.
    off(&with_memory(false, true), "threads must be enabled");
}

#[test]
fn h15_a_memory_of_64_bits_does_not_load() {
    // No pool and no limit is made for it.
    off(&with_memory(true, false), "memory64 must be enabled");
}

#[test]
fn h15_a_heap_with_a_garbage_collector_does_not_load() {
    // Its memory would not be counted.
    let mut types = TypeSection::new();
    types.ty().array(&wasm_encoder::StorageType::I8, true);
    let mut module = Module::new();
    module.section(&types);
    off(&module, "gc types are disabled");
    let mut globals = GlobalSection::new();
    let any = RefType { nullable: true, heap_type: HeapType::ANY };
    let global = GlobalType { val_type: ValType::Ref(any), mutable: false, shared: false };
    globals.global(global, &ConstExpr::ref_null(HeapType::ANY));
    let mut module = Module::new();
    module.section(&globals);
    off(&module, "gc");
}

#[test]
fn what_shipped_guests_have_is_far_inside_of_the_limits() {
    // The figures of the pre-scan are those that `inspect` shows; they also say how near a guest is to a limit.
    let path = PathBuf::from(env!("TEST_GUESTS")).join("zoo.wasm");
    let figures = engine().load(&path).unwrap().figures;
    assert!(figures.functions > 100 && figures.types > 20 && figures.imports > 20, "{figures:?}");
    assert!(figures.functions < 5_000 && figures.types < 5_000 && figures.locals < 400_000, "{figures:?}");
    assert!(matches!(sandbus::prescan(b"\0asm\x01\0\0\0"), Err(PrescanError::CoreModule)));
}
