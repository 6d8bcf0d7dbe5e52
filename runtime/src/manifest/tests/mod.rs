//! What a manifest says, and what is said about a manifest that is wrong: line, column, text and code of each problem.

mod errors;

mod flags;

mod mistakes;

mod output;

mod reading;

mod schedules;

mod types;

use std::path::Path;

use super::{Manifest, Overrides};
use crate::diagnostic::Problems;

/// The beginning of each manifest here: two lines, so that what follows begins at line 3.
const HEAD: &str = "sandbus = 1\napp.name = \"t\"\n";

fn parse(rest: &str) -> Result<Manifest, Problems> {
    Manifest::parse(&format!("{HEAD}{rest}"), Path::new("sandbus.toml"), Path::new("."))
}

fn good(rest: &str) -> Manifest {
    parse(rest).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of a manifest, one line each.
fn wrong(rest: &str) -> String {
    match parse(rest) {
        Err(problems) => problems.to_string(),
        Ok(_) => "nothing is wrong".to_owned(),
    }
}

fn warnings(rest: &str) -> Vec<String> {
    good(rest).warnings.iter().map(ToString::to_string).collect()
}

fn flags(destinations: &[&str], guests: &[&str]) -> Overrides {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Overrides { destinations: owned(destinations), guests: owned(guests), ..Overrides::default() }
}
