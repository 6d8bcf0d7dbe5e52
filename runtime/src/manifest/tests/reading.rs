//! A manifest without mistakes: every key reaches its setting.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbus_bus::RejectedExecution;
use sandbus_bus::{Cause, CircuitBreaker, DestinationType, FailureKind, Jitter, OnFailure, OnNoListener};

use super::{good, warnings};
use crate::grants::FileAccess;
use crate::manifest::Manifest;
use crate::settings::{
    Allocator, CompileCache, GuestLimits, InstancePolicy, Instances, OnStartupError, Quarantine,
    RuntimeSettings,
};

#[test]
fn the_smallest_manifest_has_every_default() {
    let text = r#"
sandbus = 1
[app]
name = "hello"
[destinations.greetings]
type = "parallel"
[guests.hello]
source = { path = "target/wasm32-wasip2/release/hello.wasm" }
listens-to = ["greetings"]
"#;
    let manifest = Manifest::parse(text, Path::new("sub/sandbus.toml"), Path::new("sub")).unwrap();
    assert_eq!(manifest.name, "hello");
    assert_eq!(manifest.destinations, [sandbus_bus::DestinationConfig::parallel("greetings").unwrap()]);
    let guest = manifest.guest("hello").unwrap();
    assert_eq!(guest.path, PathBuf::from("sub/target/wasm32-wasip2/release/hello.wasm"));
    assert_eq!(guest.listens_to, ["greetings"]);
    assert_eq!(guest.limits, GuestLimits::default());
    assert_eq!(guest.circuit_breaker, Some(CircuitBreaker::default()));
    assert_eq!((guest.quarantine, guest.drain), (Some(Quarantine::default()), crate::limits::DRAIN));
    assert!(guest.enabled && guest.build.is_none() && guest.env.is_empty());
    let usual = RuntimeSettings { state_dir: "sub/.sandbus".into(), ..RuntimeSettings::default() };
    assert_eq!(manifest.runtime, usual);
    assert!(manifest.warnings.is_empty());
    assert_eq!(manifest.written_path("hello"), Some("target/wasm32-wasip2/release/hello.wasm"));
    assert_eq!(manifest.place_of_guest("hello").unwrap().to_string(), "sub/sandbus.toml:7");
}

#[test]
fn every_key_of_runtime_reaches_its_setting() {
    let manifest = good(
        r#"
app.version = "0.1.0"
app.authors = ["a", "b"]
app.description = "d"
[runtime]
description = "d"
state-dir = "state"
shutdown-grace = "3s"
max-hops = 4
max-waiting-requests = "4k"
total-memory = "2GiB"
total-instances = 10
max-component-size = 1_048_576
stack = "256KiB"
allocator = "on-demand"
compile-cache = "off"
on-startup-error = "continue"
"#,
    );
    let wanted = RuntimeSettings {
        state_dir: "state".into(),
        shutdown_grace: Duration::from_secs(3),
        hops_max: 4,
        waiting_requests_max: 4_000,
        total_memory_bytes_max: 2 << 30,
        total_instances_max: 10,
        component_bytes_max: 1 << 20,
        stack_bytes_max: 256 << 10,
        allocator: Allocator::OnDemand,
        compile_cache: CompileCache::Off,
        on_startup_error: OnStartupError::Continue,
        ..RuntimeSettings::default()
    };
    assert_eq!(manifest.runtime, wanted);
    assert_eq!(manifest.app().authors, ["a", "b"]);
    let cache = good("[runtime]\ncompile-cache = \"c\"\n").runtime.compile_cache;
    assert_eq!(cache, CompileCache::Path("c".into()));
}

