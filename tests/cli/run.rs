//! `run` without a manifest: specs, sends, prints, and how it ends.

use crate::program::Place;

golden! {
    run_sends_prints_and_ends_when_idle:
        "run --dest in=serial --dest out=serial --guest 'a=guests/zoo.wasm,listens-to=in,grants.send=out' --send 'in=send out hello' --print out --until idle";
    run_one_component_listens_at_the_one_destination: "run guests/zoo.wasm --dest t=serial --send 't=log 1 here'";
    run_with_two_prints_names_the_destination:
        "run --dest a=serial --dest b=serial --send a=one --print a --print b --until idle";
    run_dry_prints_the_manifest_that_equals_the_flags:
        "run --dest 'orders=parallel,workers=2..8,max-queue-size=1k' --dest priced=serial --guest 'v=guests/zoo.wasm,listens-to=orders,grants.send=priced,fuel=20M,memory=32MiB,deadline=500ms' --dry-run";
    run_ends_with_1_when_a_message_waits_for_a_listener: "run --dest t=serial --send t=x --until idle";
    run_names_each_dead_letter_by_reason:
        "run guests/zoo.wasm --dest t=serial --send 't=refuse bad total' --send 't=panic oh' --send 't=echo on' --until idle";
}

#[test]
fn what_dry_run_prints_reads_back_as_the_same() {
    // Printed, written to a file, read and printed again: not a byte differs.
    let place = Place::new();
    let flags = "--dest 'orders=parallel,workers=2..8,max-queue-size=1k,retry.max-attempts=5' --dest e=synchronous \
                 --guest 'v=guests/zoo.wasm,listens-to=orders,grants.send=e,fuel=20M,limits.sends=3'";
    let first = place.run(&format!("run {flags} --dry-run")).ended(0).stdout;
    place.file("sandbus.toml", &first);
    assert_eq!(place.run("run --dry-run").ended(0).stdout, first);
    place.run("check-config").ended(0);
}

#[test]
fn flags_for_all_guests_win_over_the_manifest() {
    // Flag before file: the sample's own 10 M fuel no longer counts.
    let place = Place::new();
    let ran = place.run("run sample-guests/hostile --until idle --fuel 2M").ended(1);
    ran.says(&["used all of its 2000000 fuel"]);
}

#[test]
fn a_run_for_a_time_ends_with_0() {
    // It was told when to end, and it did.
    let place = Place::new();
    place.run("run --dest t=serial --until 50ms").ended(0).says(&["ended after"]);
}

#[test]
fn quiet_says_nothing_and_still_answers() {
    // Less: notes are left out, the answer and the code are not.
    let place = Place::new();
    let line = "run guests/zoo.wasm --dest t=serial --dest o=serial --send o=hello --print o --until idle -q";
    let ran = place.run(line).ended(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("hello\n", ""));
}

#[test]
fn a_payload_of_a_send_comes_from_a_file_too() {
    // `DEST=@FILE`, as everywhere.
    let place = Place::new();
    place.file("payload.txt", "from a file");
    let ran = place.run("run --dest o=serial --send o=@payload.txt --print o --until idle").ended(0);
    assert_eq!(ran.stdout, "from a file\n");
}

#[test]
fn a_guest_that_is_denied_is_named_with_the_destination_to_the_operator() {
    // The guest sees `denied` only; whoever runs it must learn which grant is missing.
    let place = Place::new();
    let ran =
        place.run("run guests/zoo.wasm --dest t=serial --send 't=send audit/log x' --until idle").ended(0);
    ran.says(&["SB0408", "zoo", "audit/log", "grants.send"]);
}

#[test]
fn what_waits_behind_an_open_breaker_is_not_waited_for_and_makes_it_end_with_1() {
    // Nobody knows when the guest recovers: the run says what stands aside instead of waiting out the cooldown.
    let place = Place::new();
    let guest = "z=guests/zoo.wasm,listens-to=t,circuit-breaker.faults=3,circuit-breaker.cooldown=10m";
    let sends =
        "--send 't=panic a' --send 't=panic b' --send 't=panic c' --send 't=echo d' --send 't=echo e'";
    let line = format!("run --dest t=serial --guest {guest} {sends} --until idle");
    place.run(&line).ended(1).says(&[
        "5 accepted, 0 completed, 3 dead letters",
        "waits 2 at t (its listener's circuit breaker is open, or it is in quarantine)",
        "saved 5 dead letters",
    ]);
    let documents = place.run(&format!("{line} --json")).ended(1).stdout;
    let last: serde_json::Value = serde_json::from_str(documents.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["waiting"], &last["destinations"][2]["aside_messages"]),
        (&2.into(), &2.into()),
        "{last}"
    );
    assert_eq!(
        (&last["destinations"][2]["name"], &last["destinations"][2]["held_messages"]),
        (&"t".into(), &0.into())
    );
    // Without a breaker all five are tried.
    let off = line.replace("circuit-breaker.faults=3,circuit-breaker.cooldown=10m", "circuit-breaker=off");
    place.run(&off).ended(1).says(&["5 accepted, 2 completed, 3 dead letters", "saved 3 dead letters"]);
}
