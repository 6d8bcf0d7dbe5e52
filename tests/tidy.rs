//! The rules that no compiler checks: which module may know which, how long a file may be, what must be written down.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]
#![allow(clippy::indexing_slicing, reason = "a test that indexes past the end has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 400;
const SOURCES: [&str; 3] = ["runtime/src", "runtime/bus/src", "guest-sdk/src"];

/// What each module of the runtime may know: `cli → platform → {manifest, sandbox} → host`, and below them leaves.
const LEAVES: [&str; 5] = ["settings", "grants", "limits", "pattern", "codec"];
const ARROWS: [(&str, &[&str]); 12] = [
    ("cli", &["platform", "manifest", "sandbox", "host", "diagnostic"]),
    ("harness", &["platform", "sandbox", "host"]),
    ("platform", &["manifest", "sandbox", "host"]),
    ("manifest", &["diagnostic"]),
    ("sandbox", &["host"]),
    ("host", &[]),
    ("diagnostic", &[]),
    ("settings", &[]),
    ("grants", &[]),
    ("limits", &[]),
    ("pattern", &[]),
    ("codec", &[]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files with this ending below a folder, in order; what is built there is left out.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    SOURCES.iter().flat_map(|folder| files(&root().join(folder), "rs")).collect()
}

/// Fails with all that was found, so that one run tells everything.
fn nothing(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Lines that are code of the program itself: no comments, nothing under `#[cfg(test)]`; with their numbers.
fn own_lines(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut all = text.lines().enumerate();
    while let Some((number, line)) = all.next() {
        let code = line.trim_start();
        if code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test") {
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let item = all.find(|(_, line)| !line.trim_start().starts_with("#["));
            if item.is_some_and(|(_, line)| !line.ends_with(';') && !line.ends_with('}')) {
                all.find(|(_, line)| *line == end);
            }
        } else if !code.starts_with("//") {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// What a line names behind `crate::`. A group, which could hide several, is named by its brace.
fn modules_in(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let behind = code.match_indices("crate::").map(|(at, word)| &code[at + word.len()..]);
    behind
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end.max(1).min(rest.len())]
        })
        .collect()
}

#[test]
fn the_modules_that_a_line_names_are_found() {
    // A check that finds nothing because it reads nothing would pass for ever.
    assert_eq!(modules_in("use crate::cli::Output;"), ["cli"]);
    assert_eq!(modules_in("    crate::platform::build(build).await // crate::cli"), ["platform"]);
    assert_eq!(modules_in("use crate::{cli, host};"), ["{"]);
    assert!(modules_in("use sandbus_bus::Bus;").is_empty());
}

#[test]
fn arrows_between_the_modules_of_the_runtime_point_one_way() {
    // What points back makes two modules one; pass a value or a handle down instead.
    let folder = root().join("runtime/src");
    let mut found = Vec::new();
    for path in files(&folder, "rs") {
        let below = path.strip_prefix(&folder).expect("below");
        let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let own = first.strip_suffix(".rs").unwrap_or(&first);
        if ["lib", "main"].contains(&own) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == own) else {
            found.push(format!("{}: `{own}` has no place in the order of modules", below.display()));
            continue;
        };
        for (number, line) in read(&path).lines().enumerate() {
            for name in modules_in(line) {
                let leaf = LEAVES.contains(&name);
                if name != own && !allowed.contains(&name) && !leaf {
                    found.push(format!("{}:{}: {own} → {name}", below.display(), number + 1));
                }
            }
        }
    }
    nothing("an arrow points up, or past the root of the crate", &found);
}

#[test]
fn the_bus_knows_no_wasm() {
    // It carries messages between listeners of any kind; what a guest is stays in the sandbox.
    let manifest = read(&root().join("runtime/bus/Cargo.toml"));
    let dependencies = manifest.lines().filter(|line| !line.starts_with("description"));
    let words = ["wasm", "wit-", "cranelift", "sandbus "];
    let found: Vec<String> =
        dependencies.filter(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned).collect();
    nothing("runtime/bus/Cargo.toml names", &found);
}

