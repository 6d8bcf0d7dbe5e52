//! One problem, and several: what is wrong, where, why, and what to do. They hold text and places; `render` and `json`
//! print them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Code;
use super::plain::{of_the_same_length, plain};

/// A text that places point into: a manifest, or what was written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A text with the name that it is shown under.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: plain(name), text: text.into() })
    }

    /// The name that it is shown under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same with nothing in it that steers a terminal, and each byte where it was.
    pub(super) fn shown(self: &Arc<Self>) -> Arc<Self> {
        match of_the_same_length(&self.text) {
            Some(text) => Arc::new(Self { name: self.name.clone(), text }),
            None => Arc::clone(self),
        }
    }

    /// The line and the column (in characters), both from 1, of a byte of the text.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }
}

/// A place in the source and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What is said.
    pub text: String,
    /// The bytes that are marked.
    pub span: Range<usize>,
}

/// A line below the message of a problem without a place: `where: …`, `note: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The word before the colon.
    pub word: &'static str,
    /// The text behind it.
    pub text: String,
}

/// Whether a problem stops anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

impl Severity {
    /// The word as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
///
/// # Examples
/// ```
/// use sandbus::diagnostic::{Code, Problem};
/// let problem = Problem::new(Code::UnknownDestination, "no destination is called `ordres`")
///     .with_help("did you mean `orders`?");
/// assert_eq!(problem.exit_code(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) code: Code,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) notes: Vec<Note>,
    pub(super) source: Option<Arc<Source>>,
    /// The first is the place itself; the others explain it.
    pub(super) labels: Vec<Label>,
    pub(super) causes: Vec<String>,
}

impl Problem {
    /// An error with this message: lower case, no full stop, names in backticks.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: plain(message),
            help: None,
            notes: Vec::new(),
            source: None,
            labels: Vec::new(),
            causes: Vec::new(),
        }
    }

    /// A warning with this message.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(code, message) }
    }

    /// An error that came out of another one: its chain of sources becomes the causes.
    #[must_use]
    pub fn caused_by(code: Code, message: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        Self::new(code, message).with_causes_of(cause)
    }

    /// What to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(plain(help));
        self
    }

    /// What to do about it, as the table of codes says.
    #[must_use]
    pub fn with_usual_help(self) -> Self {
        let help = self.code.help();
        self.with_help(help)
    }

    /// A line below the message: `where`, `note`.
    #[must_use]
    pub fn with_note(mut self, word: &'static str, text: impl Into<String>) -> Self {
        self.notes.push(Note { word, text: plain(text) });
        self
    }

    /// The text that the labels point into. Labels that were there before are dropped: they pointed elsewhere.
    #[must_use]
    pub fn with_source(mut self, source: Arc<Source>) -> Self {
        if self.source.as_ref().is_some_and(|old| !Arc::ptr_eq(old, &source)) {
            self.labels.clear();
        }
        self.source = Some(source);
        self
    }

    /// Marks a place in the source. The first one is where the problem is; the others explain it.
    #[must_use]
    pub fn with_label(mut self, text: impl Into<String>, span: Range<usize>) -> Self {
        self.labels.push(Label { text: plain(text), span });
        self
    }

    /// One more cause, the nearest first.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(plain(cause));
        self
    }

    /// An error and all its sources as causes, the nearest first.
    #[must_use]
    pub fn with_causes_of(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(plain(error.to_string()));
            next = error.source();
        }
        self
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether it stops anything.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The places, the place of the problem itself first.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The text that the labels point into.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<Source>> {
        self.source.as_ref()
    }

    /// Where the problem is: line and column, from 1.
    #[must_use]
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let first = self.labels.first()?;
        Some(self.source.as_ref()?.line_column(first.span.start))
    }

    /// With what a command ends that ends because of it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.code.exit_code()
    }
}

impl fmt::Display for Problem {
    /// One line: `sandbus.toml:10:15: no destination is called `ordres` (SB0112)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(source), Some((line, column))) = (&self.source, self.line_column()) {
            write!(f, "{}:{line}:{column}: ", source.name())?;
        }
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Problem {}

/// Everything that is wrong with one thing, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// All of these; none when there are none.
    ///
    /// # Errors
    /// The problems, when there are any.
    pub fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With what a command ends that ends because of them: the code of the first one.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.0.first().map_or(1, Problem::exit_code)
    }

    /// The problems themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems)
    }
}

impl fmt::Display for Problems {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let source = Source::new("x", "a\näöx\n");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(6), (2, 3));
        assert_eq!(source.line_column(9_999), (3, 1));
    }

    #[test]
    fn an_error_in_one_line_has_its_place_and_its_code() {
        let problem = Problem::new(Code::UnknownKey, "key `fule` is not known")
            .with_source(Source::new("sandbus.toml", "a = 1\nfule = 2\n"))
            .with_label("", 6..10);
        assert_eq!(problem.to_string(), "sandbus.toml:2:1: key `fule` is not known (SB0102)");
    }

    #[test]
    fn the_causes_are_the_whole_chain_of_an_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read `x`")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk gone"));
        let problem = Problem::caused_by(Code::FileUnreadable, "no payload", &error);
        assert_eq!(problem.causes, ["cannot read `x`", "disk gone"]);
    }
}
