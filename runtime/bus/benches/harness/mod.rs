//! How the benches measure: every row once in each round, so that a slow moment of the machine meets all of them, and of each
//! row the median of its rounds. A figure is only worth something beside the floor of the same run. It knows no row.

use std::time::Duration;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Everything once and small: `cargo test --benches` does so, so that a bench cannot rot.
    pub(crate) smoke: bool,
    /// One JSON document instead of a table.
    pub(crate) json: bool,
    /// Only rows whose name contains one of these; none: all.
    pub(crate) only: Vec<String>,
}

impl Asked {
    pub(crate) fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let only = arguments.iter().filter(|argument| !argument.starts_with("--")).cloned().collect();
        Self { smoke: has("--test"), json: has("--json"), only }
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
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    /// What it is measured against: the name of another row; none for one that stands for itself.
    pub(crate) beside: Option<String>,
    /// How long one of it takes, in each round.
    pub(crate) each: Vec<Duration>,
    /// A word about it.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn median(&self) -> Duration {
        let mut each = self.each.clone();
        each.sort();
        each.get(each.len() / 2).copied().unwrap_or_default()
    }
}

/// The rows of one run.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Adds what one of `name` took in this round.
    pub(crate) fn add(&mut self, name: &str, beside: Option<&str>, each: Duration, note: &str) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.each.push(each),
            None => self.rows.push(Row {
                name: name.to_owned(),
                beside: beside.map(str::to_owned),
                each: vec![each],
                note: note.to_owned(),
            }),
        }
    }

    /// How the rate of a row compares with that of the one beside it.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        let beside = self.rows.iter().find(|other| Some(&other.name) == row.beside.as_ref())?;
        let own = row.median().as_secs_f64();
        (own > 0.0).then(|| beside.median().as_secs_f64() / own)
    }

    /// Prints the table, or the document.
    pub(crate) fn print(&self, title: &str, asked: &Asked) {
        if asked.json {
            return self.print_json(title);
        }
        println!("{title}");
        println!("{}", machine());
        println!("{:<44} {:>12} {:>14} {:>8}  ", "", "each", "a second", "ratio");
        for row in &self.rows {
            let each = row.median();
            let rate = 1.0 / each.as_secs_f64().max(1e-12);
            let ratio = self.ratio(row).map_or(String::new(), |ratio| format!("{ratio:.2}"));
            println!("{:<44} {:>12} {:>14.0} {:>8}  {}", row.name, shown(each), rate, ratio, row.note);
        }
    }

    fn print_json(&self, title: &str) {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let ratio = self.ratio(row).map_or("null".to_owned(), |ratio| format!("{ratio:.4}"));
                let beside = row.beside.as_ref().map_or("null".to_owned(), |name| format!("{name:?}"));
                let each = row.median().as_secs_f64() * 1e9;
                format!(r#"{{"name":{:?},"each_ns":{each:.1},"beside":{beside},"ratio":{ratio}}}"#, row.name)
            })
            .collect();
        println!(
            r#"{{"kind":"bench","v":1,"title":{title:?},"machine":{:?},"rows":[{}]}}"#,
            machine(),
            rows.join(",")
        );
    }
}

fn shown(each: Duration) -> String {
    match each.as_nanos() {
        nanos @ 0..10_000 => format!("{nanos} ns"),
        nanos @ 10_000..10_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        nanos => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}

/// The machine, what else it does at this moment, and the compiler's version.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{}, {cores} cores, load {load} before the end, sandbus {version}, rust {}",
        model.trim_start_matches([' ', '\t', ':']),
        option_env!("CARGO_PKG_RUST_VERSION").unwrap_or_default(),
    )
}
