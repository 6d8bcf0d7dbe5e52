//! Messages as JSON: how they are saved and shown. Payloads that are text stay readable; values keep their types.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sandbus_bus::{DeadLetter, DeadLetterId, Message, Outgoing, SendOptions, Value, Values};
use serde_json::{Map, Value as Json, json};

/// The parts of a message that a sender chooses, and what the bus stamped on it.
#[must_use]
pub fn message_to_json(message: &Message) -> Json {
    let mut out = Map::new();
    let context = message.context();
    out.insert("id".to_owned(), json!(message.id().to_string()));
    out.insert("destination".to_owned(), json!(message.destination().as_str()));
    payload_to_json(message.payload(), &mut out);
    out.insert("content_type".to_owned(), json!(message.content_type()));
    out.insert("values".to_owned(), values_to_json(message.values()));
    out.insert("response_destination".to_owned(), json!(message.response_destination().map(|d| d.as_str())));
    out.insert("response_id".to_owned(), json!(message.response_id()));
    out.insert("sender".to_owned(), json!(&*context.sender));
    out.insert("hop_count".to_owned(), json!(context.hop_count));
    out.insert("sent_at".to_owned(), json!(humantime::format_rfc3339_millis(context.sent_at).to_string()));
    if let Some(options) = message.options() {
        out.insert("options".to_owned(), options_to_json(options));
    }
    if let Some(trace) = &context.trace {
        out.insert("traceparent".to_owned(), json!(trace.traceparent()));
        out.insert("tracestate".to_owned(), json!(trace.tracestate()));
    }
    if let Some(identity) = &context.identity {
        out.insert("tenant".to_owned(), json!(identity.tenant()));
        out.insert("principal".to_owned(), json!(identity.principal()));
    }
    Json::Object(out)
}

fn options_to_json(options: &SendOptions) -> Json {
    let millis =
        |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    json!({
        "priority": options.priority,
        "deliver_after_ms": millis(options.deliver_after),
        "expires_after_ms": millis(options.expires_after),
        "ordering_key": options.ordering_key.as_deref(),
        "dedup_key": options.dedup_key.as_deref(),
    })
}

fn options_from_json(json: &Json) -> Option<Box<SendOptions>> {
    let key = |field: &str| json.get(field).and_then(Json::as_str).map(Into::into);
    let time = |field: &str| json.get(field).and_then(Json::as_u64).map(Duration::from_millis);
    let options = SendOptions {
        priority: json
            .get("priority")
            .and_then(Json::as_u64)
            .and_then(|priority| u8::try_from(priority).ok()),
        deliver_after: time("deliver_after_ms"),
        expires_after: time("expires_after_ms"),
        ordering_key: key("ordering_key"),
        dedup_key: key("dedup_key"),
    };
    (!options.is_default()).then(|| Box::new(options))
}

/// A dead letter with its message. Its values stand beside only where they are not the message's own: earlier listeners of
/// a serial destination have changed them.
#[must_use]
pub fn dead_letter_to_json(letter: &DeadLetter) -> Json {
    let mut out = json!({
        "kind": "dead-letter",
        "v": 1,
        "id": letter.id.to_string(),
        "reason": letter.reason.name(),
        "listener": letter.listener.as_deref(),
        "attempts": letter.attempts,
        "last_error": letter.last_error.as_str(),
        "fuel": letter.fuel,
        "build": letter.build.as_deref(),
        "at": humantime::format_rfc3339_millis(letter.at).to_string(),
        "message": message_to_json(&letter.message),
    });
    if letter.values != *letter.message.values()
        && let Json::Object(out) = &mut out
    {
        out.insert("values".to_owned(), values_to_json(&letter.values));
    }
    out
}

