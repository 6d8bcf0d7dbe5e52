//! Every limit of the sandbox: its name, its unit, its default and why that number. The bus has its own in
//! `sandbus_bus::limits`. `docs/limits.md` lists both; a test compares them. Nothing here enforces anything.

use std::time::Duration;

/// Fuel of one call of `receive`: about 25 ms of ordinary code, far more than a well-behaved listener needs.
pub const FUEL: u64 = 50_000_000;
/// What "unlimited" fuel is: a number all the same, so that the guest still yields. About 5,000 years of it.
pub const FUEL_UNLIMITED: u64 = u64::MAX / 2;
/// How long one call of `receive` may take, waiting included.
pub const DEADLINE: Duration = sandbus_bus::limits::CALL_DEADLINE;
/// Linear memory of one instance, all its memories together, in bytes.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Fuel of `activate` and of `deactivate`: set-up work is heavier than a message.
pub const ACTIVATE_FUEL: u64 = 100_000_000;
/// How long `activate` and `deactivate` may take.
pub const ACTIVATE_DEADLINE: Duration = Duration::from_secs(5);
/// Tables of one instance; components of language engines have dozens.
pub const TABLES_MAX: usize = 100;
/// Elements of all tables of one instance together; the largest engine known needs 7,691.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Linear memories of one instance.
pub const MEMORIES_MAX: usize = 8;
/// Core instances of one instance; CPython has 38.
pub const CORE_INSTANCES_MAX: usize = 64;
/// What the host allocates during one host call of a guest, in bytes; at least twice the largest message.
pub const HOST_MEMORY_BYTES_MAX: usize = 8 << 20;
/// Fuel that a host call costs: a host call takes some hundred nanoseconds, an instruction half a one.
pub const HOST_CALL_FUEL: u64 = 500;
/// Fuel for each KiB that crosses in a host call: to copy it, and to make it where it is random.
pub const HOST_KIB_FUEL: u64 = 1_000;
/// Messages that one call of `receive-batch` may receive together; the bus never has more at hand for one call.
pub const BATCH_MESSAGES_MAX: usize = sandbus_bus::limits::BATCH_MESSAGES_MAX;
/// Messages that one call may send.
pub const SENDS_MAX: u32 = 64;
/// Bytes that one call may send.
pub const SEND_BYTES_MAX: usize = 1 << 20;
/// Bytes of output and log lines that one call may write; the rest is cut with a mark.
pub const LOG_BYTES_MAX: usize = 64 << 10;
/// Bytes of one log line after escaping.
pub const LOG_LINE_BYTES_MAX: usize = 1 << 10;
/// Keys and values that a guest keeps through `wasi:keyvalue`, in bytes: notes between messages, not a database.
pub const KEYVALUE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one such value; as much as one call may print.
pub const KEYVALUE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of one such key or of the name of a bucket; they are names, not content.
pub const KEYVALUE_KEY_BYTES_MAX: usize = 255;
/// Such keys of one guest, in all its buckets: what each costs beside its bytes stays below 2 MiB.
pub const KEYVALUE_KEYS_MAX: usize = 10_000;
/// Buckets of one guest; components that were written for other hosts open one or two.
pub const KEYVALUE_BUCKETS_MAX: usize = 16;
/// Lines that the report of a fault repeats: the last ones of the call.
pub const FAULT_LINES_MAX: usize = 10;
/// Live instances of one guest.
pub const INSTANCES_MAX: usize = 32;
/// Linear memory of all instances of one guest, in bytes: half of what all guests have.
pub const GUEST_TOTAL_MEMORY_BYTES_MAX: usize = 512 << 20;
/// The shortest time between two looks for instances that were idle for too long; they look four times within `max-idle`.
pub const INSTANCE_SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The longest time between two such looks: memory is not held for much longer than asked for.
pub const INSTANCE_SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Live instances of all guests; sizes the pool.
pub const TOTAL_INSTANCES_MAX: usize = 1_000;
/// Linear memory of all guests together, in bytes.
pub const TOTAL_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Handles of host resources of one instance.
pub const RESOURCES_MAX: usize = 1_024;
/// Random bytes of one host call.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// WebAssembly stack of a call, in bytes; the engine has one value for all guests.
pub const STACK_BYTES_MAX: usize = 512 << 10;
/// Stack of the fibre that a call runs on, in bytes: the WebAssembly stack and head room for the host.
pub const FIBER_STACK_BYTES: usize = 2 << 20;
/// Fuel after which a running guest lets others run: about half a millisecond of ordinary code.
pub const FUEL_YIELD_INTERVAL: u64 = 1_000_000;
/// Frames of a backtrace that an error text keeps.
pub const BACKTRACE_FRAMES_MAX: usize = 20;
/// Bytes of a component's file. CPython inside a component is 18 MiB.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;
/// Functions of a component; CPython has 13,482. Ends most compile bombs before they are compiled.
pub const COMPONENT_FUNCTIONS_MAX: usize = 50_000;
/// Bytes of one function's body; the largest known is 416 KiB.
pub const FUNCTION_BODY_BYTES_MAX: usize = 512 << 10;
/// Nested core modules and components of a component; CPython has 38.
pub const COMPONENT_PARTS_MAX: usize = 256;
/// Instances that a component makes when it is instantiated, those within nested components counted as often as they are
/// made; CPython has 69. Nested components that double would otherwise make any number of them.
pub const COMPONENT_INSTANCES_MAX: usize = 1_000;
/// Types of a component, core and component types and the declarations within them; CPython has 2,053.
pub const COMPONENT_TYPES_MAX: usize = 50_000;
/// Nodes of one type when all that it refers to is written out; the largest interface of WASI has some thousands. Types
/// that double pass any number within a few lines.
pub const COMPONENT_TYPE_NODES_MAX: usize = 100_000;
/// Nesting of one type, which the engine follows by recursion; its own limit.
pub const COMPONENT_TYPE_DEPTH_MAX: usize = 100;
/// Parameters and results of one function: C allows 127 parameters, and each call in a body costs the compiler so many.
pub const FUNCTION_PARAMETERS_MAX: usize = 256;
/// Locals and parameters of all functions: a few bytes declare 50,000 of them, and each costs the compiler. Ordinary code
/// has about ten in each function; CPython has 90,067 in all.
pub const COMPONENT_LOCALS_MAX: usize = 4_000_000;
/// Imports of a component and of its modules; CPython, which is linked of many libraries, has 2,341.
pub const COMPONENT_IMPORTS_MAX: usize = 50_000;
/// Exports, aliases and canonical functions of a component and of its modules; CPython has 5,753.
pub const COMPONENT_EXPORTS_MAX: usize = 100_000;
/// Globals of a component; CPython, whose libraries have one for each address that they share, has 874.
pub const COMPONENT_GLOBALS_MAX: usize = 50_000;
/// Data and element segments of a component; CPython has 1,934.
pub const COMPONENT_SEGMENTS_MAX: usize = 50_000;
/// Elements in the segments of a component: twice the elements that tables may have.
pub const COMPONENT_ELEMENTS_MAX: usize = 200_000;
/// Bytes of the names of imports and exports; CPython has 148 KiB, and names of C++ are longer.
pub const COMPONENT_NAME_BYTES_MAX: usize = 4 << 20;
/// Address space of a compiling process beyond what it starts with, in bytes; CPython needs 570 MiB, of which 370 MiB are
/// used.
pub const COMPILE_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Processor time of a compiling process; the largest guest known needs 10 s.
pub const COMPILE_CPU_MAX: Duration = Duration::from_secs(30);
/// How long a compiling process may take, waiting for a processor included: it runs at a low priority.
pub const COMPILE_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes of machine code that one component may become; the largest guest known becomes some 60 MiB.
pub const COMPILED_BYTES_MAX: usize = 512 << 20;
/// Threads of a compiling process; more would need more address space each, and compiling is not urgent.
pub const COMPILE_THREADS_MAX: usize = 4;
/// How long running calls may finish when a host shuts down; what is left is counted, said and saved.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How long running calls of a guest may finish when it is replaced or unloaded; then they are ended.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How long the host waits for calls that it has ended to be gone; a call looks each half millisecond of computing.
pub const CUT_WAIT: Duration = Duration::from_secs(1);
/// Faults within the window after which a whole guest is put into quarantine: more than two circuit breakers' worth.
pub const QUARANTINE_FAULTS: u32 = 50;
/// The share of a guest's calls that they must be, so that a busy guest with few faults goes on.
pub const QUARANTINE_RATIO: f64 = 0.5;
/// How long a fault counts against a guest; also how long it must be calm for its next quarantine to be a first one.
pub const QUARANTINE_WINDOW: Duration = Duration::from_secs(60);
/// How long the first quarantine takes; each one that follows takes twice as long.
pub const QUARANTINE_INITIAL: Duration = Duration::from_secs(1);
/// The longest quarantine: who repairs what a guest needs does not wait long for it.
pub const QUARANTINE_MAX: Duration = Duration::from_secs(300);
/// Bytes of a manifest's file.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Tables of the pool for each slot; an instance that has more of them takes several slots.
pub const TABLES_PER_SLOT: u32 = 8;
/// What a line costs of the bytes that a call may log, beside its text: it is an event of its own.
pub const LOG_LINE_COST_BYTES: usize = 32;
/// Names that a guest may listen to beyond its settings.
pub const GUEST_LISTENS_MAX: usize = 1_000;
/// Entries of the queue of a destination that a guest makes.
pub const GUEST_QUEUE_ENTRIES_MAX: usize = sandbus_bus::limits::QUEUE_ENTRIES_MAX;
/// Bytes of that queue, and of its dead letters.
pub const GUEST_QUEUE_BYTES_MAX: usize = 4 << 20;
/// Workers of a destination that a guest makes: as many as a guest has instances.
pub const GUEST_WORKERS_MAX: usize = INSTANCES_MAX;
/// Folders of the host that a guest may be granted: each instance opens each of them.
pub const FILE_GRANTS_MAX: usize = 16;
/// Bytes of the name under which a guest finds one: as long as a file's name may be.
pub const FILE_GRANT_BYTES_MAX: usize = 255;
/// Destinations that a guest has made and not removed.
pub const GUEST_DESTINATIONS_MAX: usize = 64;
/// Messages that one bench may send: hours of it at the fastest.
pub const BENCH_MESSAGES_MAX: u64 = 1_000_000_000;
/// How long a bench sends when it is not told: long enough for its quantiles to settle, short enough to wait for.
pub const BENCH_DURATION: Duration = Duration::from_secs(3);
/// The longest that a bench, or its warm-up, may send.
pub const BENCH_DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Senders of a bench: a quarter of those that may wait for answers at once, so that those of guests find room.
pub const BENCH_SENDERS_MAX: u64 = 1_024;
/// Messages that a bench may be told to send in a second: more than the bus takes on in one.
pub const BENCH_PER_SECOND_MAX: u64 = 10_000_000;
/// Bytes of a bench's payload when it is not told: a small message, as in the project's own benches.
pub const BENCH_PAYLOAD_BYTES: u64 = 64;
/// How late a send of a bench with a rate may begin and be on time: timers go no finer than a millisecond.
pub const BENCH_LATE_MAX: Duration = Duration::from_millis(2);
/// How long a sender of a bench waits for room in a queue: as long as nothing moves for so long, nothing will.
pub const BENCH_ROOM_WAIT: Duration = Duration::from_secs(10);
/// How long a bench that sends for a time waits afterwards for what still waits in queues; then it says how much is left.
pub const BENCH_DRAIN: Duration = Duration::from_secs(60);
/// Bytes of a former result that a bench is compared with: a result has some kilobytes.
pub const BENCH_RESULT_BYTES_MAX: u64 = 1 << 20;
