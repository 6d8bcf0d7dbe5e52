//! Between the envelope of the bus and those of other messaging interfaces: subjects, reply addresses, metadata. Plain
//! functions over texts that a guest chose; what they refuse is data, and nothing here sends anything.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sandbus_bus::{DestinationName, Message, Outgoing, SendError, Value, Values};

/// How reply addresses begin. No destination can be called so: its name has no colon.
const REPLY: &str = "sandbus-reply:";

/// What a subject, a topic or a channel stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A destination of this name.
    Destination(String),
    /// The answer to one request.
    Answer {
        /// Where the answer goes.
        destination: DestinationName,
        /// Which request it answers.
        response_id: Arc<str>,
    },
}

/// What a guest hands over to be sent, in words that all these interfaces share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The payload.
    pub payload: Bytes,
    /// The media type of the payload.
    pub content_type: Option<String>,
    /// Extras, all of them text.
    pub metadata: Vec<(String, String)>,
    /// Where answers are to go.
    pub reply_to: Option<String>,
}

/// The opaque text under which a message is answered; none where nobody asked.
#[must_use]
pub fn reply_address(message: &Message) -> Option<String> {
    let (destination, id) = (message.response_destination()?, message.response_id()?);
    Some(address(destination.as_str(), id))
}

fn address(destination: &str, response_id: &str) -> String {
    // No destination's name has a zero byte in it, so that the first one is the border.
    let hidden = [destination.as_bytes(), b"\0", response_id.as_bytes()].concat();
    format!("{REPLY}{}", URL_SAFE_NO_PAD.encode(hidden))
}

/// Reads what a guest calls subject, topic or channel.
///
/// # Errors
/// [`SendError::Invalid`] for what looks like a reply address and is none.
pub fn subject(text: &str) -> Result<Subject, SendError> {
    let Some(hidden) = text.strip_prefix(REPLY) else { return Ok(Subject::Destination(text.to_owned())) };
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(hidden).ok()?;
        let whole = std::str::from_utf8(&bytes).ok()?;
        let (destination, id) = whole.split_once('\0')?;
        let destination = DestinationName::new(destination).ok()?;
        Some(Subject::Answer { destination, response_id: Arc::from(id) })
    };
    read().ok_or_else(|| SendError::Invalid("it is not a reply address that this host gave out".to_owned()))
}

/// The text values of a message; the others have no place in these interfaces.
#[must_use]
pub fn metadata(values: &Values) -> Vec<(String, String)> {
    let text = |(key, value): (&str, &Value)| match value {
        Value::Text(text) => Some((key.to_owned(), text.to_string())),
        _ => None,
    };
    values.iter().filter_map(text).collect()
}

