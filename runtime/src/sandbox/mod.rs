//! The sandbox: compiles, checks and instantiates guests, runs one call inside its limits, and says how it ended. It knows
//! no queue, no attempt and no other listener.

mod batch;
mod bounded;
mod build;
mod cache;
mod compile;
mod compile_main;
mod component;
mod counts;
mod cut;
mod debug_lines;
mod engine;
mod fault;
mod folders;
mod gauge;
mod guest;
mod in_use;
mod inspection;
mod instance;
mod listening;
mod load;
mod places;
mod policies;
mod pool;
mod prescan;
mod report;
mod store;
mod sweep;
mod told;

pub(crate) use build::Build;
pub use build::LifecycleError;
pub use compile::CompileError;
pub use compile_main::compiler_main_if_asked;
pub use component::{LoadError, Loaded};
pub(crate) use cut::CutBy;
pub use engine::{EngineError, SandboxEngine, config as engine_config};
pub(crate) use folders::look as look_at_folder;
pub(crate) use gauge::Gauge;
pub(crate) use guest::Guest;
pub use inspection::Inspection;
pub use listening::MessagingInterface;
pub use prescan::{ComponentFigures, PrescanError, prescan};
#[cfg(test)]
pub(crate) use report::code as fault_code;
pub(crate) use report::tracing_faults;
pub use report::{FaultFrame, FaultReport, FaultSink};
