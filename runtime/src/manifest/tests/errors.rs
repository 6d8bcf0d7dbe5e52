//! A manifest with mistakes.

use std::path::Path;

use super::mistakes::MISTAKES;
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

#[test]
fn each_mistake_is_told_with_line_column_and_code() {
    let mut failed = Vec::new();
    for (text, wanted) in MISTAKES {
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
        ["known here: `send`, `listen`, `create`, `files`"]
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
