//! Typed values of a message: five types, never converted into one another, kept in the order of putting.

use std::sync::Arc;

use bytes::Bytes;

use crate::limits::{VALUE_KEY_BYTES_MAX, VALUES_MAX};

/// One typed value.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let price: Value = 12.5.into();
/// assert_eq!((price.type_name(), price.size_bytes()), ("float", 8));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(Arc<str>),
    /// A truth value.
    Boolean(bool),
    /// 64 bits, signed.
    Integer(i64),
    /// 64 bits.
    Float(f64),
    /// Bytes.
    Bytes(Bytes),
}

impl Value {
    /// The name of the type, as error texts use it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Boolean(_) => "boolean",
            Value::Integer(_) => "integer",
            Value::Float(_) => "float",
            Value::Bytes(_) => "bytes",
        }
    }

    /// What the value counts in a message's size.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Boolean(_) => 1,
            Value::Integer(_) | Value::Float(_) => 8,
            Value::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Arc::from(text))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Arc::from(text))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Integer(value.into())
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Bytes(value.into())
    }
}

/// A getter asked for one type and the value has another.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error = ValueTypeError { key: "count".into(), wanted: "integer", found: "text" };
/// assert!(error.to_string().contains("`count`"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value `{key}` is {found}, not {wanted}")]
pub struct ValueTypeError {
    /// The key that was asked for.
    pub key: String,
    /// The type that was asked for.
    pub wanted: &'static str,
    /// The type that it has.
    pub found: &'static str,
}

/// A key or a set of values that breaks a rule.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut values = Values::default();
/// assert_eq!(values.put("", 1), Err(ValuesError::KeyEmpty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// The key is empty.
    #[error("the key of a value is empty")]
    KeyEmpty,
    /// The key is too long.
    #[error("the key of a value has {bytes} bytes; it may have {VALUE_KEY_BYTES_MAX}")]
    KeyTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The key has a control character.
    #[error("the key `{}` of a value has a control character", key.escape_debug())]
    KeyControl {
        /// The key.
        key: String,
    },
    /// Too many values.
    #[error("the message has {count} values; it may have {VALUES_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// The values of a message, in the order of putting. Copying them copies a pointer until one copy changes.
///
/// # Examples
/// ```
/// use sandbus_bus::Values;
/// let mut values = Values::default();
/// values.put("n", 3)?;
/// values.put("name", "bob")?;
/// assert_eq!(values.integer("n"), Ok(Some(3)));
/// assert_eq!(values.integer("name").unwrap_err().to_string(), "value `name` is text, not integer");
/// values.remove("n");
/// assert!(!values.contains("n"));
/// # Ok::<(), sandbus_bus::ValuesError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Values(Option<Arc<Entries>>);

type Entries = Vec<(Arc<str>, Value)>;

impl Values {
    /// Puts `value` under `key`; a value that was there before keeps its place in the order.
    ///
    /// # Errors
    /// When the key breaks a rule or there would be too many values; then nothing changed.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) -> Result<(), ValuesError> {
        check_key(key)?;
        if !self.contains(key) && self.len() >= VALUES_MAX {
            return Err(ValuesError::TooMany { count: self.len() + 1 });
        }
        let entries = Arc::make_mut(self.0.get_or_insert_with(Arc::default));
        match entries.iter_mut().find(|(existing, _)| &**existing == key) {
            Some((_, slot)) => *slot = value.into(),
            None => entries.push((Arc::from(key), value.into())),
        }
        Ok(())
    }

    /// Removes what stands under `key`; nothing there is no error.
    pub fn remove(&mut self, key: &str) {
        if self.contains(key)
            && let Some(entries) = &mut self.0
        {
            Arc::make_mut(entries).retain(|(existing, _)| &**existing != key);
        }
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|(existing, _)| *existing == key).map(|(_, value)| value)
    }

    /// Whether something stands under `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().flat_map(|entries| entries.iter()).map(|(key, value)| (&**key, value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values together, as they count in a message's size.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.size_bytes()).sum()
    }
}

