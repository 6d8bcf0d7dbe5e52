//! A former result of a bench: read, checked to be of the same kind, and what each figure of now is of the one of then.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::super::args::Mode;
use super::plan::Plan;
use super::report::{CSV_COLUMNS, spoken};
use crate::diagnostic::{Code, Problem};
use crate::limits::BENCH_RESULT_BYTES_MAX;

/// What the two may differ in and still be compared, with a word about it.
const FACTS: [&str; 5] = ["destination", "type", "payload_bytes", "senders", "rate_per_s"];
/// The parts of a stage's figures that stand in the table.
const PARTS: [&str; 5] = ["p50", "p90", "p99", "max", "mean"];

/// A former result.
#[derive(Debug)]
pub(super) struct Former {
    file: String,
    figures: BTreeMap<String, f64>,
    /// Only a document has them.
    facts: Map<String, Json>,
}

impl Former {
    /// Reads a result of `--json` or `--csv`, of the same mode.
    pub(super) fn read(path: &Path, mode: Mode) -> Result<Self, Problem> {
        let file = path.display().to_string();
        let text = read_text(path, &file)?;
        let wrong = |why: String| {
            Problem::new(Code::NotComparable, format!("`{file}` cannot be compared with: {why}"))
                .with_usual_help()
        };
        let (former_mode, figures, facts) = match serde_json::from_str::<Json>(&text) {
            Ok(document) => of_document(&document).map_err(wrong)?,
            Err(_) => of_csv(&text).map_err(wrong)?,
        };
        if former_mode != mode.name() {
            return Err(wrong(format!(
                "it is of the mode `{former_mode}`, and this one of `{}`",
                mode.name()
            )));
        }
        Ok(Self { file, figures, facts })
    }

    /// What of the two is not the same, if anything.
    pub(super) fn differences(&self, now: &Json) -> Option<String> {
        let differs = |fact: &&&str| self.facts.get(**fact).is_some_and(|then| Some(then) != now.get(**fact));
        let all: Vec<String> = FACTS
            .iter()
            .filter(differs)
            .map(|fact| {
                let show = |value: Option<&Json>| match value {
                    Some(Json::String(text)) => text.clone(),
                    Some(Json::Null) | None => "none".to_owned(),
                    Some(other) => other.to_string(),
                };
                format!("{fact} {} beside {}", show(now.get(*fact)), show(self.facts.get(*fact)))
            })
            .collect();
        (!all.is_empty()).then(|| format!("not the same: {}", all.join(", ")))
    }

    /// What each figure of now is of the one of then, by the figure's name.
    pub(super) fn ratios(&self, now: &Json) -> BTreeMap<String, f64> {
        let ratio = |(name, then): (&String, &f64)| {
            let now = now.get(name).and_then(Json::as_f64)?;
            (*then > 0.0).then(|| (name.clone(), now / then))
        };
        self.figures.iter().filter_map(ratio).collect()
    }

    pub(super) fn document(&self, now: &Json) -> Json {
        json!({ "file": self.file, "ratios": self.ratios(now) })
    }

    /// The ratios as a table.
    pub(super) fn text(&self, plan: &Plan, now: &Json) -> String {
        let ratios = self.ratios(now);
        let mut lines = vec![format!("beside {}: so many times as much", self.file)];
        lines.extend(self.differences(now));
        let parts: String = PARTS.iter().map(|part| format!(" {part:>9}")).collect();
        lines.push(format!("{:<11}{parts}", "stage"));
        for stage in [plan.mode.name(), "queue_wait", "instance", "guest", "settle", "end_to_end"] {
            let cell = |part: &&str| ratios.get(&format!("{stage}_{part}_us"));
            let cells: String = PARTS
                .iter()
                .map(|part| cell(part).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")))
                .map(|cell| format!(" {cell:>9}"))
                .collect();
            lines.push(format!("{:<11}{cells}", spoken(stage)));
        }
        if let Some(ratio) = ratios.get("completed_per_s") {
            lines.push(format!("completed in a second: {ratio:.2}"));
        }
        lines.join("\n")
    }
}

fn read_text(path: &Path, file: &str) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => Code::FileMissing,
            _ => Code::FileUnreadable,
        };
        Problem::caused_by(code, format!("cannot read `{file}`"), &error)
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    opened.take(BENCH_RESULT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let too_large = bytes.len() as u64 > BENCH_RESULT_BYTES_MAX;
    String::from_utf8(bytes).ok().filter(|_| !too_large).ok_or_else(|| {
        let text = format!(
            "`{file}` cannot be compared with: it is not text of at most {BENCH_RESULT_BYTES_MAX} bytes"
        );
        Problem::new(Code::NotComparable, text).with_usual_help()
    })
}

type Parts = (String, BTreeMap<String, f64>, Map<String, Json>);

fn of_document(document: &Json) -> Result<Parts, String> {
    let kind = document.get("kind").and_then(Json::as_str);
    match kind {
        Some("bench") => {}
        Some(other) => return Err(format!("it is a document of the kind `{other}`")),
        None => return Err("it is no document of this program".to_owned()),
    }
    if document.get("v") != Some(&json!(1)) {
        let version = document.get("v").unwrap_or(&Json::Null);
        return Err(format!("it is of the version {version}, and this program reads 1"));
    }
    let fields = document.as_object().cloned().unwrap_or_default();
    let figures = fields
        .iter()
        .filter(|(name, _)| name.ends_with("_us") || name.ends_with("ed_per_s") || *name == "sent_per_s")
        .filter_map(|(name, figure)| Some((name.clone(), figure.as_f64()?)));
    let mode = document.get("mode").and_then(Json::as_str).unwrap_or_default();
    Ok((mode.to_owned(), figures.collect(), fields.clone()))
}

fn of_csv(text: &str) -> Result<Parts, String> {
    let mut lines = text.lines();
    if lines.next() != Some(CSV_COLUMNS.join(",").as_str()) {
        return Err("it is neither JSON nor begins with the columns of `--csv`".to_owned());
    }
    let (mut mode, mut figures) = (String::new(), BTreeMap::new());
    for line in lines {
        let cells: BTreeMap<&str, &str> = CSV_COLUMNS.into_iter().zip(line.split(',')).collect();
        let (Some(of), Some(stage)) = (cells.get("mode"), cells.get("stage")) else { continue };
        mode = (*of).to_owned();
        for (column, cell) in cells.iter().filter(|(column, _)| column.ends_with("_us")) {
            if let Ok(figure) = cell.parse::<f64>() {
                figures.insert(format!("{stage}_{column}"), figure);
            }
        }
    }
    Ok((mode, figures, Map::new()))
}
