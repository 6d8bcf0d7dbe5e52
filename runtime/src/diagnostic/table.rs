//! The one table of codes: code, name, exit code, short text, help. A code is never given to another meaning; a row that
//! is no longer needed stays. It holds text only.

use super::code::Entry;

macro_rules! codes {
    ($($variant:ident = $code:literal, $name:literal, $exit:literal, $text:literal, $help:literal;)*) => {
        /// What is wrong, as a code that stays the same over releases.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $text] $variant,)*
        }

        impl Code {
            /// All codes, in their order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            pub(super) fn entry(self) -> &'static Entry {
                match self {
                    $(Code::$variant => {
                        &Entry { code: $code, name: $name, exit: $exit, text: $text, help: $help }
                    })*
                }
            }
        }
    };
}

codes! {
    // SB01: manifest and settings.
    NotToml = "SB0101", "not-toml", 3, "the manifest is not TOML",
        "look at the marked place: a quote, a bracket or an `=` is missing or too many";
    UnknownKey = "SB0102", "unknown-key", 3, "the manifest has a key that is not known",
        "correct or remove the key; no setting is accepted that does nothing";
    WrongType = "SB0103", "wrong-type", 3, "a value has another type than its key takes",
        "write a value of the type that the text names";
    IllegalValue = "SB0104", "illegal-value", 3, "a value is outside of what its key allows",
        "choose a value within the range that the text names";
    MissingKey = "SB0105", "missing-key", 3, "a required key is missing",
        "add the key";
    Duplicate = "SB0106", "defined-twice", 3, "something is written twice that may stand once",
        "remove one of the two";
    ManifestFormat = "SB0107", "manifest-format", 3, "the manifest is of a format that this program does not read",
        "write `sandbus = 1`, or use a newer sandbus";
    KeyNotOfType = "SB0108", "key-not-of-type", 3, "a destination has a key that its type does not have",
        "remove the key, or choose another type";
    BadName = "SB0109", "bad-name", 3, "a name breaks the rules for names",
        "use letters, digits, `-`, `_` and `.`; destinations may use `/` between segments";
    ReservedName = "SB0110", "reserved-name", 3, "a name belongs to the platform",
        "choose a name that is not `host` and does not begin with `sandbus`";
    BadPattern = "SB0111", "bad-pattern", 3, "a pattern is not a destination name with `*` or `**` in it",
        "`*` stands for characters within one segment, `**` for whole segments";
    UnknownDestination = "SB0112", "unknown-destination", 3, "the manifest names a destination that is not defined",
        "define it under [destinations], or correct the name";
    PatternMatchesNothing = "SB0113", "pattern-matches-nothing", 3, "a pattern matches no defined destination",
        "correct the pattern, or define a destination that it matches";
    MissingVariable = "SB0114", "missing-variable", 3, "an environment variable that a guest needs is not set",
        "set the variable, or give it a default: `{ env = \"NAME\", default = \"value\" }`";
    NoEffect = "SB0115", "no-effect", 3, "a setting has no effect beside the others",
        "remove it, or set what it belongs to";
    SecretInManifest = "SB0116", "secret-in-manifest", 3, "a secret stands literally in the manifest",
        "take it from the environment: `{ env = \"NAME\" }`";
    KeysExclude = "SB0117", "keys-exclude", 3, "two keys stand side by side that exclude each other",
        "remove one of the two";
    ManifestMissing = "SB0120", "manifest-missing", 4, "the manifest does not exist",
        "write one (the README shows the smallest), or name another with `-f FILE`";
    ManifestIsDirectory = "SB0121", "manifest-is-directory", 3, "the manifest is a directory",
        "name the file itself, usually `sandbus.toml`";
    ManifestUnreadable = "SB0122", "manifest-unreadable", 3, "the manifest cannot be read",
        "check the permissions of the file";
    ManifestTooLarge = "SB0123", "manifest-too-large", 3, "the manifest is larger than a manifest may be",
        "check that the file is a manifest; generated entries may need another host";
    ManifestNotText = "SB0124", "manifest-not-text", 3, "the manifest is not UTF-8 text",
        "save the file as UTF-8";
    NoManifest = "SB0125", "no-manifest", 4, "no manifest was found here or above",
        "write one, or name one with `-f FILE`; `run` also works with --guest and --dest";

    // SB02: loading a guest.
    ComponentMissing = "SB0201", "component-missing", 4, "the component's file does not exist",
        "build it first, or correct its path";
    ComponentIsDirectory = "SB0202", "component-is-directory", 3, "the component's path is a directory",
        "name the `.wasm` file itself";
    ComponentUnreadable = "SB0203", "component-unreadable", 3, "the component's file cannot be read",
        "check the permissions of the file";
    ComponentEmpty = "SB0204", "component-empty", 3, "the component's file is empty",
        "build it again";
    ComponentTruncated = "SB0205", "component-truncated", 3, "the component's file ends too early or is damaged",
        "build it again, or copy it again";
    NotWebAssembly = "SB0206", "not-webassembly", 3, "the file is not WebAssembly",
        "name the `.wasm` file that the build made";
    CoreModule = "SB0207", "core-module", 3, "the file is a core module, not a component",
        "build for the target wasm32-wasip2, or wrap it: `wasm-tools component new module.wasm -o component.wasm`";
    WasmText = "SB0208", "wasm-text", 3, "the file is WebAssembly text, not a binary",
        "translate it: `wasm-tools parse guest.wat -o guest.wasm`";
    Precompiled = "SB0209", "precompiled", 3, "the file is a precompiled artefact; those are never loaded from outside",
        "name the component that it was compiled from; the platform keeps its own cache";
    ComponentTooLarge = "SB0210", "component-too-large", 3, "the component's file is larger than allowed",
        "build with optimisation and strip it, or raise `runtime.max-component-size`";
    TooManyFunctions = "SB0211", "too-many-functions", 3, "the component has more functions than allowed",
        "build with optimisation, so that unused functions leave";
    FunctionTooLarge = "SB0212", "function-too-large", 3, "a function of the component is larger than allowed",
        "split the function, or build it with another optimisation level";
    TooManyParts = "SB0213", "too-many-parts", 3, "the component consists of more modules and components than allowed",
        "compose it of fewer parts";
    MissingImport = "SB0214", "missing-import", 3, "the component imports something that the platform does not provide",
        "`sandbus inspect FILE` lists each import and whether it is provided";
    WrongImportType = "SB0215", "wrong-import-type", 3, "the component imports something with another type than provided",
        "build it against the WIT files of this release";
    MissingExport = "SB0216", "missing-export", 3, "the component exports no interface that makes it a guest",
        "export `sandbus:bus/message-listener` or `sandbus:bus/lifecycle`";
    WrongExportType = "SB0217", "wrong-export-type", 3, "an export of the component has another type than expected",
        "build it against the WIT files of this release";
    DoesNotCompile = "SB0218", "does-not-compile", 3, "the component is not valid or does not compile",
        "build it again with a current toolchain; `wasm-tools validate FILE` says where it breaks";
    ActivationFailed = "SB0219", "activation-failed", 3, "the guest's `activate` failed",
        "the guest's own lines are above";
    PoolTooSmall = "SB0220", "pool-too-small", 3, "the instance pool has no room for what the guests ask",
        "raise `runtime.total-instances` or `runtime.total-memory`, or lower the guests' limits";
    InitialSizeTooLarge = "SB0221", "initial-size-too-large", 3, "the component starts with more memory or tables than it may have",
        "raise the guest's `memory` or `limits.table-elements`";
    InstantiationFailed = "SB0222", "instantiation-failed", 3, "no instance of the component could be made",
        "the causes say what stopped it";
    GuestExists = "SB0223", "guest-exists", 3, "a guest of this name is loaded already",
        "choose another name";
    ComponentTooComplex = "SB0224", "component-too-complex", 3, "the component has more of something than allowed, or types that explode",
        "build it with optimisation and from fewer parts; docs/limits.md lists what is counted";
    CompileFailed = "SB0225", "compile-failed", 3, "the component's compilation was stopped at a limit, or ended without an answer",
        "split the component, or build it with optimisation; one that was made to be hard to compile is not loaded";
    CompilerUnusable = "SB0226", "compiler-unusable", 3, "the process that is to compile the component cannot be started, or is of another release",
        "the causes say why; an embedder names a `sandbus` of its own release, or compiles in its own process";
    FolderUnusable = "SB0227", "folder-unusable", 3, "a folder that the guest is granted cannot be opened",
        "make the folder, or correct `host` in `grants.files`; relative paths begin at the manifest's folder";

    // SB03: how a guest ended.
    Refused = "SB0301", "refused", 9, "the listener says that the message is bad and stays bad",
        "look at the listener's text; correct the message and send it anew";
    Retry = "SB0302", "retry", 9, "the listener asked to try again later until its attempts were used up",
        "remove what it waits for, then send the message anew";
    Trap = "SB0310", "trap", 10, "the guest stopped itself: a panic, an unreachable instruction, an access outside its memory",
        "this is a fault in the guest; build it with debug = 1 to see file and line";
    OutOfFuel = "SB0311", "out-of-fuel", 10, "the guest used all the fuel that one call may use",
        "raise `fuel`, or look for a loop that does not end";
    Deadline = "SB0312", "deadline", 10, "the call took longer than the guest's `deadline`, waiting included",
        "raise `deadline`, or look at what the guest waits for";
    Memory = "SB0313", "memory", 10, "the guest was denied memory and stopped",
        "raise `memory`, or make the guest use less";
    Instantiate = "SB0314", "instantiate", 10, "no instance of the guest could be made for the message",
        "raise `instances-max` or `runtime.total-instances`; the causes say what stopped it";
    Processor = "SB0315", "processor", 10, "a processor or an interceptor of the host failed",
        "look at the processor's own text";
    Interrupted = "SB0316", "interrupted", 10, "the host stopped the call: close now, unload, or the end of a drain",
        "send the message anew if it is still wanted";

    // SB04: the bus.
    NoSuchDestination = "SB0401", "no-such-destination", 4, "no destination of this name exists",
        "look for it under [destinations], or among the --dest flags";
    NoListener = "SB0402", "no-listener", 7, "the destination has no listener and its policy is to refuse",
        "load a guest that listens there, or set `on-no-listener`";
    QueueFull = "SB0403", "queue-full", 7, "the destination's queue is full",
        "wait, raise `max-queue-size` or `max-queue-bytes`, or look at what its listeners do";
    Closed = "SB0404", "closed", 7, "the destination is closed or closes",
        "open it, or wait until the host has started";
    Timeout = "SB0405", "timeout", 8, "no answer came in time",
        "raise the timeout, or look at what the listener does";
    NoReply = "SB0406", "no-reply", 8, "every listener is done and none answered",
        "return a reply from the listener, or use `send`";
    WouldDeadlock = "SB0407", "would-deadlock", 7, "the request would wait for itself",
        "send without waiting, or use another destination";
    Denied = "SB0408", "denied", 6, "the guest has no grant for it",
        "add the destination to the guest's grants";
    HopsExceeded = "SB0409", "hops-exceeded", 7, "messages cause messages without end",
        "look for a loop between guests, or raise `runtime.max-hops`";
    TooLarge = "SB0410", "too-large", 7, "the message is larger than its destination takes",
        "send less, or raise `max-message-size`";
    Paused = "SB0411", "paused", 7, "the synchronous destination is paused",
        "resume it";
    ListenerUnavailable = "SB0412", "listener-unavailable", 7, "the listener is held back after too many faults",
        "wait until it is called again";
    Busy = "SB0413", "busy", 1, "too many senders wait for answers already",
        "wait, or raise `runtime.max-waiting-requests`";
    LimitReached = "SB0414", "limit-reached", 1, "the call has used up a limit of what it may send",
        "raise `limits.sends` or `limits.send-bytes`, or send less";
    InvalidMessage = "SB0415", "invalid", 1, "a name, key or value of the message breaks a rule",
        "the text says which and why";
    Expired = "SB0420", "expired", 1, "the message's time was over when its turn came",
        "give it more time, or look at what its destination waits for";
    ListenerRemoved = "SB0421", "listener-removed", 1, "the listener was unregistered before its turn came",
        "send the message anew if another listener shall have it";

    // SB07: building a guest.
    BuildFailed = "SB0701", "build-failed", 11, "the guest's build command failed",
        "its own output is above";
    RustTargetMissing = "SB0702", "rust-target-missing", 11, "the Rust target wasm32-wasip2 is not installed",
        "rustup target add wasm32-wasip2";
    BuildToolMissing = "SB0703", "build-tool-missing", 11, "the build command was not found",
        "install it, or correct `build.command`";
    BuildMadeNothing = "SB0704", "build-made-nothing", 11, "the build succeeded but the component's file is not there",
        "compare `source.path` with where the build writes";
    BuildDirectoryMissing = "SB0705", "build-directory-missing", 11, "the build's `workdir` is not a directory",
        "correct `build.workdir`; it is relative to the manifest";
    NoBuildCommand = "SB0706", "no-build-command", 11, "the guest has no build command",
        "add `build = { command = \"...\" }` to the guest";

    // SB09: the host and the command line.
    NoHost = "SB0901", "no-host", 5, "no running host was found",
        "start one with `sandbus run`";
    Usage = "SB0902", "usage", 2, "the command line is not right",
        "`--help` behind the command shows what it takes";
    BadSpec = "SB0903", "bad-spec", 2, "a --guest or --dest specification is not right",
        "write NAME=TYPE,key=value,... or NAME=FILE,key=value,...; the keys are those of the manifest";
    BadPayload = "SB0904", "bad-payload", 2, "the payload cannot be used",
        "a payload is literal text, @file, or - for standard input";
    BadAddress = "SB0905", "bad-address", 2, "the address is not an address",
        "write HOST:PORT, for example 127.0.0.1:7270";
    BadValue = "SB0906", "bad-value", 2, "a --value is not right",
        "write KEY=VALUE, or KEY:TYPE=VALUE with text, int, float, bool or bytes";
    NoSuchGuest = "SB0907", "no-such-guest", 4, "no guest of this name exists",
        "look for it under [guests]";
    FileMissing = "SB0908", "file-missing", 4, "a file does not exist",
        "correct the path";
    FileUnreadable = "SB0909", "file-unreadable", 1, "a file cannot be read",
        "check that it is a file and its permissions";
    FileUnwritable = "SB0910", "file-unwritable", 1, "a file or directory cannot be written",
        "check its permissions and the free space";
    StateDirectory = "SB0911", "state-directory", 1, "the state directory cannot be used",
        "check the permissions of `runtime.state-dir`";
    AddressTaken = "SB0912", "address-taken", 1, "the address is used by another program",
        "choose another, or stop the other program";
    NoSuchCode = "SB0913", "no-such-code", 4, "no error has this code or name",
        "the codes are listed in the documentation";
    NoSuchTemplate = "SB0914", "no-such-template", 4, "no template has this name",
        "choose one that exists";
    NotEmpty = "SB0915", "not-empty", 1, "the directory is not empty",
        "choose another, or use --force";
    LeftOver = "SB0916", "left-over", 1, "dead letters or waiting messages are left",
        "the summary above says which, and why";
    EngineFailed = "SB0917", "engine-failed", 1, "the WebAssembly engine could not be made",
        "use `runtime.allocator = \"on-demand\"`, or lower `total-instances` and `total-memory`";
    HostFailed = "SB0918", "host-failed", 1, "the host itself failed",
        "this is a fault of sandbus; please report it with the causes";
    NoSuchSample = "SB0919", "no-such-sample", 4, "no sample has this name",
        "samples are the files under `samples/`, named without their ending";
    NotAvailable = "SB0920", "not-available", 2, "this is not in this release",
        "`sandbus --help` lists what is";
    NoSuchMessage = "SB0921", "no-such-message", 4, "no message or dead letter has this id",
        "compare the id with the logs";
    NotComparable = "SB0922", "not-comparable", 2, "the file is no result that this one can be compared with",
        "name what `bench --json` or `bench --csv` wrote, in the same mode";
}
