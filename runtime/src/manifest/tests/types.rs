//! Destination types of an embedder in a manifest.

use std::path::Path;

use sandbus_bus::{CustomType, DestinationType};

use super::{HEAD, wrong};
use crate::diagnostic::Problems;
use crate::manifest::{Manifest, Overrides, effective, to_toml};

fn parse_with(types: &[CustomType], rest: &str) -> Result<Manifest, Problems> {
    let overrides = Overrides { types: types.to_vec(), ..Overrides::default() };
    Manifest::parse_with(&format!("{HEAD}{rest}"), Path::new("sandbus.toml"), Path::new("."), &overrides)
}

fn first_only() -> CustomType {
    CustomType::new("first-only", DestinationType::Serial, |_, _| vec![0]).unwrap()
}

#[test]
fn type_11_a_type_of_the_embedder_is_accepted_by_its_name() {
    // It has the keys of the type that it runs as, and its name stays in what is written.
    let text = "[defaults.destination]\nworkers.max = 9\n[destinations.d]\ntype = \"first-only\"\non-failure = \"skip\"\n";
    let manifest = parse_with(&[first_only()], text).unwrap();
    let [config] = manifest.destinations.as_slice() else { panic!("one") };
    assert_eq!((config.type_name(), config.destination_type), ("first-only", DestinationType::Serial));
    assert_eq!(config.workers.max, 1);
    config.check().unwrap();
    assert!(to_toml(&manifest).contains("type = \"first-only\"\non-failure = \"skip\"\n"));
    let list = effective(&manifest);
    let value = |key: &str| list.iter().find(|value| value.key == key).unwrap();
    assert_eq!(value("destinations.d.type").value, "\"first-only\"");
    assert_eq!(value("destinations.d.on-failure").value, "\"skip\"");
}

#[test]
fn type_11_a_type_that_is_not_there_is_told_with_those_that_are() {
    // The nearest name, of the bus's own or of the embedder's, is what was most likely meant.
    let text = "[destinations.d]\ntype = \"first-olny\"\n";
    let problems = parse_with(&[first_only()], text).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "sandbus.toml:4:8: destination `d`: `type` is `first-olny`; it must be one of `parallel`, `serial`, \
         `synchronous`, `first-only` (SB0104)"
    );
    assert_eq!(problems.iter().next().unwrap().help(), Some("did you mean `first-only`?"));
    assert_eq!(
        wrong("[destinations.d]\ntype = \"first-only\"\n"),
        "sandbus.toml:4:8: destination `d`: `type` is `first-only`; it must be one of `parallel`, `serial`, \
         `synchronous` (SB0104)"
    );
    let text = "[destinations.d]\ntype = \"first-only\"\nworkers.max = 2\n";
    assert_eq!(
        parse_with(&[first_only()], text).unwrap_err().to_string(),
        "sandbus.toml:5:15: destination `d`: `workers` is 1/2; it must be 1/1 on a serial destination (SB0104)"
    );
}
