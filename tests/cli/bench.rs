//! `bench`: what was sent is what is counted, and each stage of each message is told. No test here looks at how long
//! anything takes, but at what must hold of it on any machine.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::program::{Place, Ran, Running};

golden! {
    bench_help_tells_every_flag: "bench --help";
}

const STAGES: [&str; 5] = ["queue_wait", "instance", "guest", "settle", "end_to_end"];

fn document(ran: &Ran) -> Json {
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    serde_json::from_str(&ran.stdout).expect("a document")
}

/// Runs it with `--json` to its end with this code.
fn bench(place: &Place, line: &str, code: i32) -> Json {
    document(&place.run(&format!("bench {line} --json")).ended(code))
}

fn number(document: &Json, name: &str) -> f64 {
    document[name].as_f64().unwrap_or_else(|| panic!("{name}: {document}"))
}

fn counts(document: &Json, names: &[&str]) -> Vec<u64> {
    names
        .iter()
        .map(|name| document[*name].as_u64().unwrap_or_else(|| panic!("{name}: {document}")))
        .collect()
}

/// The figures of a stage rise, and there are so many.
fn is_spread(document: &Json, stage: &str, count: u64) {
    let figure = |part: &str| number(document, &format!("{stage}_{part}_us"));
    assert_eq!(document[format!("{stage}_count")], json!(count), "{stage}: {document}");
    assert!(figure("p50") <= figure("p90") && figure("p90") <= figure("p99"), "{stage}: {document}");
    assert!(figure("p99") <= figure("max") && figure("mean") <= figure("max"), "{stage}: {document}");
}

#[test]
fn each_message_is_counted_once_in_each_stage_and_the_stages_make_up_the_whole() {
    // A message that was sent is accepted, received and settled; its time is that of its stages and of nothing else.
    let place = Place::new();
    let found = bench(&place, "t --source guests/noop.wasm --dest t=serial -n 200", 0);
    assert_eq!(counts(&found, &["sent", "accepted", "owed", "completed"]), [200; 4]);
    assert_eq!(counts(&found, &["dead_letters", "retried", "waiting", "running", "late"]), [0; 5]);
    assert_eq!((&found["ended"], &found["is_complete"]), (&json!("done"), &json!(true)));
    assert_eq!(
        (&found["mode"], &found["type"], &found["payload_bytes"]),
        (&json!("send"), &json!("serial"), &json!(64))
    );
    STAGES.iter().chain(&["send"]).for_each(|stage| is_spread(&found, stage, 200));
    let of =
        |part: &str| STAGES[..4].iter().map(|stage| number(&found, &format!("{stage}_{part}"))).sum::<f64>();
    let whole = number(&found, "end_to_end_mean_us");
    assert!((of("mean_us") - whole).abs() <= whole * 1e-6 + 0.01, "{found}");
    assert!((of("share") - 1.0).abs() < 1e-6 && found["end_to_end_share"] == json!(1.0), "{found}");
    let work: f64 = STAGES[1..4].iter().map(|stage| number(&found, &format!("{stage}_work_share"))).sum();
    assert!((work - 1.0).abs() < 1e-6 && found["queue_wait_work_share"].is_null(), "{found}");
    // One worker makes one instance, at its first call; the others find it.
    let listener = &found["listeners"][0];
    assert_eq!(
        (&listener["name"], &listener["calls"], &listener["instances_made"]),
        (&json!("noop"), &json!(200), &json!(1))
    );
    assert_eq!((&found["instance_p50_us"], number(&found, "instance_max_us") > 0.0), (&json!(0.0), true));
    assert!(
        listener["fuel_p50"].as_u64() > Some(0)
            && listener["fuel_max"].as_u64() >= listener["fuel_p50"].as_u64()
    );
    for name in found.as_object().unwrap().keys() {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{name}");
    }
    assert!(number(&found, "completed_per_s") > 0.0 && number(&found, "after_ms") > 0.0);
}

