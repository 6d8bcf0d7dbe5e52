//! What may be typed. It runs nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Sandboxed WebAssembly listeners that talk through a message bus.
#[derive(Debug, Parser)]
#[command(name = "sandbus", version, about, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Work as if started there
    #[arg(short = 'C', long, global = true, value_name = "DIR", env = "SANDBUS_DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The manifest; else the nearest `sandbus.toml`, going up
    #[arg(short = 'f', long, global = true, value_name = "FILE", env = "SANDBUS_MANIFEST")]
    pub(super) manifest: Option<PathBuf>,
    /// Machine output
    #[arg(long, global = true, env = "SANDBUS_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) json: bool,
    /// Colours on the terminal
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(super) color: When,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more; twice: with the host's own details
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "SANDBUS_LOG")]
    pub(super) verbose: u8,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run guests and destinations, from a manifest or from flags
    Run(Run),
    /// Run one guest on one message, on a bus of its own
    Call(Call),
    /// Send many messages, and say how long each stage of their way takes
    // Boxed: it has many flags, and the others need not be larger for it.
    Bench(Box<Bench>),
    /// Say what a component is, what it needs, and whether it loads
    Inspect(Inspect),
    /// Check a manifest
    CheckConfig(CheckConfig),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `sandbus run`
#[derive(Debug, Args)]
pub(super) struct Run {
    /// A manifest, a folder with one, or components; with one component and one `--dest` it listens there
    #[arg(value_name = "SOURCE")]
    pub(super) sources: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) built: Built,
    /// Send a message once everything is active; then end when idle
    #[arg(long = "send", value_name = "DEST=PAYLOAD")]
    pub(super) sends: Vec<String>,
    /// Listen there, and write each payload as a line on stdout
    #[arg(long = "print", value_name = "DEST")]
    pub(super) prints: Vec<String>,
    /// How long to run: `idle`, a duration such as `30s`, or `signal`
    #[arg(long, value_name = "WHEN")]
    pub(super) until: Option<String>,
    /// Print the manifest that equals the flags, and run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    // Last: its heading would stand over the flags behind it, too.
    #[command(flatten)]
    pub(super) send_flags: SendFlags,
}

/// What is built beside a manifest, or without one.
#[derive(Debug, Args)]
pub(super) struct Built {
    /// Add a guest: NAME=FILE,key=value,… with the manifest's keys
    #[arg(long = "guest", value_name = "SPEC")]
    pub(super) guests: Vec<String>,
    /// Add a destination: NAME=TYPE,key=value,… with the manifest's keys
    #[arg(long = "dest", value_name = "SPEC")]
    pub(super) destinations: Vec<String>,
    /// Set any key of the manifest
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<String>,
    /// Fuel per call, for every guest
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<String>,
    /// Memory per instance, for every guest
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
    /// Deadline per call, for every guest
    #[arg(long, value_name = "DUR")]
    pub(super) deadline: Option<String>,
}

/// What is asked for each message of `--send`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asked for each --send")]
pub(super) struct SendFlags {
    /// Make it a dead letter when its turn has not come by then: 1ms to 366d
    #[arg(long, value_name = "DUR", requires = "sends")]
    pub(super) expires_in: Option<String>,
    /// Do not deliver it before so long after: 1ms to 366d
    #[arg(long, value_name = "DUR", requires = "sends")]
    pub(super) deliver_in: Option<String>,
    /// Deliver it before those of a lower priority: 0 to 9, where the destination has `priority = true`
    #[arg(long, value_name = "0-9", requires = "sends")]
    pub(super) priority: Option<String>,
    /// Deliver it in order, one at a time, with others of this key
    #[arg(long, value_name = "KEY", requires = "sends")]
    pub(super) ordering_key: Option<String>,
    /// Do not accept it again while the destination remembers this key
    #[arg(long, value_name = "KEY", requires = "sends")]
    pub(super) dedup_key: Option<String>,
}

