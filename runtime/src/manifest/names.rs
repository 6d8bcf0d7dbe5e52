//! Names: which are legal for a guest, and which known one is nearest to one that is not known.

use crate::diagnostic::Code;

/// Bytes of a guest's name: it stands in every log line and statistic.
const GUEST_NAME_BYTES_MAX: usize = 64;

/// The name that is nearest to `wanted`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wanted.chars().count();
    // Of a name of one character nothing would be left to recognise.
    let bound = (length / 3).max(1).min(length.saturating_sub(1));
    known
        .into_iter()
        .filter(|name| *name != wanted)
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Why a text is not a guest's name, if it is none.
pub(super) fn guest_name_fault(name: &str) -> Option<(Code, String)> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > GUEST_NAME_BYTES_MAX {
        let text =
            format!("a guest's name has 1 to {GUEST_NAME_BYTES_MAX} characters; this one has {}", name.len());
        return Some((Code::BadName, text));
    }
    if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
        let text = format!(
            "guest `{}` has `{}` in its name; use letters, digits, `-`, `_` and `.`",
            name.escape_debug(),
            bad.escape_debug()
        );
        return Some((Code::BadName, text));
    }
    if name == sandbus_bus::HOST || name.starts_with("sandbus") {
        return Some((
            Code::ReservedName,
            format!("a guest cannot be called `{name}`; that name belongs to the platform"),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_close_name_is_suggested() {
        assert_eq!(nearest("ordres", ["prices", "orders"]), Some("orders"));
        assert_eq!(nearest("fule", ["fuel", "deadline"]), Some("fuel"));
        assert_eq!(nearest("audit/log", ["orders", "prices"]), None);
        assert_eq!(nearest("q", ["p"]), None);
    }

    #[test]
    fn a_guest_cannot_take_a_name_of_the_platform() {
        for good in ["validator", "a.b-c_1", "hosts", "my-sandbus", &"x".repeat(64)] {
            assert_eq!(guest_name_fault(good), None, "{good}");
        }
        for bad in ["", "host", "sandbus", "sandbus-x", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(guest_name_fault(bad).is_some(), "{bad}");
        }
    }
}