#[test]
fn several_senders_share_the_count_and_each_listener_is_owed_each_message() {
    // More senders than messages, too: nobody sends one too many.
    let place = Place::new();
    let guests = "--guest a=guests/noop.wasm,listens-to=t --guest b=guests/noop.wasm,listens-to=t";
    for (senders, count) in [(3, 100), (8, 5)] {
        let line = format!("t hello {guests} --dest t=parallel --senders {senders} -n {count}");
        let found = bench(&place, &line, 0);
        assert_eq!(counts(&found, &["sent", "accepted", "send_count"]), [count; 3]);
        assert_eq!(counts(&found, &["owed", "completed", "guest_count", "end_to_end_count"]), [2 * count; 4]);
        assert_eq!(counts(&found, &["senders", "payload_bytes"]), [senders, 5]);
    }
}

#[test]
fn people_read_the_counts_and_a_line_for_each_stage() {
    // The answer is on standard output, and what happens meanwhile is not.
    let place = Place::new();
    let ran = place.run("bench t --source guests/noop.wasm --dest t=serial -n 1200 --size 1KiB").ended(0);
    for text in
        ["send of 1,024 bytes to t (serial), 1 sender: done", "1,200 sent, 1,200 accepted, 1,200 completed"]
    {
        assert!(ran.stdout.contains(text), "`{text}` is not in:\n{}", ran.stdout);
    }
    for stage in ["send", "queue wait", "instance", "guest", "settle", "end to end"] {
        let line =
            ran.stdout.lines().find(|line| line.starts_with(&format!("{stage} ")) && !line.contains("bytes"));
        assert!(
            line.is_some_and(|line| line
                .split(' ')
                .filter(|word| ["ns", "us", "ms", "s"].contains(word))
                .count()
                == 5),
            "{stage}: {}",
            ran.stdout
        );
    }
    assert!(
        ran.stdout.contains("noop: 1,200 calls, fuel ") && !ran.stdout.contains("ready"),
        "{}",
        ran.stdout
    );
    ran.says(&["ready", "sending"]);
}

#[test]
fn requests_are_answered_and_their_round_trips_told() {
    // In the sender's eyes: with everything that is between question and answer.
    let place = Place::new();
    let line = "t 'echo hi' --source guests/zoo.wasm --dest t=parallel --mode request --senders 4 -n 100";
    let found = bench(&place, line, 0);
    assert_eq!(counts(&found, &["sent", "accepted", "answered", "completed"]), [100; 4]);
    is_spread(&found, "request", 100);
    is_spread(&found, "settle", 100);
    assert_eq!((&found["mode"], &found["send_count"]), (&json!("request"), &Json::Null));
}

#[test]
fn requests_that_nobody_answers_are_told_and_end_with_1() {
    // Every listener dealt with the message; whoever asked got nothing.
    let place = Place::new();
    let line = "t noop --source guests/zoo.wasm --dest t=serial --mode request -n 20";
    let found = bench(&place, line, 1);
    assert_eq!((&found["unanswered"], &found["answered"]), (&json!({"no-reply": 20}), &json!(0)));
    assert_eq!((&found["completed"], &found["request_p50_us"]), (&json!(20), &Json::Null));
    let ran = place.run(&format!("bench {line}")).ended(1);
    assert!(ran.stdout.contains("unanswered: 20 no-reply (SB0406)"), "{}", ran.stdout);
}

#[test]
fn faults_are_counted_by_cause_and_nothing_of_them_is_saved() {
    // Dead letters of a bench are of no use to anybody, and must not lie among those of the project.
    let place = Place::new();
    let once = "--dest t=serial,retry.max-attempts=1";
    let found = bench(&place, &format!("t 'panic oh' --source guests/zoo.wasm {once} -n 5"), 1);
    assert_eq!((&found["failed"], &found["dead_letters"]), (&json!({"trap": 5}), &json!(5)));
    assert_eq!(
        (&found["completed"], &found["is_complete"], &found["accepted"]),
        (&json!(0), &json!(false), &json!(5))
    );
    STAGES.iter().for_each(|stage| is_spread(&found, stage, 5));
    let ran = place.run(&format!("bench t 'refuse no' --source guests/zoo.wasm {once} -n 5")).ended(1);
    for text in ["failed: 5 refused (SB0301)", "5 became dead letters, which are not saved"] {
        assert!(ran.stdout.contains(text), "`{text}` is not in:\n{}", ran.stdout);
    }
    assert!(
        place.left().iter().all(|path| path.extension().is_none_or(|ending| ending != "jsonl")),
        "{:?}",
        place.left()
    );
}

