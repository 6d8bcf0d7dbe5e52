//! From a file to compiled code: read once, looked at, compiled or fetched from the cache. Nothing of the component runs.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::cache::Compiled;
use super::compile::{Cancel, CompileError};
use super::component::{LoadError, Loaded};
use super::engine::SandboxEngine;
use super::places::Places;
use super::prescan::{ComponentFigures, prescan};

/// A component that is compiled, with the bytes that it was compiled from.
pub(super) struct Opened {
    pub(super) component: Component,
    pub(super) places: Places,
    pub(super) digest: Arc<str>,
    pub(super) bytes: Vec<u8>,
    pub(super) figures: ComponentFigures,
    /// The file's path, as it is shown.
    pub(super) path: String,
}

/// The bytes of a component, and nothing known of them yet.
struct File {
    bytes: Vec<u8>,
    digest: Arc<str>,
    /// Its path, as it is shown.
    shown: String,
}

impl SandboxEngine {
    /// Loads the component at `path`: the file is opened once, and the bytes that are checked are those that run.
    ///
    /// A component of the same bytes that is in use is shared. One that was compiled before comes from the cache. Another is compiled, one at a time, by what
    /// [`RuntimeSettings::compiler`](crate::RuntimeSettings) names; that takes about half a millisecond per KiB. This thread
    /// waits meanwhile: within async code use [`SandboxEngine::load_aside`].
    ///
    /// # Errors
    /// What is wrong with the file or the component.
    pub fn load(&self, path: &Path) -> Result<Arc<Loaded>, LoadError> {
        self.load_unless(path, &Cancel::default())
    }

    /// The same on a thread of its own, so that no worker of the async runtime waits.
    ///
    /// # Errors
    /// As [`SandboxEngine::load`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future ends the compiling process; nothing was loaded.
    pub async fn load_aside(&self, path: &Path) -> Result<Arc<Loaded>, LoadError> {
        struct CancelWhenDropped(Cancel);
        impl Drop for CancelWhenDropped {
            fn drop(&mut self) {
                self.0.cancel();
            }
        }
        let cancel = CancelWhenDropped(Cancel::default());
        let (engine, owned, seen) = (self.clone(), path.to_owned(), cancel.0.clone());
        let loading = tokio::task::spawn_blocking(move || engine.load_unless(&owned, &seen));
        loading.await.unwrap_or_else(|error| {
            let source = CompileError::Died { how: error.to_string() };
            Err(LoadError::NotCompiled { path: path.display().to_string(), source })
        })
    }

    fn load_unless(&self, path: &Path, cancel: &Cancel) -> Result<Arc<Loaded>, LoadError> {
        let file = self.read(path)?;
        if let Some(loaded) = self.in_use.get(&file.digest) {
            return Ok(loaded);
        }
        Ok(self.in_use.share(self.check(&self.compiled(file, cancel)?)?))
    }

    /// Reads, looks at and compiles a component. What it imports and exports was not looked at yet.
    pub(super) fn open(&self, path: &Path, cancel: &Cancel) -> Result<Opened, LoadError> {
        self.compiled(self.read(path)?, cancel)
    }

    fn read(&self, path: &Path) -> Result<File, LoadError> {
        let shown = path.display().to_string();
        let bytes = read(path, &shown, self.component_bytes_max)?;
        let digest = Arc::from(hex(&Sha256::digest(&bytes)));
        Ok(File { bytes, digest, shown })
    }

    fn compiled(&self, file: File, cancel: &Cancel) -> Result<Opened, LoadError> {
        let File { bytes, digest, shown } = file;
        let figures = prescan(&bytes).map_err(|source| LoadError::Prescan { path: shown.clone(), source })?;
        let (component, places) = self.compile(&bytes, &digest, cancel).map_err(|error| match error {
            CompileError::Invalid(reason) => LoadError::Compile { path: shown.clone(), reason },
            source => LoadError::NotCompiled { path: shown.clone(), source },
        })?;
        Ok(Opened { component, places, digest, bytes, figures, path: shown })
    }

    fn compile(
        &self,
        bytes: &[u8],
        digest: &str,
        cancel: &Cancel,
    ) -> Result<(Component, Places), CompileError> {
        let cached = || self.cache.as_ref().and_then(|cache| cache.get(&self.engine, digest));
        let keep = |compiled: Compiled| {
            if let Some(cache) = &self.cache {
                cache.put(digest, compiled);
            }
        };
        if let Some(cached) = cached() {
            return Ok(cached);
        }
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.compile(bytes, cancel, cached, |compiled| {
                let loaded = compiled.load(&self.engine)?;
                keep(compiled);
                Some(loaded)
            });
        }
        let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
        let component = Component::new(&self.engine, bytes).map_err(invalid)?;
        if self.cache.is_some() {
            keep(Compiled::new(&component.serialize().map_err(invalid)?, &Places::default()));
        }
        // Debug information is not read in this process.
        Ok((component, Places::default()))
    }
}

fn read(path: &Path, shown: &str, bytes_max: usize) -> Result<Vec<u8>, LoadError> {
    use std::io::Read;
    let failed = |source| LoadError::Read { path: shown.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let too_large = |bytes| LoadError::TooLarge { path: shown.to_owned(), bytes, bytes_max };
    if length > bytes_max as u64 {
        return Err(too_large(length));
    }
    // The file may have grown since: never read more than one byte beyond the limit.
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bytes_max { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
