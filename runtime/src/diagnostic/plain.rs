//! Texts as they may be shown: whatever a file or a flag said, what is printed about it steers no terminal. It changes
//! nothing else.

/// What steers a terminal or turns the direction of text. Line breaks and tabs may stay: what is shown has several lines.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with what steers escaped.
pub(super) fn plain(text: impl Into<String>) -> String {
    let text = text.into();
    if !text.chars().any(steers) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The text with question marks in the place of what steers, as many bytes as before, so that places in it stay; none where
/// nothing does.
pub(super) fn of_the_same_length(text: &str) -> Option<String> {
    text.chars().any(steers).then(|| {
        let mut shown = String::with_capacity(text.len());
        for c in text.chars() {
            if steers(c) {
                (0..c.len_utf8()).for_each(|_| shown.push('?'));
            } else {
                shown.push(c);
            }
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_rest_stays() {
        assert_eq!(plain("a\u{1b}[31m\u{202e}b\0"), "a\\u{1b}[31m\\u{202e}b\\u{0}");
        assert_eq!(plain("lines\n\tand ä…"), "lines\n\tand ä…");
        let shown = of_the_same_length("a\u{1b}b\u{202e}c\u{85}d").unwrap();
        assert_eq!(shown, "a?b???c??d");
        assert_eq!(of_the_same_length("plain\n"), None);
    }
}