/// What a payload seems to be, where nobody says: JSON by its first character, else text, else bytes.
pub(crate) fn guessed_content_type(payload: &[u8]) -> &'static str {
    match std::str::from_utf8(payload) {
        Ok(text) if text.trim_start().starts_with(['{', '[']) => "application/json",
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

/// Puts a payload under `payload_text`, or under `payload_base64` where it is no text.
pub fn payload_to_json(payload: &[u8], out: &mut Map<String, Json>) {
    match std::str::from_utf8(payload) {
        Ok(text) => out.insert("payload_text".to_owned(), json!(text)),
        Err(_) => out.insert("payload_base64".to_owned(), json!(BASE64.encode(payload))),
    };
}

fn values_to_json(values: &Values) -> Json {
    let each = |(key, value): (&str, &Value)| {
        let (name, value) = match value {
            Value::Text(text) => ("text", json!(&**text)),
            Value::Boolean(value) => ("boolean", json!(value)),
            // As text: a reader in a language of floating point numbers would round it.
            Value::Integer(value) => ("integer", json!(value.to_string())),
            // As bits beside, because JSON has no word for infinity.
            Value::Float(value) => ("float", json!(value.to_string())),
            Value::Bytes(bytes) => ("bytes", json!(BASE64.encode(bytes))),
        };
        json!({ "key": key, "type": name, "value": value })
    };
    Json::Array(values.iter().map(each).collect())
}

/// Why a JSON document is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is not what a message has there: {reason}")]
pub struct DecodeError {
    field: String,
    reason: String,
}

fn wrong(field: &str, reason: impl ToString) -> DecodeError {
    DecodeError { field: field.to_owned(), reason: reason.to_string() }
}

/// Reads back what a sender chose: payload, content type, values, response destination and id, options.
///
/// # Errors
/// Names the field that is wrong, and why.
pub fn message_from_json(json: &Json) -> Result<Outgoing, DecodeError> {
    let text = |field: &str| match json.get(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(field, "it is not text")),
    };
    let payload = match (text("payload_text")?, text("payload_base64")?) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => BASE64.decode(encoded).map_err(|error| wrong("payload_base64", error))?,
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => return Err(wrong("payload_base64", "there is a `payload_text`, too")),
    };
    let mut message = Outgoing::bytes(payload);
    message.content_type = text("content_type")?.map(Into::into);
    message.response_id = text("response_id")?.map(Into::into);
    message.response_destination = text("response_destination")?
        .map(sandbus_bus::DestinationName::new)
        .transpose()
        .map_err(|error| wrong("response_destination", error))?;
    message.values = values_from_json(json.get("values").unwrap_or(&Json::Null))?;
    message.options = json.get("options").and_then(options_from_json);
    Ok(message)
}

/// A dead letter as it was saved: what can be read of one that no bus keeps any more.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedLetter {
    /// Its id; lines of older releases have none.
    pub id: Option<DeadLetterId>,
    /// What its sender chose.
    pub message: Outgoing,
    /// Its values when the last attempt began.
    pub values: Values,
    /// The listener that it was meant for.
    pub listener: Option<String>,
    /// The name of the reason.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt said.
    pub last_error: String,
    /// Fuel of the last attempt, where it was counted.
    pub fuel: Option<u64>,
    /// The build of the listener that made the last attempt.
    pub build: Option<String>,
    /// When, in milliseconds.
    pub at: SystemTime,
}

/// Reads back a dead letter that [`dead_letter_to_json`] has written.
///
/// # Errors
/// Names the field that is wrong, and why.
pub fn dead_letter_from_json(json: &Json) -> Result<SavedLetter, DecodeError> {
    let text = |field: &str| json.get(field).and_then(Json::as_str);
    let required = |field: &str| text(field).ok_or_else(|| wrong(field, "it is not text"));
    let number = |field: &str| json.get(field).and_then(Json::as_u64);
    let message = message_from_json(json.get("message").unwrap_or(&Json::Null))?;
    let attempts = number("attempts").and_then(|attempts| u32::try_from(attempts).ok());
    Ok(SavedLetter {
        id: text("id").map(str::parse).transpose().map_err(|error| wrong("id", error))?,
        values: match json.get("values") {
            Some(values) => values_from_json(values)?,
            None => message.values.clone(),
        },
        message,
        listener: text("listener").map(str::to_owned),
        reason: required("reason")?.to_owned(),
        attempts: attempts.ok_or_else(|| wrong("attempts", "it is not a number of attempts"))?,
        last_error: required("last_error")?.to_owned(),
        fuel: number("fuel"),
        build: text("build").map(str::to_owned),
        at: humantime::parse_rfc3339(required("at")?).map_err(|error| wrong("at", error))?,
    })
}

fn values_from_json(json: &Json) -> Result<Values, DecodeError> {
    let mut values = Values::default();
    let entries = match json {
        Json::Null => return Ok(values),
        Json::Array(entries) => entries,
        _ => return Err(wrong("values", "it is not a list")),
    };
    for entry in entries {
        let part = |name: &str| {
            entry
                .get(name)
                .and_then(Json::as_str)
                .ok_or_else(|| wrong("values", format!("`{name}` is missing")))
        };
        let (key, text) =
            (part("key")?, entry.get("value").ok_or_else(|| wrong("values", "`value` is missing"))?);
        values.put(key, value_from_json(part("type")?, text)?).map_err(|error| wrong("values", error))?;
    }
    Ok(values)
}

