//! One value on its way from the tree into a setting: each kind of value has its reader, and each reader says what is
//! wrong at the value's own place. It knows no key by name.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::nearest;
use super::tree::{Kind, Node, Place};
use super::units;
use crate::diagnostic::{Code, Problem};

/// What was found wrong or doubtful so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// A value under a key, and where to complain about it.
pub(super) struct Slot<'a> {
    /// Whose key it is, as error texts begin: ``guest `validator` ``.
    pub(super) owner: &'a str,
    /// The key, dotted below its owner: `retry.max-attempts`.
    pub(super) key: &'a str,
    pub(super) node: &'a Node,
    pub(super) findings: &'a mut Findings,
}

impl Slot<'_> {
    /// Any text.
    pub(super) fn text(&mut self) -> Option<String> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Word(text) => Some(text.clone()),
            _ => self.wrong_type("text"),
        }
    }

    /// Text that is not empty.
    pub(super) fn some_text(&mut self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            return self.illegal("empty", "text of at least one character");
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self) -> Option<bool> {
        match &self.node.kind {
            Kind::Boolean(truth) => Some(*truth),
            Kind::Word(word) if word == "true" => Some(true),
            Kind::Word(word) if word == "false" => Some(false),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A whole number, written as one or as text with `k`, `M` or `G`.
    pub(super) fn number(&mut self, range: RangeInclusive<u64>) -> Option<u64> {
        let value = match &self.node.kind {
            Kind::Integer(number) => u64::try_from(*number).ok(),
            Kind::Text(text) | Kind::Word(text) => match units::number(text) {
                Some(number) => Some(number),
                None => return self.wrong_text("a number such as 500, \"20k\" or \"5M\""),
            },
            _ => return self.wrong_type("a number"),
        };
        if *range.end() == i64::MAX as u64 && value.is_none_or(|number| !range.contains(&number)) {
            return self.illegal(&self.written(), &format!("at least {}", range.start()));
        }
        self.within(value, &range, |number| units::grouped(number, ','))
    }

    /// A whole number, or the word `unlimited`, which stands for `unlimited`.
    pub(super) fn number_or_unlimited(&mut self, range: RangeInclusive<u64>, unlimited: u64) -> Option<u64> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Word(text) if text == "unlimited" => Some(unlimited),
            Kind::Text(text) | Kind::Word(text) if units::number(text).is_none() => {
                self.wrong_text("a number such as 500, \"20k\" or \"5M\", or \"unlimited\"")
            }
            Kind::Integer(_) | Kind::Text(_) | Kind::Word(_) => self.number(range),
            _ => self.wrong_type("a number or \"unlimited\""),
        }
    }

    /// A number with or without a fraction.
    pub(super) fn fraction(&mut self, range: RangeInclusive<f64>) -> Option<f64> {
        let value = match &self.node.kind {
            Kind::Float(number) => *number,
            // Settings that take a fraction are small; an `i32` holds each of their whole values.
            Kind::Integer(number) => i32::try_from(*number).map_or(f64::INFINITY, f64::from),
            Kind::Word(word) => match word.parse() {
                Ok(number) => number,
                Err(_) => return self.wrong_text("a number such as 2 or 1.5"),
            },
            _ => return self.wrong_type("a number"),
        };
        if range.contains(&value) {
            return Some(value);
        }
        self.illegal(&self.written(), &format!("from {} to {}", range.start(), range.end()))
    }

    /// Bytes, as a number or as text with `KiB`, `MiB` or `GiB`.
    pub(super) fn size(&mut self, range: RangeInclusive<u64>) -> Option<usize> {
        let value = match &self.node.kind {
            Kind::Integer(number) => u64::try_from(*number).ok(),
            Kind::Text(text) | Kind::Word(text) => match units::size(text) {
                Some(bytes) => Some(bytes),
                None => return self.wrong_text("a size such as \"512KiB\", \"64MiB\" or \"1GiB\""),
            },
            _ => return self.wrong_type("a size such as \"64MiB\""),
        };
        self.within(value, &range, units::show_size).map(to_usize)
    }

    /// A number of things.
    pub(super) fn count(&mut self, range: RangeInclusive<u64>) -> Option<usize> {
        self.number(range).map(to_usize)
    }

    /// A length of time.
    pub(super) fn duration(&mut self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let wanted = "a time such as \"200ms\", \"5s\" or \"1h\"";
        let (Kind::Text(text) | Kind::Word(text)) = &self.node.kind else { return self.wrong_type(wanted) };
        let Some(value) = units::duration(text) else { return self.wrong_text(wanted) };
        self.within(Some(value), &range, units::show_duration)
    }

    /// A length of time, or the word `none`.
    pub(super) fn duration_or_none(&mut self, range: RangeInclusive<Duration>) -> Option<Option<Duration>> {
        self.duration_or("none", range)
    }

    /// A length of time, or the word `unlimited`.
    pub(super) fn duration_or_unlimited(
        &mut self,
        range: RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        self.duration_or("unlimited", range)
    }

    fn duration_or(&mut self, word: &str, range: RangeInclusive<Duration>) -> Option<Option<Duration>> {
        let wanted = format!("a time such as \"200ms\", \"5s\" or \"1h\", or \"{word}\"");
        match &self.node.kind {
            Kind::Text(text) | Kind::Word(text) if text == word => Some(None),
            Kind::Text(text) | Kind::Word(text) if units::duration(text).is_none() => {
                self.wrong_text(&wanted)
            }
            Kind::Text(_) | Kind::Word(_) => self.duration(range).map(Some),
            _ => self.wrong_type(&wanted),
        }
    }

    /// The one word that stands for a setting that is otherwise a table with `keys`. Answers whether it was that word.
    pub(super) fn word_instead_of_table(&mut self, word: &str, keys: &str) -> bool {
        match &self.node.kind {
            Kind::Text(text) | Kind::Word(text) if text == word => true,
            Kind::Text(_) | Kind::Word(_) => {
                let written = self.written();
                self.illegal::<()>(&written, &format!("a table with {keys}, or \"{word}\""));
                false
            }
            _ => {
                self.wrong_type::<()>(&format!("a table with {keys}, or \"{word}\""));
                false
            }
        }
    }

    /// One word of a list.
    pub(super) fn choice<T: Clone>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        let allowed: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let allowed = allowed.join(", ");
        let (Kind::Text(text) | Kind::Word(text)) = &self.node.kind else {
            return self.wrong_type(&format!("one of {allowed}"));
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| name == text) {
            return Some(value.clone());
        }
        let message =
            format!("{}: `{}` is `{}`; it must be one of {allowed}", self.owner, self.key, shown(text));
        let mut problem = Problem::new(Code::IllegalValue, message);
        if let Some(near) = nearest(text, choices.iter().map(|(name, _)| *name)) {
            problem = problem.with_help(format!("did you mean `{near}`?"));
        }
        self.complain(problem, "not one of them")
    }

    /// A list of texts with their places.
    pub(super) fn texts(&mut self) -> Option<Vec<(String, Place)>> {
        let items = match &self.node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Word(_) => std::slice::from_ref(self.node),
            _ => return self.wrong_type("a list of texts"),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.kind {
                Kind::Text(text) | Kind::Word(text) => texts.push((text.clone(), item.place.clone())),
                other => {
                    let message = format!(
                        "{}: `{}` has {} in its list; it must be a list of texts",
                        self.owner,
                        self.key,
                        other.name()
                    );
                    let problem = Problem::new(Code::WrongType, message);
                    self.findings.problems.push(item.place.mark(problem, other.name()));
                }
            }
        }
        Some(texts)
    }

    /// Says that the value is of another type than `wanted`.
    pub(super) fn wrong_type<T>(&mut self, wanted: &str) -> Option<T> {
        if let Kind::List(items) = &self.node.kind
            && items.iter().all(|item| matches!(item.kind, Kind::Word(_)))
            && self.node.place.source.name().starts_with("--")
        {
            let message =
                format!("{}: `{}` is given {} times; it takes one value", self.owner, self.key, items.len());
            return self.complain(Problem::new(Code::Duplicate, message), "one too many");
        }
        let found = self.node.kind.name();
        let message = format!("{}: `{}` is {found}; it must be {wanted}", self.owner, self.key);
        self.complain(Problem::new(Code::WrongType, message), found)
    }

    /// Says that the text does not read as what is wanted.
    pub(super) fn wrong_text<T>(&mut self, wanted: &str) -> Option<T> {
        let written = self.written();
        let message = format!("{}: `{}` is {written}; it must be {wanted}", self.owner, self.key);
        self.complain(Problem::new(Code::WrongType, message), "not understood")
    }

    /// Says that the value is not allowed, and what is.
    pub(super) fn illegal<T>(&mut self, value: &str, allowed: &str) -> Option<T> {
        let message = format!("{}: `{}` is {value}; it must be {allowed}", self.owner, self.key);
        self.complain(Problem::new(Code::IllegalValue, message), "not allowed")
    }

    /// Says that an item of a list is not one of those that it may be.
    pub(super) fn illegal_item(&mut self, place: &Place, item: &str, allowed: &[&str]) {
        let listed: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "{}: `{}` has `{}`; it may have {}",
            self.owner,
            self.key,
            shown(item),
            listed.join(", ")
        );
        let mut problem = Problem::new(Code::IllegalValue, message);
        if let Some(near) = nearest(item, allowed.iter().copied()) {
            problem = problem.with_help(format!("did you mean `{near}`?"));
        }
        self.findings.problems.push(place.mark(problem, "not one of them"));
    }

    /// Adds a problem at the place of the value.
    pub(super) fn complain<T>(&mut self, problem: Problem, label: &str) -> Option<T> {
        self.findings.problems.push(self.node.place.mark(problem, label));
        None
    }

    fn within<V: PartialOrd + Copy>(
        &mut self,
        value: Option<V>,
        range: &RangeInclusive<V>,
        show: impl Fn(V) -> String,
    ) -> Option<V> {
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        let allowed = format!("from {} to {}", show(*range.start()), show(*range.end()));
        self.illegal(&self.written(), &allowed)
    }

    /// The value as it was written.
    fn written(&self) -> String {
        let text = self.node.place.source.text().get(self.node.place.span.clone());
        shown(text.unwrap_or_default())
    }
}

/// A text from a file, fit for one line of an error.
fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 {
        out.push('…');
    }
    out.replace("\\\"", "\"").replace("\\'", "'")
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
