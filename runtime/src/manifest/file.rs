//! The manifest's file: found, read, and told apart from everything that is not one. It does not look inside.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Code, Problem};
use crate::limits::MANIFEST_BYTES_MAX;

use super::units::{grouped, show_size};

/// The name of a manifest's file.
pub const MANIFEST_FILE: &str = "sandbus.toml";

/// Finds the nearest `sandbus.toml`, in `start` or above it.
#[must_use]
pub fn find_manifest(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|directory| directory.join(MANIFEST_FILE)).find(|file| file.is_file())
}

/// Reads the file as text, within its bound.
pub(super) fn read(path: &Path) -> Result<String, Box<Problem>> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        let problem = Problem::new(Code::ManifestIsDirectory, format!("manifest `{shown}` is a directory"));
        return Err(Box::new(problem.with_usual_help()));
    }
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a file that grows meanwhile is noticed too.
    let mut bounded = file.take(MANIFEST_BYTES_MAX as u64 + 1);
    bounded.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(Box::new(too_large(path, metadata.len().max(bytes.len() as u64))));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = format!("manifest `{shown}` is not UTF-8 text: byte {} is not", grouped(at as u64, ','));
        Box::new(Problem::new(Code::ManifestNotText, text).with_usual_help())
    })
}

fn too_large(path: &Path, bytes: u64) -> Problem {
    let message = format!(
        "manifest `{}` has {} bytes; a manifest may have {}",
        path.display(),
        grouped(bytes, ','),
        show_size(MANIFEST_BYTES_MAX as u64)
    );
    Problem::new(Code::ManifestTooLarge, message).with_usual_help()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Box<Problem> {
    let shown = path.display();
    let (code, message) = match error.kind() {
        ErrorKind::NotFound => (Code::ManifestMissing, format!("manifest `{shown}` does not exist")),
        _ => (Code::ManifestUnreadable, format!("manifest `{shown}` cannot be read")),
    };
    Box::new(Problem::caused_by(code, message, error).with_usual_help())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(path: &Path) -> (Code, String) {
        let problem = read(path).unwrap_err();
        (problem.code(), problem.message().to_owned())
    }

    #[test]
    fn whatever_is_not_a_manifest_is_named_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sandbus.toml");
        assert_eq!(code_of(&path).0, Code::ManifestMissing);
        assert!(code_of(&path).1.contains(&path.display().to_string()));
        assert_eq!(code_of(directory.path()).0, Code::ManifestIsDirectory);
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        assert_eq!(code_of(&path).0, Code::ManifestNotText);
        std::fs::write(&path, vec![b'#'; MANIFEST_BYTES_MAX + 1]).unwrap();
        let (code, text) = code_of(&path);
        assert_eq!(code, Code::ManifestTooLarge);
        assert!(text.ends_with("has 1,048,577 bytes; a manifest may have 1MiB"), "{text}");
    }

    #[test]
    fn the_nearest_manifest_is_found_going_up() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("guests/a");
        std::fs::create_dir_all(&below).unwrap();
        let path = directory.path().join(MANIFEST_FILE);
        std::fs::write(&path, "sandbus = 1\n").unwrap();
        assert_eq!(find_manifest(&below), Some(path));
    }
}