/// `sandbus call`
#[derive(Debug, Args)]
pub(super) struct Call {
    /// A component, or the name of a guest of the manifest
    pub(super) guest: String,
    /// The payload: text, @file, or - for standard input
    #[arg(default_value = "")]
    pub(super) payload: String,
    /// The destination that the message seems to come from
    #[arg(long, value_name = "NAME", default_value = "call")]
    pub(super) dest: String,
    /// A value: KEY=TEXT, or KEY:TYPE=VALUE with int, float, bool or bytes
    #[arg(long = "value", value_name = "K=V")]
    pub(super) values: Vec<String>,
    /// The content type; guessed from the payload where it is not given
    #[arg(long = "type", value_name = "MIME")]
    pub(super) content_type: Option<String>,
    /// Fuel of the call
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<String>,
    /// Memory of the instance
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
    /// Deadline of the call
    #[arg(long, value_name = "DUR")]
    pub(super) deadline: Option<String>,
    /// An environment variable of the guest
    #[arg(long = "env", value_name = "K=V")]
    pub(super) env: Vec<String>,
    /// A key of the guest's own configuration, which it reads through wasi:config
    #[arg(long = "config", value_name = "K=V")]
    pub(super) config: Vec<String>,
    /// A grant: send=DEST, listen=DEST or create=PREFIX
    #[arg(long = "grant", value_name = "KIND=VALUE")]
    pub(super) grants: Vec<String>,
    /// Answer the guest's requests to a destination
    #[arg(long = "mock", value_name = "DEST=PAYLOAD")]
    pub(super) mocks: Vec<String>,
    /// Send the message so often, one after the other, to the same instance
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) repeat: u32,
}

/// `sandbus bench`
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Where the messages go
    #[arg(value_name = "DEST")]
    pub(super) destination: String,
    /// The payload of each: text, @file, or - for standard input
    pub(super) payload: Option<String>,
    /// Send and forget, or wait for each answer
    #[arg(long, value_enum, default_value = "send", value_name = "MODE")]
    pub(super) mode: Mode,
    /// So many messages, of all senders together
    #[arg(short = 'n', value_name = "COUNT", conflicts_with = "duration")]
    pub(super) count: Option<String>,
    /// For so long; 3s where nothing is said
    #[arg(long, value_name = "DUR")]
    pub(super) duration: Option<String>,
    /// Payloads of so many bytes, where none is given; else 64
    #[arg(long, value_name = "SIZE", conflicts_with = "payload")]
    pub(super) size: Option<String>,
    /// So many senders side by side; else 1
    #[arg(long, value_name = "N")]
    pub(super) senders: Option<String>,
    /// So many messages in a second, whether or not they are dealt with; else as many as get in
    #[arg(long, value_name = "PER_SEC")]
    pub(super) rate: Option<String>,
    /// Do the same for so long before, and count none of it
    #[arg(long, value_name = "DUR")]
    pub(super) warmup: Option<String>,
    /// A value of each message: KEY=TEXT, or KEY:TYPE=VALUE with int, float, bool or bytes
    #[arg(long = "value", value_name = "K=V")]
    pub(super) values: Vec<String>,
    /// Their content type; guessed from the payload where it is not given
    #[arg(long = "type", value_name = "MIME")]
    pub(super) content_type: Option<String>,
    /// Write the stages there, one in a line
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
    /// A former result, of --json or --csv: print what each figure is of it
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,
    /// A manifest, a folder with one, or a component; with one component and one `--dest` it listens there
    #[arg(long = "source", value_name = "SOURCE")]
    pub(super) sources: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) built: Built,
}

/// What the senders of `bench` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    Send,
    Request,
}

impl Mode {
    /// The name as it is typed and printed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::Send => "send",
            Mode::Request => "request",
        }
    }
}

/// `sandbus inspect`
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The component
    pub(super) source: PathBuf,
    /// Print a manifest entry that works
    #[arg(long)]
    pub(super) suggest: bool,
}

/// `sandbus check-config`
#[derive(Debug, Args)]
pub(super) struct CheckConfig {
    /// The manifest; else the nearest one
    pub(super) file: Option<PathBuf>,
    /// Print every value in force and where it comes from
    #[arg(long)]
    pub(super) effective: bool,
}

/// What `sandbus` alone prints.
pub(super) fn overview() -> String {
    "sandbus: sandboxed WebAssembly listeners that talk through a message bus\n\
     \n\
     \x20 run [SOURCE]…          run guests and destinations, from a manifest or from flags\n\
     \x20 call <GUEST> [PAYLOAD] run one guest on one message, on a bus of its own\n\
     \x20 bench <DEST> [PAYLOAD] send many messages, and say how long each stage of their way takes\n\
     \x20 inspect <GUEST>        say what a component is, what it needs, and whether it loads\n\
     \x20 check-config [FILE]    check a manifest\n\
     \x20 completions <SHELL>    print a completion script\n\
     \n\
     examples\n\
     \x20 sandbus run sample-guests/tour --until idle\n\
     \x20 sandbus call echo.wasm 'hello'\n\
     \x20 sandbus run echo.wasm --dest greetings=parallel --send greetings=hello\n\
     \n\
     `sandbus --help` tells everything, `sandbus run --help` about one command"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_overview_names_every_command() {
        for command in Arguments::command().get_subcommands() {
            assert!(overview().contains(&format!("  {}", command.get_name())), "{}", command.get_name());
        }
    }
}
