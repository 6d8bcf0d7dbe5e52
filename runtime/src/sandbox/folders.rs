//! Folders of the host that a guest was granted. They are opened for each instance; that they are there is looked at when the
//! guest is loaded. That nothing leads out of them is for `wasmtime-wasi` to see to, and for our tests.

use std::io;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::grants::{FileAccess, FileGrant};

/// Adds the folder to what an instance finds.
///
/// # Errors
/// When it cannot be opened any more.
pub(super) fn open(wasi: &mut WasiCtxBuilder, grant: &FileGrant) -> wasmtime::Result<()> {
    let permissions = match grant.access() {
        FileAccess::ReadOnly => FsPerms::ReadOnly,
        FileAccess::ReadWrite => FsPerms::ReadWrite,
    };
    match wasi.preopened_dir(grant.host_path(), grant.guest_path(), permissions) {
        Ok(_) => Ok(()),
        Err(error) => Err(wasmtime::Error::msg(format!(
            "cannot open the folder `{}`, granted as `{}` (`grants.files`): {error:#}",
            grant.host_path().display(),
            grant.guest_path(),
        ))),
    }
}

/// Whether the folder is there, and is one.
///
/// # Errors
/// Why it cannot be opened.
pub(crate) fn look(grant: &FileGrant) -> io::Result<()> {
    std::fs::read_dir(grant.host_path()).map(drop)
}
