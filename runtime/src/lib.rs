//! sandbus: a platform on which sandboxed WebAssembly listeners and senders talk through a message bus.

pub mod limits;

pub mod codec;
pub mod harness;
mod host;
mod pattern;
mod platform;
mod sandbox;
mod settings;

pub use host::{LogLine, LogSink, LogStream};

pub use sandbus_bus as bus;

pub use pattern::{Pattern, PatternError};
pub use platform::{BuildError, Ended, Platform, PlatformConfig, StartError, build};
pub use sandbox::{EngineError, Guest, LifecycleError, LoadError, Loaded, PrescanError, SandboxEngine};
pub use settings::{
    Allocator, BuildCommand, CompileCache, Grants, GuestLimits, GuestSettings, OnStartupError,
    RuntimeSettings,
};
