//! What a loaded component is, and why one is not: compares what it imports and exports with what the host offers and calls.
//! Every error names what is wrong; nothing of the component has run by then.

use std::sync::Arc;

use wasmtime::component::types::Component as Types;
use wasmtime::component::{InstancePre, Linker};

use super::compile::CompileError;
use super::engine::SandboxEngine;
use super::listening::{Listening, MessagingInterface, Received, Recognised, Shape, recognise};
use super::load::Opened;
use super::places::Places;
use super::prescan::{ComponentFigures, PrescanError};
use crate::host::bindings::exports::sandbus::bus::lifecycle;
use crate::host::bindings::exports::sandbus::bus::message_listener_batch::{self, BatchedMessage};
use crate::host::{HostState, OFFERED, is_offered, link};
use crate::limits::TABLES_PER_SLOT;

pub(super) const LISTENER: &str = "sandbus:bus/message-listener@0.1.0";
/// Beside the listener, for several messages in one call.
pub(super) const BATCH: &str = "sandbus:bus/message-listener-batch@0.1.0";
const LIFECYCLE: &str = "sandbus:bus/lifecycle@0.1.0";

/// A component that was compiled and checked.
pub struct Loaded {
    pub(super) pre: InstancePre<HostState>,
    pub(super) listener: Option<Listening>,
    /// Where it takes several messages in one call.
    pub(super) batch: Option<Arc<message_listener_batch::GuestIndices>>,
    pub(super) lifecycle: Option<Arc<lifecycle::GuestIndices>>,
    /// Where in the source its instructions stand.
    pub(super) places: Arc<Places>,
    /// SHA-256 of the component's bytes, in hexadecimal.
    pub digest: Arc<str>,
    /// Bytes of the component.
    pub bytes: usize,
    /// What it consists of.
    pub figures: ComponentFigures,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// Exports by which it could receive as well; they are not called.
    pub passed_over: Vec<String>,
}