#[test]
fn what_an_open_circuit_breaker_holds_back_is_said_and_not_waited_for() {
    // It would be waited for until somebody repairs the guest.
    let place = Place::new();
    let line =
        "t 'panic oh' --source guests/zoo.wasm --dest t=parallel,retry.max-attempts=1,workers=1..1 -n 100";
    let found = bench(&place, line, 1);
    assert_eq!(counts(&found, &["sent", "accepted", "owed"]), [100; 3]);
    let [failed, waiting] = counts(&found, &["dead_letters", "waiting"])[..] else { panic!("{found}") };
    assert!(failed >= 20 && waiting > 0 && failed + waiting == 100, "{found}");
}

#[test]
fn a_warm_up_is_not_counted() {
    // The instance is made before, so that none of the counted calls makes one.
    let place = Place::new();
    let found = bench(&place, "t --source guests/noop.wasm --dest t=serial --warmup 20ms -n 50", 0);
    assert_eq!(counts(&found, &["sent", "accepted", "owed", "completed", "guest_count"]), [50; 5]);
    assert_eq!(
        (&found["listeners"][0]["calls"], &found["listeners"][0]["instances_made"]),
        (&json!(50), &json!(0))
    );
    assert_eq!((&found["instance_max_us"], &found["warmup_ms"]), (&json!(0.0), &json!(20.0)));
}

#[test]
fn a_bench_for_a_time_sends_until_then_and_waits_for_what_it_sent() {
    // What waits when the time is over is received all the same.
    let place = Place::new();
    let found = bench(&place, "t --source guests/noop.wasm --dest t=serial --duration 50ms", 0);
    let [sent, accepted, completed] = counts(&found, &["sent", "accepted", "completed"])[..] else {
        panic!()
    };
    assert!(sent > 0 && sent == accepted && sent == completed, "{found}");
    assert!(number(&found, "after_ms") >= 50.0);
}

#[test]
fn senders_wait_for_room_in_a_full_queue() {
    // They are faster than the listener on purpose: that is no reason to lose anything.
    let place = Place::new();
    let line = "t 'sleep 2' --source guests/zoo.wasm --dest t=serial,max-queue-size=1 -n 10";
    let found = bench(&place, line, 0);
    assert_eq!(counts(&found, &["sent", "accepted", "completed"]), [10; 3]);
    assert!(found["waited_for_room"].as_u64() > Some(0) && found["rejected"] == json!({}), "{found}");
}

#[test]
fn with_a_rate_a_full_queue_turns_away_and_the_senders_go_on() {
    // Whoever asks for a rate asks what becomes of it; waiting would make another rate of it.
    let place = Place::new();
    let line = "t 'sleep 50' --source guests/zoo.wasm --dest t=serial,max-queue-size=1 --rate 1k -n 20";
    let found = bench(&place, line, 1);
    let [sent, accepted, completed] = counts(&found, &["sent", "accepted", "completed"])[..] else {
        panic!()
    };
    let rejected = found["rejected"]["queue-full"].as_u64().unwrap();
    assert!(sent == 20 && accepted + rejected == 20 && completed == accepted && rejected > 0, "{found}");
    assert_eq!((&found["rate_per_s"], &found["waited_for_room"]), (&json!(1000), &json!(0)));
}

#[test]
fn a_rate_is_kept_over_all_senders_together() {
    // The last one of 21 is due a tenth of a second after the first, however many send.
    let place = Place::new();
    for senders in [1, 4] {
        let line =
            format!("t --source guests/noop.wasm --dest t=serial --rate 200 -n 21 --senders {senders}");
        let found = bench(&place, &line, 0);
        assert!(number(&found, "after_ms") >= 100.0 && found["completed"] == json!(21), "{found}");
        assert!(found["late"].is_u64() && found["latest_ms"].is_number());
    }
}

