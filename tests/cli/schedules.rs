//! Schedules of a manifest: they send while a run lasts, and nobody waits for them.

use serde_json::Value as Json;

use crate::program::Place;

const MANIFEST: &str = r#"
sandbus = 1
[app]
name = "clock"
[destinations.tick]
type = "serial"
[schedules.each-second]
destination = "tick"
every = "1s"
payload = "tock"
"#;

fn place() -> Place {
    let place = Place::new();
    place.file("sandbus.toml", MANIFEST);
    place
}

#[test]
fn sched_1_a_schedule_sends_while_a_run_lasts() {
    // 4.5 s are time for four; a machine that is busy may be late for two of them.
    let ran = place()
        .run("run --print tick --until 4500ms")
        .ended(0)
        .says(&["1 schedules", "schedule each-second"]);
    let count = ran.stdout.lines().count();
    assert!((2..=4).contains(&count) && ran.stdout.lines().all(|line| line == "tock"), "{}", ran.stdout);
    assert!(ran.said().contains(&format!("{count} accepted, {count} completed")), "{}", ran.stderr);
}

#[test]
fn a_run_until_idle_does_not_wait_for_a_schedule() {
    // It would never end: something always follows.
    let place = place();
    let ran = place.run("run --print tick --send tick=now --until idle --json").ended(0);
    let last: Json = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let schedule = &last["schedules"][0];
    assert_eq!((&schedule["name"], &schedule["destination"]), (&"each-second".into(), &"tick".into()));
    assert!(schedule["fired"].as_u64() <= Some(1), "{last}");
}

#[test]
fn a_schedule_of_the_command_line_is_one_too() {
    // Any key of the manifest can be set there.
    let flags = "--set schedules.s.destination=t --set schedules.s.every=1h --set schedules.s.values.n=x";
    let ran = Place::new().run(&format!("run --dest t=serial {flags} --dry-run")).ended(0);
    let wanted = "[schedules.s]\ndestination = \"t\"\nevery = \"1h\"\nvalues = { n = \"x\" }\n";
    assert!(ran.stdout.ends_with(wanted), "{}", ran.stdout);
}

#[test]
fn check_config_counts_schedules_and_shows_what_is_in_force() {
    let place = place();
    let ran = place.run("check-config sandbus.toml").ended(0);
    assert_eq!(ran.stdout, "sandbus.toml: 1 destinations, 0 guests, 1 schedules, 0 warnings\n");
    let ran = place.run("check-config sandbus.toml --effective").ended(0);
    for line in [
        "schedules.each-second.every = \"1s\"    # sandbus.toml:9",
        "schedules.each-second.payload = \"tock\"    # sandbus.toml:10",
        "schedules.each-second.misfire = \"skip\"    # default",
    ] {
        assert!(ran.stdout.lines().any(|shown| shown == line), "{line} in\n{}", ran.stdout);
    }
}

#[test]
fn sched_2_a_bad_cron_text_is_3_with_the_text_its_place_and_why() {
    // Before anything starts: a schedule that never fires would be noticed too late.
    let place = Place::new();
    place.file("sandbus.toml", MANIFEST.replace("every = \"1s\"", "cron = \"* * 32 * *\""));
    for line in ["check-config", "run --until idle"] {
        place.run(line).ended(3).started_nothing().says(&["SB0104", "`* * 32 * *`", "sandbus.toml:9:8"]);
    }
}
