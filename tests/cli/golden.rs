//! Golden files: a command, its code and all that it printed, in `golden/NAME.txt`. What differs from run to run is
//! replaced by a word in brackets. `SANDBUS_UPDATE_GOLDEN=1` writes them anew.

use std::path::{Path, PathBuf};

use crate::program::Place;

/// A test for each `name: "command line";`, and the list of their names.
macro_rules! golden {
    ($($name:ident: $line:literal;)*) => {
        $(#[test]
        fn $name() {
            $crate::golden::check(stringify!($name), $line);
        })*

        pub(crate) const GOLDEN: &[&str] = &[$(stringify!($name)),*];
    };
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/golden").join(format!("{name}.txt"))
}

pub(crate) fn check(name: &str, line: &str) {
    let place = Place::new();
    let ran = place.run(line);
    let (guests, stderr): (Vec<&str>, Vec<&str>) =
        ran.stderr.lines().filter(|line| !is_of_cargo(line)).partition(|line| is_of_guest(line));
    let (faults, stderr) = split_faults(&stderr);
    let mut guests: Vec<String> = guests.into_iter().map(|line| normal(line, &place)).collect();
    // Guests run side by side: their lines come in any order.
    guests.sort();
    let section = |title: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!("--- {title}\n{}\n", lines.join("\n")),
    };
    let lines = |text: &str| text.lines().map(|line| normal(line, &place)).collect::<Vec<_>>();
    let found = [
        format!("$ sandbus {line}\n--- exit {}\n", ran.code),
        section("stdout", &lines(&ran.stdout)),
        section("stderr", &lines(&stderr.join("\n"))),
        section("faults", &lines(&faults.join("\n"))),
        section("guests", &guests),
    ]
    .concat();
    let path = file(name);
    if std::env::var_os("SANDBUS_UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, found).expect("the golden file");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} differs (SANDBUS_UPDATE_GOLDEN=1 writes it anew)\n=== wanted\n{wanted}\n=== found\n{found}",
        path.display()
    );
}

/// What the build of a sample prints is cargo's own.
fn is_of_cargo(line: &str) -> bool {
    let word = line.trim_start().split(' ').next().unwrap_or_default();
    line.starts_with("  ") && ["Finished", "Blocking", "Compiling", "Downloading", "Updating"].contains(&word)
}

/// Tells the faults of guests from the rest, each with its notes: they come whenever they come.
fn split_faults<'a>(lines: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut within = false;
    lines.iter().partition(|line| {
        let note = ["where:", "used:"].iter().any(|word| line.trim_start().starts_with(word));
        within = (line.starts_with("SB03") && line.contains("warning:")) || (within && note);
        within
    })
}

fn is_of_guest(line: &str) -> bool {
    line.starts_with('[') && line.contains("][")
}

fn normal(line: &str, place: &Place) -> String {
    let line = line.replace(&place.path().display().to_string(), "[DIR]");
    let line = milliseconds(&line);
    let line = numbers_after(
        &line,
        &["memory ", "sha256:", "message_id=", "lib.rs:", "left-", "hostile/healthy-", ", the "],
    );
    let line = figures(&fuel(&line));
    let line = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    size(&line)
}

/// `in 12 ms`, `after 12 ms`, `time 1.2 ms`; a deadline stays as it is.
fn milliseconds(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let replaced = words.iter().enumerate().map(|(at, word)| {
        let before = at.checked_sub(1).map_or("", |at| words[at]);
        let unit = words.get(at + 1).is_some_and(|unit| unit.starts_with("ms"));
        let number = word.parse::<f64>().is_ok();
        if number && unit && ["in", "after", "time"].contains(&before) { "[N]" } else { word }
    });
    replaced.collect::<Vec<_>>().join(" ")
}

/// Replaces digits, and what belongs to them, behind these texts.
fn numbers_after(line: &str, texts: &[&str]) -> String {
    let mut line = line.to_owned();
    for text in texts {
        let Some(at) = line.rfind(text).map(|at| at + text.len()) else { continue };
        let rest = &line[at..];
        let hexadecimal = ["sha256:", "message_id="].contains(text);
        let belongs = |c: char| {
            if hexadecimal {
                c.is_ascii_hexdigit() || c == '-'
            } else {
                c.is_ascii_digit() || ":-".contains(c)
            }
        };
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches([':', '-']);
        if !number.is_empty() {
            line = format!("{}[N]{}", &line[..at], &rest[number.len()..]);
        }
    }
    line
}

/// Fuel depends on the compiler; that all of it was used does not.
fn fuel(line: &str) -> String {
    let Some((before, after)) = line.split_once("fuel ") else { return line.to_owned() };
    let Some((used, rest)) = after.split_once(" of ") else { return line.to_owned() };
    let (least, number) = used.strip_prefix("at least ").map_or(("", used), |number| ("at least ", number));
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == ',');
    let all = rest.split(' ').next() == Some(number);
    if is_number && !all { format!("{before}fuel {least}[N] of {rest}") } else { line.to_owned() }
}

/// What a component consists of, and what made it, changes with each toolchain.
fn figures(line: &str) -> String {
    if let Some((before, _)) = line.split_once("…   rustc ") {
        return format!("{before}…   rustc [TOOLS]");
    }
    if !line.starts_with("  has ") {
        return line.to_owned();
    }
    let number = |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == ',') && !word.is_empty();
    line.split(' ').map(|word| if number(word) { "[N]" } else { word }).collect::<Vec<_>>().join(" ")
}

/// Ids of messages and times of log lines.
fn word(word: &str) -> &str {
    let dashes = word.matches('-').count();
    if word.len() == 36 && dashes == 4 {
        "[ID]"
    } else if word.len() == 27 && word.ends_with('Z') && word.contains('T') {
        "[TIME]"
    } else {
        word
    }
}

/// The size of a component in the first line of `inspect`.
fn size(line: &str) -> String {
    match line.split_once(" KiB   component") {
        Some((before, after)) => {
            let name = before.rsplit_once(' ').map_or(before, |(name, _)| name);
            format!("{name} [N] KiB   component{after}")
        }
        None => line.to_owned(),
    }
}

#[test]
fn every_golden_file_has_a_test_and_every_golden_test_a_file() {
    // A file that nothing compares says nothing; it would only look as if it did.
    if std::env::var_os("SANDBUS_UPDATE_GOLDEN").is_some() {
        return;
    }
    let mut tests: Vec<String> = [
        crate::bad_input::GOLDEN,
        crate::bench::GOLDEN,
        crate::bench_errors::GOLDEN,
        crate::call::GOLDEN,
        crate::commands::GOLDEN,
        crate::run::GOLDEN,
        crate::samples::GOLDEN,
        crate::sends::GOLDEN,
    ]
    .concat()
    .into_iter()
    .map(|name| format!("{name}.txt"))
    .collect();
    let folder = file("x").parent().expect("a folder").to_owned();
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the golden files")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    tests.sort();
    files.sort();
    assert_eq!(files, tests);
}
