//! One manifest to checked values: every problem of a file in one run, each with its place. The command line's `--dest`,
//! `--guest` and `--set` are laid over it and go through the same checks. It starts nothing, and opens no file but the
//! manifest.

mod file;

mod tree;

mod slot;

mod keys;

mod runtime_keys;

mod destination_keys;

mod guest_keys;
mod guest_names;

mod env;
mod file_grants;

mod schedule_keys;

mod schedules;

mod ranges;

pub(crate) mod units;

mod names;

mod document;

mod check;

mod resolve;

mod spec;

mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sandbus_bus::{CustomType, DestinationConfig, ScheduleConfig};

use self::destination_keys::DestinationDraft;
use self::guest_keys::GuestDraft;
use self::keys::{Origins, quoted_key};
use self::resolve::Surroundings;
use self::runtime_keys::RuntimeDraft;
use self::schedule_keys::ScheduleDraft;
use self::tree::{BUILT_IN, Node, Place};
use crate::diagnostic::{Problem, Problems, Source};
use crate::settings::{GuestSettings, RuntimeSettings};

pub use self::file::{MANIFEST_FILE, find_manifest};
pub use self::runtime_keys::App;
pub use self::write::{EffectiveValue, effective, to_toml};

/// A manifest whose every value was checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its file, as it was named.
    pub file: PathBuf,
    /// The folder that its paths are relative to.
    pub base: PathBuf,
    /// The application's name.
    pub name: String,
    /// What all guests share.
    pub runtime: RuntimeSettings,
    /// The destinations, in the order of the file.
    pub destinations: Vec<DestinationConfig>,
    /// The guests, in the order of the file.
    pub guests: Vec<GuestSettings>,
    /// The schedules, in the order of the file.
    pub schedules: Vec<ScheduleConfig>,
    /// What is doubtful but stops nothing.
    pub warnings: Vec<Problem>,
    app: App,
    runtime_draft: RuntimeDraft,
    destination_drafts: Vec<DestinationDraft>,
    guest_drafts: Vec<(String, GuestDraft)>,
    schedule_drafts: Vec<(String, ScheduleDraft)>,
    guest_places: BTreeMap<String, Place>,
    origins: Origins,
}

/// What the command line or an embedder lays over a manifest. Paths in it are relative to `directory`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--dest NAME=TYPE,key=value,…`
    pub destinations: Vec<String>,
    /// `--guest NAME=FILE,key=value,…`
    pub guests: Vec<String>,
    /// `--set KEY=VALUE`
    pub settings: Vec<String>,
    /// Destination types of the embedder, which a manifest may name beside those of the bus.
    pub types: Vec<CustomType>,
    /// Where the command was started.
    pub directory: PathBuf,
}

