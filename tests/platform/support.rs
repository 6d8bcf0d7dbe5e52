//! What the tests share: one engine, the built guests, and a bound on every wait.

use std::path::PathBuf;
use std::sync::OnceLock;

use sandbus::bus::DestinationConfig;
use sandbus::harness::{Harness, HarnessBuilder};
use sandbus::{Allocator, CompileCache, GuestSettings, RuntimeSettings, SandboxEngine};

/// The engine that all tests share; what it compiled stays on disk between runs.
pub(crate) fn engine() -> SandboxEngine {
    static ENGINE: OnceLock<SandboxEngine> = OnceLock::new();
    ENGINE.get_or_init(|| SandboxEngine::new(&runtime()).expect("the engine starts")).clone()
}

/// Settings for tests: many small platforms in one process, so that a pool of 1,000 slots each would be in the way.
pub(crate) fn runtime() -> RuntimeSettings {
    RuntimeSettings {
        state_dir: state_dir(),
        compile_cache: CompileCache::Path(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled")),
        allocator: Allocator::Pooling,
        total_instances_max: 300,
        total_memory_bytes_max: 4 << 30,
        ..RuntimeSettings::default()
    }
}

fn state_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("state")
}

/// A sample guest of this crate name, under this name in the platform.
pub(crate) fn sample(crate_name: &str, name: &str) -> GuestSettings {
    GuestSettings::new(name, format!("{}/{crate_name}.wasm", env!("SAMPLE_GUESTS")))
}

/// A test guest of this crate name, listening to these destinations.
pub(crate) fn guest(crate_name: &str, name: &str, listens_to: &[&str]) -> GuestSettings {
    let mut settings = GuestSettings::new(name, format!("{}/{crate_name}.wasm", env!("TEST_GUESTS")));
    settings.listens_to = listens_to.iter().map(ToString::to_string).collect();
    settings
}

/// A harness on the shared engine.
pub(crate) fn harness() -> HarnessBuilder {
    Harness::builder().engine(engine()).runtime(runtime())
}

pub(crate) fn serial(name: &str) -> DestinationConfig {
    DestinationConfig::serial(name).expect("a legal name")
}

pub(crate) fn parallel(name: &str) -> DestinationConfig {
    DestinationConfig::parallel(name).expect("a legal name")
}

pub(crate) fn synchronous(name: &str) -> DestinationConfig {
    DestinationConfig::synchronous(name).expect("a legal name")
}

/// Grants as a manifest would write them.
pub(crate) trait Granting {
    /// Grants sending to these names or patterns.
    fn may_send(self, patterns: &[&str]) -> Self;
}

impl Granting for GuestSettings {
    fn may_send(mut self, patterns: &[&str]) -> Self {
        self.grants.send = patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        self
    }
}
