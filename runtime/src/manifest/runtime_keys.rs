//! The keys of `[app]` and `[runtime]`.

use std::path::{Path, PathBuf};

use super::keys::{Key, key, quoted, quoted_list};
use super::ranges;
use super::units::{grouped, show_duration, show_size};
use crate::settings::{Allocator, CompileCache, OnStartupError, RuntimeSettings};

/// What `[app]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// The application's name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// The keys of `[app]`.
pub(super) const APP: &[Key<App>] = &[
    key(
        "name",
        |app, slot| {
            if let Some(name) = slot.some_text() {
                app.name = name;
            }
        },
        |app| Some(quoted(&app.name)),
    ),
    key("version", |app, slot| app.version = slot.some_text(), |app| app.version.as_deref().map(quoted)),
    key(
        "authors",
        |app, slot| {
            if let Some(texts) = slot.texts() {
                app.authors = texts.into_iter().map(|(text, _)| text).collect();
            }
        },
        |app| Some(quoted_list(app.authors.iter().map(String::as_str))),
    ),
    key(
        "description",
        |app, slot| app.description = slot.text(),
        |app| app.description.as_deref().map(quoted),
    ),
];

/// `[runtime]` while it is read: paths as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RuntimeDraft {
    pub(super) settings: RuntimeSettings,
    pub(super) description: Option<String>,
}

impl RuntimeDraft {
    /// The settings with each path set below `base`.
    pub(super) fn resolved(&self, base: &Path) -> RuntimeSettings {
        let mut settings = self.settings.clone();
        settings.state_dir = below(base, &settings.state_dir);
        if let CompileCache::Path(path) = &settings.compile_cache {
            settings.compile_cache = CompileCache::Path(below(base, path));
        }
        settings
    }
}

/// A path below a folder, as short as it was written where the folder is the current one.
pub(super) fn below(base: &Path, path: &Path) -> PathBuf {
    if base == Path::new(".") { path.to_owned() } else { base.join(path) }
}

/// The keys of `[runtime]`.
pub(super) const RUNTIME: &[Key<RuntimeDraft>] = &[
    key(
        "description",
        |draft, slot| draft.description = slot.text(),
        |draft| draft.description.as_deref().map(quoted),
    ),
    key(
        "state-dir",
        |draft, slot| {
            if let Some(path) = slot.some_text() {
                draft.settings.state_dir = path.into();
            }
        },
        |draft| Some(quoted(&draft.settings.state_dir.to_string_lossy())),
    ),
    key(
        "shutdown-grace",
        |draft, slot| set(&mut draft.settings.shutdown_grace, slot.duration(ranges::GRACE)),
        |draft| Some(quoted(&show_duration(draft.settings.shutdown_grace))),
    ),
    key(
        "max-hops",
        |draft, slot| set(&mut draft.settings.hops_max, slot.number(ranges::HOPS).map(narrow)),
        |draft| Some(draft.settings.hops_max.to_string()),
    ),
    key(
        "max-waiting-requests",
        |draft, slot| set(&mut draft.settings.waiting_requests_max, slot.count(ranges::WAITING_REQUESTS)),
        |draft| Some(shown(draft.settings.waiting_requests_max)),
    ),
    key(
        "total-memory",
        |draft, slot| set(&mut draft.settings.total_memory_bytes_max, slot.size(ranges::TOTAL_MEMORY)),
        |draft| Some(shown_size(draft.settings.total_memory_bytes_max)),
    ),
    key(
        "total-instances",
        |draft, slot| set(&mut draft.settings.total_instances_max, slot.count(ranges::INSTANCES)),
        |draft| Some(shown(draft.settings.total_instances_max)),
    ),
    key(
        "max-component-size",
        |draft, slot| set(&mut draft.settings.component_bytes_max, slot.size(ranges::COMPONENT)),
        |draft| Some(shown_size(draft.settings.component_bytes_max)),
    ),
    key(
        "stack",
        |draft, slot| set(&mut draft.settings.stack_bytes_max, slot.size(ranges::STACK)),
        |draft| Some(shown_size(draft.settings.stack_bytes_max)),
    ),
    key(
        "allocator",
        |draft, slot| set(&mut draft.settings.allocator, slot.choice(ALLOCATORS)),
        |draft| named(ALLOCATORS, draft.settings.allocator),
    ),
    key(
        "compile-cache",
        |draft, slot| set(&mut draft.settings.compile_cache, slot.some_text().map(compile_cache)),
        |draft| Some(quoted(&show_compile_cache(&draft.settings.compile_cache))),
    ),
    key(
        "on-startup-error",
        |draft, slot| set(&mut draft.settings.on_startup_error, slot.choice(ON_STARTUP_ERROR)),
        |draft| named(ON_STARTUP_ERROR, draft.settings.on_startup_error),
    ),
];

const ALLOCATORS: &[(&str, Allocator)] =
    &[("pooling", Allocator::Pooling), ("on-demand", Allocator::OnDemand)];

const ON_STARTUP_ERROR: &[(&str, OnStartupError)] =
    &[("fail", OnStartupError::Fail), ("continue", OnStartupError::Continue)];

fn compile_cache(text: String) -> CompileCache {
    match text.as_str() {
        "auto" => CompileCache::Auto,
        "off" => CompileCache::Off,
        _ => CompileCache::Path(text.into()),
    }
}

fn show_compile_cache(cache: &CompileCache) -> String {
    match cache {
        CompileCache::Auto => "auto".to_owned(),
        CompileCache::Off => "off".to_owned(),
        CompileCache::Path(path) => path.to_string_lossy().into_owned(),
    }
}

/// Takes a value over that was read; leaves the old one where it could not be read.
pub(super) fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// A number whose range was checked to fit.
pub(super) fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A number as TOML.
pub(super) fn shown(number: usize) -> String {
    grouped(number as u64, '_')
}

/// A size as TOML.
pub(super) fn shown_size(bytes: usize) -> String {
    quoted(&show_size(bytes as u64))
}

/// The name of a choice as TOML.
pub(super) fn named<T: PartialEq>(choices: &[(&str, T)], value: T) -> Option<String> {
    choices.iter().find(|(_, choice)| *choice == value).map(|(name, _)| quoted(name))
}