/// A line and a column of a file, both from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// The file, as it was named.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &Overrides::default())
    }

    /// Reads a manifest, lays what the command line says over it, and checks the result.
    ///
    /// # Errors
    /// Everything that is wrong with them, the file first.
    pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Self, Problems> {
        let text = file::read(path).map_err(|problem| Problems::from(*problem))?;
        let base = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::parse_with(&text, path, base, overrides)
    }

    /// Checks the text of a manifest. `file` is only shown; paths are relative to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(text: &str, file: &Path, base: &Path) -> Result<Self, Problems> {
        Self::parse_with(text, file, base, &Overrides::default())
    }

    fn parse_with(text: &str, file: &Path, base: &Path, overrides: &Overrides) -> Result<Self, Problems> {
        let source = Source::new(file.to_string_lossy(), text);
        let mut root = tree::parse(&source).map_err(|problem| Problems::from(*problem))?;
        lay_over(&mut root, overrides)?;
        let surroundings =
            Surroundings { file, base, directory: &overrides.directory, types: &overrides.types };
        resolve::manifest(&root, &surroundings)
    }

    /// A manifest called `adhoc` of nothing but what the command line says.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order in which it was given.
    pub fn from_overrides(overrides: &Overrides) -> Result<Self, Problems> {
        let source = Source::new(BUILT_IN, "sandbus = 1\n[app]\nname = \"adhoc\"\n");
        let mut root = tree::parse(&source).map_err(|problem| Problems::from(*problem))?;
        lay_over(&mut root, overrides)?;
        let directory = match overrides.directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => overrides.directory.as_path(),
        };
        let file = directory.join(MANIFEST_FILE);
        let surroundings = Surroundings { file: &file, base: directory, directory, types: &overrides.types };
        resolve::manifest(&root, &surroundings)
    }

    /// What `[app]` says.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The guest of this name.
    #[must_use]
    pub fn guest(&self, name: &str) -> Option<&GuestSettings> {
        self.guests.iter().find(|guest| guest.name == name)
    }

    /// The path of a guest's component as it was written, for error texts.
    #[must_use]
    pub fn written_path(&self, guest: &str) -> Option<&str> {
        self.guest_drafts.iter().find(|(name, _)| name == guest)?.1.path.as_deref()
    }

    /// Where a guest is defined.
    #[must_use]
    pub fn place_of_guest(&self, name: &str) -> Option<FilePlace> {
        self.guest_places.get(name).map(file_place)
    }

    /// Where the value of a dotted key was written: `guests.validator.fuel`. None when it is a default.
    #[must_use]
    pub fn place_of_key(&self, key: &str) -> Option<FilePlace> {
        self.origins.get(key).map(|origin| file_place(&origin.place))
    }

    /// `problem` with the place of a guest's key (`source.path`, `memory`), or else of the guest itself.
    #[must_use]
    pub fn mark_guest(&self, problem: Problem, guest: &str, key: &str, label: &str) -> Problem {
        let full = format!("guests.{}.{key}", quoted_key(guest));
        let place = self.origins.get(&full).map(|origin| &origin.place);
        match place.or_else(|| self.guest_places.get(guest)) {
            Some(place) => place.mark(problem, label),
            None => problem,
        }
    }

    /// Whether both say the same about app, runtime, destinations, guests and schedules, wherever they were read.
    #[must_use]
    pub fn same_settings(&self, other: &Self) -> bool {
        self.app == other.app
            && self.runtime == other.runtime
            && self.destinations == other.destinations
            && self.guests == other.guests
            && self.schedules == other.schedules
    }
}

/// Checks one `--dest NAME=TYPE,key=value,…` on its own.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_destination_spec(text: &str) -> Result<DestinationConfig, Problems> {
    let overrides = Overrides { destinations: vec![text.to_owned()], ..Overrides::default() };
    let manifest = Manifest::from_overrides(&overrides)?;
    manifest.destinations.into_iter().next().ok_or_else(|| Problems::from(Vec::new()))
}

/// Checks one `--guest NAME=FILE,key=value,…` on its own; whether the destinations that it names exist is not looked at.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_guest_spec(text: &str, directory: &Path) -> Result<GuestSettings, Problems> {
    let node = spec::guest(text).map_err(|problem| Problems::from(*problem))?;
    let surroundings = Surroundings { file: Path::new("--guest"), base: directory, directory, types: &[] };
    resolve::single_guest(&node, &surroundings)
}

fn lay_over(root: &mut Node, overrides: &Overrides) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut flags = Vec::new();
    let destinations = overrides.destinations.iter().map(|text| ("destinations", spec::destination(text)));
    let guests = overrides.guests.iter().map(|text| ("guests", spec::guest(text)));
    for (table, parsed) in destinations.chain(guests) {
        match parsed {
            Ok(node) => problems.extend(resolve::given_twice(&flags, &node, table).or_else(|| {
                flags.push(node);
                None
            })),
            Err(problem) => problems.push(*problem),
        }
    }
    for text in &overrides.settings {
        match spec::setting(text) {
            Ok(node) => flags.push(node),
            Err(problem) => problems.push(*problem),
        }
    }
    Problems::check(problems)?;
    flags.into_iter().for_each(|node| root.lay_over(node));
    Ok(())
}

fn file_place(place: &Place) -> FilePlace {
    let (line, column) = place.source.line_column(place.span.start);
    FilePlace { file: place.source.name().to_owned(), line, column }
}
