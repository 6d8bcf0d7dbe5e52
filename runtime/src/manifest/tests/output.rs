//! Settings as text.

use std::path::Path;

use super::{flags, good};
use crate::manifest::{Manifest, effective, to_toml};

#[test]
fn the_manifest_that_equals_the_flags_reads_back_as_the_same() {
    let overrides = flags(
        &["orders=parallel,workers=2..8,max-queue-size=1k", "a/b=synchronous,request-timeout=3s"],
        &["validator=./v.wasm,listens-to=orders,grants.send=a/b,fuel=20M,memory=32MiB,env.DB_TOKEN=x1y2"],
    );
    let manifest = Manifest::from_overrides(&overrides).unwrap();
    let wanted = "\
sandbus = 1

[app]
name = \"adhoc\"

[destinations.orders]
type = \"parallel\"
max-queue-size = 1_000
workers = { max = 8 }

[destinations.\"a/b\"]
type = \"synchronous\"
request-timeout = \"3s\"

[guests.validator]
source = { path = \"./v.wasm\" }
listens-to = [\"orders\"]
grants = { send = [\"a/b\"] }
fuel = 20_000_000
memory = \"32MiB\"
env = { DB_TOKEN = { env = \"DB_TOKEN\" } }
";
    assert_eq!(to_toml(&manifest), wanted);
}

/// The settings of the one destination of this manifest that are in force, as lines.
fn in_force(manifest: &str) -> Vec<String> {
    let all = effective(&good(manifest));
    let own = all.into_iter().filter(|value| value.key.starts_with("destinations."));
    own.map(|value| format!("{} = {} ({})", value.key, value.value, value.origin)).collect()
}

#[test]
fn ex_8_the_settings_of_a_destination_in_force_are_told_those_that_nobody_set_too() {
    // Whoever reads them needs no table of defaults beside them.
    let told = in_force("[destinations.\"acme/w3r2_able\"]\ntype = \"serial\"");
    for line in [
        "type = \"serial\"",
        "max-queue-size = 10_000",
        "rejected-execution = \"abort\"",
        "workers.core = 1",
        "workers.max = 1",
    ] {
        let wanted = format!("destinations.\"acme/w3r2_able\".{line}");
        assert!(told.iter().any(|value| value.starts_with(&wanted)), "{wanted} in {told:#?}");
    }
}

#[test]
fn queue_12_what_is_in_force_without_queue_settings_is_a_bound_in_messages_and_one_in_bytes() {
    for kind in ["parallel", "serial"] {
        let told = in_force(&format!("[destinations.x]\ntype = \"{kind}\""));
        for line in ["max-queue-size = 10_000 (default)", "max-queue-bytes = \"64MiB\" (default)"] {
            assert!(told.contains(&format!("destinations.x.{line}")), "{line} in {told:#?}");
        }
    }
}

#[test]
fn every_setting_survives_being_written_and_read() {
    let manifest = good(EVERYTHING);
    let text = to_toml(&manifest);
    let again = Manifest::parse(&text, Path::new("x.toml"), Path::new(".")).unwrap();
    assert!(again.same_settings(&manifest), "{text}");
    assert_eq!(to_toml(&again), text);
    for key in [
        "state-dir",
        "retry",
        "dead-letter",
        "limits",
        "build",
        "enabled = false",
        "paused = true",
        "priority = true",
        "expires-in = \"1d\"",
        "dedup-window = \"7s\"",
        "circuit-breaker = { faults = 3, ratio = 1.0, window = \"5s\", cooldown = \"2s\" }",
        "circuit-breaker = \"off\"",
        "quarantine = { faults = 4, ratio = 1.0, window = \"6s\", initial = \"2s\", max = \"1m\" }",
        "quarantine = \"off\"",
        "drain = \"3s\"",
        "description",
    ] {
        assert!(text.contains(key), "{key} in\n{text}");
    }
}

const EVERYTHING: &str = r#"
app.version = "1"
app.authors = ["me \"x\""]
[runtime]
description = "d"
state-dir = "s"
shutdown-grace = "1500ms"
max-hops = 2
max-waiting-requests = 3
total-memory = "2GiB"
total-instances = 4
max-component-size = "1MiB"
stack = "65537B"
allocator = "on-demand"
compile-cache = "cache"
on-startup-error = "continue"
[destinations."p/1"]
type = "parallel"
description = "d"
max-queue-size = "unlimited"
max-queue-bytes = 1001
max-message-size = "2MiB"
workers = { core = 3, max = 9, keep-alive = "1h" }
rejected-execution = "block"
block-timeout = "9s"
on-no-listener = "reject"
request-timeout = "3s"
retry = { max-attempts = 4, initial = "1ms", max = "1d", multiplier = 1.5, jitter = "none", on = ["memory"] }
dead-letter = { max-size = 1, max-bytes = 2, max-age = "3s" }
priority = true
expires-in = "1d"
dedup-window = "7s"
paused = true
[destinations.s]
type = "serial"
on-failure = "skip"
rejected-execution = "discard-oldest"
[guests."a.b"]
source = { path = "dir/a b.wasm" }
description = "d"
listens-to = ["s", "p/1"]
grants = { send = ["p/*"], listen = ["s"], create = ["tmp/"], files = [{ host = "d", guest = "/d", mode = "ro" }, { host = "/e f", guest = "/", mode = "rw" }] }
fuel = "unlimited"
deadline = "1s"
memory = "1MiB"
limits = { activate-fuel = 1, activate-deadline = "1s", tables = 2, table-elements = 3, host-memory = "1MiB", sends = 4, send-bytes = 5, log-bytes = 6, keyvalue-bytes = 8 }
instances-max = 7
total-memory = "9MiB"
instances = { policy = "per-message", max-uses = 8, max-idle = "90s" }
env = { A = "x", B = { env = "SANDBUS_TEST_UNSET", default = "y" } }
config = { "a b" = "x" }
build = { command = "make", workdir = "w" }
enabled = false
circuit-breaker = { faults = 3, ratio = 1, window = "5s", cooldown = "2s" }
quarantine = { faults = 4, ratio = 1, window = "6s", initial = "2s", max = "1m" }
drain = "3s"
[guests.b]
source.path = "b.wasm"
circuit-breaker = "off"
quarantine = "off"
"#;

#[test]
fn each_value_in_force_is_listed_with_its_origin() {
    let manifest = good(
        "defaults.destination.max-queue-size = 7\n[destinations.\"a/b\"]\ntype = \"serial\"\npaused = true\n\
         [guests.g]\nsource.path = \"g.wasm\"\nenv = { TOKEN = \"x1y2\", A = \"b\" }\nconfig = { db-password = \"x1y2\", u = \"v\" }\n",
    );
    let lines: Vec<String> = effective(&manifest)
        .iter()
        .map(|value| format!("{} = {}  <- {}", value.key, value.value, value.origin))
        .collect();
    for wanted in [
        "app.name = \"t\"  <- sandbus.toml:2",
        "runtime.max-hops = 16  <- default",
        "destinations.\"a/b\".type = \"serial\"  <- sandbus.toml:5",
        "destinations.\"a/b\".max-queue-size = 7  <- defaults.destination (sandbus.toml:3)",
        "destinations.\"a/b\".paused = true  <- sandbus.toml:6",
        "destinations.\"a/b\".on-failure = \"block\"  <- default",
        "guests.g.source.path = \"g.wasm\"  <- sandbus.toml:8",
        "guests.g.fuel = 50_000_000  <- default",
        "guests.g.quarantine.faults = 50  <- default",
        "guests.g.quarantine.max = \"5m\"  <- default",
        "guests.g.drain = \"10s\"  <- default",
        "guests.g.env = { A = \"b\", TOKEN = { env = \"TOKEN\" } }  <- sandbus.toml:9",
        "guests.g.config = { db-password = { env = \"db-password\" }, u = \"v\" }  <- sandbus.toml:10",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} in\n{}", lines.join("\n"));
    }
    assert!(!lines.iter().any(|line| line.contains("x1y2")), "a secret is not shown");
    assert_eq!(manifest.place_of_key("guests.g.env").unwrap().to_string(), "sandbus.toml:9");
}

#[test]
fn every_key_of_a_destination_is_listed_for_each_type_that_has_it() {
    // What is in force and not listed would have to be guessed; what is listed and not there would be believed.
    let any = ["max-message-size", "on-no-listener", "request-timeout", "dedup-window", "paused"];
    let letters = ["dead-letter.max-size", "dead-letter.max-bytes", "dead-letter.max-age"];
    let queued = [
        "max-queue-size",
        "max-queue-bytes",
        "workers.core",
        "workers.max",
        "workers.keep-alive",
        "rejected-execution",
        "block-timeout",
        "retry.max-attempts",
        "retry.initial",
        "retry.max",
        "retry.multiplier",
        "retry.jitter",
        "retry.on",
        "priority",
        "expires-in",
    ];
    let everywhere = [["type", "description"].as_slice(), &any, &letters].concat();
    for (kind, own) in [
        ("parallel", queued.to_vec()),
        ("serial", [queued.as_slice(), &["on-failure"]].concat()),
        ("synchronous", Vec::new()),
    ] {
        let manifest = good(&format!("[destinations.d]\ntype = \"{kind}\"\ndescription = \"d\"\n"));
        let values = effective(&manifest);
        let mut listed: Vec<&str> =
            values.iter().filter_map(|value| value.key.strip_prefix("destinations.d.")).collect();
        let mut wanted = [everywhere.as_slice(), &own].concat();
        listed.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(listed, wanted, "{kind}");
    }
}

#[test]
fn the_origin_of_a_flag_is_the_command_line() {
    let manifest = Manifest::from_overrides(&flags(&["o=serial,paused=true"], &[])).unwrap();
    let list = effective(&manifest);
    let origin = |key: &str| list.iter().find(|value| value.key == key).unwrap().origin.clone();
    assert_eq!(origin("destinations.o.paused"), "--dest on the command line");
    assert_eq!(origin("app.name"), "default");
}

#[test]
fn a_breaker_that_is_off_has_no_figures_and_one_that_is_on_has_all() {
    let lines = |rest: &str| {
        let listed = effective(&good(rest));
        let breaker = listed.iter().filter(|value| value.key.contains("circuit-breaker"));
        breaker.map(|value| format!("{} = {}", value.key, value.value)).collect::<Vec<_>>()
    };
    let guest = "[guests.g]\nsource.path = \"g.wasm\"\n";
    let all = [
        "guests.g.circuit-breaker.faults = 20",
        "guests.g.circuit-breaker.ratio = 0.5",
        "guests.g.circuit-breaker.window = \"30s\"",
        "guests.g.circuit-breaker.cooldown = \"15s\"",
    ];
    assert_eq!(lines(guest), all);
    let off = format!("defaults.guest.circuit-breaker = \"off\"\n{guest}");
    assert_eq!(lines(&off), ["guests.g.circuit-breaker = \"off\""]);
    let on_again = format!("{off}circuit-breaker.faults = 20\n");
    assert_eq!(lines(&on_again), all);
}
