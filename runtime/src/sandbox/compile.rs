//! Compiles a component in a process of its own, and says what ended that process if it did not answer. What it answers is
//! run as machine code: it comes over a pipe from a program that this process started itself, and from nowhere else.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cache::Compiled;
use crate::host::escaped;
use crate::limits;
use crate::settings::{CompileLimits, Compiler, RuntimeSettings};

/// The argument that makes a program compile: see [`super::compiler_main_if_asked`].
pub(super) const ARGUMENT: &str = "__compile";

/// What the compiling process is told first, as one line; the component follows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// What the machine code depends on besides the component: another release would make code that is of no use here.
    pub(super) engine_hash: u64,
    pub(super) stack_bytes_max: usize,
    pub(super) memory_bytes_max: u64,
    pub(super) cpu_seconds_max: u64,
}

/// The first byte of what it answers.
pub(super) mod answer {
    /// A checksum and machine code follow.
    pub(in crate::sandbox) const COMPILED: u8 = b'C';
    /// Why the component is not valid follows.
    pub(in crate::sandbox) const INVALID: u8 = b'I';
    /// It is another engine.
    pub(in crate::sandbox) const OTHER_ENGINE: u8 = b'O';
    /// The memory that it may use was used up, and it noticed.
    pub(in crate::sandbox) const NO_MEMORY: u8 = b'M';
    /// It cannot limit itself, for the reason that follows, and has compiled nothing.
    pub(in crate::sandbox) const UNLIMITED: u8 = b'U';
}

/// How long to wait between two looks whether anybody still wants the answer.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of a text that the compiling process writes.
const TEXT_BYTES_MAX: u64 = 4 << 10;

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It is not valid, or uses what is off.
    #[error("{0}")]
    Invalid(String),
    /// Compiling needs more memory than it may have.
    #[error("compiling it needs more than the {bytes_max} bytes of memory that it may use")]
    Memory {
        /// How many it may use.
        bytes_max: usize,
    },
    /// Compiling takes more of the processor than it may have.
    #[error("compiling it needs more than the {} s of processor time that it may use", .max.as_secs())]
    Cpu {
        /// How much it may use.
        max: Duration,
    },
    /// Compiling takes too long.
    #[error("compiling it took longer than {} ms", .max.as_millis())]
    Time {
        /// How long it may take.
        max: Duration,
    },
    /// It becomes too much machine code.
    #[error("it becomes more than {} bytes of machine code", limits::COMPILED_BYTES_MAX)]
    TooMuchCode,
    /// The compiling process ended without an answer.
    #[error("the process that compiled it ended with {how}")]
    Died {
        /// How it ended, and what it said last.
        how: String,
    },
    /// There is no compiling process.
    #[error("cannot start `{program}`, which is to compile it")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The program compiles for another engine.
    #[error("`{program}`, which is to compile it, is of another release")]
    OtherEngine {
        /// The program.
        program: String,
    },
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Cancelled,
}

/// Whether anybody still wants what is being loaded.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Compiles components elsewhere, one at a time.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere {
    program: PathBuf,
    limits: CompileLimits,
    stack_bytes_max: usize,
    engine_hash: u64,
    /// Guards nothing but the turn: two hostile components must not have twice the memory.
    turn: Arc<Mutex<()>>,
}

impl Elsewhere {
    /// None where compiling is to happen in this process.
    pub(super) fn new(settings: &RuntimeSettings, engine_hash: u64) -> Option<Self> {
        let Compiler::Program(program) = &settings.compiler else { return None };
        Some(Self {
            program: program.clone(),
            limits: settings.compile_limits,
            stack_bytes_max: settings.stack_bytes_max,
            engine_hash,
            turn: Arc::default(),
        })
    }

