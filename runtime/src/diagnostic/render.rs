//! Problems as people read them. With a place: the lines of the source, marked. Without: code and message in one line,
//! what belongs to it below. It prints nothing itself; it returns text that ends with a line break.

use std::fmt;

use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan};
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::{Problem, Problems, Severity, Source};

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether it may contain escape sequences for colours.
    pub color: bool,
    /// Columns before a line is wrapped.
    pub width: usize,
}

impl Default for RenderOptions {
    /// No colour, 100 columns.
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

impl Problem {
    /// The problem as text.
    #[must_use]
    pub fn render(&self, options: &RenderOptions) -> String {
        if self.source.is_some() && !self.labels.is_empty() {
            return self.render_with_place(options);
        }
        let mut out = format!("{}  ", painted(self.code.as_str(), self.severity, options));
        if self.severity == Severity::Warning {
            out.push_str("warning: ");
        }
        out.push_str(&indented(&self.message));
        out.push('\n');
        for note in &self.notes {
            push_line(&mut out, note.word, &note.text);
        }
        if let Some(help) = &self.help {
            push_line(&mut out, "help", help);
        }
        for cause in &self.causes {
            push_line(&mut out, "cause", cause);
        }
        out
    }

    fn render_with_place(&self, options: &RenderOptions) -> String {
        let code = painted(self.code.as_str(), self.severity, options);
        let word = if self.severity == Severity::Warning { "  warning" } else { "" };
        let mut out = format!("{code}{word}\n");
        let theme = if options.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(options.width)
            .without_syntax_highlighting();
        let report = Report::of(self);
        if handler.render_report(&mut out, &report).is_err() {
            // Writing into a string does not fail; should the handler fail all the same, the plain line stays.
            out.push_str(&format!("{self}\n"));
        }
        for note in &self.notes {
            out.push_str(&format!("  {}: {}\n", note.word, indented(&note.text)));
        }
        out
    }
}

impl Problems {
    /// All of them as text, an empty line between two.
    #[must_use]
    pub fn render(&self, options: &RenderOptions) -> String {
        let texts: Vec<String> = self.iter().map(|problem| problem.render(options)).collect();
        texts.join("\n")
    }
}

/// One line of what belongs to a message, its word set flush right in eight columns.
fn push_line(out: &mut String, word: &str, text: &str) {
    out.push_str(&format!("{word:>7}: {}\n", indented(text)));
}

/// Lines behind the first stand under the message.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n        ")
}

fn painted(code: &str, severity: Severity, options: &RenderOptions) -> String {
    let color = match severity {
        _ if !options.color => return code.to_owned(),
        Severity::Error => 31,
        Severity::Warning => 33,
    };
    format!("\u{1b}[1;{color}m{code}\u{1b}[0m")
}

/// A problem in the shape that miette prints.
#[derive(Debug)]
struct Report {
    message: String,
    help: Option<String>,
    severity: Severity,
    lines: Lines,
    labels: Vec<LabeledSpan>,
    causes: Option<Cause>,
}

/// A chain of causes.
#[derive(Debug)]
struct Cause {
    text: String,
    next: Option<Box<Cause>>,
}