#[test]
fn every_key_of_a_destination_reaches_its_setting() {
    let manifest = good(
        r#"
[destinations."orders/priced"]
type = "parallel"
description = "d"
max-queue-size = "unlimited"
max-queue-bytes = "8MiB"
max-message-size = 1000
workers = { core = 3, max = 6, keep-alive = "5s" }
rejected-execution = "block"
block-timeout = "7s"
on-no-listener = "dead-letter"
request-timeout = "1m"
retry = { max-attempts = 9, initial = "1s", max = "2s", multiplier = 3, jitter = "none", on = ["trap", "refused"] }
dead-letter = { max-size = 7, max-bytes = "1KiB", max-age = "1h" }
priority = true
expires-in = "90s"
dedup-window = "3s"
paused = true
[destinations.s]
type = "serial"
on-failure = "skip"
workers = { core = 1, max = 1, keep-alive = "1s" }
[destinations.y]
type = "synchronous"
on-no-listener = "discard"
"#,
    );
    let [parallel, serial, synchronous] = manifest.destinations.as_slice() else { panic!("three") };
    assert_eq!(parallel.name.as_str(), "orders/priced");
    assert_eq!(parallel.queue_entries_max, usize::MAX);
    assert_eq!((parallel.queue_bytes_max, parallel.message_bytes_max), (8 << 20, 1_000));
    assert_eq!((parallel.workers.core, parallel.workers.max), (3, 6));
    assert_eq!(parallel.workers.keep_alive, Duration::from_secs(5));
    assert_eq!(parallel.rejected_execution, RejectedExecution::Block(Duration::from_secs(7)));
    assert_eq!(parallel.on_no_listener, OnNoListener::DeadLetter);
    assert_eq!(parallel.request_timeout, Duration::from_secs(60));
    let retry = &parallel.retry;
    assert_eq!((retry.attempts_max, retry.jitter), (9, Jitter::None));
    assert_eq!((retry.delay_initial, retry.delay_max), (Duration::from_secs(1), Duration::from_secs(2)));
    assert!((retry.multiplier - 3.0).abs() < f64::EPSILON);
    assert!(retry.on.contains(FailureKind::Refused) && retry.on.contains(FailureKind::Faulted(Cause::Trap)));
    assert!(!retry.on.contains(FailureKind::Retry));
    assert_eq!((parallel.dead_letters.letters_max, parallel.dead_letters.bytes_max), (7, 1 << 10));
    assert_eq!(parallel.dead_letters.age_max, Duration::from_secs(3_600));
    assert!(parallel.priority && !serial.priority);
    assert_eq!((parallel.expires_in, serial.expires_in), (Some(Duration::from_secs(90)), None));
    assert_eq!(parallel.dedup_window, Duration::from_secs(3));
    assert_eq!(serial.dedup_window, Duration::from_secs(120));
    assert!(parallel.paused && !serial.paused);
    assert_eq!((serial.destination_type, serial.on_failure), (DestinationType::Serial, OnFailure::Skip));
    assert_eq!(synchronous.on_no_listener, OnNoListener::Discard);
}

#[test]
fn every_key_of_a_guest_reaches_its_setting() {
    let manifest = good(
        r#"
[destinations.orders]
type = "parallel"
[guests.validator]
source.path = "v.wasm"
description = "d"
listens-to = ["orders", "made/here"]
grants = { send = ["orders", "made/*", "sandbus/default-response"], listen = ["orders"], create = ["made/"], files = [{ host = "./d", guest = "/d" }, { host = "/e", guest = "/", mode = "rw" }] }
fuel = "20M"
deadline = "500ms"
memory = "32MiB"
batch-max = 5
limits = { activate-fuel = 7, activate-deadline = "1s", tables = 8, table-elements = 9, host-memory = "1MiB", sends = 0, send-bytes = 10, log-bytes = 11, keyvalue-bytes = 12 }
instances-max = 3
total-memory = "96MiB"
instances = { policy = "single", max-uses = 3, max-idle = "1m" }
circuit-breaker = { faults = 2, ratio = 1, cooldown = "1s" }
quarantine = { faults = 6, max = "10s" }
drain = "0s"
env = { LEVEL = "info", REGION = { env = "SANDBUS_TEST_UNSET", default = "eu" } }
config = { url = "http://stock", api-token = { env = "SANDBUS_TEST_UNSET", default = "none" } }
build = { command = "make", workdir = "w" }
enabled = false
[tool.editor]
anything = { goes = [1, "x"] }
"#,
    );
    let guest = manifest.guest("validator").unwrap();
    assert_eq!(guest.listens_to, ["orders", "made/here"]);
    assert_eq!((guest.grants.send.len(), guest.grants.listen.len()), (3, 1));
    assert_eq!(guest.grants.create, ["made/"]);
    let folders = guest.grants.files.iter().map(|grant| (grant.guest_path(), grant.access()));
    assert_eq!(folders.collect::<Vec<_>>(), [("/d", FileAccess::ReadOnly), ("/", FileAccess::ReadWrite)]);
    assert_eq!(guest.grants.files[1].host_path(), Path::new("/e"));
    let wanted = GuestLimits {
        fuel: 20_000_000,
        deadline: Duration::from_millis(500),
        memory_bytes_max: 32 << 20,
        activate_fuel: 7,
        activate_deadline: Duration::from_secs(1),
        tables_max: 8,
        table_elements_max: 9,
        host_memory_bytes_max: 1 << 20,
        batch_messages_max: 5,
        sends_max: 0,
        send_bytes_max: 10,
        log_bytes_max: 11,
        keyvalue_bytes_max: 12,
        instances_max: 3,
        total_memory_bytes_max: 96 << 20,
    };
    assert_eq!(guest.limits, wanted);
    let instances = Instances {
        policy: InstancePolicy::Single,
        uses_max: Some(3),
        idle_max: Some(Duration::from_secs(60)),
    };
    assert_eq!(guest.instances, instances);
    let breaker = CircuitBreaker {
        faults: 2,
        ratio: 1.0,
        window: Duration::from_secs(30),
        cooldown: Duration::from_secs(1),
    };
    assert_eq!(guest.circuit_breaker, Some(breaker));
    let quarantine = Quarantine { faults: 6, max: Duration::from_secs(10), ..Quarantine::default() };
    assert_eq!((guest.quarantine, guest.drain), (Some(quarantine), Duration::ZERO));
    assert_eq!(guest.env["LEVEL"], "info");
    assert_eq!(guest.env["REGION"], "eu");
    assert_eq!((guest.config["url"].as_str(), guest.config["api-token"].as_str()), ("http://stock", "none"));
    let build = guest.build.as_ref().unwrap();
    assert_eq!((build.command.as_str(), build.workdir.as_path()), ("make", Path::new("w")));
    assert!(!guest.enabled);
    assert!(manifest.warnings.is_empty(), "{:?}", manifest.warnings);
}

