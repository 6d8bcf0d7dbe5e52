//! Payloads and values as they are typed: text, `@file`, `-`; `KEY:TYPE=VALUE`.

use std::io::Read;
use std::path::Path;

use sandbus_bus::{Outgoing, Value};

use crate::codec::guessed_content_type;
use crate::diagnostic::{Code, Problem};

/// A payload and the content type that it seems to have.
pub(super) struct Payload {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: &'static str,
}

impl Payload {
    /// Reads what was typed.
    pub(super) fn read(typed: &str) -> Result<Self, Problem> {
        if typed == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| Problem::caused_by(Code::BadPayload, "cannot read standard input", &error))?;
            return Ok(Self { content_type: guessed_content_type(&bytes), bytes });
        }
        let Some(path) = typed.strip_prefix('@') else {
            return Ok(Self {
                content_type: guessed_content_type(typed.as_bytes()),
                bytes: typed.as_bytes().to_vec(),
            });
        };
        let bytes = read_file(path)?;
        let content_type = match Path::new(path).extension().and_then(|ending| ending.to_str()) {
            Some("json") => "application/json",
            Some("txt" | "md" | "csv") => "text/plain; charset=utf-8",
            _ => guessed_content_type(&bytes),
        };
        Ok(Self { bytes, content_type })
    }

    /// The payload as a message.
    pub(super) fn message(self, content_type: Option<&str>) -> Outgoing {
        Outgoing::typed(self.bytes, content_type.unwrap_or(self.content_type))
    }
}

fn read_file(path: &str) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            Code::FileMissing
        } else {
            Code::FileUnreadable
        };
        Problem::caused_by(code, format!("cannot read `{path}`"), &error)
    })
}

/// Reads `DEST=PAYLOAD`.
pub(super) fn destination_and_payload(typed: &str) -> Result<(&str, Payload), Problem> {
    let Some((destination, payload)) = typed.split_once('=') else {
        let text = format!("`{typed}` is not DEST=PAYLOAD");
        return Err(Problem::new(Code::BadPayload, text).with_usual_help());
    };
    Ok((destination, Payload::read(payload)?))
}

/// Reads `KEY=TEXT` or `KEY:TYPE=VALUE`.
fn value(typed: &str) -> Result<(&str, Value), Problem> {
    let wrong = |why: String| Problem::new(Code::BadValue, format!("`{typed}`: {why}")).with_usual_help();
    let Some((key, text)) = typed.split_once('=') else { return Err(wrong("it has no `=`".to_owned())) };
    let (key, type_name) = key.rsplit_once(':').unwrap_or((key, "text"));
    let value = match type_name {
        "text" => Value::from(text),
        "int" => Value::from(text.parse::<i64>().map_err(|error| wrong(error.to_string()))?),
        "float" => Value::from(text.parse::<f64>().map_err(|error| wrong(error.to_string()))?),
        "bool" => Value::from(text.parse::<bool>().map_err(|error| wrong(error.to_string()))?),
        "bytes" => Value::from(match text.strip_prefix('@') {
            Some(path) => read_file(path)?,
            None => text.as_bytes().to_vec(),
        }),
        other => return Err(wrong(format!("no type is called `{other}`"))),
    };
    Ok((key, value))
}

/// Puts what was typed as `--value` into a message.
pub(super) fn put_values(message: &mut Outgoing, typed: &[String]) -> Result<(), Problem> {
    for typed in typed {
        let (key, value) = value(typed)?;
        let put = message.values.put(key, value);
        put.map_err(|error| Problem::new(Code::BadValue, format!("`{typed}`: {error}")))?;
    }
    Ok(())
}

/// Reads `KEY=VALUE` of another kind.
pub(super) fn pair(typed: &str) -> Result<(&str, &str), Problem> {
    typed
        .split_once('=')
        .ok_or_else(|| Problem::new(Code::Usage, format!("`{typed}` is not KEY=VALUE")).with_usual_help())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_unless_a_type_is_named() {
        assert_eq!(value("sku=A1").unwrap(), ("sku", Value::from("A1")));
        assert_eq!(value("n:int=3").unwrap(), ("n", Value::from(3)));
        assert_eq!(value("ok:bool=true").unwrap(), ("ok", Value::from(true)));
        assert_eq!(value("x:float=1.5").unwrap(), ("x", Value::from(1.5)));
        assert!(value("n:int=three").unwrap_err().message().contains("n:int=three"));
        assert!(value("n:number=3").unwrap_err().message().contains("no type is called `number`"));
        assert!(value("n").is_err());
    }

    #[test]
    fn the_content_type_is_guessed_from_what_is_there() {
        assert_eq!(Payload::read("{\"a\":1}").unwrap().content_type, "application/json");
        assert_eq!(Payload::read("hello").unwrap().content_type, "text/plain; charset=utf-8");
        assert_eq!(Payload::read("@/no/such/file").err().unwrap().code(), Code::FileMissing);
    }
}