/// Where an envelope goes, and the message that it becomes.
///
/// # Errors
/// [`SendError`] for a subject, a reply address or metadata that break a rule.
pub fn outgoing(to: &str, envelope: Envelope) -> Result<(String, Outgoing), SendError> {
    let mut values = Values::default();
    for (key, text) in envelope.metadata {
        values.put(&key, text).map_err(|error| SendError::Invalid(error.to_string()))?;
    }
    let mut message = Outgoing {
        payload: envelope.payload,
        content_type: envelope.content_type.map(Arc::from),
        values,
        ..Outgoing::default()
    };
    match envelope.reply_to.as_deref().map(subject).transpose()? {
        None => {}
        Some(Subject::Destination(name)) => {
            message.response_destination = Some(DestinationName::new(&name)?);
        }
        // Whoever is asked by this message may answer the request that its sender was asked by.
        Some(Subject::Answer { destination, response_id }) => {
            message.response_destination = Some(destination);
            message.response_id = Some(response_id);
        }
    }
    let destination = match subject(to)? {
        Subject::Destination(name) => name,
        Subject::Answer { destination, response_id } => {
            if message.response_id.as_ref().is_some_and(|other| *other != response_id) {
                let text = "an answer to one request cannot be answered as another one";
                return Err(SendError::Invalid(text.to_owned()));
            }
            message.response_id = Some(response_id);
            destination.as_str().to_owned()
        }
    };
    Ok((destination, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(destination: &str, id: &str) -> Subject {
        Subject::Answer { destination: destination.parse().unwrap(), response_id: Arc::from(id) }
    }

    #[test]
    fn a_reply_address_says_nothing_in_plain_text_and_reads_back() {
        for (destination, id) in
            [("sandbus/default-response", "0b5c"), ("a", ""), ("a/b", "id with \0 and ü")]
        {
            let address = address(destination, id);
            assert_eq!(subject(&address), Ok(answer(destination, id)));
            assert!(!address.contains(destination) || destination == "a", "{address}");
        }
    }

    #[test]
    fn what_is_no_reply_address_is_a_name_or_an_error() {
        assert_eq!(subject("orders.new"), Ok(Subject::Destination("orders.new".to_owned())));
        assert_eq!(subject(""), Ok(Subject::Destination(String::new())));
        let encoded = |bytes: &[u8]| format!("{REPLY}{}", URL_SAFE_NO_PAD.encode(bytes));
        let forged = [REPLY.to_owned(), format!("{REPLY}!"), encoded(b"no-border"), encoded(b"\xff\0id")];
        for text in forged.iter().chain(&[encoded(b"\0id"), encoded(b"a b\0id")]) {
            assert!(matches!(subject(text), Err(SendError::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn an_envelope_becomes_a_message_with_text_values() {
        let envelope = Envelope {
            payload: Bytes::from_static(b"x"),
            content_type: Some("text/plain".to_owned()),
            metadata: vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
            reply_to: Some("answers".to_owned()),
        };
        let (destination, message) = outgoing("orders", envelope).unwrap();
        assert_eq!(destination, "orders");
        assert_eq!(message.response_destination.as_ref().map(DestinationName::as_str), Some("answers"));
        assert_eq!(
            (message.response_id.as_ref(), message.content_type.as_deref()),
            (None, Some("text/plain"))
        );
        assert_eq!(metadata(&message.values), [("a".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn an_answer_carries_the_id_of_its_request_and_of_no_other() {
        let (first, second) = (address("r", "1"), address("r", "2"));
        let (destination, message) = outgoing(&first, Envelope::default()).unwrap();
        assert_eq!((destination.as_str(), message.response_id.as_deref()), ("r", Some("1")));
        let forwarded = Envelope { reply_to: Some(first.clone()), ..Envelope::default() };
        let (destination, message) = outgoing("next", forwarded.clone()).unwrap();
        assert_eq!((destination.as_str(), message.response_id.as_deref()), ("next", Some("1")));
        assert!(outgoing(&first, forwarded.clone()).is_ok());
        assert!(outgoing(&second, forwarded).is_err());
    }

    #[test]
    fn metadata_that_breaks_a_rule_of_values_is_invalid() {
        let metadata = |pairs: usize| (0..pairs).map(|n| (n.to_string(), String::new())).collect();
        assert!(outgoing("a", Envelope { metadata: metadata(64), ..Envelope::default() }).is_ok());
        assert!(outgoing("a", Envelope { metadata: metadata(65), ..Envelope::default() }).is_err());
        let long = vec![("k".repeat(256), String::new())];
        assert!(outgoing("a", Envelope { metadata: long, ..Envelope::default() }).is_err());
    }

    #[test]
    fn no_text_is_a_panic() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let text: String = std::iter::repeat_with(|| random.char(..)).take(seed as usize % 40).collect();
            let _ = subject(&text);
            let _ = subject(&format!("{REPLY}{text}"));
            let _ = subject(&format!("{REPLY}{}", URL_SAFE_NO_PAD.encode(&text)));
            let _ = outgoing(&text, Envelope { reply_to: Some(text.clone()), ..Envelope::default() });
        }
    }
}
