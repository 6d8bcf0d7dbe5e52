//! Each sample, as its README says to run it.

use crate::program::Place;

golden! {
    n8k5_baker_sends_and_charlie_receives: "run sample-guests/n8k5 --until idle";
    n8k5_with_a_reply_reaches_baker: "run sample-guests/n8k5/reply.toml --until idle";
    tour_shows_both_answers_of_the_roadies: "run sample-guests/tour --until idle";
    direct_returns_the_last_response: "run sample-guests/direct --until idle";
    request_is_answered_once_and_times_out_once: "run sample-guests/request --until idle";
    hostile_loses_its_own_messages_only_and_ends_with_1: "run sample-guests/hostile --until idle";
    forward_sends_on: "run sample-guests/forward --send t/a=hello --print t/b";
    transform_prices_an_order:
        "run sample-guests/transform --send 'orders={\"id\":1,\"lines\":[{\"price\":5,\"count\":2}]}' --print orders/priced";
    echo_answers_a_call: "call sample-guests/target/wasm32-wasip2/release/echo.wasm hello";
}

#[test]
fn the_summary_of_the_hostile_sample_counts_both_guests() {
    // Done-when 3: the looping guest is stopped each time, the healthy one receives every message.
    let place = Place::new();
    let ran = place.run("run sample-guests/hostile --until idle").ended(1);
    ran.says(&[
        "20 accepted, 10 completed, 10 dead letters",
        "guest loop 10 calls: 0 done, 10 out-of-fuel",
        "guest healthy 10 calls: 10 done",
        "saved 10 dead letters",
    ]);
    assert_eq!(place.left().len(), 1);
}

#[test]
fn every_sample_folder_is_named_by_a_test_here() {
    // A sample that nothing runs stops working unnoticed.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-guests");
    let source = include_str!("samples.rs");
    for entry in std::fs::read_dir(folder).expect("the samples") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.join("sandbus.toml").is_file() {
            assert!(
                source.contains(&format!("sample-guests/{name}")) || source.contains(&format!("{name}.wasm"))
            );
        }
    }
}
