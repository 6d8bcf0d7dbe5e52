//! Makes a guest's `.wasm` by the command that its manifest names. Whether anything is to be done is the command's
//! business: cargo decides better than file times.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::settings::{BuildCommand, GuestSettings};

/// The target that Rust guests are built for.
const RUST_TARGET: &str = "wasm32-wasip2";

/// Why a guest was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The command did not start.
    #[error("cannot run the build command of guest `{guest}`: `{command}` in `{workdir}`")]
    Start {
        /// Which guest.
        guest: String,
        /// The command.
        command: String,
        /// Where it runs.
        workdir: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The command failed. Its own output says why.
    #[error("the build of guest `{guest}` failed: `{command}` in `{workdir}` ended with {status}")]
    Failed {
        /// Which guest.
        guest: String,
        /// The command.
        command: String,
        /// Where it ran.
        workdir: String,
        /// How it ended.
        status: String,
    },
    /// The Rust target is missing and could not be added.
    #[error("the Rust target {RUST_TARGET} is not installed, and rustup could not add it: {reason}")]
    Target {
        /// What rustup says.
        reason: String,
    },
}

/// Builds a guest that has a build command; its output goes to standard error.
///
/// # Errors
/// When the command cannot be run or fails, or the Rust target is missing and cannot be added.
///
/// # Cancel safety
/// Dropping the future ends the command.
pub async fn build(guest: &GuestSettings) -> Result<(), BuildError> {
    let Some(build) = &guest.build else { return Ok(()) };
    if build.command.contains(RUST_TARGET) {
        add_rust_target(&build.workdir).await?;
    }
    run(&guest.name, build).await
}

async fn run(guest: &str, build: &BuildCommand) -> Result<(), BuildError> {
    let (guest, command) = (guest.to_owned(), build.command.clone());
    let workdir = build.workdir.display().to_string();
    let mut process = Command::new("sh");
    process.arg("-c").arg(format!("exec 1>&2; {}", build.command)).current_dir(&build.workdir);
    // A cargo that runs this program must not lend its own settings to the one that builds a guest.
    for variable in [
        "CARGO_TARGET_DIR",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        process.env_remove(variable);
    }
    // Its output is progress, not the answer: the shell sends it to standard error.
    process.stdin(Stdio::null()).kill_on_drop(true);
    match process.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BuildError::Failed { guest, command, workdir, status: status.to_string() }),
        Err(source) => Err(BuildError::Start { guest, command, workdir, source }),
    }
}

/// Adds the Rust target where rustup says that it is missing; rustup does not do it by itself where
/// `RUSTUP_AUTO_INSTALL=0` is set. Without rustup the build itself says what is missing.
async fn add_rust_target(workdir: &Path) -> Result<(), BuildError> {
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(arguments).current_dir(workdir).stdin(Stdio::null()).kill_on_drop(true);
        command
    };
    let Ok(installed) = rustup(&["target", "list", "--installed"]).output().await else { return Ok(()) };
    let listed = String::from_utf8_lossy(&installed.stdout).lines().any(|line| line.trim() == RUST_TARGET);
    if listed || !installed.status.success() {
        return Ok(());
    }
    tracing::info!(target = RUST_TARGET, "adding the Rust target");
    let added = rustup(&["target", "add", RUST_TARGET]).output().await;
    match added {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(BuildError::Target { reason: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
        }
        Err(error) => Err(BuildError::Target { reason: error.to_string() }),
    }
}
