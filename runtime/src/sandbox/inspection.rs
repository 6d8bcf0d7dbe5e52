//! What a component is, whether it loads or not: for those who want to know why. It decides nothing that loading does not.

use std::path::Path;
use std::sync::Arc;

use wasmparser::{KnownCustom, Parser, Payload};

use super::compile::Cancel;
use super::component::{LoadError, Loaded};
use super::engine::SandboxEngine;
use super::prescan::ComponentFigures;
use crate::host::{escaped, is_offered};

/// What is known of a component that compiles.
#[non_exhaustive]
pub struct Inspection {
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: Arc<str>,
    /// The bytes themselves.
    pub bytes: Vec<u8>,
    /// What it consists of.
    pub figures: ComponentFigures,
    /// The names of its imports, and whether the host offers an interface of that name.
    pub imports: Vec<(String, bool)>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// What it was made with, as it says itself.
    pub producers: Vec<String>,
    /// The component, or why it does not load.
    pub loaded: Result<Loaded, LoadError>,
}

/// Tools that are told of what a component was made with.
const PRODUCERS_MAX: usize = 8;

impl SandboxEngine {
    /// Looks at the component at `path`, and says what fits and what is missing. Nothing of it runs.
    ///
    /// # Errors
    /// When it cannot be read or compiled; what it imports and exports is not known then.
    pub fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        let opened = self.open(path, &Cancel::default())?;
        let types = opened.component.component_type();
        let mut imports: Vec<(String, bool)> =
            types.imports(&self.engine).map(|(name, _)| (name.to_owned(), is_offered(name))).collect();
        let mut exports: Vec<String> = types.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        imports.sort();
        exports.sort();
        let loaded = self.check(&opened);
        let producers = producers(&opened.bytes);
        Ok(Inspection {
            digest: opened.digest,
            figures: opened.figures,
            bytes: opened.bytes,
            imports,
            exports,
            producers,
            loaded,
        })
    }
}

/// The language and tools that a component names, each once: `rustc 1.95.0`.
fn producers(bytes: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(Payload::CustomSection(custom)) = payload else { continue };
        let KnownCustom::Producers(fields) = custom.as_known() else { continue };
        let named = fields.into_iter().flatten().filter(|field| field.name == "processed-by");
        for tool in named.flat_map(|field| field.values.into_iter().flatten()) {
            let version = tool.version.split(' ').next().unwrap_or_default();
            let text = escaped(&format!("{} {version}", tool.name).chars().take(80).collect::<String>());
            if !found.contains(&text) && found.len() < PRODUCERS_MAX {
                found.push(text);
            }
        }
    }
    found
}
