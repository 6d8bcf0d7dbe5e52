//! Names or patterns in grants: `*` stands for characters within one segment, `**` for any segments. It matches; it
//! grants nothing.

use std::fmt;

/// A destination name, or a pattern of such names.
///
/// # Examples
/// ```
/// use sandbus::Pattern;
/// let pattern: Pattern = "acme/*".parse()?;
/// assert!(pattern.matches("acme/a") && !pattern.matches("acme/a/b") && !pattern.matches("other/a"));
/// # Ok::<(), sandbus::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// The literal pieces between the `*` of one segment.
    Pieces(Vec<String>),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Without its stars it would not be a destination name either.
    #[error("pattern `{}` is not a destination name with `*` or `**` in it: {reason}", text.escape_debug())]
    Name {
        /// The text.
        text: String,
        /// The rule it breaks.
        reason: sandbus_bus::NameError,
    },
    /// `**` is a segment of its own.
    #[error("pattern `{text}` has `**` beside other characters; it stands for whole segments: `a/**`")]
    DoubleStar {
        /// The text.
        text: String,
    },
}

impl Pattern {
    /// Whether `name` is one of the names that the pattern stands for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let segments: Vec<&str> = name.split('/').collect();
        matches_segments(&self.segments, &segments)
    }

    /// Whether it is one name and nothing else.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.text.contains('*')
    }

    /// The text it was made from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut segments = Vec::new();
        for segment in text.split('/') {
            if segment == "**" {
                segments.push(Segment::Any);
            } else if segment.contains("**") {
                return Err(PatternError::DoubleStar { text: text.to_owned() });
            } else {
                segments.push(Segment::Pieces(segment.split('*').map(str::to_owned).collect()));
            }
        }
        // A star stands for at least nothing, but what remains must be able to be a name: put a letter in its place.
        if let Err(reason) = sandbus_bus::DestinationName::new(&text.replace('*', "x")) {
            return Err(PatternError::Name { text: text.to_owned(), reason });
        }
        Ok(Self { text: text.to_owned(), segments })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn matches_segments(pattern: &[Segment], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((Segment::Any, rest)), Some((_, after))) => {
            matches_segments(rest, name) || matches_segments(pattern, after)
        }
        (Some((Segment::Any, rest)), None) => matches_segments(rest, name),
        (Some((Segment::Pieces(pieces), rest)), Some((segment, after))) => {
            matches_pieces(pieces, segment) && matches_segments(rest, after)
        }
        _ => false,
    }
}

/// Whether the pieces stand in the segment in their order: the first at its start, the last at its end.
fn matches_pieces(pieces: &[String], segment: &str) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| only == segment);
    };
    let Some(mut rest) = segment.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some(at) = rest.find(piece.as_str()) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_segment_and_two_stars_do_not() {
        let cases = [
            ("t/x", "t/x", true),
            ("t/x", "t/xy", false),
            ("acme/*", "acme/a", true),
            ("acme/*", "acme/a/b", false),
            ("acme/*", "other/a", false),
            ("acme/**", "acme/a/b", true),
            ("**/log", "a/b/log", true),
            ("a*b*c/d", "axxbyc/d", true),
            ("a*b*c/d", "axxcyb/d", false),
            ("*a", "a", true),
            ("a*a", "a", false),
        ];
        for (pattern, name, wanted) in cases {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(name), wanted, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_no_pattern() {
        for bad in ["", "a b", "a//*", "a/**b", "../*"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
