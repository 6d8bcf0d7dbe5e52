//! What is known about a code besides its name: exit code, short text, help. The table itself is in `table`.

use std::fmt;

pub use super::table::Code;

/// One row of the table.
pub(super) struct Entry {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) exit: u8,
    pub(super) text: &'static str,
    pub(super) help: &'static str,
}

impl Code {
    /// The code as it is printed: `SB0112`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().code
    }

    /// Its name: one word that scripts and people use, `unknown-destination`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What it means, in one line.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.entry().text
    }

    /// What to do about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        self.entry().help
    }

    /// With what a command ends that ends because of it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self.entry().exit
    }

    /// Finds a code by its text or its name, in any case: `sb0112`, `unknown-destination`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(text) || code.name().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_has_a_name_a_text_and_help_and_none_is_used_twice() {
        let mut codes = BTreeSet::new();
        let mut names = BTreeSet::new();
        for code in Code::ALL {
            let digits = code.as_str().strip_prefix("SB").unwrap_or_default();
            assert!(digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
            assert!(!code.name().is_empty() && !code.name().contains(' '), "{code}");
            assert!(code.text().len() > 8 && code.help().len() > 8, "{code}");
            assert!(!code.text().ends_with('.') && !code.help().ends_with('.'), "{code}");
            assert!(codes.insert(code.as_str()), "{code} is used twice");
            assert!(names.insert(code.name()), "the name `{}` is used twice", code.name());
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_its_codes() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(codes.is_sorted(), "{codes:?}");
    }

    #[test]
    fn exit_codes_are_those_of_the_interface() {
        for code in Code::ALL {
            let text = code.as_str();
            let wanted: &[u8] = match text.get(..4) {
                Some("SB01" | "SB02") => &[3, 4],
                Some("SB07") => &[11],
                Some("SB03") => &[9, 10],
                _ => continue,
            };
            assert!(wanted.contains(&code.exit_code()), "{text} {}", code.exit_code());
        }
        let seven = ["SB0402", "SB0403", "SB0404", "SB0407", "SB0409", "SB0410", "SB0411", "SB0412"];
        for text in seven {
            assert_eq!(Code::find(text).unwrap().exit_code(), 7, "{text}");
        }
        assert_eq!(Code::find("no-such-destination").unwrap().exit_code(), 4);
        assert_eq!(Code::find("denied").unwrap().exit_code(), 6);
        assert_eq!(Code::find("timeout").unwrap().exit_code(), 8);
    }

    #[test]
    fn a_code_is_found_by_number_and_by_name() {
        assert_eq!(Code::find("sb0311"), Some(Code::OutOfFuel));
        assert_eq!(Code::find("out-of-fuel"), Some(Code::OutOfFuel));
        assert_eq!(Code::find("SB9999"), None);
    }
}
