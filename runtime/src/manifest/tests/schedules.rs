//! Schedules: how they are read, what is said about one that is wrong, how they are shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sandbus_bus::{Misfire, Overlap, ScheduleConfig, Trigger, Value};

use super::{good, warnings, wrong};
use crate::manifest::{effective, to_toml};

const DESTINATION: &str = "[destinations.d]\ntype = \"serial\"\n";

const NIGHTLY: &str = r#"
[schedules.nightly]
description = "d"
destination = "d"
cron = "30 2 * * *"
timezone = "Europe/Berlin"
end = 2999-01-31T00:00:00+01:00
payload = '{"kind":"nightly"}'
values = { n = 3, ok = true, x = 0.5, t = "text", where = { env = "SANDBUS_TEST_UNSET", default = "here" } }
overlap = "allow"
misfire = "once"
"#;

/// A schedule with these lines; it begins at line 5, its keys at line 6.
fn schedule(lines: &str) -> String {
    format!("{DESTINATION}[schedules.s]\n{lines}")
}

#[test]
fn every_key_of_a_schedule_reaches_its_setting() {
    let manifest = good(&format!("{DESTINATION}{NIGHTLY}"));
    let [nightly] = manifest.schedules.as_slice() else { panic!("one") };
    assert_eq!((nightly.name.as_str(), nightly.destination.as_str()), ("nightly", "d"));
    let trigger = Trigger::Cron { text: "30 2 * * *".to_owned(), time_zone: "Europe/Berlin".to_owned() };
    assert_eq!(nightly.trigger, trigger);
    // 2999-01-30T23:00:00Z
    assert_eq!(nightly.end, Some(UNIX_EPOCH + Duration::from_secs(32_474_732_400)));
    assert_eq!((nightly.overlap, nightly.misfire), (Overlap::Allow, Misfire::Once));
    assert_eq!(nightly.message.payload, r#"{"kind":"nightly"}"#);
    assert_eq!(nightly.message.content_type.as_deref(), Some("application/json"));
    let values: Vec<_> = nightly.message.values.iter().map(|(key, value)| (key, value.clone())).collect();
    let wanted = [
        ("n", Value::from(3)),
        ("ok", Value::from(true)),
        ("x", Value::from(0.5)),
        ("t", Value::from("text")),
        ("where", Value::from("here")),
    ];
    assert_eq!(values, wanted);
}

#[test]
fn a_schedule_of_two_keys_has_every_default() {
    let manifest = good(&schedule("destination = \"d\"\nevery = \"30s\"\n"));
    let message = sandbus_bus::Outgoing::text("");
    let wanted = ScheduleConfig::every("s", "d".parse().unwrap(), Duration::from_secs(30), message);
    assert_eq!(manifest.schedules, [wanted]);
    assert!(manifest.warnings.is_empty());
    let typed = schedule(
        "destination = \"d\"\nevery = \"1d\"\ncontent-type = \"text/csv\"\nend = \"2999-01-01T00:00:00Z\"\n",
    );
    let manifest = good(&typed);
    assert_eq!(manifest.schedules[0].message.content_type.as_deref(), Some("text/csv"));
    assert!(manifest.schedules[0].end > Some(SystemTime::now()));
}

#[test]
fn a_schedule_is_written_and_read_back_as_the_same() {
    let manifest =
        good(&format!("{DESTINATION}{NIGHTLY}[schedules.tick]\ndestination = \"d\"\nevery = \"1500ms\"\n"));
    let text = to_toml(&manifest);
    let again = super::Manifest::parse(&text, "x.toml".as_ref(), ".".as_ref()).unwrap();
    assert!(again.same_settings(&manifest), "{text}");
    assert_eq!(to_toml(&again), text);
    let list = effective(&manifest);
    let shown = |key: &str| list.iter().find(|value| value.key == key).map(|value| value.value.as_str());
    assert_eq!(shown("schedules.nightly.end"), Some("\"2999-01-30T23:00:00Z\""));
    assert_eq!(shown("schedules.nightly.timezone"), Some("\"Europe/Berlin\""));
    assert_eq!(shown("schedules.tick.every"), Some("\"1500ms\""));
    assert_eq!(shown("schedules.tick.overlap"), Some("\"skip\""));
    assert_eq!((shown("schedules.tick.cron"), shown("schedules.tick.timezone")), (None, None));
}

#[test]
fn a_secret_of_a_schedule_is_a_warning_and_is_not_repeated() {
    let text = schedule("destination = \"d\"\nevery = \"1s\"\nvalues = { api-token = \"x1y2\" }\n");
    assert_eq!(
        warnings(&text),
        ["sandbus.toml:8:24: schedule `s`: the secret `values.api-token` stands in the manifest (SB0116)"]
    );
    let manifest = good(&text);
    assert!(!to_toml(&manifest).contains("x1y2"));
    assert!(!effective(&manifest).iter().any(|value| value.value.contains("x1y2")));
    assert_eq!(manifest.schedules[0].message.values.get("api-token"), Some(&Value::from("x1y2")));
}

#[test]
fn a_time_zone_of_an_interval_is_a_warning() {
    let text = schedule("destination = \"d\"\nevery = \"1s\"\ntimezone = \"Europe/Berlin\"\n");
    assert_eq!(warnings(&text), ["sandbus.toml:8:12: schedule `s`: `timezone` has no effect (SB0115)"]);
}

#[test]
fn sched_2_what_is_wrong_with_a_schedule_is_told_with_the_text_and_why() {
    let cases = [
        ("every = \"1s\"\n", "sandbus.toml:5:12: schedule `s`: `destination` is missing (SB0105)"),
        ("destination = \"d\"\n", "sandbus.toml:5:12: schedule `s`: `every` or `cron` is missing (SB0105)"),
        (
            "destination = \"d\"\nevery = \"1s\"\ncron = \"* * * * *\"\n",
            "sandbus.toml:8:8: schedule `s`: it has both `every` and `cron` (SB0117)",
        ),
        (
            "destination = \"dd\"\nevery = \"1s\"\n",
            "sandbus.toml:6:15: no destination is called `dd` (SB0112)",
        ),
        (
            "destination = \"a b\"\nevery = \"1s\"\n",
            "sandbus.toml:6:15: schedule `s`: `destination`: destination `a b` has a space at byte 1; use letters, digits, `-`, `_`, `.` and `/` (SB0109)",
        ),
        (
            "destination = \"d\"\nevery = \"0s\"\n",
            "sandbus.toml:7:9: schedule `s`: `every` is \"0s\"; it must be from 1ms to 366d (SB0104)",
        ),
        (
            "destination = \"d\"\nevery = 5\n",
            "sandbus.toml:7:9: schedule `s`: `every` is a number; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
        ),
        (
            "destination = \"d\"\ncron = \"0 0 30 2 *\"\n",
            "sandbus.toml:7:8: schedule `s`: `0 0 30 2 *` would never fire: there is no such date (SB0104)",
        ),
        (
            "destination = \"d\"\ncron = \"@daily\"\ntimezone = \"Europe/Atlantis\"\n",
            "sandbus.toml:8:12: schedule `s`: there is no time zone `Europe/Atlantis`; use a name such as `UTC` or `Europe/Berlin` (SB0104)",
        ),
        (
            "destination = \"d\"\nevery = \"1s\"\nend = 2031-01-01\n",
            "sandbus.toml:8:7: schedule `s`: `end` is 2031-01-01; it must be a time such as 2030-01-31T00:00:00Z or 2030-01-31T00:00:00+01:00 (SB0103)",
        ),
        (
            "destination = \"d\"\nevery = \"1s\"\noverlap = \"never\"\nmisfire = \"twice\"\n",
            "sandbus.toml:8:11: schedule `s`: `overlap` is `never`; it must be one of `skip`, `allow` (SB0104)\n\
             sandbus.toml:9:11: schedule `s`: `misfire` is `twice`; it must be one of `skip`, `once` (SB0104)",
        ),
        (
            "destination = \"d\"\nevery = \"1s\"\nvalues = { \"\" = 1, a = [1], b = { env = \"SANDBUS_TEST_UNSET\" } }\n",
            "sandbus.toml:8:12: schedule `s`: `values`: the key of a value is empty (SB0109)\n\
             sandbus.toml:8:24: schedule `s`: `values.a` is a list; it must be text, a number, true or false, or { env = \"NAME\" } (SB0103)\n\
             sandbus.toml:8:33: schedule `s`: `values.b` needs the variable `SANDBUS_TEST_UNSET`, which is not set (SB0114)",
        ),
        (
            "destination = \"sandbus/events\"\nevery = \"1s\"\n",
            "sandbus.toml:6:15: no destination is called `sandbus/events` (SB0112)",
        ),
        (
            "destination = \"d\"\nevery = \"1s\"\ncrom = \"@daily\"\n",
            "sandbus.toml:8:1: schedule `s`: key `crom` is not known (SB0102)",
        ),
    ];
    let mut failed = Vec::new();
    for (lines, wanted) in cases {
        let shown = wrong(&schedule(lines));
        if shown != wanted {
            failed.push(format!("{lines:?}\n  said   {shown}\n  wanted {wanted}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn sched_2_a_bad_cron_text_and_a_bad_end_are_both_told() {
    // One at a time would take as many runs as there are mistakes.
    let shown = wrong(&schedule("destination = \"d\"\ncron = \"61 * * * *\"\nend = 2020-01-01T00:00:00Z\n"));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].starts_with("sandbus.toml:7:8: schedule `s`: `61 * * * *` is not a cron text: "),
        "{shown}"
    );
    assert!(
        lines[1]
            .starts_with("sandbus.toml:8:7: schedule `s`: the end 2020-01-01T00:00:00Z has passed; it is "),
        "{shown}"
    );
}

#[test]
fn a_schedule_that_cannot_be_called_so_is_told_at_its_name() {
    let text = format!("{DESTINATION}[schedules.\"a b\"]\ndestination = \"d\"\nevery = \"1s\"\n");
    assert_eq!(
        wrong(&text),
        "sandbus.toml:5:12: `a b` cannot be the name of a schedule: it has ` `; use letters, digits, `-`, `_` and `.` (SB0109)"
    );
}

#[test]
fn a_message_that_its_destination_would_always_turn_away_is_told_before_the_first() {
    // It would be one error at each firing, and nobody reads the figures of a schedule every night.
    let text = "[destinations.d]\ntype = \"serial\"\nmax-message-size = 4\n[schedules.s]\n";
    let of = |payload: &str| format!("{text}destination = \"d\"\nevery = \"1s\"\npayload = \"{payload}\"\n");
    assert_eq!(good(&of("four")).schedules[0].message.payload, "four");
    assert_eq!(
        wrong(&of("five!")),
        "sandbus.toml:9:11: schedule `s`: its message has 5 bytes; `d` takes 4 (`max-message-size`) (SB0104)"
    );
}
