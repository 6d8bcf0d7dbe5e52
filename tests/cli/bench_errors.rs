//! What `bench` cannot do: each is found before anything is sent, names what is wrong with its bound, and ends with the code
//! of its kind.

use crate::program::Place;

golden! {
    bench_of_a_destination_that_is_not_there: "bench ordres --source guests/noop.wasm --dest orders=serial";
    bench_without_a_listener: "bench orders --dest orders=serial -q";
}

const BUILT: &str = "--source guests/noop.wasm --dest t=serial";

#[test]
fn flags_out_of_their_range_are_wrong_use_with_the_range() {
    // Nothing is started for a slip of the pen.
    let place = Place::new();
    for (flags, texts) in [
        ("-n 0", ["-n `0`", "from 1 to 1,000,000,000"]),
        ("-n some", ["-n `some`", "such as `-n 100k`"]),
        ("--duration 0s", ["--duration `0s`", "from 1ms to 1d"]),
        ("--duration 2d", ["--duration `2d`", "from 1ms to 1d"]),
        ("--warmup 0s", ["--warmup `0s`", "from 1ms to 1d"]),
        ("--senders 0", ["--senders `0`", "from 1 to 1,024"]),
        ("--senders 1025", ["--senders `1025`", "from 1 to 1,024"]),
        ("--rate 0", ["--rate `0`", "from 1 to 10,000,000"]),
        ("--size 2GiB", ["--size `2GiB`", "to 1GiB"]),
        ("-n 1 --duration 1s", ["-n <COUNT>", "--duration <DUR>"]),
        ("--mode both", ["both", "send, request"]),
    ] {
        let ran = place.run(&format!("bench t {BUILT} {flags}")).ended(2).started_nothing().says(&texts);
        assert!(!ran.stderr.contains("ready"), "{flags} half started:\n{}", ran.stderr);
    }
    place.run(&format!("bench t hello --size 1KiB {BUILT}")).ended(2).says(&["--size", "[PAYLOAD]"]);
    place.run(&format!("bench t hello --value n:int=x {BUILT}")).ended(2).says(&["SB0906"]);
    place.run(&format!("bench t @nowhere.json {BUILT}")).ended(4).says(&["SB0908", "nowhere.json"]);
    place.run(&format!("bench {BUILT}")).ended(2).says(&["<DEST>"]);
}

#[test]
fn a_destination_that_takes_no_such_message_or_delivers_nothing_is_named() {
    // Each message would be refused, or wait for ever.
    let place = Place::new();
    let line = "bench t --source guests/noop.wasm --dest t=serial,max-message-size=1KiB --size 2KiB";
    place.run(line).ended(7).started_nothing().says(&["SB0410", "2KiB", "`t` takes 1KiB"]);
    let line = "bench t --source guests/noop.wasm --dest t=serial,paused=true -n 1";
    place.run(line).ended(7).started_nothing().says(&["SB0411", "`t` starts paused"]);
    let line = "bench t --dest t=serial,on-no-listener=hold -n 1";
    place.run(line).ended(7).started_nothing().says(&["SB0402", "`t` has no listener"]);
    place.run("bench sandbus/events --dest t=serial -n 1").ended(7).started_nothing().says(&["SB0402"]);
    place.run("bench t -n 1").ended(4).started_nothing().says(&["SB0125"]);
}

#[test]
fn a_result_of_another_kind_is_not_compared_with() {
    // A ratio of two things that are not the same says nothing.
    let place = Place::new();
    let ran = place.run(&format!("bench t {BUILT} -n 5 --csv send.csv --json")).ended(0);
    place.file("send.json", &ran.stdout).file("next.json", ran.stdout.replace("\"v\":1", "\"v\":2"));
    place.file("other.json", place.run("inspect guests/noop.wasm --json").ended(0).stdout);
    place.file("list.json", "[1]").file("words.txt", "some words\n").file("bytes", [0xff, 0xfe]);
    for (file, code, text) in [
        ("send.json --mode request", 2, "it is of the mode `send`, and this one of `request`"),
        ("send.csv --mode request", 2, "it is of the mode `send`, and this one of `request`"),
        ("other.json", 2, "it is a document of the kind `inspect`"),
        ("next.json", 2, "it is of the version 2, and this program reads 1"),
        ("list.json", 2, "it is no document of this program"),
        ("words.txt", 2, "neither JSON nor begins with the columns"),
        ("bytes", 2, "it is not text of at most 1048576 bytes"),
        ("nowhere.json", 4, "cannot read `nowhere.json`"),
        ("guests", 1, "cannot read `guests`"),
    ] {
        let ran = place.run(&format!("bench t {BUILT} -n 5 --compare {file}")).ended(code).started_nothing();
        let ran = ran.says(&[text, if code == 2 { "SB0922" } else { "SB09" }]);
        assert!(!ran.stderr.contains("ready"), "{file} half started:\n{}", ran.stderr);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_anything_is_sent() {
    // Otherwise a long bench would lose what it found.
    let place = Place::new();
    let ran = place.run(&format!("bench t {BUILT} -n 5 --csv nowhere/result.csv")).ended(1).started_nothing();
    assert!(!ran.says(&["SB0910", "nowhere/result.csv"]).stderr.contains("ready"));
}
