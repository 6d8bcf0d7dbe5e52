//! How payloads and values are printed: readable, and without the secrets. Never used for what is sent.

use std::fmt;

use crate::Value;

/// Values of a message, printed as a map; those whose key sounds secret are masked.
pub(crate) struct PrintedValues<'a>(pub(crate) &'a [(String, Value)]);

/// A payload: its text, or how many bytes it has.
pub(crate) struct PrintedPayload<'a>(pub(crate) &'a [u8]);

const SECRET_WORDS: [&str; 3] = ["password", "secret", "token"];

impl fmt::Debug for PrintedValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in self.0 {
            if is_secret(key) {
                map.entry(key, &format_args!("***"));
            } else {
                map.entry(key, value);
            }
        }
        map.finish()
    }
}

impl fmt::Debug for PrintedPayload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) => text.fmt(f),
            Err(_) => write!(f, "{} bytes", self.0.len()),
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_secret_key_is_masked_and_others_are_shown() {
        let values =
            [("userPassword".to_owned(), Value::from("x1y2")), ("name".to_owned(), Value::from("bob"))];
        let printed = format!("{:?}", PrintedValues(&values));
        assert!(printed.contains("bob") && !printed.contains("x1y2"), "{printed}");
    }

    #[test]
    fn a_payload_that_is_not_text_is_printed_as_its_length() {
        assert_eq!(format!("{:?}", PrintedPayload(&[0xff, 0xfe])), "2 bytes");
    }
}
