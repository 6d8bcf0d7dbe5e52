//! Compiled components on disk, by the digest of the component and the version of the engine. A file that is not exactly
//! what this engine wrote is compiled anew, never trusted.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The cache's own directory.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    directory: PathBuf,
    engine_hash: u64,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{path}` as cache of compiled components")]
pub struct CacheError {
    path: String,
    #[source]
    source: std::io::Error,
}

/// Bytes of the checksum in front of the machine code.
const CHECKSUM_BYTES: usize = 32;

impl Cache {
    /// Opens the cache in `directory`, which is made, for this user alone, if it is not there.
    pub(super) fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        make_private(directory)
            .map_err(|source| CacheError { path: directory.display().to_string(), source })?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory: directory.to_owned(), engine_hash: hasher.finish() })
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}-{:016x}.cwasm", self.engine_hash))
    }

    /// The compiled component of this digest, if it is here and whole.
    pub(super) fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.file(digest);
        let bytes = std::fs::read(&path).ok()?;
        let (checksum, code) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        if Sha256::digest(code).as_slice() != checksum {
            tracing::warn!(path = %path.display(), "damaged entry in the cache of compiled components: compiling anew");
            return None;
        }
        deserialize(engine, code)
    }

    /// Keeps a compiled component. A failure costs the next start some time, so that it is said and not more.
    pub(super) fn put(&self, digest: &str, component: &Component) {
        if let Err(error) = self.write(digest, component) {
            tracing::warn!(directory = %self.directory.display(), error, "cannot keep a compiled component");
        }
    }

    fn write(&self, digest: &str, component: &Component) -> Result<(), String> {
        let code = component.serialize().map_err(|error| format!("{error:#}"))?;
        let path = self.file(digest);
        // Written beside and renamed, so that a reader sees a whole file or none.
        let beside =
            self.directory.join(format!("{digest}.{}.{:016x}.tmp", std::process::id(), fastrand::u64(..)));
        let mut bytes = Sha256::digest(&code).to_vec();
        bytes.extend_from_slice(&code);
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Turns cached machine code into a component.
#[allow(unsafe_code, reason = "wasmtime offers no other way to load compiled code")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `deserialize` runs the machine code it is given, so that the code must come from `Component::serialize`.
    // These bytes come from a directory of our own, which only this user can write to (mode 0700, checked when opened);
    // their checksum is that of what we wrote there; and wasmtime itself refuses code of another version or other settings.
    unsafe { Component::deserialize(engine, code) }.ok()
}

#[cfg(unix)]
fn make_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let metadata = std::fs::metadata(directory)?;
    let own = std::fs::metadata("/proc/self").map_or(metadata.uid(), |process| process.uid());
    if metadata.uid() != own {
        return Err(std::io::Error::other("it belongs to another user, whose machine code would be run"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}
