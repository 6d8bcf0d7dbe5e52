//! A manifest with mistakes.

use std::path::Path;

use super::{parse, wrong};
use crate::diagnostic::{Code, RenderOptions};
use crate::manifest::Manifest;

#[test]
fn the_example_of_the_interface_is_told_as_there() {
    let text = "\
[destinations.orders]
type = \"parallel\"
[guests.validator]
source.path = \"v.wasm\"
listens-to = [\"ordres\"]
";
    let problems = parse(text).unwrap_err();
    let wanted = "\
SB0112
  × no destination is called `ordres`
   ╭─[sandbus.toml:3:15]
 3 │ [destinations.orders]
   ·               ───┬──
   ·                  ╰── a close name is defined here
   ╰────
   ╭─[sandbus.toml:7:15]
 7 │ listens-to = [\"ordres\"]
   ·               ────┬───
   ·                   ╰── guest `validator` listens to it here
   ╰────
  help: did you mean `orders`?
";
    assert_eq!(problems.render(&RenderOptions::default()), wanted);
    assert_eq!(problems.exit_code(), 3);
    let json = problems.to_json();
    assert_eq!(json["labels"][0]["label"], "guest `validator` listens to it here");
    assert_eq!(json["labels"][0]["span"]["length"], 8);
}

#[test]
fn all_problems_are_told_in_the_order_of_the_file() {
    let text = "\
[runtime]
max-hop = 3
stack = \"1KiB\"
[destinations.orders]
type = \"paralel\"
max-queue-size = true
[destinations.prices]
workers = { core = 1, maxx = 2 }
[guests.\"a b\"]
listens-to = [\"orders\", 7, \"orders\", \"x\"]
fuel = 0
";
    let wanted = "\
sandbus.toml:4:1: [runtime]: key `max-hop` is not known (SB0102)
sandbus.toml:5:9: [runtime]: `stack` is \"1KiB\"; it must be from 64KiB to 1MiB (SB0104)
sandbus.toml:7:8: destination `orders`: `type` is `paralel`; it must be one of `parallel`, `serial`, `synchronous` (SB0104)
sandbus.toml:8:18: destination `orders`: `max-queue-size` is a boolean; it must be a number or \"unlimited\" (SB0103)
sandbus.toml:9:15: destination `prices`: `type` is missing (SB0105)
sandbus.toml:10:23: destination `prices`: key `workers.maxx` is not known (SB0102)
sandbus.toml:11:9: guest `a b` has ` ` in its name; use letters, digits, `-`, `_` and `.` (SB0109)
sandbus.toml:11:9: guest `a b`: `source.path` is missing (SB0105)
sandbus.toml:12:25: guest `a b`: `listens-to` has a number in its list; it must be a list of texts (SB0103)
sandbus.toml:12:28: guest `a b`: `listens-to` has `orders` twice (SB0106)
sandbus.toml:12:38: no destination is called `x` (SB0112)
sandbus.toml:13:8: guest `a b`: `fuel` is 0; it must be at least 1 (SB0104)";
    let shown = wrong(text);
    assert_eq!(shown, wanted, "\n{shown}");
}

/// The text behind two lines of head, and what is said about it.
const CASES: &[(&str, &str)] = &[
    ("[dev]\n", "sandbus.toml:3:2: key `dev` is not known (SB0102)"),
    ("[guest.a]\n", "sandbus.toml:3:2: key `guest` is not known (SB0102)"),
    ("runtime = 3\n", "sandbus.toml:3:11: manifest: `runtime` is a number; it must be a table (SB0103)"),
    ("app.nme = \"x\"\n", "sandbus.toml:3:5: [app]: key `nme` is not known (SB0102)"),
    (
        "runtime.allocator = \"pool\"\n",
        "sandbus.toml:3:21: [runtime]: `allocator` is `pool`; it must be one of `pooling`, `on-demand` (SB0104)",
    ),
    (
        "runtime.shutdown-grace = 5\n",
        "sandbus.toml:3:26: [runtime]: `shutdown-grace` is a number; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
    ),
    (
        "runtime.shutdown-grace = \"5 parsecs\"\n",
        "sandbus.toml:3:26: [runtime]: `shutdown-grace` is \"5 parsecs\"; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
    ),
    (
        "runtime.total-memory = \"64MB\"\n",
        "sandbus.toml:3:24: [runtime]: `total-memory` is \"64MB\"; it must be a size such as \"512KiB\", \"64MiB\" or \"1GiB\" (SB0103)",
    ),
    (
        "runtime.max-hops = -1\n",
        "sandbus.toml:3:20: [runtime]: `max-hops` is -1; it must be from 1 to 1,000 (SB0104)",
    ),
    (
        "runtime.max-hops = 1.5\n",
        "sandbus.toml:3:20: [runtime]: `max-hops` is a number with a fraction; it must be a number (SB0103)",
    ),
    (
        "[destinations.\"sandbus/mine\"]\ntype = \"serial\"\n",
        "sandbus.toml:3:15: destination `sandbus/mine` begins with `sandbus/`, which is reserved for built-in destinations (SB0110)",
    ),
    (
        "[destinations.\"a b\"]\ntype = \"serial\"\n",
        "sandbus.toml:3:15: destination `a b` has a space at byte 1; use letters, digits, `-`, `_`, `.` and `/` (SB0109)",
    ),
    ("destinations.a = 3\n", "sandbus.toml:3:18: manifest: `a` is a number; it must be a table (SB0103)"),
    (
        "[destinations.y]\ntype = \"synchronous\"\nworkers = { core = 1, max = 2 }\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `workers` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nretry.max-attempts = 2\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `retry` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nmax-queue-size = 2\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `max-queue-size` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nrejected-execution = \"abort\"\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `rejected-execution` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\non-no-listener = \"hold\"\n",
        "sandbus.toml:5:18: destination `y`: `on-no-listener` is hold; it must be `reject` or `discard` on a synchronous destination (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\non-failure = \"skip\"\n",
        "sandbus.toml:5:1: destination `p`: a parallel destination has no `on-failure` (SB0108)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nworkers.core = 9\n",
        "sandbus.toml:5:16: destination `p`: `workers` is 9/5; it must be 1 <= core <= max <= 1,024 (SB0104)",
    ),
    (
        "[destinations.s]\ntype = \"serial\"\nworkers.max = 2\n",
        "sandbus.toml:5:15: destination `s`: `workers` is 1/2; it must be 1/1 on a serial destination (SB0104)",
    ),
    (
        "[destinations.s]\ntype = \"serial\"\nrejected-execution = \"caller-runs\"\n",
        "sandbus.toml:5:22: destination `s`: `rejected-execution` is caller-runs; it must be any other policy on a serial destination, whose order it would break (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry.on = [\"retries\"]\n",
        "sandbus.toml:5:13: destination `p`: `retry.on` has `retries`; it may have `refused`, `retry`, `trap`, `out-of-fuel`, `deadline`, `memory`, `instantiate`, `processor` (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry.multiplier = 0.5\n",
        "sandbus.toml:5:20: destination `p`: `retry.multiplier` is 0.5; it must be from 1 to 100 (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry = 3\n",
        "sandbus.toml:5:9: destination `p`: `retry` is a number; it must be a table with `max-attempts`, `initial`, `max`, `multiplier`, `jitter`, `on` (SB0103)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\npriority = true\n",
        "sandbus.toml:5:1: destination `p`: key `priority` is not known (SB0102)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nrecord = { messages = 1 }\n",
        "sandbus.toml:5:1: destination `p`: key `record` is not known (SB0102)",
    ),
    (
        "defaults.destination.type = \"serial\"\n",
        "sandbus.toml:3:22: [defaults.destination]: key `type` is not known (SB0102)",
    ),
    (
        "defaults.destination.max-hops = 1\n",
        "sandbus.toml:3:22: [defaults.destination]: key `max-hops` is not known (SB0102)",
    ),
    (
        "defaults.guest.source = { path = \"x\" }\n",
        "sandbus.toml:3:16: [defaults.guest]: key `source` is not known (SB0102)",
    ),
    (
        "defaults.guest.fuel = true\n",
        "sandbus.toml:3:23: [defaults.guest]: `fuel` is a boolean; it must be a number or \"unlimited\" (SB0103)",
    ),
    ("defaults.guests.fuel = 1\n", "sandbus.toml:3:10: key `defaults.guests` is not known (SB0102)"),
    (
        "[guests.host]\nsource.path = \"x\"\n",
        "sandbus.toml:3:9: a guest cannot be called `host`; that name belongs to the platform (SB0110)",
    ),
    (
        "[guests.sandbus-x]\nsource.path = \"x\"\n",
        "sandbus.toml:3:9: a guest cannot be called `sandbus-x`; that name belongs to the platform (SB0110)",
    ),
    (
        "[guests.a]\nsource = \"x\"\n",
        "sandbus.toml:4:10: guest `a`: `source` is text; it must be a table with `path` (SB0103)",
    ),
    (
        "[guests.a]\nsource = { oci = \"x\" }\n",
        "sandbus.toml:4:1: guest `a`: `source.path` is missing (SB0105)\nsandbus.toml:4:12: guest `a`: key `source.oci` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"\"\n",
        "sandbus.toml:4:15: guest `a`: `source.path` is empty; it must be text of at least one character (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nquarantine = \"off\"\n",
        "sandbus.toml:5:1: guest `a`: key `quarantine` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.files = []\n",
        "sandbus.toml:5:8: guest `a`: key `grants.files` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.send = [\"a//*\"]\n",
        "sandbus.toml:5:16: guest `a`: `grants.send`: pattern `a//*` is not a destination name with `*` or `**` in it: destination `a//x` has the segment ``; a segment is not empty, `.` or `..` (SB0111)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.create = [\"a*\"]\n",
        "sandbus.toml:5:18: guest `a`: `grants.create`: destination `a*` has `*` at byte 1; use letters, digits, `-`, `_`, `.` and `/` (SB0109)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.send = [\"sandbus/x\"]\n",
        "sandbus.toml:5:16: no destination is called `sandbus/x` (SB0112)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nlistens-to = [\"sandbus/default-response\"]\n",
        "sandbus.toml:5:15: no destination is called `sandbus/default-response` (SB0112)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nmemory = \"1KiB\"\n",
        "sandbus.toml:5:10: guest `a`: `memory` is \"1KiB\"; it must be from 64KiB to 4GiB (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ndeadline = \"2h\"\n",
        "sandbus.toml:5:12: guest `a`: `deadline` is \"2h\"; it must be from 1ms to 1h (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv = [\"A\"]\n",
        "sandbus.toml:5:7: guest `a`: `env` is a list; it must be a table such as { LEVEL = \"info\" } (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = 3\n",
        "sandbus.toml:5:9: guest `a`: `env.A` is a number; it must be text or { env = \"NAME\", default = \"value\" } (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { env = \"SANDBUS_TEST_UNSET\" }\n",
        "sandbus.toml:5:9: guest `a`: `env.A` needs the variable `SANDBUS_TEST_UNSET`, which is not set (SB0114)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { default = \"x\" }\n",
        "sandbus.toml:5:9: guest `a`: `env.A` lacks `env`, the variable that it is taken from (SB0105)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { env = \"PATH\", defalt = \"x\" }\n",
        "sandbus.toml:5:25: guest `a`: key `env.A.defalt` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nbuild = { workdir = \"x\" }\n",
        "sandbus.toml:5:1: guest `a`: `build.command` is missing (SB0105)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenabled = \"yes\"\n",
        "sandbus.toml:5:11: guest `a`: `enabled` is text; it must be true or false (SB0103)",
    ),
    ("x = [1\n", "sandbus.toml:3:7: not TOML: unclosed array, expected `]` (SB0101)"),
    ("[runtime]\n[runtime]\n", "sandbus.toml:4:2: key `runtime` is defined twice (SB0106)"),
];

#[test]
fn each_mistake_is_told_with_line_column_and_code() {
    let mut failed = Vec::new();
    for (text, wanted) in CASES {
        let shown = wrong(text);
        if shown != *wanted {
            failed.push(format!("{text:?}\n  said   {shown}\n  wanted {wanted}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_near_name_is_suggested_and_otherwise_what_there_is() {
    let help = |text: &str| {
        let problems = parse(text).unwrap_err();
        problems.iter().map(|problem| problem.help().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(help("[runtime]\nmax-hop = 3\n"), ["did you mean `max-hops`?"]);
    assert_eq!(help("[runtimes]\n"), ["did you mean `runtime`?"]);
    assert_eq!(
        help("[guests.a]\nsource.path = \"x\"\ngrants.http = []\n"),
        ["known here: `send`, `listen`, `create`"]
    );
    assert_eq!(
        help(
            "[destinations.a]\ntype = \"serial\"\n[guests.a]\nsource.path = \"x\"\nlistens-to = [\"zzzz\"]\n"
        ),
        ["define it under [destinations]; defined are `a`"]
    );
    assert_eq!(help("runtime.allocator = \"poolin\"\n"), ["did you mean `pooling`?"]);
}

#[test]
fn another_format_is_told_and_nothing_else() {
    let parse = |text: &str| {
        Manifest::parse(text, Path::new("sandbus.toml"), Path::new(".")).unwrap_err().to_string()
    };
    assert_eq!(
        parse("sandbus = 2\n[whatever]\n"),
        "sandbus.toml:1:11: the manifest is of format 2; this program reads format 1 (SB0107)"
    );
    assert_eq!(
        parse("sandbus = \"1\"\napp.name = \"x\"\n"),
        "sandbus.toml:1:11: `sandbus` is text; it must be 1, the format of this file (SB0103)"
    );
    assert_eq!(
        parse(""),
        "sandbus.toml:1:1: `sandbus` is missing, the format of this file (SB0105)\n\
         sandbus.toml:1:1: `app.name` is missing (SB0105)"
    );
}

#[test]
fn a_mistake_in_the_defaults_of_guests_is_told_once() {
    let shown = wrong(
        "defaults.guest.listens-to = [\"nowhere\"]\nguests.a.source.path = \"a\"\nguests.b.source.path = \"b\"\n",
    );
    assert_eq!(shown.matches("SB0112").count(), 1, "{shown}");
}

#[test]
fn a_name_under_a_create_grant_needs_no_definition() {
    let text = "[guests.a]\nsource.path = \"a\"\nlistens-to = [\"tmp/x\"]\n[guests.b]\nsource.path = \"b\"\n\
                grants.create = [\"tmp/\"]\n";
    assert!(parse(text).is_ok());
    assert_eq!(
        wrong(&text.replace("[\"tmp/\"]", "[\"other/\"]")),
        "sandbus.toml:5:15: no destination is called `tmp/x` (SB0112)"
    );
}

#[test]
fn no_text_makes_it_panic() {
    let whole = "sandbus = 1\n[app]\nname = \"ä\"\n[guests.a]\nsource = { path = \"x\" }\nlistens-to = [\"ä\", \"*\"]\n\
                 [destinations.\"ä/b\"]\ntype = \"serial\"\n[[runtime]]\nx = 1979-05-27\n";
    for end in 0..=whole.len() {
        if let Some(text) = whole.get(..end)
            && let Err(problems) = Manifest::parse(text, Path::new("x"), Path::new("."))
        {
            assert!(!problems.is_empty());
            assert!(!problems.render(&RenderOptions { color: true, width: 20 }).is_empty());
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = Manifest::load(Path::new("/nowhere/sandbus.toml")).unwrap_err();
    let first = problems.iter().next().unwrap();
    assert_eq!((first.code(), problems.exit_code()), (Code::ManifestMissing, 4));
    assert_eq!(first.message(), "manifest `/nowhere/sandbus.toml` does not exist");
}
