//! The secrets that a guest was configured with, masked wherever its own text leaves it: in log lines and in errors. A guest
//! that wants to give one away can still encode or send it; this is for those that print it by mistake.

use std::borrow::Cow;
use std::sync::Arc;

use sandbus_bus::is_secret_key;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Bytes of the shortest secret that is looked for; a shorter one would be found in ordinary words.
const SECRET_BYTES_MIN: usize = 4;

/// Texts to be masked, the longest first: one may be part of another.
#[derive(Debug)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// The values whose key says that they are secret; none if there is none, which is usual.
    pub(crate) fn of<'a>(settings: impl Iterator<Item = (&'a String, &'a String)>) -> Option<Arc<Self>> {
        let mut texts = Vec::new();
        for (_, value) in settings.filter(|(key, _)| is_secret_key(key)) {
            texts.push(value.clone());
            // As it stands in debugging output, and line by line, as it is logged.
            texts.push(value.escape_debug().to_string());
            texts.extend(value.lines().map(|line| line.trim().to_owned()));
        }
        texts.retain(|text| text.len() >= SECRET_BYTES_MIN);
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        (!texts.is_empty()).then(|| Arc::new(Self(texts)))
    }

    pub(crate) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.0.iter().filter(|secret| text.contains(secret.as_str())) {
            masked = Cow::Owned(masked.replace(secret, MASK));
        }
        masked
    }

    /// The same for a text that was cut: its end may be the beginning of a secret.
    pub(crate) fn mask_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.mask(text);
        let beginning = |secret: &String| {
            let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SECRET_BYTES_MIN);
            ends.rev().find(|at| secret.get(..*at).is_some_and(|start| masked.ends_with(start)))
        };
        match self.0.iter().filter_map(beginning).max() {
            Some(bytes) => {
                let kept = masked.get(..masked.len() - bytes).unwrap_or_default();
                Cow::Owned(format!("{kept}{MASK}"))
            }
            None => masked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Option<Arc<Secrets>> {
        let owned: Vec<(String, String)> =
            values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Secrets::of(owned.iter().map(|(key, value)| (key, value)))
    }

    #[test]
    fn a_secret_is_masked_and_an_ordinary_value_is_not() {
        let known = secrets(&[("DB_PASSWORD", "hunter22"), ("LEVEL", "debug")]).unwrap();
        assert_eq!(
            known.mask("debug: cannot log in with hunter22, hunter22"),
            "debug: cannot log in with ***, ***"
        );
        assert!(
            secrets(&[("LEVEL", "debug"), ("A_TOKEN", "abc")]).is_none(),
            "none, or too short to be told"
        );
    }

    #[test]
    fn the_longer_of_two_is_masked_as_a_whole() {
        let known = secrets(&[("A_TOKEN", "abcd"), ("B_TOKEN", "abcd-efgh")]).unwrap();
        assert_eq!(known.mask("abcd-efgh abcd"), "*** ***");
    }

    #[test]
    fn a_secret_of_several_lines_or_with_quotes_is_found_as_it_is_printed() {
        let known = secrets(&[("KEY_SECRET", "first line\nsecond \"line\"")]).unwrap();
        assert_eq!(known.mask("key first line"), "key ***");
        assert_eq!(known.mask(r#"Key("first line\nsecond \"line\"")"#), r#"Key("***")"#);
    }

    #[test]
    fn half_a_secret_at_the_end_of_what_was_cut_is_masked() {
        let known = secrets(&[("A_TOKEN", "abcdefgh")]).unwrap();
        assert_eq!(known.mask_cut("it is abcdef"), "it is ***");
        assert_eq!(known.mask_cut("it is abc"), "it is abc");
        assert_eq!(known.mask_cut("it is abcdefgh!"), "it is ***!");
    }
}
