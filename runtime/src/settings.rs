//! What a guest and a platform are configured with, as checked values. It reads no file; `manifest` does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sandbus_bus::CircuitBreaker;

use crate::grants::Grants;
use crate::limits;

/// What one call of a guest, and one instance, may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLimits {
    /// Fuel of one call of `receive`.
    pub fuel: u64,
    /// How long one call of `receive` may take, waiting included.
    pub deadline: Duration,
    /// Linear memory of one instance, all its memories together.
    pub memory_bytes_max: usize,
    /// Fuel of `activate` and of `deactivate`.
    pub activate_fuel: u64,
    /// How long `activate` and `deactivate` may take.
    pub activate_deadline: Duration,
    /// Tables of one instance.
    pub tables_max: usize,
    /// Elements of all its tables together.
    pub table_elements_max: usize,
    /// What the host allocates during one host call.
    pub host_memory_bytes_max: usize,
    /// Messages that one call may receive together, where the guest takes several; 1: each comes for itself.
    pub batch_messages_max: usize,
    /// Messages that one call may send.
    pub sends_max: u32,
    /// Bytes that one call may send.
    pub send_bytes_max: usize,
    /// Bytes of log lines that one call may write.
    pub log_bytes_max: usize,
    /// Keys and values that all its instances together keep through `wasi:keyvalue`, in bytes; with 0 it has no store.
    pub keyvalue_bytes_max: usize,
    /// Live instances.
    pub instances_max: usize,
    /// Linear memory of all its instances together.
    pub total_memory_bytes_max: usize,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            fuel: limits::FUEL,
            deadline: limits::DEADLINE,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
            activate_fuel: limits::ACTIVATE_FUEL,
            activate_deadline: limits::ACTIVATE_DEADLINE,
            tables_max: limits::TABLES_MAX,
            table_elements_max: limits::TABLE_ELEMENTS_MAX,
            host_memory_bytes_max: limits::HOST_MEMORY_BYTES_MAX,
            batch_messages_max: limits::BATCH_MESSAGES_MAX,
            sends_max: limits::SENDS_MAX,
            send_bytes_max: limits::SEND_BYTES_MAX,
            log_bytes_max: limits::LOG_BYTES_MAX,
            keyvalue_bytes_max: limits::KEYVALUE_BYTES_MAX,
            instances_max: limits::INSTANCES_MAX,
            total_memory_bytes_max: limits::GUEST_TOTAL_MEMORY_BYTES_MAX,
        }
    }
}

/// How the instances of a guest are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances {
    /// Which instance receives which message.
    pub policy: InstancePolicy,
    /// Calls of `receive` after which an instance is not used again; none: any number.
    pub uses_max: Option<u64>,
    /// How long an instance may be idle; one that was longer is not used again, and its memory goes back. None: any time.
    pub idle_max: Option<Duration>,
}

/// Which instance receives which message. State stays in an instance from one message to the next, and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InstancePolicy {
    /// Each worker keeps an instance of its own; calls in senders' own tasks borrow one from those that were used so before.
    #[default]
    PerWorker,
    /// Each delivery has a fresh one.
    PerMessage,
    /// There is one. It receives one message at a time, from all destinations, and `activate` and `deactivate` run on it, too.
    Single,
}

/// When a whole guest is not called any more for a while.
///
/// It begins when `faults` calls faulted within `window`, at whatever destination, and they are at least `ratio` of the
/// calls since the first of them; only faults of the guest itself count, as for its circuit breakers. It takes `initial`, then
/// the guest is tried on a fresh instance; each failure, and each quarantine before the guest was calm for a `window`,
/// doubles the next time, up to `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quarantine {
    /// Faults that begin it; at least 1.
    pub faults: u32,
    /// The share of the calls that they must be, from 0 to 1.
    pub ratio: f64,
    /// How long a fault counts.
    pub window: Duration,
    /// How long the first one takes.
    pub initial: Duration,
    /// The longest one.
    pub max: Duration,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self {
            faults: limits::QUARANTINE_FAULTS,
            ratio: limits::QUARANTINE_RATIO,
            window: limits::QUARANTINE_WINDOW,
            initial: limits::QUARANTINE_INITIAL,
            max: limits::QUARANTINE_MAX,
        }
    }
}

/// How a guest's `.wasm` is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildCommand {
    /// A shell command line.
    pub command: String,
    /// Where it runs.
    pub workdir: PathBuf,
}

/// Everything that one guest is configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestSettings {
    /// Its name: in statistics, logs and dead letters, and as sender of what it sends.
    pub name: String,
    /// Its component's file.
    pub path: PathBuf,
    /// The destinations that it listens to, in order.
    pub listens_to: Vec<String>,
    /// What it may do besides.
    pub grants: Grants,
    /// What its calls and instances may use.
    pub limits: GuestLimits,
    /// How its instances are used.
    pub instances: Instances,
    /// When it is not called any more for a while, at each destination for itself; none: it is always called.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// When the whole guest is not called any more for a while, wherever it listens; none: never.
    pub quarantine: Option<Quarantine>,
    /// How long its running calls may finish when it is replaced or unloaded.
    pub drain: Duration,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// Its own configuration, which it reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// How its file is made, where that is known.
    pub build: Option<BuildCommand>,
    /// Whether it is loaded at all.
    pub enabled: bool,
}