#[test]
fn unlimited_fuel_is_spelled_out() {
    let manifest = good("[guests.a]\nsource.path = \"a.wasm\"\nfuel = \"unlimited\"\n");
    assert_eq!(manifest.guests[0].limits.fuel, crate::limits::FUEL_UNLIMITED);
}

#[test]
fn the_order_of_the_file_is_kept() {
    let manifest = good(
        "[destinations.b]\ntype = \"serial\"\n[guests.z]\nsource.path = \"z\"\n[destinations.a]\n\
         type = \"serial\"\n[guests.y]\nsource.path = \"y\"\n",
    );
    let names: Vec<&str> = manifest.destinations.iter().map(|config| config.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(manifest.guests.iter().map(|guest| guest.name.as_str()).collect::<Vec<_>>(), ["z", "y"]);
}

#[test]
fn defaults_reach_each_type_that_can_take_them_and_no_other() {
    let manifest = good(
        r#"
[defaults.destination]
workers = { core = 3, max = 7 }
max-queue-size = 5
on-failure = "skip"
on-no-listener = "hold"
rejected-execution = "caller-runs"
retry.max-attempts = 1
priority = true
expires-in = "1h"
dedup-window = "4s"
dead-letter.max-size = 3
[defaults.guest]
fuel = "1M"
circuit-breaker = { faults = 5, ratio = 0.9 }
env = { A = "1", B = "2" }
[destinations.p]
type = "parallel"
max-queue-size = 6
[destinations.s]
type = "serial"
expires-in = "none"
[destinations.y]
type = "synchronous"
[guests.g]
source.path = "g.wasm"
circuit-breaker.ratio = 0.1
env = { B = "3" }
"#,
    );
    let [parallel, serial, synchronous] = manifest.destinations.as_slice() else { panic!("three") };
    assert_eq!((parallel.workers.core, parallel.workers.max), (3, 7));
    assert_eq!((parallel.queue_entries_max, serial.queue_entries_max), (6, 5));
    assert_eq!((serial.workers.core, serial.workers.max), (1, 1));
    assert_eq!(serial.on_failure, OnFailure::Skip);
    assert_eq!(parallel.rejected_execution, RejectedExecution::CallerRuns);
    assert_eq!(serial.rejected_execution, RejectedExecution::Abort);
    assert_eq!(synchronous.on_no_listener, OnNoListener::Reject);
    assert_eq!((parallel.retry.attempts_max, serial.retry.attempts_max), (1, 1));
    assert_eq!(synchronous.retry, sandbus_bus::RetryPolicy::default());
    assert!(parallel.priority && serial.priority && !synchronous.priority);
    let hour = Some(Duration::from_secs(3_600));
    assert_eq!((parallel.expires_in, serial.expires_in, synchronous.expires_in), (hour, None, None));
    let guest = &manifest.guests[0];
    assert_eq!(guest.limits.fuel, 1_000_000);
    assert_eq!((guest.env["A"].as_str(), guest.env["B"].as_str()), ("1", "3"));
    let breaker = guest.circuit_breaker.unwrap();
    assert_eq!((breaker.faults, breaker.ratio.to_bits()), (5, 0.1f64.to_bits()));
    for config in &manifest.destinations {
        assert_eq!((config.dedup_window, config.dead_letters.letters_max), (Duration::from_secs(4), 3));
        config.check().unwrap();
    }
}

#[test]
fn what_is_doubtful_is_a_warning_and_stops_nothing() {
    let base = "[destinations.orders]\ntype = \"parallel\"\n[guests.a]\nsource.path = \"a.wasm\"\n";
    assert_eq!(
        warnings(&format!("{base}grants.send = [\"audit/*\"]\n")),
        ["sandbus.toml:7:16: pattern `audit/*` matches no defined destination (SB0113)"]
    );
    assert!(warnings(&format!("{base}grants.send = [\"ord*\"]\n")).is_empty());
    assert_eq!(
        warnings(&format!("{base}env = {{ DB_PASSWORD = \"x\" }}\n")),
        ["sandbus.toml:7:23: guest `a`: the secret `env.DB_PASSWORD` stands in the manifest (SB0116)"]
    );
    assert_eq!(
        warnings(&format!("{base}memory = \"64MiB\"\ntotal-memory = \"32MiB\"\n")),
        [
            "sandbus.toml:7:10: guest `a`: `memory` is 64MiB for one instance, and `total-memory` 32MiB for all of them (SB0115)"
        ]
    );
    assert!(warnings(&format!("{base}memory = \"64MiB\"\ntotal-memory = \"64MiB\"\n")).is_empty());
    assert_eq!(
        warnings("[destinations.orders]\ntype = \"parallel\"\nblock-timeout = \"1s\"\n"),
        ["sandbus.toml:5:17: destination `orders`: `block-timeout` has no effect (SB0115)"]
    );
}
