//! How a guest names destinations: where it listens, by pattern where it may send and listen, by prefix what it may make.
//! Whether what it names is there is looked at in `check`.

use super::guest_keys::GuestDraft;
use super::slot::Slot;
use super::tree::Place;
use crate::diagnostic::{Code, Problem};
use crate::pattern::Pattern;

/// A destination's name or a pattern, where a guest names it.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) kind: ReferenceKind,
    pub(super) text: String,
    pub(super) place: Place,
}

/// As what a guest names a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReferenceKind {
    ListensTo,
    Send,
    Listen,
    /// It is no guest but a schedule that names it.
    Schedule,
}

/// Reads a list of names or patterns and notes where each stands. A name that stands twice is a problem.
fn references(
    draft: &mut GuestDraft,
    slot: &mut Slot<'_>,
    kind: ReferenceKind,
) -> Option<Vec<(String, Place)>> {
    let texts = slot.texts()?;
    draft.references.retain(|reference| reference.kind != kind);
    let mut unique: Vec<(String, Place)> = Vec::new();
    for (text, place) in texts {
        if unique.iter().any(|(other, _)| *other == text) {
            let message = format!("{}: `{}` has `{text}` twice", slot.owner, slot.key);
            let problem = Problem::new(Code::Duplicate, message).with_help("remove one of the two");
            slot.findings.problems.push(place.mark(problem, "this is the second time"));
        } else {
            unique.push((text, place));
        }
    }
    Some(unique)
}

pub(super) fn destination_names(
    draft: &mut GuestDraft,
    slot: &mut Slot<'_>,
    kind: ReferenceKind,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (text, place) in references(draft, slot, kind)? {
        if let Err(error) = sandbus_bus::DestinationName::new(&text) {
            let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
            slot.findings.problems.push(place.mark(Problem::new(Code::BadName, message), "not a name"));
            continue;
        }
        names.push(text.clone());
        draft.references.push(Reference { kind, text, place });
    }
    Some(names)
}

pub(super) fn set_patterns(draft: &mut GuestDraft, slot: &mut Slot<'_>, kind: ReferenceKind) {
    let Some(texts) = references(draft, slot, kind) else { return };
    let mut patterns = Vec::new();
    for (text, place) in texts {
        match text.parse::<Pattern>() {
            Ok(pattern) => {
                patterns.push(pattern);
                draft.references.push(Reference { kind, text, place });
            }
            Err(error) => {
                let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
                let problem = Problem::new(Code::BadPattern, message);
                slot.findings.problems.push(place.mark(problem, "not a pattern"));
            }
        }
    }
    match kind {
        ReferenceKind::Listen => draft.grants.listen = patterns,
        ReferenceKind::Send | ReferenceKind::ListensTo | ReferenceKind::Schedule => {
            draft.grants.send = patterns
        }
    }
}

/// Prefixes of names: `acme/`. What is before the last `/` must be a name.
pub(super) fn prefixes(slot: &mut Slot<'_>) -> Option<Vec<String>> {
    let mut prefixes = Vec::new();
    for (text, place) in slot.texts()? {
        let name = text.strip_suffix('/').unwrap_or(&text);
        match sandbus_bus::DestinationName::for_creation(name) {
            Ok(_) => prefixes.push(text),
            Err(error) => {
                let message = format!("{}: `{}`: {error}", slot.owner, slot.key);
                let problem = Problem::new(Code::BadName, message).with_help(
                    "write the beginning of names, for example \"acme/\"; patterns are not for `create`",
                );
                slot.findings.problems.push(place.mark(problem, "not a prefix"));
            }
        }
    }
    Some(prefixes)
}
