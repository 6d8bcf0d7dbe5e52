//! Errors as a person or a program reads them: one table of codes, one type of problem, one place that prints. It
//! decides nothing: what is wrong is found elsewhere.

mod table;

mod code;
mod json;
mod plain;
mod problem;
mod render;

pub use code::Code;
pub use problem::{Label, Note, Problem, Problems, Severity, Source};
pub use render::RenderOptions;