    /// Compiles in its turn. `ready` is asked once the turn has come, since somebody may have compiled the same meanwhile.
    ///
    /// # Errors
    /// What stopped it.
    pub(super) fn compile<T>(
        &self,
        component: &[u8],
        cancel: &Cancel,
        ready: impl FnOnce() -> Option<T>,
        take: impl FnOnce(Compiled) -> Option<T>,
    ) -> Result<T, CompileError> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        if cancel.is_cancelled() {
            return Err(CompileError::Cancelled);
        }
        let compiled = self.run(component, cancel)?;
        take(compiled).ok_or_else(|| CompileError::OtherEngine { program: self.shown() })
    }

    fn shown(&self) -> String {
        self.program.display().to_string()
    }

    fn run(&self, component: &[u8], cancel: &Cancel) -> Result<Compiled, CompileError> {
        let order = serde_json::to_string(&self.order()).unwrap_or_default();
        let mut child =
            self.start().map_err(|source| CompileError::Start { program: self.shown(), source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (sender, receiver) = channel();
        let (answer, said, ended) = std::thread::scope(|scope| {
            scope.spawn(move || {
                // One that ended early has its reasons, which its end tells.
                let Some(mut stdin) = stdin else { return };
                let _ = writeln!(stdin, "{order}").and_then(|()| stdin.write_all(component));
            });
            let said = scope.spawn(move || read(stderr, TEXT_BYTES_MAX));
            scope.spawn(move || sender.send(read(stdout, limits::COMPILED_BYTES_MAX as u64)));
            let answer = self.wait(&receiver, cancel);
            // It has nothing more to do: one that answered ends by itself, and is not waited for.
            let ended = if answer.is_ok() { end(&mut child) } else { kill(&mut child) };
            (answer, said.join().unwrap_or_default(), ended)
        });
        self.judge(&answer?, &said, ended.ok())
    }

    fn order(&self) -> Order {
        Order {
            engine_hash: self.engine_hash,
            stack_bytes_max: self.stack_bytes_max,
            memory_bytes_max: self.limits.memory_bytes_max as u64,
            cpu_seconds_max: self.limits.cpu_max.as_secs().max(1),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Command::new(&self.program)
            .arg0("sandbus")
            .arg(ARGUMENT)
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.min(limits::COMPILE_THREADS_MAX).to_string())
            // Else our allocator reserves a gigabyte of address space before it is limited.
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Waits for the whole answer.
    fn wait(&self, receiver: &Receiver<Vec<u8>>, cancel: &Cancel) -> Result<Vec<u8>, CompileError> {
        let deadline = Instant::now() + self.limits.time_max;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(LOOK_INTERVAL)) {
                Ok(answer) => return Ok(answer),
                Err(_) if cancel.is_cancelled() => return Err(CompileError::Cancelled),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Err(CompileError::Time { max: self.limits.time_max }),
            }
        }
    }

    /// What the answer and the end of the process mean.
    fn judge(&self, answer: &[u8], said: &[u8], ended: Option<ExitStatus>) -> Result<Compiled, CompileError> {
        let memory = CompileError::Memory { bytes_max: self.limits.memory_bytes_max };
        let program = self.shown();
        if answer.len() > limits::COMPILED_BYTES_MAX {
            return Err(CompileError::TooMuchCode);
        }
        let said = String::from_utf8_lossy(said);
        match answer.split_first() {
            Some((&answer::COMPILED, rest)) => Compiled::checked(rest.to_vec())
                .ok_or_else(|| CompileError::Died { how: format!("half an answer ({})", how(ended, &said)) }),
            Some((&answer::INVALID, text)) => {
                Err(CompileError::Invalid(escaped(&String::from_utf8_lossy(text))))
            }
            Some((&answer::OTHER_ENGINE, _)) => Err(CompileError::OtherEngine { program }),
            Some((&answer::NO_MEMORY, _)) => Err(memory),
            Some((&answer::UNLIMITED, text)) => {
                let reason = std::io::Error::other(escaped(&String::from_utf8_lossy(text)));
                Err(CompileError::Start { program, source: reason })
            }
            // A program that is not ours prints what it likes, and never says this.
            _ if said.contains("memory allocation of") || said.contains("out of memory") => Err(memory),
            _ => Err(match ended.and_then(|ended| ended.signal()) {
                Some(SIGXCPU) => CompileError::Cpu { max: self.limits.cpu_max },
                _ => CompileError::Died { how: how(ended, &said) },
            }),
        }
    }
}

/// The signal that ends a process whose processor time is used up; the number is the same on every system that has it.
const SIGXCPU: i32 = 24;

fn how(ended: Option<ExitStatus>, said: &str) -> String {
    let how = ended.map_or_else(|| "an unknown status".to_owned(), |ended| ended.to_string());
    let said = said.trim();
    if said.is_empty() { how } else { format!("{how}: {}", escaped(said)) }
}

/// Reads to the end, or one byte more than allowed.
fn read(pipe: Option<impl Read>, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is looked at as what it is: half an answer.
        let _ = pipe.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    }
    bytes
}

/// The end of a process that has closed its output: soon, or by force.
fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    for _ in 0..1_000 {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(child)
}

fn kill(child: &mut Child) -> std::io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}