impl Report {
    fn of(problem: &Problem) -> Self {
        let source = problem.source.clone().unwrap_or_else(|| Source::new("", ""));
        let text = source.text();
        let labels = problem.labels.iter().enumerate().map(|(at, label)| {
            let shown = Some(label.text.clone()).filter(|text| !text.is_empty());
            let start = label.span.start.min(text.len());
            let span = (start, label.span.end.clamp(start, text.len()) - start);
            if at == 0 {
                LabeledSpan::new_primary_with_span(shown, span)
            } else {
                LabeledSpan::new_with_span(shown, span)
            }
        });
        let causes = problem
            .causes
            .iter()
            .rev()
            .fold(None, |next, text| Some(Cause { text: text.clone(), next: next.map(Box::new) }));
        Self {
            message: problem.message.clone(),
            help: problem.help.clone(),
            severity: problem.severity,
            labels: labels.collect(),
            lines: Lines(source.shown()),
            causes,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.causes.as_ref().map(|cause| cause as _)
    }
}

impl Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.lines)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A source that shows the whole lines of what is asked for, and no others around them. Asked without context, it answers
/// where the span itself begins: that is how the heading of a snippet learns its column.
#[derive(Debug)]
struct Lines(Arc<Source>);

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.0.text();
        let first = text.floor_char_boundary(span.offset());
        let last = text.ceil_char_boundary(first + span.len());
        let line_start = text.get(..first).unwrap_or_default().rfind('\n').map_or(0, |at| at + 1);
        let start = if lines_before == 0 { first } else { line_start };
        let rest = text.get(last..).unwrap_or_default();
        let end = rest.find('\n').map_or(text.len(), |at| last + at);
        let shown = text.get(start..end).ok_or(MietteError::OutOfBounds)?;
        let (line, column) = self.0.line_column(start);
        let contents = MietteSpanContents::new_named(
            self.0.name().to_owned(),
            shown.as_bytes(),
            (start, shown.len()).into(),
            line - 1,
            column - 1,
            shown.matches('\n').count() + 1,
        );
        Ok(Box::new(contents))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_ref().map(|next| next as _)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Source};
    use super::*;

    #[test]
    fn a_problem_without_a_place_is_a_line_with_help_below() {
        let problem = Problem::new(
            Code::OutOfFuel,
            "guest `shipper` ran out of fuel on message 019a9f55 at orders/priced\nit may use 20,000,000 per call",
        )
        .with_help("raise `fuel` (sandbus.toml:31)");
        let wanted = "\
SB0311  guest `shipper` ran out of fuel on message 019a9f55 at orders/priced
        it may use 20,000,000 per call
   help: raise `fuel` (sandbus.toml:31)
";
        assert_eq!(problem.render(&RenderOptions::default()), wanted);
    }

    #[test]
    fn notes_and_causes_stand_below_the_message() {
        let problem = Problem::new(Code::Trap, "guest `validator` trapped")
            .with_note("where", "order_total  src/lib.rs:42")
            .with_note("note", "this instance was discarded")
            .with_cause("index out of bounds");
        let wanted = "\
SB0310  guest `validator` trapped
  where: order_total  src/lib.rs:42
   note: this instance was discarded
  cause: index out of bounds
";
        assert_eq!(problem.render(&RenderOptions::default()), wanted);
    }

    fn with_places() -> Problem {
        let text = "sandbus = 1\n[destinations.orders]\ntype = \"parallel\"\n[guests.validator]\n\
                    listens-to = [\"ordres\"]\n";
        let named = text.find("\"ordres\"").unwrap();
        let defined = text.find("orders]").unwrap();
        Problem::new(Code::UnknownDestination, "no destination is called `ordres`")
            .with_help("did you mean `orders`?")
            .with_source(Source::new("sandbus.toml", text))
            .with_label("guest `validator` listens to it here", named..named + 8)
            .with_label("a close name is defined here", defined..defined + 6)
    }

    #[test]
    fn a_problem_with_places_marks_them_in_the_source() {
        let shown = with_places().render(&RenderOptions::default());
        let wanted = "\
SB0112
  × no destination is called `ordres`
   ╭─[sandbus.toml:2:15]
 2 │ [destinations.orders]
   ·               ───┬──
   ·                  ╰── a close name is defined here
   ╰────
   ╭─[sandbus.toml:5:15]
 5 │ listens-to = [\"ordres\"]
   ·               ────┬───
   ·                   ╰── guest `validator` listens to it here
   ╰────
  help: did you mean `orders`?
";
        assert_eq!(shown, wanted, "\n{shown}");
    }

    #[test]
    fn colour_is_off_unless_asked_for() {
        let problem = with_places();
        assert!(!problem.render(&RenderOptions::default()).contains('\u{1b}'));
        assert!(problem.render(&RenderOptions { color: true, width: 80 }).contains('\u{1b}'));
    }
}