fn value_from_json(type_name: &str, json: &Json) -> Result<Value, DecodeError> {
    let text =
        || json.as_str().ok_or_else(|| wrong("values", format!("a value of type {type_name} is not text")));
    Ok(match type_name {
        "text" => text()?.into(),
        "boolean" => {
            json.as_bool().ok_or_else(|| wrong("values", "a boolean is neither true nor false"))?.into()
        }
        "integer" => text()?.parse::<i64>().map_err(|error| wrong("values", error))?.into(),
        "float" => text()?.parse::<f64>().map_err(|error| wrong("values", error))?.into(),
        "bytes" => BASE64.decode(text()?).map_err(|error| wrong("values", error))?.into(),
        other => return Err(wrong("values", format!("no value type is called `{other}`"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbus_bus::{Answer, Bus, BusConfig, DestinationConfig, Outcome, RejectedExecution, listener_fn};

    #[tokio::test]
    async fn msg_13_a_message_that_is_written_and_read_back_equals_the_original() {
        let bus = Bus::new(BusConfig::default());
        let mut config = DestinationConfig::serial("t/x").unwrap();
        config.rejected_execution = RejectedExecution::Abort;
        config.on_no_listener = sandbus_bus::OnNoListener::DeadLetter;
        bus.create(config).unwrap();
        for payload in [b"text \xe2\x82\xac".to_vec(), vec![0xff, 0, 1], Vec::new()] {
            let mut original = Outgoing::typed(payload, "application/json")
                .value("t", "12")
                .unwrap()
                .value("b", true)
                .unwrap()
                .value("i", i64::MAX)
                .unwrap()
                .value("f", f64::NEG_INFINITY)
                .unwrap()
                .value("x", vec![1u8, 255])
                .unwrap()
                .response_destination("t/answers".parse().unwrap())
                .response_id("mine");
            original.options = Some(Box::new(SendOptions {
                priority: Some(9),
                expires_after: Some(Duration::from_millis(1_500)),
                ordering_key: Some("customer 7".into()),
                ..SendOptions::default()
            }));
            bus.send("t/x", original.clone()).await.unwrap();
            let letter = bus.dead_letters("t/x").pop().unwrap();
            let written = dead_letter_to_json(&letter).to_string();
            let read: Json = serde_json::from_str(&written).unwrap();
            assert_eq!(message_from_json(&read["message"]).unwrap(), original);
        }
    }

    #[tokio::test]
    async fn a_dead_letter_that_is_written_and_read_back_has_lost_nothing() {
        // What is saved is all that is left of it; and a line without an id, of an older release, is read as well.
        let bus = Bus::new(BusConfig::default());
        bus.create(DestinationConfig::synchronous("t/x").unwrap()).unwrap();
        let changing = listener_fn("a", |delivery| async move {
            let mut values = delivery.values().clone();
            values.put("by", "a").unwrap();
            Outcome::Done(Answer { values: Some(values), ..Answer::default() })
        });
        bus.register("t/x", changing).unwrap();
        bus.register("t/x", listener_fn("b", |_| async { Outcome::refused("bad \u{20ac}") })).unwrap();
        bus.send("t/x", Outgoing::text("m").value("n", 3).unwrap()).await.unwrap();
        let mut letter = bus.dead_letters("t/x").pop().unwrap();
        letter.fuel = Some(7);
        letter.build = Some("9ac2f01b".into());
        let mut written: Json = serde_json::from_str(&dead_letter_to_json(&letter).to_string()).unwrap();
        let read = dead_letter_from_json(&written).unwrap();
        assert_eq!((read.id, &read.values), (Some(letter.id), &letter.values));
        assert_eq!(
            (read.listener.as_deref(), read.reason.as_str(), read.attempts),
            (Some("b"), "refused", 1)
        );
        assert_eq!((read.last_error.as_str(), read.fuel), ("bad \u{20ac}", Some(7)));
        assert_eq!(read.build.as_deref(), letter.build.as_deref());
        assert!(letter.at.duration_since(read.at).unwrap().as_millis() == 0);
        assert_eq!(
            (&read.message.values, &*read.message.payload),
            (letter.message.values(), b"m".as_slice())
        );

        written.as_object_mut().unwrap().retain(|field, _| field != "id" && field != "values");
        let old = dead_letter_from_json(&written).unwrap();
        assert_eq!(old, SavedLetter { id: None, values: read.message.values.clone(), ..read });
        written["attempts"] = json!("many");
        let error = dead_letter_from_json(&written).unwrap_err().to_string();
        assert_eq!(error, "`attempts` is not what a message has there: it is not a number of attempts");
    }

    #[test]
    fn what_is_no_message_says_which_field_and_why() {
        let bad = json!({ "payload_text": "x", "values": [{ "key": "a", "type": "number", "value": "1" }] });
        assert_eq!(
            message_from_json(&bad).unwrap_err().to_string(),
            "`values` is not what a message has there: no value type is called `number`"
        );
    }
}
