//! Why a guest was not loaded, replaced or unloaded.

use sandbus_bus::DestinationError;

use super::status::GuestState;
use crate::sandbox::{LifecycleError, LoadError};

/// Why what was asked for a guest was not done. Unless a variant says otherwise, nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// No guest has this name.
    #[error("no guest is called `{guest}`")]
    NoSuchGuest {
        /// The name.
        guest: String,
    },
    /// A guest has this name already.
    #[error("a guest is called `{guest}` already; replace it, or unload it first")]
    AlreadyLoaded {
        /// The name.
        guest: String,
    },
    /// The settings that are to replace a guest's are those of another one.
    #[error("guest `{guest}` cannot be replaced by settings of the name `{other}`: a guest keeps its name")]
    OtherName {
        /// The name.
        guest: String,
        /// The name in the settings.
        other: String,
    },
    /// Nothing of it runs that could be replaced or released.
    #[error("guest `{guest}` is {state}; enable it first")]
    NotRunning {
        /// Which guest.
        guest: String,
        /// How it stands.
        state: GuestState,
    },
    /// Its component cannot be loaded.
    #[error("cannot load guest `{guest}`")]
    Load {
        /// Which guest.
        guest: String,
        /// Why not.
        #[source]
        source: LoadError,
    },
    /// It is to listen, but exports no `message-listener`.
    #[error("guest `{guest}` listens to `{destination}`, but exports no `message-listener`")]
    NotAListener {
        /// Which guest.
        guest: String,
        /// Where it is to listen.
        destination: String,
    },
    /// A folder that it is granted cannot be opened.
    #[error("guest `{guest}`: the folder `{}`, granted as `{granted_as}` (`grants.files`), cannot be opened", path.display())]
    Folder {
        /// Which guest.
        guest: String,
        /// The host's folder.
        path: std::path::PathBuf,
        /// Where the guest would find it.
        granted_as: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot listen where its settings say. A guest that was replaced runs on its new build, and listens there not.
    #[error("guest `{guest}` cannot listen")]
    Listen {
        /// Which guest.
        guest: String,
        /// Why not.
        #[source]
        source: DestinationError,
    },
    /// Its `activate` did not end well. A guest that was replaced goes on as before; any other one is in quarantine, unless
    /// its settings have none: then it is not there.
    #[error("guest `{guest}` cannot be activated")]
    Activate {
        /// Which guest.
        guest: String,
        /// Why not.
        #[source]
        source: LifecycleError,
    },
    /// The platform is shutting down.
    #[error("guest `{guest}` is left as it is: the platform is shutting down")]
    ShuttingDown {
        /// Which guest.
        guest: String,
    },
    /// The host itself failed; what has changed is not known.
    #[error("the host failed at guest `{guest}`: {reason}")]
    Host {
        /// Which guest.
        guest: String,
        /// How.
        reason: String,
    },
}
