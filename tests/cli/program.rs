//! The program under test, run in a folder of its own: a program that hangs is killed, and its test fails.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a command may take: the slowest one compiles guests on a busy machine.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// A folder with the built guests under `guests/` and the samples under `sample-guests/`.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-guests");
        let link = |original: &Path, name: &str| {
            let original = original.canonicalize().expect("it was built");
            std::os::unix::fs::symlink(original, directory.path().join(name)).expect("a link");
        };
        link(Path::new(env!("TEST_GUESTS")), "guests");
        link(&samples, "sample-guests");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path().join(name), bytes).expect("a file");
        self
    }

    /// What the host left in its state directory.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join("state")) else { return Vec::new() };
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The program with these arguments, written as in a shell. `run` and `bench` get a state directory here, so that the samples stay
    /// as they are, and a cache that all tests share.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbus-under-test"));
        command.arg0("sandbus").args(words(line)).current_dir(self.path());
        if ["run", "bench"].iter().any(|name| line.starts_with(name)) && !line.contains("--dry-run") {
            let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-cli");
            command.arg("--set").arg(format!("runtime.state-dir={}", self.path().join("state").display()));
            command.arg("--set").arg(format!("runtime.compile-cache={}", cache.display()));
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let outer = ["CARGO_MANIFEST", "CARGO_PKG", "SANDBUS", "RUST_LOG", "RUST_BACKTRACE", "COLUMNS"];
            if outer.iter().any(|start| name.starts_with(start)) {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Running::start(self.command(line)).end()
    }

    /// The same with this text on standard input.
    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Ran {
        let file = self.path().join("standard-input");
        std::fs::write(&file, input).expect("a file");
        let mut command = self.command(line);
        command.stdin(std::fs::File::open(file).expect("the file"));
        Running::start(command).end()
    }
}

impl Ran {
    /// Standard error without line breaks and frames, so that texts can be found wherever they were wrapped.
    pub(crate) fn said(&self) -> String {
        let plain = self.stderr.replace(['│', '╰', '─', '▶', '╭', '╮', '┬', '·', '×'], " ");
        let joined = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        // Long words are broken behind a `/` or `-`; put together again they are found by what they are.
        joined.replace("/ ", "/").replace("- ", "-")
    }

    /// Fails unless it ended with this code.
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless it said all of these.
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        let said = self.said();
        for text in texts {
            assert!(said.contains(text), "`{text}` is not in:\n{}", self.stderr);
        }
        self
    }

    /// Fails if a guest printed anything, or something was answered: then it had been half started.
    pub(crate) fn started_nothing(self) -> Self {
        assert_eq!(self.stdout, "", "an answer beside an error");
        assert!(!self.stderr.lines().any(|line| line.starts_with('[')), "a guest ran:\n{}", self.stderr);
        self
    }
}

/// Splits at spaces outside of single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (place, part) in line.split('\'').enumerate() {
        for (number, piece) in part.split(' ').enumerate() {
            if place % 2 == 1 {
                if number > 0 {
                    words.last_mut().unwrap().push(' ');
                }
            } else if number > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A program that runs, and what it has printed so far.
pub(crate) struct Running {
    child: Child,
    stdout: Printed,
    stderr: Printed,
    began: Instant,
}

type Printed = (Arc<Mutex<Vec<u8>>>, Option<std::thread::JoinHandle<()>>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::start_with_stdout(command)
    }

    /// The same with a standard output that the caller has set.
    pub(crate) fn start_with_stdout(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Self { child, stdout, stderr, began: Instant::now() }
    }

    /// Waits until standard error has this text.
    pub(crate) fn until_it_says(&mut self, text: &str) {
        loop {
            let said = String::from_utf8_lossy(&self.stderr.0.lock().unwrap()).into_owned();
            if said.contains(text) {
                return;
            }
            let ended = self.child.try_wait().expect("its state");
            assert!(ended.is_none(), "it ended and never said `{text}`:\n{said}");
            self.check_time();
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status().expect("`kill` runs");
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let status = loop {
            match self.child.try_wait().expect("its state") {
                Some(status) => break status,
                None => self.check_time(),
            }
        };
        let text = |(bytes, thread): Printed| {
            if let Some(thread) = thread {
                thread.join().expect("its output is read");
            }
            String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
        };
        let code = status.code().unwrap_or_else(|| panic!("it was killed: {status}"));
        Ran { stdout: text(self.stdout), stderr: text(self.stderr), code }
    }

    /// A short pause between two looks, or the end of a program that takes too long.
    fn check_time(&mut self) {
        if self.began.elapsed() > COMMAND_MAX {
            let _ = self.child.kill();
            let said = String::from_utf8_lossy(&self.stderr.0.lock().unwrap()).into_owned();
            panic!("it still runs after {COMMAND_MAX:?}:\n{said}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Printed {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let Some(mut pipe) = pipe else { return (kept, None) };
    let own = Arc::clone(&kept);
    let thread = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            own.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    });
    (kept, Some(thread))
}
