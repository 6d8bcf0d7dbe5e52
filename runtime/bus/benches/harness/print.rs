//! The table as text, as one JSON document, as Markdown. It measures nothing.

use serde_json::json;

use super::{Asked, Bound, Format, Row, Table, Unit};

/// The columns of one row, as text.
struct Cells {
    figure: String,
    rate: String,
    ratio: String,
    target: String,
}

impl Table {
    /// Prints the table, or the document.
    pub(crate) fn print(&self, title: &str, asked: &Asked) {
        match asked.format {
            Format::Text => self.print_text(title, asked),
            Format::Json => self.print_json(title, asked),
            Format::Markdown => self.print_markdown(),
        }
    }

    fn print_text(&self, title: &str, asked: &Asked) {
        println!("{title}{}", if asked.smoke { "; a smoke run, everything once and small" } else { "" });
        self.machine.lines().iter().for_each(|line| println!("{line}"));
        println!("{:<46} {:>10} {:>12} {:>7}  {:<27}", "", "each", "a second", "ratio", "target");
        for row in &self.rows {
            let Cells { figure, rate, ratio, target } = self.cells(row);
            let line =
                format!("{:<46} {figure:>10} {rate:>12} {ratio:>7}  {target:<27} {}", row.name, row.note);
            println!("{}", line.trim_end());
        }
    }

    fn print_markdown(&self) {
        let [machine, versions] = self.machine.lines();
        println!("{machine}; {versions}.\n");
        println!("| | each | a second | ratio | target | |\n| --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let Cells { figure, rate, ratio, target } = self.cells(row);
            println!("| {} | {figure} | {rate} | {ratio} | {target} | {} |", row.name, row.note);
        }
    }

    fn print_json(&self, title: &str, asked: &Asked) {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let unit = match row.unit {
                    Unit::Nanoseconds => "ns",
                    Unit::Bytes => "bytes",
                    Unit::Percent => "percent",
                };
                let target = row.target.map(|target| {
                    let met = self.meets(row);
                    json!({ "number": target.number, "bound": bound(row, target.bound), "met": met })
                });
                json!({
                    "name": row.name, "unit": unit, "each": row.median(), "lowest": row.part(0.0),
                    "highest": row.part(1.0), "rounds": row.figures.len(), "beside": row.beside,
                    "ratio": self.ratio(row), "target": target, "note": row.note,
                })
            })
            .collect();
        let [machine, versions] = self.machine.lines();
        let document = json!({
            "kind": "bench", "v": 2, "title": title, "smoke": asked.smoke, "machine": machine, "versions": versions, "rows": rows,
        });
        println!("{document}");
    }

    fn cells(&self, row: &Row) -> Cells {
        let median = row.median();
        let is_time = row.unit == Unit::Nanoseconds;
        Cells {
            figure: median.map_or_else(|| "-".to_owned(), |figure| shown(figure, row.unit)),
            rate: median.filter(|_| is_time).map_or(String::new(), |each| rate(1e9 / each.max(1e-3))),
            ratio: self.ratio(row).map_or(String::new(), |ratio| format!("{ratio:.2}")),
            target: self.verdict(row),
        }
    }

    /// The number of the target, its bound, and whether it is met.
    fn verdict(&self, row: &Row) -> String {
        let Some(target) = row.target else { return String::new() };
        let met = match self.meets(row) {
            Some(true) => "met",
            Some(false) => "NOT met",
            None => "not known",
        };
        let now = match (target.bound, self.ratio(row)) {
            (Bound::TimesAtMost(_), Some(ratio)) => format!(" ({:.2})", 1.0 / ratio),
            _ => String::new(),
        };
        format!("{}: {}, {met}{now}", target.number, bound(row, target.bound))
    }
}

fn bound(row: &Row, bound: Bound) -> String {
    match bound {
        Bound::RateAtLeast(rate) => format!("ratio >= {rate}"),
        Bound::TimesAtMost(times) => format!("<= {times} times"),
        Bound::AtMost(figure) => format!("<= {}", shown(figure, row.unit)),
    }
}

fn shown(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds if figure < 1e4 => format!("{figure:.0} ns"),
        Unit::Nanoseconds if figure < 1e7 => format!("{:.1} us", figure / 1e3),
        Unit::Nanoseconds if figure < 1e9 => format!("{:.1} ms", figure / 1e6),
        Unit::Nanoseconds => format!("{:.2} s", figure / 1e9),
        Unit::Bytes if figure.abs() < 1e6 => format!("{:.1} KiB", figure / 1024.0),
        Unit::Bytes => format!("{:.1} MiB", figure / (1024.0 * 1024.0)),
        Unit::Percent => format!("{figure:.2} %"),
    }
}

/// Three digits at least, with separators.
fn rate(a_second: f64) -> String {
    if a_second < 100.0 {
        return format!("{a_second:.1}");
    }
    let digits = format!("{a_second:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
