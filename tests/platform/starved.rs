//! F20: no file descriptors, no address space. Each runs in a process of its own, since it takes them away from all that the
//! process does; what was asked for ends in a typed error, and works again once there is room.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbus::bus::Cause;
use sandbus::{Allocator, LoadError, RuntimeSettings, SandboxEngine};

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, harness, runtime};

/// The variable that says which of the tests below the process is for.
const STARVED: &str = "SANDBUS_STARVED";

/// Runs `test` in a process of its own, in which it is the only one.
fn alone(test: &str, body: impl Future<Output = ()>) {
    if std::env::var(STARVED).as_deref() == Ok(test) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(body);
    }
    let own = std::env::current_exe().unwrap();
    let ran = Command::new(own)
        .args(["--exact", &format!("starved::{test}"), "--nocapture"])
        .env(STARVED, test)
        .output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{}: {said}", ran.status);
    assert!(said.contains("1 passed"), "{said}");
}

/// Has `resource` end at `current` until the answer is dropped.
struct Starved {
    resource: Resource,
    before: Rlimit,
    /// Descriptors that nobody else can have meanwhile.
    taken: Vec<File>,
}

impl Starved {
    fn of(resource: Resource, current: u64) -> Self {
        let before = getrlimit(resource);
        setrlimit(resource, Rlimit { current: Some(current), maximum: before.maximum }).unwrap();
        Self { resource, before, taken: Vec::new() }
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        self.taken.clear();
        setrlimit(self.resource, self.before).unwrap();
    }
}

fn noop() -> PathBuf {
    crate::support::guest("noop", "noop", &[]).path
}

/// Takes all descriptors that there are.
fn without_files() -> Starved {
    let mut starved = Starved::of(Resource::Nofile, 200);
    while let Ok(file) = File::open("/dev/null") {
        starved.taken.push(file);
    }
    starved
}

#[test]
fn f20_without_file_descriptors_loading_and_saving_are_errors_and_messages_go_on() {
    alone("f20_without_file_descriptors_loading_and_saving_are_errors_and_messages_go_on", async {
        let state = tempfile::tempdir().unwrap();
        let settings = RuntimeSettings { state_dir: state.path().to_owned(), ..runtime() };
        let here = Neighbourhood::among(harness().runtime(settings.clone()), |_| {}).await;
        here.fault("panic before").await;
        {
            let _starved = without_files();
            let Err(LoadError::Read { source, .. }) = here.harness.platform().engine().load(&noop()) else {
                panic!("there is no descriptor left")
            };
            assert_eq!(source.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()), "{source}");
            // Neither a call nor a new instance after a fault needs one.
            here.fault("panic meanwhile").await;
            assert_eq!(here.answer("echo on").await, "on");
        }
        here.harness.platform().engine().load(&noop()).expect("it works again");
        assert_eq!(here.answer("echo still here").await, "still here");
        let figures = here.harness.figures(HOSTILE);
        let ended = {
            let _starved = without_files();
            here.harness.end().await
        };
        assert_eq!(figures.dead_letters_kept, 2);
        let Some(Err(reason)) = &ended.saved else { panic!("{:?}", ended.saved) };
        assert!(reason.contains("Too many open files"), "{reason}");
        assert!(ended.statistics.iter().all(|of| of.adds_up()));
    });
}

#[test]
fn f20_without_address_space_an_instance_is_a_fault_and_an_engine_an_error() {
    alone("f20_without_address_space_an_instance_is_a_fault_and_an_engine_an_error", async {
        let settings = RuntimeSettings { allocator: Allocator::OnDemand, ..runtime() };
        let own = SandboxEngine::new(&settings).unwrap();
        let here = Neighbourhood::among(harness().engine(own), |_| {}).await;
        assert_eq!(here.answer("echo first").await, "first");
        here.fault("panic once").await;
        {
            // Without the instance that is gone.
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
            let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
            // Room for what a process needs to say so, none for a reservation of 4 GiB.
            let _starved = Starved::of(Resource::As, (size << 10) + (512 << 20));
            let (fault, _) = here.fault("echo needs an instance").await;
            assert_eq!(fault.cause, Cause::Instantiate, "{}", fault.text);
            assert!(SandboxEngine::new(&runtime()).is_err(), "a pool needs more");
        }
        assert_eq!(here.answer("echo works again").await, "works again");
        here.end().await;
    });
}
