//! sandbus: a platform on which sandboxed WebAssembly listeners and senders talk through a message bus.

pub mod limits;

pub mod cli;
pub mod codec;
pub mod diagnostic;
mod grants;
pub mod harness;
mod host;
pub mod manifest;
mod pattern;
mod platform;
mod sandbox;
mod settings;

#[doc(hidden)]
pub use host::foreign_codec;
pub use host::{LogLevel, LogLine, LogSink, LogStream};

pub use sandbus_bus as bus;

pub use grants::{FileAccess, FileGrant, FileGrantError, Grants};
pub use pattern::{Pattern, PatternError};
pub use platform::{
    BuildError, Ended, GuestError, GuestState, GuestStatus, Platform, PlatformConfig, Replaced, StartError,
    build,
};
#[doc(hidden)]
pub use sandbox::engine_config;
pub use sandbox::{
    CompileError, ComponentFigures, EngineError, FaultFrame, FaultReport, FaultSink, Inspection,
    LifecycleError, LoadError, Loaded, MessagingInterface, PrescanError, SandboxEngine,
    compiler_main_if_asked, prescan,
};
pub use settings::{
    Allocator, BuildCommand, CompileCache, CompileLimits, Compiler, GuestLimits, GuestSettings,
    InstancePolicy, Instances, OnStartupError, Quarantine, RuntimeSettings,
};