/// Why a component cannot be loaded. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error("cannot read `{path}`")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("`{path}` has {bytes} bytes; a component may have {bytes_max} (`runtime.max-component-size`)")]
    TooLarge {
        /// Which file.
        path: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        bytes_max: usize,
    },
    /// It is not a component that may be compiled.
    #[error("`{path}` cannot be loaded: {source}")]
    Prescan {
        /// Which file.
        path: String,
        /// What is wrong with it.
        source: PrescanError,
    },
    /// The compiler refuses it.
    #[error("`{path}` does not compile: {reason}")]
    Compile {
        /// Which file.
        path: String,
        /// What the compiler says.
        reason: String,
    },
    /// The compiler was stopped, or there is none.
    #[error("`{path}` cannot be compiled: {source}")]
    NotCompiled {
        /// Which file.
        path: String,
        /// Why not.
        source: CompileError,
    },
    /// It needs what the host does not offer.
    #[error("`{path}` imports what the host does not offer: {}; offered are {}", list(missing), OFFERED.join(", "))]
    MissingImports {
        /// Which file.
        path: String,
        /// The imports.
        missing: Vec<String>,
    },
    /// An import is offered, but not with this type.
    #[error("`{path}` imports something that the host offers in another form: {reason}")]
    ImportType {
        /// Which file.
        path: String,
        /// What the engine says.
        reason: String,
    },
    /// It exports nothing that the host could call.
    #[error(
        "`{path}` exports neither `{LISTENER}` nor `{LIFECYCLE}`, nor the handler of another messaging interface that is \
         known here; its exports are {}",
        list(exports)
    )]
    NoExport {
        /// Which file.
        path: String,
        /// What it exports.
        exports: Vec<String>,
    },
    /// It takes several messages in one call, and none alone.
    #[error(
        "`{path}` exports `{BATCH}` and not `{LISTENER}`, by which it would receive what does not come with others"
    )]
    BatchAlone {
        /// Which file.
        path: String,
    },
    /// An export has another type than the contract says.
    #[error("`{path}` exports `{export}` with a type that is not the contract's: {reason}")]
    ExportType {
        /// Which file.
        path: String,
        /// Which function.
        export: String,
        /// Where the types differ.
        reason: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

impl SandboxEngine {
    /// Compares what a component imports and exports with what the host offers and calls.
    pub(super) fn check(&self, opened: &Opened) -> Result<Loaded, LoadError> {
        let Opened { component, places, digest, bytes, figures, path } = opened;
        let (digest, path) = (Arc::clone(digest), path.clone());
        let types = component.component_type();
        // Sorted: their order in the file is the toolchain's, and changes from build to build.
        let mut imports: Vec<String> = types.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let mut exports: Vec<String> = types.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        imports.sort();
        exports.sort();
        let missing: Vec<String> = imports.iter().filter(|name| !is_offered(name)).cloned().collect();
        if !missing.is_empty() {
            return Err(LoadError::MissingImports { path, missing });
        }
        let import_error = |error| LoadError::ImportType { path: path.clone(), reason: format!("{error:#}") };
        let linker = self.linker(&types).map_err(import_error)?;
        // With the host's resources in it: a message that is a resource must be the host's own.
        let types = linker.substituted_component_type(component).map_err(import_error)?;
        let shape = Shape { types: &types, engine: &self.engine };
        let type_error = |(export, reason)| LoadError::ExportType { path: path.clone(), export, reason };
        let recognised =
            recognise(&exports, |interface, export| shape.fits(interface, export)).map_err(type_error)?;
        let lifecycle = exports.iter().any(|export| export == LIFECYCLE);
        if recognised.is_none() && !lifecycle && !exports.iter().any(|export| export == BATCH) {
            return Err(LoadError::NoExport { path, exports });
        }
        let batch = exports.iter().any(|export| export == BATCH);
        if batch {
            type Answered = (Vec<Received>,);
            let ours = |found: &Recognised| found.interface == MessagingInterface::Sandbus;
            if !recognised.as_ref().is_some_and(ours) {
                return Err(LoadError::BatchAlone { path });
            }
            shape
                .function::<(&str, &[BatchedMessage<'_>], bool), Answered>(BATCH, "receive-batch")
                .map_err(type_error)?;
        }
        if lifecycle {
            shape.function::<(), (Result<(), String>,)>(LIFECYCLE, "activate").map_err(type_error)?;
            shape.function::<(), ()>(LIFECYCLE, "deactivate").map_err(type_error)?;
        }
        let pre = linker.instantiate_pre(component).map_err(import_error)?;
        let listener = recognised.as_ref().map(|found| Listening::new(found, component, &pre)).transpose();
        let listener = listener.map_err(import_error)?;
        let batch = batch.then(|| message_listener_batch::GuestIndices::new(&pre)).transpose();
        let batch = batch.map_err(import_error)?.map(Arc::new);
        let lifecycle = lifecycle.then(|| lifecycle::GuestIndices::new(&pre).ok()).flatten().map(Arc::new);
        let passed_over = recognised.map(|found| found.passed_over).unwrap_or_default();
        if let (Some(listener), false) = (&listener, passed_over.is_empty()) {
            let (taken, others) = (listener.interface().name(), passed_over.join(", "));
            tracing::info!(component = path, taken, others, "it can receive by several interfaces");
        }
        Ok(Loaded {
            pre,
            listener,
            batch,
            lifecycle,
            places: Arc::new(places.clone()),
            digest,
            bytes: bytes.len(),
            figures: *figures,
            imports,
            exports,
            passed_over,
        })
    }

    /// A linker with everything that the host offers, for a component of this type.
    fn linker(&self, types: &Types) -> wasmtime::Result<Linker<HostState>> {
        let mut linker = Linker::new(&self.engine);
        link(&mut linker, types.imports(&self.engine).map(|(name, import)| (name, import.ty)))?;
        Ok(linker)
    }
}

impl Loaded {
    /// Whether it can receive messages.
    #[must_use]
    pub fn is_listener(&self) -> bool {
        self.listener.is_some()
    }

    /// The interface by which it receives messages.
    #[must_use]
    pub fn messaging_interface(&self) -> Option<MessagingInterface> {
        self.listener.as_ref().map(Listening::interface)
    }

    /// Whether it takes several messages in one call.
    #[must_use]
    pub fn takes_batches(&self) -> bool {
        self.batch.is_some()
    }

    /// Whether it exports `lifecycle`.
    #[must_use]
    pub fn has_lifecycle(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// How many slots an instance takes: what the pool has of memories and tables for one slot is not for one that has many.
    pub(super) fn slots(&self) -> u32 {
        let needs = self.pre.component().resources_required();
        let (memories, tables) = needs.map_or((1, 1), |needs| (needs.num_memories, needs.num_tables));
        memories.max(tables.div_ceil(TABLES_PER_SLOT)).max(1)
    }

    /// The first eight characters of its digest, which name a build in logs and dead letters.
    #[must_use]
    pub fn build(&self) -> Arc<str> {
        self.digest.chars().take(8).collect::<String>().into()
    }
}
