//! The guests of the benches, and what they are sent. They are built where they live, and compiled into a cache of this run.

use std::path::{Path, PathBuf};

use sandbus::{BuildCommand, GuestSettings};
use tempfile::TempDir;

use crate::harness::Failure;

/// One of the guests in `tests/guests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Guest {
    Noop,
    NoopBatch,
    Echo,
    Json,
    Compute,
    Forward,
    Trap,
}

const ALL: [Guest; 7] =
    [Guest::Noop, Guest::NoopBatch, Guest::Echo, Guest::Json, Guest::Compute, Guest::Forward, Guest::Trap];

/// 300 bytes, as a small business message has.
const ORDER: &str = r#"{"id":4711,"customer":"Example Trading Company","currency":"EUR","lines":[{"article":"lamp, brass, 40 cm","count":3,"cents":4990},{"article":"bulb, warm white, 806 lm","count":6,"cents":395},{"article":"cable, 3 m, textile, red","count":3,"cents":1250}],"note":"leave it with the neighbours, please"}"#;

impl Guest {
    /// The word for it in the names of rows.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::NoopBatch => "batch noop",
            Self::Echo => "echo",
            Self::Json => "JSON",
            Self::Compute => "compute",
            Self::Forward => "forward",
            Self::Trap => "trap",
        }
    }

    /// The name of its file, without the ending.
    fn file(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::NoopBatch => "noop_batch",
            Self::Echo => "echo_bench",
            Self::Json => "json_bench",
            Self::Compute => "compute_bench",
            Self::Forward => "forward_bench",
            Self::Trap => "trap_bench",
        }
    }

    /// The words for it and a payload in the names of rows.
    pub(crate) fn with_payload(self, bytes: usize) -> String {
        match bytes {
            0..1024 => format!("{} {bytes} B", self.word()),
            1024..1_048_576 => format!("{} {} KiB", self.word(), bytes / 1024),
            _ => format!("{} {} MiB", self.word(), bytes / 1_048_576),
        }
    }

    pub(crate) fn payload(self, bytes: usize) -> Vec<u8> {
        if self == Self::Json { ORDER.as_bytes().to_vec() } else { vec![b'x'; bytes] }
    }

    /// How many calls make a round of some tens of milliseconds.
    pub(crate) fn count(self, payload_bytes: usize) -> u32 {
        match (self, payload_bytes) {
            (Self::Compute, _) => 2_000,
            (Self::Json, _) => 10_000,
            (_, 0..16_384) => 50_000,
            (_, 16_384..524_288) => 4_000,
            _ => 300,
        }
    }
}

/// Bytes of the payload of the JSON guest.
pub(crate) const ORDER_BYTES: usize = ORDER.len();

/// The built guests.
pub(crate) struct Guests {
    built: PathBuf,
    scratch: TempDir,
}

impl Guests {
    /// Builds all of them with one command.
    pub(crate) fn build() -> Result<Self, Failure> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/guests");
        let packages: Vec<String> =
            ALL.iter().map(|guest| format!("-p {}", guest.file().replace('_', "-"))).collect();
        let mut built = GuestSettings::new("of the benches", "");
        built.build = Some(BuildCommand {
            command: format!(
                "cargo build --quiet --release --locked --target wasm32-wasip2 {}",
                packages.join(" ")
            ),
            workdir: folder.clone(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(sandbus::build(&built))?;
        Ok(Self { built: folder.join("target/wasm32-wasip2/release"), scratch: TempDir::new()? })
    }

    pub(crate) fn path(&self, guest: Guest) -> PathBuf {
        self.built.join(format!("{}.wasm", guest.file()))
    }

    /// The file of another build of the same source: what stands in a section of its own does nothing.
    pub(crate) fn other_build(&self, guest: Guest) -> Result<PathBuf, Failure> {
        let path = self.scratch.path().join(format!("other_{}.wasm", guest.file()));
        let mut bytes = std::fs::read(self.path(guest))?;
        bytes.extend([0, 2, 1, b'x']);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// A folder that goes with this run.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where compiled components are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        self.scratch.path().join("cache")
    }

    /// The settings of a guest under this name, which listens to these destinations.
    pub(crate) fn listener(&self, guest: Guest, name: &str, listens_to: &[&str]) -> GuestSettings {
        let mut settings = GuestSettings::new(name, self.path(guest));
        settings.listens_to = listens_to.iter().map(|&name| name.to_owned()).collect();
        settings
    }
}
