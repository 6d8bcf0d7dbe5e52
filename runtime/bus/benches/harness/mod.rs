//! How the benches measure: every row once in each round, so that a slow moment of the machine meets all of them, and of each
//! row the median of its rounds. A figure is only worth something beside the floor of the same run. It knows no row.

#![allow(dead_code, reason = "each bench uses a part of it")]

mod machine;
mod print;
pub(crate) mod scaling;

use std::time::Duration;

use machine::Machine;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Messages that wait at once; they fit into the processor's cache, as a queue that is no backlog does.
pub(crate) const PORTION: u32 = 1_000;

/// How the table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    /// One document, for tracking.
    Json,
    /// For a page of the documentation.
    Markdown,
}

/// What the command line asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Everything once and small: `cargo test --benches` does so, so that a bench cannot rot.
    pub(crate) smoke: bool,
    pub(crate) format: Format,
    /// Only rows whose name contains one of these; none: all.
    pub(crate) only: Vec<String>,
}

impl Asked {
    pub(crate) fn from_arguments() -> Result<Self, Failure> {
        // `cargo bench` says `--bench`; `cargo test --benches` says nothing.
        let by_bench = std::env::args().any(|argument| argument == "--bench");
        let smoke = cfg!(debug_assertions) && !by_bench;
        let mut asked = Self { smoke, format: Format::Text, only: Vec::new() };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--test" => asked.smoke = true,
                "--bench" => {}
                "--json" => asked.format = Format::Json,
                "--markdown" => asked.format = Format::Markdown,
                flag if flag.starts_with('-') => {
                    let known = "`--json`, `--markdown`, `--test` and words that pick rows";
                    return Err(format!("unknown flag `{flag}`; there are {known}").into());
                }
                word => asked.only.push(word.to_owned()),
            }
        }
        Ok(asked)
    }

    /// So many rounds.
    pub(crate) fn rounds(&self) -> usize {
        if self.smoke { 1 } else { 9 }
    }

    /// `count`, or a hundredth of it where a smoke run is asked for.
    pub(crate) fn count(&self, count: u32) -> u32 {
        if self.smoke { (count / 100).max(1) } else { count }
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| row.contains(part.as_str()))
    }

    pub(crate) fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
    /// Of one core.
    Percent,
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// At least this part of the rate of the row beside it.
    RateAtLeast(f64),
    /// At most so many times the row beside it.
    TimesAtMost(f64),
    /// At most so much, in the row's own unit.
    AtMost(f64),
}

/// A target that the project has set itself. The bench says whether it is met, and never fails because of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) number: u8,
    pub(crate) bound: Bound,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    /// What it is measured against: the name of another row; none for one that stands for itself.
    pub(crate) beside: Option<String>,
    pub(crate) unit: Unit,
    /// Its figure in each round; none where there is nothing but the note.
    pub(crate) figures: Vec<f64>,
    /// A word about it.
    pub(crate) note: String,
    pub(crate) target: Option<Target>,
}

impl Row {
    pub(crate) fn median(&self) -> Option<f64> {
        self.part(0.5)
    }

    /// The figure below which this part of the rounds lies.
    pub(crate) fn part(&self, part: f64) -> Option<f64> {
        part_of(&self.figures, part)
    }

    pub(crate) fn noted(&mut self, note: &str) -> &mut Self {
        note.clone_into(&mut self.note);
        self
    }

    pub(crate) fn aims(&mut self, number: u8, bound: Bound) -> &mut Self {
        self.target = Some(Target { number, bound });
        self
    }
}

/// The figure below which this part of all lies.
pub(crate) fn part_of(figures: &[f64], part: f64) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((part * last as f64).round() as usize).copied()
}

/// The rows of one run.
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    machine: Machine,
}

impl Table {
    /// An empty one; `versions` are those of what the bench measures, beside its own.
    pub(crate) fn new(versions: &[(&str, &str)]) -> Self {
        Self { rows: Vec::new(), machine: Machine::look(versions) }
    }

    /// Adds what one of `name` took in this round.
    pub(crate) fn add(&mut self, name: &str, beside: Option<&str>, each: Duration) -> &mut Row {
        self.figure(name, beside, Unit::Nanoseconds, each.as_secs_f64() * 1e9)
    }

    /// Adds the figure of `name` in this round.
    pub(crate) fn figure(&mut self, name: &str, beside: Option<&str>, unit: Unit, figure: f64) -> &mut Row {
        let row = self.row(name, unit);
        row.beside = beside.map(str::to_owned);
        row.figures.push(figure);
        row
    }

    /// The row of this name, which is made where it is not there.
    pub(crate) fn row(&mut self, name: &str, unit: Unit) -> &mut Row {
        let place = self.rows.iter().position(|row| row.name == name).unwrap_or(self.rows.len());
        if place == self.rows.len() {
            let (name, note) = (name.to_owned(), String::new());
            self.rows.push(Row { name, beside: None, unit, figures: Vec::new(), note, target: None });
        }
        #[allow(clippy::indexing_slicing, reason = "it was found or made above")]
        &mut self.rows[place]
    }

    /// How the rate of a row compares with that of the one beside it.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        let beside = self.rows.iter().find(|other| Some(&other.name) == row.beside.as_ref())?;
        let own = row.median()?;
        (own > 0.0).then_some(beside.median()? / own)
    }

    /// Whether a row is what it is to be; none where that cannot be said.
    pub(crate) fn meets(&self, row: &Row) -> Option<bool> {
        if cfg!(debug_assertions) {
            return None;
        }
        Some(match row.target?.bound {
            Bound::RateAtLeast(rate) => self.ratio(row)? >= rate,
            Bound::TimesAtMost(times) => 1.0 / self.ratio(row)? <= times,
            Bound::AtMost(figure) => row.median()? <= figure,
        })
    }
}
