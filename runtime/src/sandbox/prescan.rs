//! Looks at a component's bytes before they are compiled: is it a component at all, and is it of a size and a shape that
//! compiling can take. Compiling is outside of the engine's security promise, so that bombs end here: in one pass, with
//! memory that the limits bound, without recursion. It validates nothing else; the engine does.

mod counts;
mod scopes;

use wasmparser::{Encoding, Parser, Payload};

use self::counts::Counts;
use self::scopes::Scopes;
use crate::limits::{
    COMPONENT_FUNCTIONS_MAX, COMPONENT_PARTS_MAX, COMPONENT_TYPE_DEPTH_MAX, COMPONENT_TYPE_NODES_MAX,
    FUNCTION_BODY_BYTES_MAX, FUNCTION_PARAMETERS_MAX,
};

/// Why bytes are not a component that may be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrescanError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Source code.
    #[error("it is WebAssembly text, not a binary component")]
    Text,
    /// Machine code that somebody else compiled.
    #[error("it is precompiled machine code, which is never trusted; give the component itself")]
    Precompiled,
    /// Something else.
    #[error("it is not WebAssembly")]
    NotWebAssembly,
    /// A module.
    #[error("it is a core module, not a component")]
    CoreModule,
    /// Cut off, or never one.
    #[error("it is not a WebAssembly component, or a damaged one: {0}")]
    Damaged(String),
    /// Too many functions.
    #[error("it has more than {COMPONENT_FUNCTIONS_MAX} functions")]
    TooManyFunctions,
    /// One function is too large.
    #[error("one of its functions has {0} bytes; it may have {FUNCTION_BODY_BYTES_MAX}")]
    FunctionTooLarge(usize),
    /// One function takes and returns too much.
    #[error("one of its functions has {0} parameters and results; it may have {FUNCTION_PARAMETERS_MAX}")]
    FunctionTooWide(usize),
    /// Too many parts.
    #[error("it has more than {COMPONENT_PARTS_MAX} nested modules and components")]
    TooManyParts,
    /// Too many of something else.
    #[error("it has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A type that is small in the file and huge when written out.
    #[error("one of its types has more than {COMPONENT_TYPE_NODES_MAX} parts when it is written out")]
    TypeTooLarge,
    /// A type within a type within a type.
    #[error("its types are nested more than {COMPONENT_TYPE_DEPTH_MAX} deep")]
    TypeTooDeep,
    /// A part that is to be instantiated, but comes from outside.
    #[error(
        "a component in it takes another component as an import or out of an instance, which is not supported"
    )]
    TakesComponent,
}

/// What a component consists of, all its parts together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentFigures {
    /// Functions with a body.
    pub functions: usize,
    /// Bytes of the largest body.
    pub function_bytes_largest: usize,
    /// Locals and parameters of all functions.
    pub locals: usize,
    /// Nested core modules and components.
    pub parts: usize,
    /// Instances that are made of them.
    pub instances: usize,
    /// Types and declarations within types.
    pub types: usize,
    /// Imports.
    pub imports: usize,
    /// Exports, aliases and canonical functions.
    pub exports: usize,
    /// Globals.
    pub globals: usize,
    /// Data and element segments.
    pub segments: usize,
    /// Elements in segments.
    pub elements: usize,
    /// Bytes of the names of imports and exports.
    pub name_bytes: usize,
}

/// Looks at `bytes`. It takes time that is linear in their number, and no recursion: it is meant for hostile ones.
///
/// # Errors
/// What they are, if they are not a component that may be compiled.
pub fn prescan(bytes: &[u8]) -> Result<ComponentFigures, PrescanError> {
    first_look(bytes)?;
    let mut scan = Scan { bytes, counts: Counts::default(), scopes: Scopes::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        scan.payload(payload.map_err(damaged)?)?;
    }
    Ok(scan.counts.figures)
}

/// What the first bytes tell.
fn first_look(bytes: &[u8]) -> Result<(), PrescanError> {
    if bytes.is_empty() {
        return Err(PrescanError::Empty);
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(PrescanError::Precompiled);
    }
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    let text = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let looks_like_text = matches!(text, Some(b'(')) || bytes.starts_with(b";;");
    Err(match (looks_like_text, b"\0asm".starts_with(bytes)) {
        (true, _) => PrescanError::Text,
        (false, true) => PrescanError::Damaged("it ends within its first four bytes".to_owned()),
        (false, false) => PrescanError::NotWebAssembly,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn damaged(error: wasmparser::Error) -> PrescanError {
    PrescanError::Damaged(error.to_string())
}

/// One pass over a component.
struct Scan<'a> {
    bytes: &'a [u8],
    counts: Counts,
    scopes: Scopes,
}

impl Scan<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), PrescanError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if self.scopes.is_outermost() => {
                return Err(PrescanError::CoreModule);
            }
            Payload::Version { .. } => self.scopes.open(),
            Payload::End(_) => self.counts.instances(self.scopes.close())?,
            Payload::ModuleSection { .. } => self.counts.part()?,
            Payload::ComponentSection { .. } => {
                self.counts.part()?;
                self.scopes.component_follows();
            }
            other => {
                self.core(&other)?;
                self.component(other)?;
            }
        }
        Ok(())
    }

    /// Sections of core modules.
    fn core(&mut self, payload: &Payload<'_>) -> Result<(), PrescanError> {
        let counts = &mut self.counts;
        match payload {
            Payload::TypeSection(types) => {
                for group in types.clone() {
                    for core_type in group.map_err(damaged)?.types() {
                        self.scopes.core_type(counts.core_type(core_type)?);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let import = import.map_err(damaged)?;
                    counts.import(import.module.len().saturating_add(import.name.len()))?;
                }
            }
            Payload::FunctionSection(functions) => {
                for core_type in functions.clone() {
                    counts.locals(self.scopes.parameters(core_type.map_err(damaged)?))?;
                }
            }
            Payload::GlobalSection(globals) => counts.globals(globals.count())?,
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    counts.export(export.map_err(damaged)?.name.len())?;
                }
            }
            Payload::ElementSection(segments) => {
                for segment in segments.clone() {
                    counts.element_segment(&segment.map_err(damaged)?)?;
                }
            }
            Payload::DataSection(segments) => counts.segments(segments.count())?,
            Payload::CodeSectionStart { count, .. } => counts.functions(*count)?,
            Payload::CodeSectionEntry(body) => counts.body(body)?,
            _ => {}
        }
        Ok(())
    }

    /// Sections of components.
    fn component(&mut self, payload: Payload<'_>) -> Result<(), PrescanError> {
        let (counts, scopes) = (&mut self.counts, &mut self.scopes);
        match payload {
            Payload::CoreTypeSection(types) => counts.types(types.count())?,
            Payload::ComponentTypeSection(types) => {
                let section = self.bytes.get(types.range()).unwrap_or_default();
                scopes.component_types(section, counts)?;
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    instance.map_err(damaged)?;
                    scopes.core_instance();
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    scopes.instance(&instance.map_err(damaged)?);
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    scopes.alias(&alias.map_err(damaged)?, counts)?;
                }
            }
            Payload::ComponentCanonicalSection(functions) => counts.links(functions.count())?,
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    scopes.import(&import.map_err(damaged)?, counts)?;
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    scopes.export(&export.map_err(damaged)?, counts)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
