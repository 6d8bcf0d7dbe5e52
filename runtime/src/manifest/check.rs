//! Compares the parts of a manifest with each other: each destination that a guest or a schedule names must be defined, or
//! be one that a guest may create. It changes nothing.

use std::sync::Arc;

use super::document::Document;
use super::guest_names::{Reference, ReferenceKind};
use super::names::nearest;
use super::tree::Place;
use crate::diagnostic::{Code, Problem};
use crate::pattern::Pattern;

/// Adds a problem for each name that stands for nothing, and a warning for each such pattern.
pub(super) fn check_references(document: &mut Document) {
    let known = Known::of(document);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    for (guest, draft, _) in &document.guests {
        for reference in &draft.references {
            match reference.text.parse::<Pattern>() {
                Ok(pattern) if !pattern.is_literal() => {
                    warnings.extend(known.unmatched_pattern(guest, reference, &pattern));
                }
                _ => problems.extend(known.unknown_name(guest, reference)),
            }
        }
    }
    for (schedule, draft, _) in &document.schedules {
        problems.extend(draft.destination.as_ref().and_then(|it| known.unknown_name(schedule, it)));
    }
    // What stands in the defaults of all guests is told once, not for each guest.
    push_each_place_once(&mut document.findings.problems, problems);
    push_each_place_once(&mut document.findings.warnings, warnings);
}

fn push_each_place_once(all: &mut Vec<Problem>, new: Vec<Problem>) {
    for problem in new {
        let same = |other: &Problem| {
            other.code() == problem.code()
                && other.message() == problem.message()
                && other.source() == problem.source()
                && other.labels().first().map(|label| &label.span)
                    == problem.labels().first().map(|label| &label.span)
        };
        if !all.iter().any(same) {
            all.push(problem);
        }
    }
}

/// The names that a guest may use.
struct Known {
    defined: Vec<(String, Place)>,
    /// Beginnings of names that some guest may create.
    prefixes: Vec<String>,
}

impl Known {
    fn of(document: &Document) -> Self {
        let prefixes = document.guests.iter().flat_map(|(_, draft, _)| draft.grants.create.clone());
        Self { defined: document.defined.clone(), prefixes: prefixes.collect() }
    }

    fn unknown_name(&self, guest: &str, reference: &Reference) -> Option<Problem> {
        let name = reference.text.as_str();
        let built_in = match reference.kind {
            ReferenceKind::Send => name == sandbus_bus::DEFAULT_RESPONSE,
            ReferenceKind::Listen | ReferenceKind::ListensTo => name == sandbus_bus::EVENTS,
            ReferenceKind::Schedule => false,
        };
        let defined = self.defined.iter().any(|(other, _)| other == name);
        if built_in || defined || self.prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        let problem = Problem::new(Code::UnknownDestination, format!("no destination is called `{name}`"));
        let problem = reference.place.mark(problem, label(guest, reference.kind));
        let names = self.defined.iter().map(|(other, _)| other.as_str());
        if let Some(near) = nearest(name, names) {
            let problem = problem.with_help(format!("did you mean `{near}`?"));
            return Some(self.with_place_of(near, problem, reference));
        }
        Some(problem.with_help(self.help_without_near_name(name, reference.kind)))
    }

    /// Marks where the near name is defined, when it stands in the same source.
    fn with_place_of(&self, near: &str, problem: Problem, reference: &Reference) -> Problem {
        let place = self.defined.iter().find(|(name, _)| name == near).map(|(_, place)| place);
        match place {
            Some(place) if Arc::ptr_eq(&place.source, &reference.place.source) => {
                problem.with_label("a close name is defined here", place.span.clone())
            }
            _ => problem,
        }
    }

    fn help_without_near_name(&self, name: &str, kind: ReferenceKind) -> String {
        if kind != ReferenceKind::Schedule && name.starts_with(sandbus_bus::RESERVED_PREFIX) {
            return format!(
                "guests may send to the built-in `{}`, and listen to the built-in `{}`",
                sandbus_bus::DEFAULT_RESPONSE,
                sandbus_bus::EVENTS
            );
        }
        const SHOWN_MAX: usize = 8;
        let names: Vec<String> =
            self.defined.iter().take(SHOWN_MAX).map(|(name, _)| format!("`{name}`")).collect();
        let more = if self.defined.len() > SHOWN_MAX { ", …" } else { "" };
        if names.is_empty() {
            return format!(
                "define it: [destinations.{}] type = \"parallel\"",
                super::keys::quoted_key(name)
            );
        }
        format!("define it under [destinations]; defined are {}{more}", names.join(", "))
    }

    fn unmatched_pattern(&self, guest: &str, reference: &Reference, pattern: &Pattern) -> Option<Problem> {
        let fixed = reference.text.split('*').next().unwrap_or_default();
        let creatable = self
            .prefixes
            .iter()
            .any(|prefix| prefix.starts_with(fixed) || fixed.starts_with(prefix.as_str()));
        if creatable || self.defined.iter().any(|(name, _)| pattern.matches(name)) {
            return None;
        }
        let message = format!("pattern `{}` matches no defined destination", reference.text);
        let problem = Problem::warning(Code::PatternMatchesNothing, message).with_usual_help();
        Some(reference.place.mark(problem, label(guest, reference.kind)))
    }
}

fn label(owner: &str, kind: ReferenceKind) -> String {
    match kind {
        ReferenceKind::ListensTo => format!("guest `{owner}` listens to it here"),
        ReferenceKind::Send => format!("guest `{owner}` may send to it here"),
        ReferenceKind::Listen => format!("guest `{owner}` may listen to it here"),
        ReferenceKind::Schedule => format!("schedule `{owner}` sends to it here"),
    }
}
