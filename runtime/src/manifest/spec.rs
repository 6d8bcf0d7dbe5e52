//! What the command line says in the manifest's own words: `--dest NAME=TYPE,key=value`, `--guest NAME=FILE,key=value`,
//! `--set KEY=VALUE`. Each becomes a tree like that of a file, so that the same reader checks both. It knows two short
//! forms (the first value, and `workers=CORE..MAX`) and no other key.

use std::ops::Range;
use std::sync::Arc;

use super::tree::{self, Entry, Kind, Node, Place};
use crate::diagnostic::{Code, Problem, Source};

/// The table of `--dest NAME=TYPE,…`: `destinations.NAME`.
pub(super) fn destination(text: &str) -> Result<Node, Box<Problem>> {
    spec("--dest", text, "destinations", &["type"])
}

/// The table of `--guest NAME=FILE,…`: `guests.NAME`.
pub(super) fn guest(text: &str) -> Result<Node, Box<Problem>> {
    spec("--guest", text, "guests", &["source", "path"])
}

/// The table of `--set KEY=VALUE`: any key of the manifest, dotted, quoted as in TOML. A value that begins with `[`, `{`
/// or `"` is TOML, any other is taken as it is.
pub(super) fn setting(text: &str) -> Result<Node, Box<Problem>> {
    let source = Source::new("--set", text);
    let whole = Place { source: Arc::clone(&source), span: 0..text.len() };
    let fault = |message: String| Box::new(whole.mark(Problem::new(Code::Usage, message), "not KEY=VALUE"));
    let at = equals_sign(text).ok_or_else(|| fault(format!("--set `{text}` has no `=`")))?;
    let (key, value) = text.split_at(at);
    let path = toml_edit::Key::parse(key)
        .map_err(|error| fault(format!("--set: `{key}` is not a key: {}", error.message())))?;
    let value = value.strip_prefix('=').unwrap_or(value);
    let place = Place { source: Arc::clone(&source), span: at + 1..text.len() };
    let node = if value.starts_with(['[', '{', '"']) {
        let line = Source::new("--set", format!("value = {value}"));
        let parsed = tree::parse(&line)?;
        let entry = parsed.find(&["value"]).ok_or_else(|| fault("--set: no value".to_owned()))?;
        entry.node.clone()
    } else {
        Node { kind: Kind::Word(value.to_owned()), place }
    };
    let entry = Entry { key: Place { source, span: 0..at }, node };
    let mut root = Node::empty(whole.clone());
    let names: Vec<&str> = path.iter().map(toml_edit::Key::get).collect();
    if root.put(&names, entry) { Ok(root) } else { Err(fault(format!("--set: `{key}` is not a key"))) }
}

/// The first `=` that stands outside of quotes.
fn equals_sign(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '=' && !quoted).then_some(at)
    })
}

fn spec(flag: &str, text: &str, table: &str, first: &[&str]) -> Result<Node, Box<Problem>> {
    let source = Source::new(flag, text);
    let whole = Place { source: Arc::clone(&source), span: 0..text.len() };
    let mut parts = parts(text).into_iter();
    let (name, value) = pair(&whole, parts.next().unwrap_or(0..0))?;
    let name_text = part(&whole, &name);
    let entry = Entry { key: at(&whole, &name), node: Node::empty(at(&whole, &name)) };
    let mut below = entry.node.clone();
    put(&mut below, first, &whole, &name, &value)?;
    for range in parts {
        let (key, value) = pair(&whole, range)?;
        let path: Vec<&str> = part(&whole, &key).split('.').collect();
        let workers = table == "destinations" && path == ["workers"];
        match part(&whole, &value).find("..").filter(|_| workers) {
            Some(dots) => {
                let (core, max) = (value.start..value.start + dots, value.start + dots + 2..value.end);
                put(&mut below, &["workers", "core"], &whole, &key, &core)?;
                put(&mut below, &["workers", "max"], &whole, &key, &max)?;
            }
            None => put(&mut below, &path, &whole, &key, &value)?,
        }
    }
    let mut root = Node::empty(whole.clone());
    root.put(&[table, name_text], Entry { node: below, ..entry });
    Ok(root)
}

/// The parts between the commas; a comma within double quotes belongs to its part.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        quoted ^= c == '"';
        if c == ',' && !quoted {
            parts.push(start..at);
            start = at + 1;
        }
    }
    parts.push(start..text.len());
    parts
}

/// Splits `key=value`.
fn pair(whole: &Place, range: Range<usize>) -> Result<(Range<usize>, Range<usize>), Box<Problem>> {
    let text = part(whole, &range);
    let flag = whole.source.name();
    match text.find('=') {
        Some(sign) if sign > 0 => Ok((range.start..range.start + sign, range.start + sign + 1..range.end)),
        _ => {
            let shown = text.escape_debug();
            let message =
                format!("{flag} `{}`: `{shown}` is not KEY=VALUE", whole.source.text().escape_debug());
            let problem = Problem::new(Code::BadSpec, message).with_usual_help();
            Err(Box::new(at(whole, &range).mark(problem, "not KEY=VALUE")))
        }
    }
}

/// Puts a value under a key; a second value under the same key makes a list.
fn put(
    below: &mut Node,
    path: &[&str],
    whole: &Place,
    key: &Range<usize>,
    value: &Range<usize>,
) -> Result<(), Box<Problem>> {
    let text = part(whole, value);
    let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let word = Node { kind: Kind::Word(unquoted.to_owned()), place: at(whole, value) };
    let node = match below.find(path).map(|entry| entry.node.clone()) {
        None => word,
        Some(Node { kind: Kind::List(mut items), place }) => {
            items.push(word);
            Node { kind: Kind::List(items), place }
        }
        Some(first) => Node { place: word.place.clone(), kind: Kind::List(vec![first, word]) },
    };
    if below.put(path, Entry { key: at(whole, key), node }) {
        return Ok(());
    }
    let message = format!("{}: `{}` is given as a value and as a table", whole.source.name(), path.join("."));
    Err(Box::new(at(whole, key).mark(Problem::new(Code::BadSpec, message), "here")))
}

fn at(whole: &Place, range: &Range<usize>) -> Place {
    Place { source: Arc::clone(&whole.source), span: range.clone() }
}

fn part<'a>(whole: &'a Place, range: &Range<usize>) -> &'a str {
    whole.source.text().get(range.clone()).unwrap_or_default()
}