#[test]
fn one_function_builds_a_store() {
    // It is the one place where every limit of an instance is applied.
    let mut found = Vec::new();
    for path in files(&root().join("runtime/src"), "rs") {
        for (number, line) in own_lines(&read(&path)) {
            if line.contains("Store::new(") || line.contains("Store::<HostState>::new(") {
                found.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    // One idea a file, opened by what it is for and what it never does.
    let mut found = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{}: {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            found.push(format!("{}: does not open with `//!`", path.display()));
        }
    }
    nothing("files", &found);
}

#[test]
fn nothing_outside_of_tests_gives_up() {
    // Whatever a guest gives is data; only where it cannot fail, and says why under an `allow`, may it be expected.
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("];
    let mut found = Vec::new();
    for path in sources() {
        let inside_tests =
            path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        let text = read(&path);
        if inside_tests {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in own_lines(&text) {
            let before = &lines[number.saturating_sub(4)..number];
            let reasoned =
                before.iter().any(|line| line.contains("allow(clippy::") || line.contains("reason ="));
            if !reasoned && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    nothing("gives up outside of tests", &found);
}

#[test]
fn every_limit_has_a_row_in_the_list_of_limits() {
    // A bound that nobody can look up is met by surprise.
    let list = std::fs::read_to_string(root().join("docs/limits.md")).unwrap_or_default();
    let mut found = Vec::new();
    for file in ["runtime/src/limits.rs", "runtime/bus/src/limits.rs"] {
        for line in read(&root().join(file)).lines() {
            let name = line.strip_prefix("pub const ").and_then(|rest| rest.split(':').next());
            if let Some(name) = name.filter(|name| !list.contains(name)) {
                found.push(format!("{file}: {name}"));
            }
        }
    }
    nothing("docs/limits.md does not name", &found);
}

#[test]
fn every_test_that_the_page_on_security_quotes_exists() {
    // A row of the table is worth as much as the test behind it.
    let tests = root().join("tests");
    let all: String = ["platform", "cli", "long"]
        .iter()
        .flat_map(|folder| files(&tests.join(folder), "rs"))
        .chain([tests.join("corpus.rs")])
        .map(|path| read(&path))
        .collect();
    let page = read(&root().join("docs/security.md"));
    let rows: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "## What a guest can do")
        .take_while(|line| *line != "## What is not guaranteed")
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.ends_with("Tested by |"))
        .collect();
    let mut found = Vec::new();
    for row in &rows {
        let tested = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let names: Vec<&str> = tested.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            found.push(format!("no test: {row}"));
        }
        let missing = names.iter().filter(|name| !all.contains(&format!("fn {name}(")));
        found.extend(missing.map(|name| format!("no such test: {name}")));
    }
    assert!(rows.len() > 25, "the tables are there");
    nothing("docs/security.md", &found);
}

#[test]
fn every_guest_of_samples_and_tests_is_named_by_a_test() {
    // A guest that no test runs stops working unnoticed.
    let tests = root().join("tests");
    let named: String = ["platform", "cli"]
        .iter()
        .flat_map(|folder| files(&tests.join(folder), "rs"))
        .chain(files(&root().join("runtime/benches"), "rs"))
        .map(|path| read(&path))
        .collect();
    let mut found = Vec::new();
    for folder in ["tests/guests", "tests/sdk-guests", "sample-guests"] {
        for manifest in files(&root().join(folder), "toml") {
            let text = read(&manifest);
            let Some(package) = text.split("[package]\nname = \"").nth(1) else { continue };
            let package = package.split('"').next().unwrap_or_default();
            // A sample is also named by the manifest that runs it.
            let place = manifest.parent().and_then(|path| path.strip_prefix(root()).ok()).expect("a folder");
            let sample = place.components().take(2).collect::<PathBuf>();
            let by_sample = folder == "sample-guests" && named.contains(&*sample.to_string_lossy());
            if !named.contains(&package.replace('-', "_")) && !by_sample {
                found.push(format!("{}: {package}", place.display()));
            }
        }
    }
    nothing("no test names the guest", &found);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    // What works on one machine only is not part of the repository.
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(root()).output();
    let Ok(listed) = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else {
        return;
    };
    let paths = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let mut found = Vec::new();
    for name in listed.lines() {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = |path: &String| {
                let behind = |at: usize| line[..at].chars().next_back();
                line.match_indices(path.as_str())
                    .any(|(at, _)| !behind(at).is_some_and(char::is_alphanumeric))
            };
            if paths.iter().any(named) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    nothing("paths of one machine", &found);
}
