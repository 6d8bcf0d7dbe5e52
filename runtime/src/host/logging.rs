//! `wasi:logging`: lines with a level, on the same way as standard output. It drops none by its level: that is the host's
//! log filter.

use wasmtime::component::{ComponentType, Lift, LinkerInstance};

use super::crossing::Crossing;
use super::linking::offer;
use super::log_line::LogLevel;
use super::state::HostState;

#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by the engine, of what a guest gives")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Crossing for Level {
    fn bytes(&self) -> usize {
        0
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
        }
    }
}

pub(super) fn link(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    type Line = (Level, String, String);
    offer(instance, "log", |state, (level, context, text): Line| {
        state.output().log(level.into(), &context, &text);
        Ok(())
    })
}
