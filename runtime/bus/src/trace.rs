//! Trace context and identity, checked where a host sets them: what is carried on to other messages is well formed. It
//! starts no trace and knows nobody's rights.

use crate::limits::{
    IDENTITY_BYTES_MAX, TRACEPARENT_BYTES_MAX, TRACESTATE_BYTES_MAX, TRACESTATE_MEMBERS_MAX,
};

/// W3C Trace Context: carried on, as it is, to every message that a message causes.
///
/// # Examples
/// ```
/// use sandbus_bus::Trace;
/// let trace = Trace::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("vendor=1"))?;
/// assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(Trace::new("4bf92f3577b34da6a3ce929d0e0e4736", None).is_err());
/// # Ok::<(), sandbus_bus::ContextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    traceparent: Box<str>,
    tracestate: Option<Box<str>>,
}

/// On whose behalf a message is sent.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let identity = Identity::new("tenant 7", "alice")?;
/// assert_eq!((identity.tenant(), identity.principal()), ("tenant 7", "alice"));
/// # Ok::<(), ContextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    tenant: Box<str>,
    principal: Box<str>,
}

/// Why something that a host would say about its messages is not carried on.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let error: ContextError = Trace::new("not a trace", None).unwrap_err();
/// assert_eq!((error.part, &*error.text), ("traceparent", "not a trace"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {part} `{}` is not carried on: {reason}", text.escape_debug())]
pub struct ContextError {
    /// What it is: `traceparent`, `tracestate`, `tenant` or `principal`.
    pub part: &'static str,
    /// Its text, cut where it is long.
    pub text: String,
    /// The rule that it breaks.
    pub reason: String,
}

impl ContextError {
    fn new(part: &'static str, text: &str, reason: impl Into<String>) -> Self {
        Self { part, text: text.chars().take(64).collect(), reason: reason.into() }
    }
}

impl Trace {
    /// Takes over a `traceparent` and a `tracestate`, of which an empty one is none.
    ///
    /// # Errors
    /// When one of them breaks a rule of W3C Trace Context, or is longer than the bus carries on.
    pub fn new(traceparent: &str, tracestate: Option<&str>) -> Result<Self, ContextError> {
        check_length("traceparent", traceparent, TRACEPARENT_BYTES_MAX)?;
        check_traceparent(traceparent)
            .map_err(|reason| ContextError::new("traceparent", traceparent, reason))?;
        let tracestate = tracestate.filter(|state| !state.is_empty());
        if let Some(state) = tracestate {
            check_length("tracestate", state, TRACESTATE_BYTES_MAX)?;
            check_tracestate(state).map_err(|reason| ContextError::new("tracestate", state, reason))?;
        }
        Ok(Self { traceparent: traceparent.into(), tracestate: tracestate.map(Box::from) })
    }

    /// `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// The part of `traceparent` that all messages of the trace share: 32 digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }
}

impl Identity {
    /// A tenant and a principal.
    ///
    /// # Errors
    /// When one of them is empty, is too long or has a control character.
    pub fn new(tenant: &str, principal: &str) -> Result<Self, ContextError> {
        for (part, text) in [("tenant", tenant), ("principal", principal)] {
            check_length(part, text, IDENTITY_BYTES_MAX)?;
            if text.is_empty() {
                return Err(ContextError::new(
                    part,
                    text,
                    "it is empty; a message without one has no identity",
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(ContextError::new(part, text, "it has a control character"));
            }
        }
        Ok(Self { tenant: tenant.into(), principal: principal.into() })
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The principal.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }
}

fn check_length(part: &'static str, text: &str, bytes_max: usize) -> Result<(), ContextError> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(ContextError::new(part, text, format!("it has {} bytes; it may have {bytes_max}", text.len())))
}

/// `version-trace_id-parent_id-flags`, in lower-case hexadecimal; a later version may have more behind it.
fn check_traceparent(text: &str) -> Result<(), &'static str> {
    let mut fields = text.splitn(5, '-');
    let mut digits = |count: usize| {
        let field = fields.next().filter(|field| field.len() == count)?;
        field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(field)
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (digits(2), digits(32), digits(16), digits(2))
    else {
        return Err(
            "it is not `version-traceid-parentid-flags` of 2, 32, 16 and 2 lower-case hexadecimal digits",
        );
    };
    let rest = fields.next();
    if version == "ff" {
        return Err("there is no version ff");
    }
    if version == "00" && rest.is_some() {
        return Err("version 00 has nothing behind the flags");
    }
    if rest.is_some_and(|rest| !rest.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err("behind the flags stands what cannot be printed");
    }
    if [trace, parent].iter().any(|id| id.bytes().all(|byte| byte == b'0')) {
        return Err("an id of zeros only is no id");
    }
    Ok(())
}

/// `key=value,key=value`; members may be empty, and spaces and tabs may stand around them.
fn check_tracestate(text: &str) -> Result<(), String> {
    let members: Vec<&str> =
        text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|it| !it.is_empty()).collect();
    if members.len() > TRACESTATE_MEMBERS_MAX {
        return Err(format!("it has {} members; it may have {TRACESTATE_MEMBERS_MAX}", members.len()));
    }
    let key_byte = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    for member in members {
        let Some((key, value)) = member.split_once('=') else {
            return Err(format!("`{}` is not `key=value`", member.escape_debug()));
        };
        let first = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !first || !key.bytes().all(key_byte) {
            return Err(format!("`{}` is not a key", key.escape_debug()));
        }
        if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=') {
            return Err(format!("the value of `{key}` is empty or has a character that it may not have"));
        }
    }
    Ok(())
}
