//! Messages as JSON: how they are saved and shown. Payloads that are text stay readable; values keep their types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sandbus_bus::{DeadLetter, Message, Outgoing, Value, Values};
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
    if let Some(trace) = &context.trace {
        out.insert("traceparent".to_owned(), json!(trace.traceparent));
        out.insert("tracestate".to_owned(), json!(trace.tracestate));
    }
    if let Some(identity) = &context.identity {
        out.insert("tenant".to_owned(), json!(identity.tenant));
        out.insert("principal".to_owned(), json!(identity.principal));
    }
    Json::Object(out)
}

/// A dead letter with its message.
#[must_use]
pub fn dead_letter_to_json(letter: &DeadLetter) -> Json {
    json!({
        "kind": "dead-letter",
        "v": 1,
        "reason": letter.reason.name(),
        "listener": letter.listener.as_deref(),
        "attempts": letter.attempts,
        "last_error": letter.last_error.as_str(),
        "fuel": letter.fuel,
        "build": letter.build.as_deref(),
        "at": humantime::format_rfc3339_millis(letter.at).to_string(),
        "message": message_to_json(&letter.message),
    })
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

/// Reads back what a sender chose: payload, content type, values, response destination and id.
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
    Ok(message)
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
    use sandbus_bus::{Bus, BusConfig, DestinationConfig, RejectedExecution};

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
            original.options = None;
            bus.send("t/x", original.clone()).await.unwrap();
            let letter = bus.dead_letters("t/x").pop().unwrap();
            let written = dead_letter_to_json(&letter).to_string();
            let read: Json = serde_json::from_str(&written).unwrap();
            assert_eq!(message_from_json(&read["message"]).unwrap(), original);
        }
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
