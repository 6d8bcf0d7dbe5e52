//! What is left of the messages when a platform ends: dead letters, one JSON document a line, in the state directory. They
//! are not read at the next start.

use std::collections::HashSet;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sandbus_bus::{Bus, DeadLetter};

use crate::codec;

/// What all destinations keep of the dead letters.
pub(super) fn kept(bus: &Bus) -> Vec<DeadLetter> {
    bus.destinations().iter().flat_map(|destination| bus.dead_letters(destination.as_str())).collect()
}

/// The same letters, each once.
pub(super) fn each_once<'a>(letters: impl Iterator<Item = &'a DeadLetter>) -> Vec<&'a DeadLetter> {
    let mut seen = HashSet::new();
    letters.filter(|letter| seen.insert(letter.id)).collect()
}

/// Saves dead letters; none when there are none.
pub(super) fn save_dead_letters(
    letters: &[&DeadLetter],
    state_dir: &Path,
) -> Option<Result<PathBuf, String>> {
    let lines: Vec<String> =
        letters.iter().map(|letter| codec::dead_letter_to_json(letter).to_string()).collect();
    if lines.is_empty() {
        return None;
    }
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let path = state_dir.join(format!("left-{millis}-{}.jsonl", std::process::id()));
    Some(
        write(state_dir, &path, &lines)
            .map(|()| path.clone())
            .map_err(|error| format!("{}: {error}", path.display())),
    )
}

fn write(state_dir: &Path, path: &Path, lines: &[String]) -> std::io::Result<()> {
    // Payloads may be anybody's secrets: this user alone may read them.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut file = std::io::BufWriter::new(file);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}
