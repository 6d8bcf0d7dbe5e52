//! Compiled components on disk, by the digest of the component and the version of the engine. A file that is not exactly
//! what this engine wrote is compiled anew, never trusted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::places::Places;

/// A checksum, the table of places behind its length, and machine code: what stands in a file of the cache, and what a compiling process answers.
pub(super) struct Compiled(Vec<u8>);

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

/// How the files below are laid out. It stands in their names, so that another layout is not taken for damage: to be raised
/// with every change of it, and of what the table of places has in it.
const LAYOUT: u32 = 1;

/// Bytes of the checksum in front of the machine code.
const CHECKSUM_BYTES: usize = 32;

/// How old a file is that nobody will finish any more.
const UNFINISHED_AGE: Duration = Duration::from_secs(3_600);

impl Compiled {
    /// Puts the checksum in front of what was just made.
    pub(super) fn new(code: &[u8], places: &Places) -> Self {
        let places = places.to_bytes();
        let mut bytes = vec![0; CHECKSUM_BYTES];
        bytes.extend((places.len() as u64).to_le_bytes());
        bytes.extend(places);
        bytes.extend_from_slice(code);
        let (checksum, rest) = bytes.split_at_mut(CHECKSUM_BYTES);
        checksum.copy_from_slice(&Sha256::digest(rest));
        Self(bytes)
    }

    /// Takes what was written elsewhere, if it is whole.
    pub(super) fn checked(bytes: Vec<u8>) -> Option<Self> {
        let (checksum, code) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        (Sha256::digest(code).as_slice() == checksum).then_some(Self(bytes))
    }

    /// The table and the code.
    fn parts(&self) -> Option<(&[u8], &[u8])> {
        let (length, rest) = self.0.get(CHECKSUM_BYTES..)?.split_first_chunk()?;
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Turns machine code into a component, with its places; none if the engine finds that it is another one's.
    #[allow(unsafe_code, reason = "wasmtime offers no other way to load compiled code")]
    pub(super) fn load(&self, engine: &Engine) -> Option<(Component, Places)> {
        let (places, code) = self.parts()?;
        // SAFETY: `deserialize` runs the machine code it is given, so that the code must come from `Component::serialize`
        // or `Engine::precompile_component`. A `Compiled` has three sources. Two are this process's own compiler and one
        // that it started itself, of a program that it trusts as itself, whose answer came over a pipe that nobody else
        // holds. The third is a file of the cache, a directory of our own, which only this user can write to (mode 0700,
        // checked when opened). The checksum tells that nothing is missing, and wasmtime itself refuses code of another
        // version or other settings.
        let component = unsafe { Component::deserialize(engine, code) }.ok()?;
        Some((component, Places::from_bytes(places)))
    }
}

impl Cache {
    /// Opens the cache in `directory`, which is made, for this user alone, if it is not there.
    pub(super) fn open(directory: &Path, engine_hash: u64) -> Result<Self, CacheError> {
        make_private(directory)
            .map_err(|source| CacheError { path: directory.display().to_string(), source })?;
        remove_unfinished(directory);
        Ok(Self { directory: directory.to_owned(), engine_hash })
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}-{:016x}-{LAYOUT}.cwasm", self.engine_hash))
    }

    /// The compiled component of this digest, if it is here and whole.
    pub(super) fn get(&self, engine: &Engine, digest: &str) -> Option<(Component, Places)> {
        let path = self.file(digest);
        std::fs::symlink_metadata(&path).ok()?;
        let bytes = is_own(&path).then(|| std::fs::read(&path).ok()).flatten();
        let found = bytes.and_then(Compiled::checked).and_then(|compiled| compiled.load(engine));
        if found.is_none() {
            tracing::warn!(path = %path.display(), "damaged entry in the cache of compiled components: compiling anew");
            // It is not looked at again; where it cannot be removed it is replaced.
            let _ = std::fs::remove_file(&path);
        }
        found
    }

    /// Keeps a compiled component. A failure costs the next start some time, so that it is said and not more.
    pub(super) fn put(&self, digest: &str, compiled: Compiled) {
        let path = self.file(digest);
        // Written beside and renamed, so that a reader sees a whole file or none.
        let beside = self.directory.join(format!(
            "{digest}.{}.{:016x}.{UNFINISHED}",
            std::process::id(),
            fastrand::u64(..)
        ));
        let written =
            write_private(&beside, &compiled.into_bytes()).and_then(|()| std::fs::rename(&beside, &path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot keep a compiled component");
            let _ = std::fs::remove_file(&beside);
        }
    }
}

/// The ending of a file that is being written.
const UNFINISHED: &str = "tmp";

/// Removes what a host that was killed had begun to write.
fn remove_unfinished(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let age = path.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        let is_old = matches!(age, Ok(Ok(age)) if age > UNFINISHED_AGE);
        if is_old && path.extension().is_some_and(|ending| ending == UNFINISHED) {
            let _ = std::fs::remove_file(&path);
        }
    }
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
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    }
    if mode & 0o022 != 0 {
        // Others could put machine code here until now.
        empty(directory)?;
    }
    Ok(())
}

/// Removes every entry of a cache that others could write to.
#[cfg(unix)]
fn empty(directory: &Path) -> std::io::Result<()> {
    let mut removed = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "cwasm") {
            std::fs::remove_file(&path)?;
            removed += 1;
        }
    }
    if removed > 0 {
        let path = directory.display();
        tracing::warn!(%path, removed, "the cache of compiled components could be written by others: emptied");
    }
    Ok(())
}

/// Whether a file is a plain one that only this user can have written.
#[cfg(unix)]
fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (Ok(file), Ok(own)) = (std::fs::symlink_metadata(path), std::fs::metadata("/proc/self")) else {
        return false;
    };
    file.is_file() && file.uid() == own.uid() && file.permissions().mode() & 0o022 == 0
}

/// Writes a new file for this user alone, whatever the mask of the process says.
#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    true
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}