macro_rules! typed_getter {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $wanted:literal, $type:ty, $take:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When a value of another type stands there; the error names both types.
        pub fn $name(&self, key: &str) -> Result<Option<$type>, ValueTypeError> {
            match self.get(key) {
                None => Ok(None),
                Some(Value::$variant(value)) => Ok(Some($take(value))),
                Some(other) => Err(ValueTypeError { key: key.to_owned(), wanted: $wanted, found: other.type_name() }),
            }
        }
    };
}

impl Values {
    typed_getter!(/// The text under `key`, or none.
        text, Text, "text", &str, Arc::as_ref);
    typed_getter!(/// The boolean under `key`, or none.
        boolean, Boolean, "boolean", bool, |v: &bool| *v);
    typed_getter!(/// The integer under `key`, or none.
        integer, Integer, "integer", i64, |v: &i64| *v);
    typed_getter!(/// The float under `key`, or none.
        float, Float, "float", f64, |v: &f64| *v);
    typed_getter!(/// The bytes under `key`, or none.
        bytes, Bytes, "bytes", Bytes, |v: &Bytes| v.clone());
}

fn check_key(key: &str) -> Result<(), ValuesError> {
    if key.is_empty() {
        return Err(ValuesError::KeyEmpty);
    }
    if key.len() > VALUE_KEY_BYTES_MAX {
        return Err(ValuesError::KeyTooLong { bytes: key.len() });
    }
    if key.chars().any(char::is_control) {
        return Err(ValuesError::KeyControl { key: key.to_owned() });
    }
    Ok(())
}

/// Whether a value under this key is masked wherever it is printed.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// assert!(is_secret_key("userPassword") && !is_secret_key("user"));
/// ```
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    ["password", "secret", "token"].iter().any(|word| lower.contains(word))
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in self.iter() {
            if is_secret_key(key) {
                map.entry(&key, &"***")
            } else {
                map.entry(&key, value)
            };
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_and_their_types() {
        let mut values = Values::default();
        values.put("t", "12").unwrap();
        values.put("b", true).unwrap();
        values.put("i", 7).unwrap();
        values.put("f", 1.5).unwrap();
        values.put("x", vec![1, 2]).unwrap();
        assert_eq!(values.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["t", "b", "i", "f", "x"]);
        assert_eq!(values.text("t"), Ok(Some("12")));
        assert_eq!(values.boolean("b"), Ok(Some(true)));
        assert_eq!(values.integer("i"), Ok(Some(7)));
        assert_eq!(values.float("f"), Ok(Some(1.5)));
        assert_eq!(values.bytes("x"), Ok(Some(Bytes::from_static(&[1, 2]))));
        assert_eq!(values.integer("absent"), Ok(None));
        let error = values.integer("t").unwrap_err();
        assert_eq!((error.found, error.wanted), ("text", "integer"));
    }

    #[test]
    fn a_copy_does_not_see_what_the_other_puts() {
        let mut first = Values::default();
        first.put("a", 1).unwrap();
        let mut second = first.clone();
        second.put("b", 2).unwrap();
        second.remove("a");
        assert!(first.contains("a") && !first.contains("b"));
        assert!(!second.contains("a"));
    }

    #[test]
    fn keys_are_bounded_and_clean() {
        let mut values = Values::default();
        for bad in ["", "a\nb", "\0", &"k".repeat(256)] {
            assert!(values.put(bad, 1).is_err(), "{bad:?}");
        }
        for n in 0..VALUES_MAX {
            values.put(&format!("k{n}"), 1).unwrap();
        }
        assert_eq!(values.put("one-more", 1), Err(ValuesError::TooMany { count: VALUES_MAX + 1 }));
        values.put("k0", 2).unwrap();
    }

    #[test]
    fn printing_masks_what_is_secret() {
        let mut values = Values::default();
        values.put("userPassword", "x1y2").unwrap();
        values.put("name", "bob").unwrap();
        let text = format!("{values:?}");
        assert!(text.contains("bob") && !text.contains("x1y2"), "{text}");
    }
}