impl GuestSettings {
    /// A guest of this name and file, with every default.
    #[must_use]
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            listens_to: Vec::new(),
            grants: Grants::default(),
            limits: GuestLimits::default(),
            instances: Instances::default(),
            circuit_breaker: Some(CircuitBreaker::default()),
            quarantine: Some(Quarantine::default()),
            drain: limits::DRAIN,
            env: BTreeMap::new(),
            config: BTreeMap::new(),
            build: None,
            enabled: true,
        }
    }
}

/// What all guests of a platform share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// Where the platform keeps its own files.
    pub state_dir: PathBuf,
    /// How long running calls may finish at the end.
    pub shutdown_grace: Duration,
    /// Messages that cause messages: the last hop that is allowed.
    pub hops_max: u32,
    /// Synchronous senders that may wait at once.
    pub waiting_requests_max: usize,
    /// Linear memory of all guests together.
    pub total_memory_bytes_max: usize,
    /// Live instances of all guests.
    pub total_instances_max: usize,
    /// Bytes of a component's file.
    pub component_bytes_max: usize,
    /// WebAssembly stack of a call.
    pub stack_bytes_max: usize,
    /// How instances get their memory.
    pub allocator: Allocator,
    /// Where compiled components are kept.
    pub compile_cache: CompileCache,
    /// What compiles components.
    pub compiler: Compiler,
    /// What compiling may use, where it happens in a process of its own.
    pub compile_limits: CompileLimits,
    /// What happens when a guest cannot be loaded at the start.
    pub on_startup_error: OnStartupError,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from(".sandbus"),
            shutdown_grace: limits::SHUTDOWN_GRACE,
            hops_max: sandbus_bus::limits::HOPS_MAX,
            waiting_requests_max: sandbus_bus::limits::WAITING_REQUESTS_MAX,
            total_memory_bytes_max: limits::TOTAL_MEMORY_BYTES_MAX,
            total_instances_max: limits::TOTAL_INSTANCES_MAX,
            component_bytes_max: limits::COMPONENT_BYTES_MAX,
            stack_bytes_max: limits::STACK_BYTES_MAX,
            allocator: Allocator::Pooling,
            compile_cache: CompileCache::Auto,
            compiler: Compiler::default(),
            compile_limits: CompileLimits::default(),
            on_startup_error: OnStartupError::Fail,
        }
    }
}

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// From slots that are made ready once: a fresh instance in microseconds.
    Pooling,
    /// From the operating system, each time.
    OnDemand,
}

/// Where compiled components are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileCache {
    /// In the state directory.
    Auto,
    /// Nowhere.
    Off,
    /// In this directory.
    Path(PathBuf),
}

/// What compiles components. A compiler is a large program that reads hostile input, and no engine promises that it ends
/// soon, in little memory, or without an error of its own.
///
/// The default is the program `sandbus`, looked for in `PATH`: safe, and an error that says what to do where there is none.
/// `sandbus` itself uses its own executable. An embedder either calls
/// [`compiler_main_if_asked`](crate::compiler_main_if_asked) first in its own `main` and names its own executable, or
/// chooses [`Compiler::InProcess`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// A process of its own for each component, within [`CompileLimits`], one at a time: this program, which must be of the
    /// same release. Its machine code is run here, so that it must be trusted as this process is.
    Program(PathBuf),
    /// This process, behind the checks of size and shape alone: a hostile component may cost minutes and gigabytes. For
    /// tests, and for components from people you know.
    InProcess,
}

impl Compiler {
    /// The executable of this process; right where its `main` begins with
    /// [`compiler_main_if_asked`](crate::compiler_main_if_asked).
    #[must_use]
    pub fn own_executable() -> Self {
        // The link leads to the program that runs, also after another was put in its place; its path would not.
        let link = PathBuf::from("/proc/self/exe");
        if link.exists() {
            return Self::Program(link);
        }
        std::env::current_exe().map_or_else(|_| Self::default(), Self::Program)
    }
}

impl Default for Compiler {
    fn default() -> Self {
        Self::Program(PathBuf::from("sandbus"))
    }
}

/// What a compiling process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Its address space.
    pub memory_bytes_max: usize,
    /// Its processor time, in whole seconds.
    pub cpu_max: Duration,
    /// How long it may take, waiting for a processor included.
    pub time_max: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: limits::COMPILE_MEMORY_BYTES_MAX,
            cpu_max: limits::COMPILE_CPU_MAX,
            time_max: limits::COMPILE_TIME_MAX,
        }
    }
}

/// What happens when a guest cannot be loaded at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStartupError {
    /// Nothing starts.
    Fail,
    /// The others start.
    Continue,
}
