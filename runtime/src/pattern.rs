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
    #[error("pattern `{}` has `**` beside other characters; it stands for whole segments: `a/**`", text.escape_debug())]
    DoubleStar {
        /// The text.
        text: String,
    },
}

impl Pattern {
    /// Whether `name` is one of the names that the pattern stands for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // No name is longer, and what a guest calls a name may be: nothing is made of it before it is looked at.
        if name.len() > sandbus_bus::limits::DESTINATION_NAME_BYTES_MAX {
            return false;
        }
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

/// Goes back to the last `**` only, and so takes at most as many steps as both have segments multiplied: the name may be a
/// guest's choice.
fn matches_segments(pattern: &[Segment], name: &[&str]) -> bool {
    let (mut at, mut of_name) = (0, 0);
    // Behind the last `**`: where the pattern goes on, and how many segments it has stood for, with all before it.
    let mut last_any: Option<(usize, usize)> = None;
    while let Some(segment) = name.get(of_name) {
        match pattern.get(at) {
            Some(Segment::Any) => {
                at += 1;
                last_any = Some((at, of_name));
                continue;
            }
            Some(Segment::Pieces(pieces)) if matches_pieces(pieces, segment) => {
                (at, of_name) = (at + 1, of_name + 1);
                continue;
            }
            _ => {}
        }
        let Some((behind, stood_for)) = last_any else { return false };
        last_any = Some((behind, stood_for + 1));
        (at, of_name) = (behind, stood_for + 1);
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|segment| *segment == Segment::Any))
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
    fn what_is_longer_than_a_name_matches_nothing_and_is_not_looked_at() {
        let any: Pattern = "**".parse().unwrap();
        let longest = "a/".repeat(sandbus_bus::limits::DESTINATION_NAME_BYTES_MAX / 2);
        assert!(any.matches(&longest) && !any.matches(&format!("{longest}bb")));
    }

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
    fn a_pattern_of_many_stars_takes_no_more_steps_than_it_has_segments_times_those_of_the_name() {
        // Tried in every way, this would not end within a lifetime.
        let pattern: Pattern = format!("{}b", "**/a/".repeat(42)).parse().unwrap();
        assert!(!pattern.matches(&format!("{}c", "a/".repeat(127))));
        assert!(pattern.matches(&format!("{}b", "a/".repeat(127))));
        assert!("a/**/b/**".parse::<Pattern>().unwrap().matches("a/b/c/b"));
        assert!("**".parse::<Pattern>().unwrap().matches("a"));
        assert!("a/**".parse::<Pattern>().unwrap().matches("a"));
    }

    #[test]
    fn what_cannot_be_a_name_is_no_pattern() {
        for bad in ["", "a b", "a//*", "a/**b", "../*"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
