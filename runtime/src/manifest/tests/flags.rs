//! What the command line lays over a manifest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags;
use crate::manifest::{Manifest, Overrides, parse_destination_spec, parse_guest_spec};

const ORDERS: &str = "orders=parallel,workers=2..8,max-queue-size=1k";
const VALIDATOR: &str = "validator=./validator.wasm,listens-to=orders,grants.send=priced,fuel=20M,memory=32MiB,\
                         deadline=500ms";

#[test]
fn the_example_of_the_interface_is_understood() {
    let manifest = Manifest::from_overrides(&flags(&[ORDERS, "priced=serial"], &[VALIDATOR])).unwrap();
    assert_eq!(manifest.name, "adhoc");
    let orders = &manifest.destinations[0];
    assert_eq!((orders.workers.core, orders.workers.max, orders.queue_entries_max), (2, 8, 1_000));
    let guest = manifest.guest("validator").unwrap();
    assert_eq!(guest.path, PathBuf::from("./validator.wasm"));
    assert_eq!((guest.limits.fuel, guest.limits.memory_bytes_max), (20_000_000, 32 << 20));
    assert_eq!(guest.limits.deadline, Duration::from_millis(500));
    assert_eq!(guest.listens_to, ["orders"]);
    assert_eq!(guest.grants.send[0].as_str(), "priced");
}

#[test]
fn a_specification_alone_is_checked_too() {
    assert_eq!(parse_destination_spec(ORDERS).unwrap().workers.max, 8);
    let guest = parse_guest_spec(VALIDATOR, Path::new("/project")).unwrap();
    assert_eq!(guest.path, PathBuf::from("/project/./validator.wasm"));
    assert_eq!(guest.listens_to, ["orders"]);
}

#[test]
fn a_repeated_key_adds_to_a_list_and_quotes_keep_commas() {
    let text = "a=\"x,y.wasm\",listens-to=o,listens-to=p,env.LIST=\"1,2\",env.R.env=HOME,env.R.default=z,enabled=false";
    let guest = parse_guest_spec(text, Path::new(".")).unwrap();
    assert_eq!(guest.path, PathBuf::from("x,y.wasm"));
    assert_eq!(guest.listens_to, ["o", "p"]);
    assert_eq!(guest.env["LIST"], "1,2");
    assert!(!guest.enabled);
}

fn wrong(overrides: &Overrides) -> String {
    Manifest::from_overrides(overrides).unwrap_err().to_string()
}

#[test]
fn a_mistake_in_a_specification_is_told_at_its_place_there() {
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&["orders"], &[], "--dest:1:1: --dest `orders`: `orders` is not KEY=VALUE (SB0903)"),
        (&[""], &[], "--dest:1:1: --dest ``: `` is not KEY=VALUE (SB0903)"),
        (&["=serial"], &[], "--dest:1:1: --dest `=serial`: `=serial` is not KEY=VALUE (SB0903)"),
        (&["a=serial,x"], &[], "--dest:1:10: --dest `a=serial,x`: `x` is not KEY=VALUE (SB0903)"),
        (
            &["a=seriall"],
            &[],
            "--dest:1:3: destination `a`: `type` is `seriall`; it must be one of `parallel`, `serial`, \
             `synchronous` (SB0104)",
        ),
        (&["a=serial,wrkers=1..2"], &[], "--dest:1:10: destination `a`: key `wrkers` is not known (SB0102)"),
        (
            &["a=parallel,workers=x..2"],
            &[],
            "--dest:1:20: destination `a`: `workers.core` is x; it must be a number such as 500, \"20k\" or \
             \"5M\" (SB0103)",
        ),
        (&["a=serial", "a=serial"], &[], "--dest:1:1: --dest: `a` is given twice (SB0106)"),
        (
            &[],
            &["g=g.wasm,fuel=1,fuel=2"],
            "--guest:1:22: guest `g`: `fuel` is given 2 times; it takes one value (SB0106)",
        ),
        (
            &[],
            &["g=g.wasm,env=1,env.A=2"],
            "--guest:1:16: --guest: `env.A` is given as a value and as a table (SB0903)",
        ),
        (&[], &["g=g.wasm,listens-to=a"], "--guest:1:21: no destination is called `a` (SB0112)"),
        (
            &[],
            &["host=g.wasm"],
            "--guest:1:1: a guest cannot be called `host`; that name belongs to the platform (SB0110)",
        ),
    ];
    for (destinations, guests, wanted) in cases {
        assert_eq!(&wrong(&flags(destinations, guests)), wanted);
    }
}

#[test]
fn flags_win_over_the_file_and_keep_the_rest_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sandbus.toml");
    let text = "sandbus = 1\napp.name = \"t\"\n[destinations.a]\ntype = \"parallel\"\nmax-queue-size = 5\n\
                [guests.g]\nsource.path = \"g.wasm\"\nlistens-to = [\"a\"]\n";
    std::fs::write(&path, text).unwrap();
    let mut overrides = flags(&["a=parallel,workers=1..1", "b=serial"], &["h=h.wasm,listens-to=b"]);
    overrides.directory = PathBuf::from("/elsewhere");
    overrides.settings = vec![
        "guests.g.fuel=7k".to_owned(),
        "guests.g.listens-to=[\"a\", \"b\"]".to_owned(),
        "destinations.\"a\".paused=true".to_owned(),
    ];
    let manifest = Manifest::load_with(&path, &overrides).unwrap();
    let a = &manifest.destinations[0];
    assert_eq!((a.workers.max, a.queue_entries_max, a.paused), (1, 5, true));
    let (g, h) = (manifest.guest("g").unwrap(), manifest.guest("h").unwrap());
    assert_eq!((g.limits.fuel, g.listens_to.len()), (7_000, 2));
    assert_eq!(g.path, directory.path().join("g.wasm"));
    assert_eq!(h.path, PathBuf::from("/elsewhere/h.wasm"), "a path of a flag is relative to where one is");
}

#[test]
fn a_setting_on_the_command_line_is_checked_like_the_file() {
    let wrong = |text: &str| {
        let overrides = Overrides { settings: vec![text.to_owned()], ..Overrides::default() };
        wrong(&overrides)
    };
    assert_eq!(wrong("runtime.stack"), "--set:1:1: --set `runtime.stack` has no `=` (SB0902)");
    assert_eq!(wrong("runtime.stak=1"), "--set:1:1: [runtime]: key `stak` is not known (SB0102)");
    assert_eq!(
        wrong("runtime.stack=1KiB"),
        "--set:1:15: [runtime]: `stack` is 1KiB; it must be from 64KiB to 1MiB (SB0104)"
    );
    assert!(wrong("a b=1").contains("is not a key"), "{}", wrong("a b=1"));
}
