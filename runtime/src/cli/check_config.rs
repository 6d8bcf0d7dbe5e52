//! `sandbus check-config`: whether a manifest is right, and every value in force with its origin.

use std::process::ExitCode;

use serde_json::json;

use super::args::{CheckConfig, Global};
use super::load::nearest;
use super::output::Output;
use crate::diagnostic::Problems;
use crate::manifest::{MANIFEST_FILE, Manifest, effective};

pub(super) fn check_config(
    check: &CheckConfig,
    global: &Global,
    output: &Output,
) -> Result<ExitCode, Problems> {
    let file = match check.file.clone().or_else(|| global.manifest.clone()) {
        Some(folder) if folder.is_dir() => folder.join(MANIFEST_FILE),
        Some(file) => file,
        None => nearest()?,
    };
    let manifest = Manifest::load(&file)?;
    manifest.warnings.iter().for_each(|warning| output.warn(warning));
    let (destinations, guests) = (manifest.destinations.len(), manifest.guests.len());
    let (schedules, warnings) = (manifest.schedules.len(), manifest.warnings.len());
    if check.effective {
        let values = effective(&manifest);
        let json: Vec<_> = values
            .iter()
            .map(|each| json!({ "key": each.key, "value": each.value, "origin": each.origin }))
            .collect();
        let text: Vec<String> =
            values.iter().map(|each| format!("{} = {}    # {}", each.key, each.value, each.origin)).collect();
        let json =
            json!({ "kind": "check-config", "v": 1, "file": file.display().to_string(), "values": json });
        return Ok(output.document(&json, &text.join("\n")));
    }
    let shown = if schedules > 0 { format!(", {schedules} schedules") } else { String::new() };
    let text = format!(
        "{}: {destinations} destinations, {guests} guests{shown}, {warnings} warnings",
        file.display()
    );
    let json = json!({
        "kind": "check-config", "v": 1, "file": file.display().to_string(),
        "destinations": destinations, "guests": guests, "schedules": schedules, "warnings": warnings,
    });
    Ok(output.document(&json, &text))
}
