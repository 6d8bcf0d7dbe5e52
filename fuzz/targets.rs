//! What is fuzzed, as plain functions: each takes any bytes, and panics where a promise is broken. The fuzzer and the test
//! that replays the corpus call the same.

use std::path::Path;

use sandbus::bus::{DestinationName, Outgoing};
use sandbus::diagnostic::{Problems, RenderOptions};
use sandbus::foreign_codec::{Envelope, Subject, outgoing, subject};
use sandbus::manifest::{Manifest, parse_destination_spec, parse_guest_spec, to_toml};
use sandbus::{Pattern, codec, limits};

/// A manifest, and the texts of `--dest` and `--guest`: read to values or to problems that can be shown. What was read is
/// written as a manifest that says the same.
pub(crate) fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Manifest::parse(text, Path::new("sandbus.toml"), Path::new(".")) {
        Ok(manifest) => {
            let written = to_toml(&manifest);
            match Manifest::parse(&written, Path::new("written.toml"), Path::new(".")) {
                Ok(again) => assert!(manifest.same_settings(&again), "{text}\n--- was written as\n{written}"),
                Err(problems) => panic!("{text}\n--- was written as\n{written}\n--- {problems}"),
            }
        }
        Err(problems) => harmless_to_show(&problems),
    }
    if let Err(problems) = parse_destination_spec(text) {
        harmless_to_show(&problems);
    }
    if let Err(problems) = parse_guest_spec(text, Path::new(".")) {
        harmless_to_show(&problems);
    }
}

/// In one line each, with the marked lines of the source, and as JSON.
fn harmless_to_show(problems: &Problems) {
    harmless(&problems.to_string());
    harmless(&problems.render(&RenderOptions::default()));
    let _ = problems.iter().map(|problem| problem.to_json().to_string().len()).sum::<usize>();
}

/// What is shown has line breaks and nothing else that steers a terminal.
fn harmless(shown: &str) {
    assert!(!shown.is_empty(), "a problem without a text");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
}

/// Names of destinations, and patterns of them: what passes keeps the grammar, what does not is told without harm; a pattern
/// matches what the words of its documentation say. Two lines: a name, a pattern.
pub(crate) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, pattern) = text.split_once('\n').unwrap_or((text, text));
    match DestinationName::new(name) {
        Ok(valid) => {
            assert_eq!(valid.as_str(), name);
            assert!((1..=255).contains(&name.len()));
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)));
            assert!(name.split('/').all(|segment| !["", ".", ".."].contains(&segment)));
            assert_eq!(DestinationName::for_creation(name).is_ok(), !name.starts_with("sandbus/"));
        }
        Err(error) => {
            harmless(&error.to_string());
            assert!(DestinationName::for_creation(name).is_err());
        }
    }
    match pattern.parse::<Pattern>() {
        Ok(parsed) if pattern.len() + name.len() < 64 => {
            let (pattern, name): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), name.split('/').collect());
            assert_eq!(parsed.matches(&name.join("/")), matches(&pattern, &name), "{pattern:?} {name:?}");
        }
        Ok(parsed) => {
            let _ = parsed.matches(name);
        }
        Err(error) => harmless(&error.to_string()),
    }
}

/// `**` stands for any segments, `*` for characters within one.
fn matches(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, _) => name.is_empty(),
        (Some((&"**", rest)), None) => matches(rest, name),
        (Some((&"**", rest)), Some((_, behind))) => matches(rest, name) || matches(pattern, behind),
        (Some((segment, rest)), Some((found, behind))) => {
            segment_matches(segment.as_bytes(), found.as_bytes()) && matches(rest, behind)
        }
        (Some(_), None) => false,
    }
}

fn segment_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((b'*', rest)), None) => segment_matches(rest, text),
        (Some((b'*', rest)), Some((_, behind))) => {
            segment_matches(rest, text) || segment_matches(pattern, behind)
        }
        (Some((wanted, rest)), Some((found, behind))) => wanted == found && segment_matches(rest, behind),
        (Some(_), None) => false,
    }
}

/// The look at a component before it is compiled: it ends, and what it lets pass is within every limit.
pub(crate) fn prescan(data: &[u8]) {
    match sandbus::prescan(data) {
        Ok(figures) => {
            assert!(figures.functions <= limits::COMPONENT_FUNCTIONS_MAX, "{figures:?}");
            assert!(figures.types <= limits::COMPONENT_TYPES_MAX, "{figures:?}");
            assert!(figures.imports <= limits::COMPONENT_IMPORTS_MAX, "{figures:?}");
            assert!(figures.locals <= limits::COMPONENT_LOCALS_MAX, "{figures:?}");
        }
        Err(error) => harmless(&error.to_string()),
    }
}

/// Messages and dead letters as they are saved: read to values that are written the same again, or refused with a reason.
pub(crate) fn messages(data: &[u8]) {
    let Ok(json) = serde_json::from_slice(data) else { return };
    match codec::message_from_json(&json) {
        Ok(message) => {
            let _: Outgoing = message;
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Err(error) = codec::dead_letter_from_json(&json) {
        assert!(!error.to_string().is_empty());
    }
}

/// Envelopes of other messaging interfaces, in lines: subject, reply address, content type, then metadata as `key=text`.
/// What becomes a message keeps every rule that a native one would; a reply address is opened only where it is one.
pub(crate) fn envelopes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let (to, reply_to, content_type) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    match subject(to) {
        Ok(Subject::Destination(name)) => assert!(name == to && !to.starts_with("sandbus-reply:")),
        Ok(Subject::Answer { destination, response_id }) => {
            assert!(to.starts_with("sandbus-reply:"), "{to}");
            assert!(DestinationName::new(destination.as_str()).is_ok(), "{destination}");
            assert!(response_id.len() < to.len());
        }
        Err(error) => harmless(&error.to_string()),
    }
    let metadata: Vec<_> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .collect();
    let envelope = Envelope {
        payload: data.to_vec().into(),
        content_type: content_type.map(str::to_owned),
        metadata: metadata.clone(),
        reply_to: reply_to.map(str::to_owned),
    };
    match outgoing(to, envelope) {
        Ok((_, message)) => {
            assert_eq!(message.payload, data);
            assert!(message.values.len() <= metadata.len());
            assert!(message.values.iter().all(|(key, _)| metadata.iter().any(|(given, _)| given == key)));
            assert_eq!(message.response_destination.is_some(), reply_to.is_some(), "{to:?} {reply_to:?}");
        }
        Err(error) => harmless(&error.to_string()),
    }
}
