//! Looks at a component's bytes before they are compiled: is it a component at all, and is it of a size that compiling
//! can take. Compiling is outside of the engine's security promise, so that bombs must end here.

use wasmparser::{Encoding, Parser, Payload};

use crate::limits::{COMPONENT_FUNCTIONS_MAX, COMPONENT_PARTS_MAX, FUNCTION_BODY_BYTES_MAX};

/// Why bytes are not a component that may be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrescanError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Source code.
    #[error("it is WebAssembly text, not a binary component")]
    Text,
    /// Machine code that somebody else compiled.
    #[error("it is precompiled machine code, which is never trusted; give the component itself")]
    Precompiled,
    /// Something else.
    #[error("it is not WebAssembly")]
    NotWebAssembly,
    /// A module.
    #[error("it is a core module, not a component")]
    CoreModule,
    /// Cut off, or never one.
    #[error("it is not a WebAssembly component, or a damaged one: {0}")]
    Damaged(String),
    /// Too many functions.
    #[error("it has more than {COMPONENT_FUNCTIONS_MAX} functions")]
    TooManyFunctions,
    /// One function is too large.
    #[error("one of its functions has {0} bytes; it may have {FUNCTION_BODY_BYTES_MAX}")]
    FunctionTooLarge(usize),
    /// Too many parts.
    #[error("it has more than {COMPONENT_PARTS_MAX} nested modules and components")]
    TooManyParts,
}

/// Looks at `bytes`.
///
/// # Errors
/// What they are, if they are not a component that may be compiled.
pub(crate) fn prescan(bytes: &[u8]) -> Result<(), PrescanError> {
    if bytes.is_empty() {
        return Err(PrescanError::Empty);
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(PrescanError::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        let text = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let looks_like_text = matches!(text, Some(b'(')) || bytes.starts_with(b";;");
        return Err(match (looks_like_text, b"\0asm".starts_with(bytes)) {
            (true, _) => PrescanError::Text,
            (false, true) => PrescanError::Damaged("it ends within its first four bytes".to_owned()),
            (false, false) => PrescanError::NotWebAssembly,
        });
    }
    let mut functions = 0usize;
    let mut parts = 0usize;
    let mut outermost = true;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| PrescanError::Damaged(error.to_string()))? {
            Payload::Version { encoding: Encoding::Module, .. } if outermost => {
                return Err(PrescanError::CoreModule);
            }
            Payload::Version { .. } => outermost = false,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => parts += 1,
            Payload::CodeSectionStart { count, .. } => functions = functions.saturating_add(count as usize),
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION_BODY_BYTES_MAX => {
                return Err(PrescanError::FunctionTooLarge(body.range().len()));
            }
            _ => {}
        }
        if functions > COMPONENT_FUNCTIONS_MAX {
            return Err(PrescanError::TooManyFunctions);
        }
        if parts > COMPONENT_PARTS_MAX {
            return Err(PrescanError::TooManyParts);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn each_wrong_kind_of_file_is_told_what_it_is() {
        assert_eq!(prescan(b""), Err(PrescanError::Empty));
        assert_eq!(prescan(b"  (module)"), Err(PrescanError::Text));
        assert_eq!(prescan(b"\x7fELF\x02"), Err(PrescanError::Precompiled));
        assert_eq!(prescan(MODULE), Err(PrescanError::CoreModule));
        assert_eq!(prescan(b"#!/bin/sh\n"), Err(PrescanError::NotWebAssembly));
        assert!(matches!(prescan(&COMPONENT[..6]), Err(PrescanError::Damaged(_))));
        assert_eq!(prescan(COMPONENT), Ok(()));
    }

    #[test]
    fn random_bytes_end_in_an_error_and_never_in_a_panic() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = COMPONENT.to_vec();
            bytes.extend((0..random.usize(..200)).map(|_| random.u8(..)));
            let _ = prescan(&bytes);
        }
    }
}
