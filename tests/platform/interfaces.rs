//! GUEST-7, PERM-6: what a guest finds beside the bus. Lines, its own configuration and its own keys, in every spelling that
//! components for other hosts use.

use std::error::Error as _;

use sandbus::{GuestSettings, LogLevel, LogStream};

use crate::support::{Asking, beside_a_neighbour, guest, harness, serial};

fn user(name: &str, listens_to: &str) -> GuestSettings {
    guest("host_interfaces", name, &[listens_to])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_7_a_line_of_wasi_logging_is_an_event_with_its_level_in_both_spellings() {
    // The same way as standard output, so that one place shows in order what a guest says.
    let harness = harness().destination(serial("t/a")).guest(user("guest", "t/a")).start().await.unwrap();
    let first = harness.tell("t/a", "log critical shop no stock").await;
    harness.tell("t/a", "log debug - two\nlines").await;
    harness.tell("t/a", "log-unversioned plain").await;
    harness.idle().await.unwrap();
    let logs = harness.logs();
    let seen: Vec<_> = logs.iter().map(|line| (line.stream, line.text.as_str())).collect();
    let wanted = [
        (LogStream::Logging(LogLevel::Critical), "shop: no stock"),
        (LogStream::Logging(LogLevel::Debug), "-: two"),
        (LogStream::Logging(LogLevel::Debug), "-: lines"),
        (LogStream::Logging(LogLevel::Info), "plain"),
    ];
    assert_eq!(seen, wanted);
    let message = logs[0].message.as_ref().expect("a message in hand");
    assert_eq!((message.id(), message.destination().as_str()), (first, "t/a"));
    assert!(logs.iter().all(|line| &*line.guest == "guest" && line.worker.is_some()));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h40_h42_wasi_logging_has_the_bounds_of_standard_output() {
    // A second way to the log with bounds of its own would be a way around the first one's.
    let mut settings = user("guest", "t/a");
    settings.limits.log_bytes_max = 100;
    settings.limits.fuel = 2_000_000;
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(settings).start().await.unwrap();
    harness.answer("t/a", &format!("log info ctx {}", "x".repeat(200))).await;
    harness.answer("t/a", "log info \u{1b}[31m forged\u{202e}\u{7}").await;
    assert!(harness.ask("t/a", "log-endless").await.is_err(), "it is out of fuel");
    let lines = harness.lines_of("guest");
    assert_eq!(lines[0], format!("ctx: {}", "x".repeat(95)));
    assert!(lines[1].contains("105 bytes of output cut"), "{}", lines[1]);
    assert_eq!(lines[2], "\\u{1b}[31m: forged\\u{202e}\\u{7}");
    assert!(lines.len() < 3 + 55, "{}", lines.len());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_6_each_guest_reads_its_own_configuration_in_every_spelling_and_no_other() {
    // What is configured for one guest is nothing to another one, and nothing of the host is there.
    let with = |name: &str, place: &str| {
        let mut settings = user(name, place);
        settings.config.insert("own".to_owned(), name.to_owned());
        settings.config.insert("second".to_owned(), "2".to_owned());
        settings.env.insert("hidden".to_owned(), "not configuration".to_owned());
        settings
    };
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(with("a", "t/a"))
        .guest(with("b", "t/b"))
        .start()
        .await
        .unwrap();
    for spelling in ["runtime", "draft", "dated", "rc"] {
        for (place, name) in [("t/a", "a"), ("t/b", "b")] {
            assert_eq!(harness.answer(place, &format!("config {spelling} own")).await, name);
            let all = harness.answer(place, &format!("config-all {spelling}")).await;
            assert_eq!(all, format!("own={name} second=2"));
            for nothing in ["PATH", "hidden", ""] {
                assert_eq!(harness.answer(place, &format!("config {spelling} {nothing}")).await, "none");
            }
        }
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_keeps_outlives_its_instance_and_is_its_own_alone() {
    // A fault throws the instance away and not what was kept; another guest of the same component sees nothing of it.
    let mut faulting = user("a", "t/a");
    faulting.limits.fuel = 2_000_000;
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(faulting)
        .guest(user("b", "t/b"))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "open shop").await, "opened");
    assert_eq!(harness.answer("t/a", "set color red").await, "set");
    assert_eq!(harness.answer("t/a", "increment n 40").await, "40");
    assert_eq!(harness.answer("t/a", "increment n 2").await, "42");
    assert!(harness.ask("t/a", "log-endless").await.is_err(), "this instance is gone");
    assert_eq!(harness.answer("t/a", "open shop").await, "opened");
    assert_eq!(harness.answer("t/a", "get color").await, "red");
    assert_eq!(harness.answer("t/a", "get n").await, "42");
    assert_eq!(harness.answer("t/a", "keys").await, "color,n");
    assert_eq!(harness.answer("t/b", "open shop").await, "opened");
    assert_eq!(harness.answer("t/b", "get color").await, "none");
    assert_eq!(harness.answer("t/a", "open other").await, "opened");
    assert_eq!(harness.answer("t/a", "exists color").await, "false", "each bucket has its own keys");
    assert_eq!(harness.answer("t/a", "batch").await, "b1=one none b2=two");
    assert_eq!(harness.answer("t/a", "keys").await, "");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_keeps_is_bounded_and_the_error_names_the_bound() {
    // It is memory of the host that no limit of the store counts.
    let mut small = user("small", "t/small");
    small.limits.keyvalue_bytes_max = 1_000;
    let mut none = user("none", "t/none");
    none.limits.keyvalue_bytes_max = 0;
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/small"))
        .destination(serial("t/none"))
        .guest(user("a", "t/a"))
        .guest(small)
        .guest(none)
        .start()
        .await
        .unwrap();
    let full = harness.answer("t/small", "set-big k 1000").await;
    assert_eq!(full, "error other: a guest may have 1000 bytes of keys and values (`limits.keyvalue-bytes`)");
    assert_eq!(harness.answer("t/small", "set-big k 999").await, "set");
    let value = harness.answer("t/a", "set-big k 65537").await;
    assert_eq!(value, "error other: a value may have 65536 bytes");
    let key = harness.answer("t/a", &format!("set {} x", "k".repeat(256))).await;
    assert_eq!(key, "error other: a key may have 255 bytes");
    let keys = harness.answer("t/a", "set-keys 20000").await;
    assert_eq!(keys, "10000 set, then error other: a guest may have 10000 keys");
    let buckets = harness.answer("t/a", "open-many 20").await;
    assert_eq!(
        buckets, "15 opened, then error other: a guest may have 16 buckets",
        "`default` is one of them"
    );
    assert_eq!(harness.answer("t/none", "open shop").await, "error access-denied");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_2_a_known_name_with_another_type_is_a_load_error_that_names_the_difference() {
    // Drafts carry one name over several shapes: what does not fit must be told before anything runs.
    let refused = harness()
        .destination(serial("t/a"))
        .guest(guest("other_keyvalue", "counter", &["t/a"]))
        .start()
        .await
        .err()
        .expect("its `increment` is another one");
    let text = format!("{refused}: {}", refused.source().expect("a cause"));
    for word in ["`counter`", "wasi:keyvalue/atomics@0.2.0-draft2", "increment", "u64", "s64"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