#[test]
fn a_bench_that_is_interrupted_says_what_it_found() {
    // Ten minutes of it are not lost because the eleventh was not waited for.
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new();
        let line = "bench t 'sleep 2' --source guests/zoo.wasm --dest t=serial,max-queue-size=5 -n 1M";
        let mut running = Running::start(place.command(line));
        running.until_it_says("sending");
        running.signal(signal);
        let ran = running.end().ended(code);
        assert!(ran.stdout.contains(": interrupted") && ran.stdout.contains("queue wait"), "{}", ran.stdout);
    }
}

#[test]
fn guests_print_only_where_more_is_asked_for() {
    // A line for each message would be all that there is to see.
    let place = Place::new();
    let line = "bench t 'log 1 here' --source guests/zoo.wasm --dest t=serial -n 5";
    assert!(!place.run(line).ended(0).stderr.contains("here"));
    assert_eq!(place.run(&format!("{line} -v")).ended(0).stderr.matches("here").count(), 5);
}

#[test]
fn a_manifest_says_what_is_benched_and_its_schedules_send_nothing() {
    // Only what the bench itself sends is measured.
    let place = Place::new();
    place.file(
        "sandbus.toml",
        "sandbus = 1\n[app]\nname = \"b\"\n[destinations.t]\ntype = \"serial\"\n[guests.n]\n\
         source = { path = \"guests/noop.wasm\" }\nlistens-to = [\"t\"]\n\
         [schedules.s]\ndestination = \"t\"\nevery = \"1ms\"\n",
    );
    let found = bench(&place, "t --rate 100 -n 10 -f sandbus.toml", 0);
    assert_eq!(counts(&found, &["sent", "accepted", "owed", "completed"]), [10; 4]);
}

#[test]
fn a_result_is_written_as_csv_and_compared_with_as_either() {
    // What was written can be read again: a figure beside itself is once as much.
    let place = Place::new();
    let line = "t --source guests/noop.wasm --dest t=serial -n 100";
    place.file("then.json", place.run(&format!("bench {line} --csv then.csv --json")).ended(0).stdout);
    let then: Json =
        serde_json::from_str(&std::fs::read_to_string(place.path().join("then.json")).unwrap()).unwrap();
    let csv = std::fs::read_to_string(place.path().join("then.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "mode,stage,count,p50_us,p90_us,p99_us,max_us,mean_us,share,work_share");
    assert_eq!(lines.len(), 7, "{csv}");
    for (line, stage) in lines[1..].iter().zip(["send"].iter().chain(&STAGES)) {
        assert!(line.starts_with(&format!("send,{stage},100,")), "{line}");
        assert_eq!(
            line.split(',').nth(6).unwrap().parse::<f64>().unwrap(),
            number(&then, &format!("{stage}_max_us"))
        );
    }
    for (file, throughput) in [("then.json", true), ("then.csv", false)] {
        let now = bench(&place, &format!("{line} --compare {file}"), 0);
        let ratios = now["compared"]["ratios"].as_object().unwrap();
        assert_eq!(
            (&now["compared"]["file"], ratios.contains_key("completed_per_s")),
            (&json!(file), throughput)
        );
        for stage in ["send", "guest", "end_to_end"] {
            for part in ["p50", "p90", "p99", "max", "mean"] {
                let name = format!("{stage}_{part}_us");
                let wanted = number(&now, &name) / number(&then, &name);
                assert!((ratios[&name].as_f64().unwrap() - wanted).abs() < 1e-9 * wanted, "{name}: {now}");
            }
        }
        let ran = place.run(&format!("bench {line} --compare {file}")).ended(0);
        assert!(ran.stdout.contains(&format!("beside {file}: so many times as much")), "{}", ran.stdout);
    }
    // What differs is said, and is no error.
    let other = place
        .run("bench t hello --source guests/noop.wasm --dest t=serial -n 100 --compare then.json")
        .ended(0);
    assert!(other.stdout.contains("not the same: payload_bytes 5 beside 64"), "{}", other.stdout);
    assert!(!Path::new("then.json").exists(), "all of it is in the folder of the test");
}
