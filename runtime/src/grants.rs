//! What a guest may do besides receiving, as checked values. It looks at no destination and opens no folder.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::FILE_GRANT_BYTES_MAX;
use crate::pattern::Pattern;

/// What a guest may do besides receiving. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Destinations that it may send to: names or patterns.
    pub send: Vec<Pattern>,
    /// Destinations that it may listen to while it runs: names or patterns.
    pub listen: Vec<Pattern>,
    /// Prefixes of the names of destinations that it may make and remove.
    pub create: Vec<String>,
    /// Folders of the host that it finds in its file system. Without one it has no file at all.
    pub files: Vec<FileGrant>,
}

/// What a guest may do in a folder of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileAccess {
    /// Read files and list folders.
    #[default]
    ReadOnly,
    /// Also write, make, rename and remove them. Nothing bounds how much: give it a file system of its own size.
    ReadWrite,
}

/// A folder of the host, with everything below it, under the name by which a guest finds it. Neither `..` nor a symbolic
/// link leads out of it; what other links and mounts lie in it is for whoever grants it to know.
///
/// # Examples
/// ```
/// use sandbus::{FileAccess, FileGrant};
/// let grant = FileGrant::new("/srv/models", "/models", FileAccess::ReadOnly)?;
/// assert_eq!(grant.guest_path(), "/models");
/// assert!(FileGrant::new("/srv/models", "models", FileAccess::ReadOnly).is_err());
/// # Ok::<(), sandbus::FileGrantError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGrant {
    host: PathBuf,
    guest: String,
    access: FileAccess,
}

/// Why a folder cannot be granted under a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name for a folder in a guest: {reason}", name.escape_debug())]
pub struct FileGrantError {
    name: String,
    reason: &'static str,
}

impl FileGrant {
    /// The host's folder `host`, which the guest finds as `guest`: a path from the root, such as `/data`.
    ///
    /// # Errors
    /// The rule that the name breaks. Whether the folder is there is looked at when the guest is loaded.
    pub fn new(
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        access: FileAccess,
    ) -> Result<Self, FileGrantError> {
        let name = guest.into();
        match broken_rule(&name) {
            Some(reason) => Err(FileGrantError { name, reason }),
            None => Ok(Self { host: host.into(), guest: name, access }),
        }
    }

    /// The same with another folder of the host.
    pub(crate) fn with_host(&self, host: PathBuf) -> Self {
        Self { host, ..self.clone() }
    }

    /// The host's folder.
    #[must_use]
    pub fn host_path(&self) -> &Path {
        &self.host
    }

    /// Where the guest finds it.
    #[must_use]
    pub fn guest_path(&self) -> &str {
        &self.guest
    }

    /// What the guest may do there.
    #[must_use]
    pub fn access(&self) -> FileAccess {
        self.access
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let Some(below) = name.strip_prefix('/') else { return Some("it must begin with `/`") };
    if name.len() > FILE_GRANT_BYTES_MAX {
        return Some("it must have at most 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return Some("it must have no control characters");
    }
    // The root itself is a name, too.
    if !below.is_empty() && below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Some("its segments must not be empty, `.` or `..`");
    }
    None
}

impl fmt::Display for FileAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_guest_is_a_plain_path_from_its_root() {
        for name in ["/", "/data", "/a/b.c/d e"] {
            assert!(FileGrant::new("x", name, FileAccess::ReadOnly).is_ok(), "{name}");
        }
        let long = format!("/{}", "x".repeat(FILE_GRANT_BYTES_MAX));
        for name in ["", "data", "./data", "/data/", "//", "/a//b", "/..", "/a/./b", "/a\0b", "/a\nb", &long]
        {
            let error = FileGrant::new("x", name, FileAccess::ReadOnly).unwrap_err();
            assert!(!error.to_string().contains(['\0', '\n']), "{error}");
        }
    }
}
