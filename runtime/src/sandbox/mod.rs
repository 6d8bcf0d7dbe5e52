//! The sandbox: compiles, checks and instantiates guests, runs one call inside its limits, and says how it ended. It knows
//! no queue, no attempt and no other listener.

mod admission;
mod cache;
mod component;
mod engine;
mod fault;
mod guest;
mod instance;
mod prescan;
mod store;

pub use component::{LoadError, Loaded};
pub use engine::{EngineError, SandboxEngine, config as engine_config};
pub use guest::{Guest, LifecycleError};
pub use prescan::PrescanError;
