//! What a loaded component is, and why one is not: compares what it imports and exports with what the host offers and calls.
//! Every error names what is wrong; nothing of the component has run by then.

use std::sync::Arc;

use wasmtime::component::types::{Component as Types, ComponentInstance as InstanceTypes, ComponentItem};
use wasmtime::component::{InstancePre, Linker};

use super::compile::CompileError;
use super::engine::SandboxEngine;
use super::load::Opened;
use super::prescan::{ComponentFigures, PrescanError};
use crate::host::bindings::exports::sandbus::bus::{lifecycle, message_listener};
use crate::host::{HostState, OFFERED, is_offered, link};

const LISTENER: &str = "sandbus:bus/message-listener@0.1.0";
const LIFECYCLE: &str = "sandbus:bus/lifecycle@0.1.0";

/// A component that was compiled and checked.
#[derive(Clone)]
pub struct Loaded {
    pub(super) pre: InstancePre<HostState>,
    pub(super) listener: Option<Arc<message_listener::GuestIndices>>,
    pub(super) lifecycle: Option<Arc<lifecycle::GuestIndices>>,
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
    #[error("`{path}` exports neither `{LISTENER}` nor `{LIFECYCLE}`; its exports are {}", list(exports))]
    NoExport {
        /// Which file.
        path: String,
        /// What it exports.
        exports: Vec<String>,
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
        let Opened { component, digest, bytes, figures, path } = opened;
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
        let exported = |name| match types.get_export(&self.engine, name).map(|export| export.ty) {
            Some(ComponentItem::ComponentInstance(instance)) => Some(instance),
            _ => None,
        };
        let (listener, lifecycle) = (exported(LISTENER), exported(LIFECYCLE));
        if listener.is_none() && lifecycle.is_none() {
            return Err(LoadError::NoExport { path, exports });
        }
        let type_error = |(export, reason)| LoadError::ExportType { path: path.clone(), export, reason };
        let cx = types.instance_type();
        let check = Check { engine: self, cx: &cx };
        if let Some(instance) = &listener {
            check.listener(instance).map_err(type_error)?;
        }
        if let Some(instance) = &lifecycle {
            check.lifecycle(instance).map_err(type_error)?;
        }
        let pre = self
            .linker(&types)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(|error| LoadError::ImportType { path: path.clone(), reason: format!("{error:#}") })?;
        let listener = listener.and_then(|_| message_listener::GuestIndices::new(&pre).ok()).map(Arc::new);
        let lifecycle = lifecycle.and_then(|_| lifecycle::GuestIndices::new(&pre).ok()).map(Arc::new);
        Ok(Loaded {
            pre,
            listener,
            lifecycle,
            digest,
            bytes: bytes.len(),
            figures: *figures,
            imports,
            exports,
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
    /// Whether it exports `message-listener`.
    #[must_use]
    pub fn is_listener(&self) -> bool {
        self.listener.is_some()
    }

    /// Whether it exports `lifecycle`.
    #[must_use]
    pub fn has_lifecycle(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// The first eight characters of its digest, which name a build in logs and dead letters.
    #[must_use]
    pub fn build(&self) -> Arc<str> {
        self.digest.chars().take(8).collect::<String>().into()
    }
}

/// Compares the types of exported functions with the contract's, without instantiating anything.
struct Check<'a> {
    engine: &'a SandboxEngine,
    cx: &'a wasmtime::component::__internal::InstanceType<'a>,
}

type Mismatch = (String, String);

impl Check<'_> {
    fn listener(&self, instance: &InstanceTypes) -> Result<(), Mismatch> {
        use message_listener::{Failure, Message, Reply};
        self.function::<(Message<'_>,), (Result<Option<Reply>, Failure>,)>(instance, LISTENER, "receive")
    }

    fn lifecycle(&self, instance: &InstanceTypes) -> Result<(), Mismatch> {
        self.function::<(), (Result<(), String>,)>(instance, LIFECYCLE, "activate")?;
        self.function::<(), ()>(instance, LIFECYCLE, "deactivate")
    }

    fn function<P, R>(&self, instance: &InstanceTypes, interface: &str, name: &str) -> Result<(), Mismatch>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        let mismatch = |reason: String| (format!("{interface}#{name}"), reason);
        match instance.get_export(&self.engine.engine, name).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(function)) => {
                function.typecheck::<P, R>(self.cx).map_err(|error| mismatch(format!("{error:#}")))
            }
            Some(_) => Err(mismatch("it is not a function".to_owned())),
            None => Err(mismatch("it is missing".to_owned())),
        }
    }
}
