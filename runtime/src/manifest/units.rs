//! Numbers, sizes and times as people write them. It reads and writes text; ranges are checked elsewhere.

use std::time::Duration;

/// A whole number: `20`, `10_000`, `20M`.
pub(crate) fn number(text: &str) -> Option<u64> {
    scaled(text, &[("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)])
}

/// Bytes: `1048576`, `512KiB`, `64MiB`, `1GiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    scaled(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1)])
}

/// A length of time: `200ms`, `5s`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits.trim_end(), *factor)))
        .unwrap_or((text, 1));
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    digits.replace('_', "").parse::<u64>().ok()?.checked_mul(factor)
}

/// A number with a mark between groups of three: `10,000` in a text, `10_000` in TOML.
pub(crate) fn grouped(number: u64, mark: char) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}

/// Bytes in the largest unit that loses nothing.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// A length of time in the largest unit that loses nothing.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return humantime::format_duration(duration).to_string();
    }
    let units = [("d", 86_400_000u128), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_suffixes_and_nothing_else() {
        for (text, wanted) in
            [("7", 7), ("10_000", 10_000), ("1k", 1_000), ("20M", 20_000_000), ("2G", 2_000_000_000)]
        {
            assert_eq!(number(text), Some(wanted), "{text}");
        }
        for bad in ["", "k", "-1", "+1", "1.5M", "1KiB", "_1", "99999999999G", "1 000"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_binary_unit_or_none() {
        for (text, wanted) in
            [("512KiB", 512 << 10), ("64MiB", 64 << 20), ("1GiB", 1 << 30), ("9", 9), ("9B", 9)]
        {
            assert_eq!(size(text), Some(wanted), "{text}");
        }
        for bad in ["64MB", "64M", "MiB", "-1KiB", "1e3"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for millis in [0, 1, 200, 1_000, 1_500, 60_000, 90_000, 3_600_000, 604_800_000] {
            let length = Duration::from_millis(millis);
            assert_eq!(duration(&show_duration(length)), Some(length));
        }
        for micros in [1, 1_500, 1_000_001] {
            let length = Duration::from_micros(micros);
            assert_eq!(duration(&show_duration(length)), Some(length));
        }
        for bytes in [0, 1, 1_000, 1_024, 64 << 20, (64 << 20) + 1, 3 << 30] {
            assert_eq!(size(&show_size(bytes)), Some(bytes));
        }
        for value in [0, 7, 999, 1_000, 20_000_000, u64::MAX] {
            assert_eq!(number(&grouped(value, '_')), Some(value));
        }
    }
}
