//! H59, H60: what crosses the boundary in a form that it may not have; from inside, in components made by hand, and from
//! outside.

use std::time::Duration;

use sandbus::bus::{Cause, Outgoing, RequestError};

use crate::crafted;
use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, beside_a_neighbour, serial, zoo, zoo_that};

/// What `receive` answers or calls wrong, by the first letter of the payload: `ANSWER` is at 64, a reply at 72, its content
/// type at 80, its values at 92.
const WRONG: [(char, &str); 22] = [
    (
        'u',
        "(i32.store8 (i32.const 68) (i32.const 1)) (i32.store8 (i32.const 80) (i32.const 1))
           (i32.store (i32.const 84) (i32.const 200)) (i32.store (i32.const 88) (i32.const 2))",
    ),
    // Half of a surrogate pair is no character either.
    (
        'U',
        "(i32.store8 (i32.const 68) (i32.const 1)) (i32.store8 (i32.const 80) (i32.const 1))
           (i32.store (i32.const 84) (i32.const 202)) (i32.store (i32.const 88) (i32.const 3))",
    ),
    (
        'p',
        "(i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 72) (i32.const 0xfffffff0)) (i32.store (i32.const 76) (i32.const 8))",
    ),
    ('P', "(i32.store8 (i32.const 68) (i32.const 1)) (i32.store (i32.const 76) (i32.const 0x7fffffff))"),
    (
        'w',
        "(i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 72) (i32.const 0xffffff00)) (i32.store (i32.const 76) (i32.const 0x200))",
    ),
    (
        'm',
        "(i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 92) (i32.const 1028)) (i32.store (i32.const 96) (i32.const 1))",
    ),
    (
        'M',
        "(i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 92) (i32.const 1024)) (i32.store (i32.const 96) (i32.const 0x0fffffff))",
    ),
    ('d', "(i32.store8 (i32.const 64) (i32.const 2))"),
    ('o', "(i32.store8 (i32.const 68) (i32.const 2))"),
    ('f', "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 68) (i32.const 7))"),
    (
        'x',
        "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 72) (i32.const 200)) (i32.store (i32.const 76) (i32.const 1))",
    ),
    (
        'v',
        "(i32.store8 (i32.const 68) (i32.const 1))
           (i32.store (i32.const 92) (i32.const 1024)) (i32.store (i32.const 96) (i32.const 1))
           (i32.store (i32.const 1024) (i32.const 300)) (i32.store (i32.const 1028) (i32.const 1))
           (i32.store8 (i32.const 1032) (i32.const 9))",
    ),
    ('r', "(return (i32.const 65))"),
    ('R', "(return (i32.const 0xfffffff0))"),
    // The last bytes of memory: the answer begins inside of it and ends outside.
    ('b', "(return (i32.const 0x3fff0))"),
    (
        's',
        "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 200))
           (i32.store (i32.const 1024) (i32.const 200)) (i32.store (i32.const 1028) (i32.const 2))
           (call $send (i32.const 1024) (i32.const 2048))",
    ),
    ('S', "(call $send (i32.const 1025) (i32.const 2048))"),
    ('t', "(call $send (i32.const 0xffffff00) (i32.const 2048))"),
    ('g', "(call $get_value (i32.const 200) (i32.const 2) (i32.const 2048))"),
    ('G', "(call $get_value (i32.const 0xffffff00) (i32.const 1) (i32.const 2048))"),
    ('q', "(call $get_value (i32.const 300) (i32.const 1) (i32.const 2049))"),
    ('Q', "(call $get_value (i32.const 300) (i32.const 1) (i32.const 0xfffffff8))"),
];

/// What it does once its answer was taken.
const AFTERWARDS: [(char, &str); 3] = [
    ('1', "(global.set $afterwards (i32.const 1))"),
    ('2', "(global.set $afterwards (i32.const 2))"),
    ('3', "(global.set $afterwards (i32.const 3))"),
];

async fn crafted_guest() -> Neighbourhood {
    let acts: Vec<_> = WRONG.into_iter().chain(AFTERWARDS).collect();
    let path = crafted::listener("boundary", &acts, "");
    Neighbourhood::with(|hostile| {
        hostile.path = path;
        hostile.circuit_breaker = None;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h59_what_a_guest_answers_or_asks_in_a_form_that_it_may_not_have_is_a_trap() {
    // Invalid UTF-8, pointers outside of memory, misaligned lists, unknown discriminants: each is met by a check, never
    // followed.
    let here = crafted_guest().await;
    for (what, _) in WRONG {
        let (fault, _) = here.fault(&format!("{what}")).await;
        assert_eq!(fault.cause, Cause::Trap, "{what}: {}", fault.text);
        assert!(!fault.text.as_str().is_empty(), "{what}");
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h59_an_allocator_that_lies_about_where_a_message_goes_is_a_trap() {
    // The host asks the guest where to put a payload, and does not believe the answer.
    let here = crafted_guest().await;
    for (bytes, cause) in [(101, Cause::Trap), (102, Cause::OutOfFuel), (103, Cause::Trap)] {
        let (fault, _) = here.fault(&"z".repeat(bytes)).await;
        assert_eq!(fault.cause, cause, "{bytes}: {}", fault.text);
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h59_code_that_runs_after_the_answer_is_within_the_same_call() {
    // The clean-up of an answer is code of the guest as well: it traps, loops, or calls the host where it may not.
    let here = crafted_guest().await;
    for (what, cause) in [("1", Cause::Trap), ("2", Cause::OutOfFuel), ("3", Cause::Trap)] {
        let (fault, _) = here.fault(what).await;
        assert_eq!(fault.cause, cause, "{what}: {}", fault.text);
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h8_code_that_runs_while_an_instance_is_made_calls_the_host_within_limits() {
    // Initialisers of several languages do so; one that does it without end, or waits, is an instance that cannot be made.
    let start = |name: &str, body: &str| {
        let path = crafted::listener(name, &[], &format!("(func $first {body}) (start $first)"));
        Neighbourhood::with(move |hostile| {
            hostile.path = path;
            hostile.limits.deadline = Duration::from_millis(500);
            hostile.limits.activate_fuel = 10_000_000;
        })
    };
    start("start-well", "(drop (call $random)) (drop (call $after (i64.const 1)))").await.end().await;
    for (name, body, said) in [
        ("start-spam", "(loop (drop (call $random)) (br 0))", "fuel"),
        ("start-wait", "(call $block (call $after (i64.const 60000000000)))", "deadline"),
        ("start-trap", "unreachable", "unreachable"),
    ] {
        let here = start(name, body).await;
        let (fault, _) = here.fault("echo never").await;
        assert_eq!(fault.cause, Cause::Instantiate, "{name}: {}", fault.text);
        assert!(fault.text.as_str().contains(said), "{name}: {}", fault.text);
        here.harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h60_bytes_that_are_no_text_are_kept_as_they_are_and_refused_where_text_is_wanted() {
    // A payload is bytes: the bus carries it, and only a listener that reads it as text has an opinion.
    let bytes: &[u8] = b"\xff\xfe\x00\xed\xa0\x80 \x1b[31m";
    let harness = beside_a_neighbour()
        .destination(serial("t/text"))
        .destination(serial("t/bytes"))
        .guest(zoo("text", &["t/text"]))
        .guest(zoo_that("echo", "bytes", &["t/bytes"]))
        .start()
        .await
        .unwrap();
    let reply = harness.request("t/bytes", Outgoing::bytes(bytes)).await.unwrap();
    assert_eq!(reply.payload, bytes);
    let refused = harness.request("t/text", Outgoing::bytes(bytes)).await.unwrap_err();
    let RequestError::ListenerRefused(text) = &refused else { panic!("{refused}") };
    assert!(text.as_str().contains("not text"), "{text}");
    harness.idle().await.unwrap();
    let letter = harness.letter("t/text");
    assert_eq!((letter.reason.name(), &letter.message.payload()[..]), ("refused", bytes));
    assert_eq!(harness.answer("t/text", "echo still here").await, "still here");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h36_a_listener_that_says_done_and_did_nothing_has_completed_the_message() {
    // Nobody outside can tell work from its claim: done is what the listener says.
    let here = Neighbourhood::new().await;
    here.harness.tell(HOSTILE, "noop").await;
    here.harness.idle().await.unwrap();
    let of = here.harness.figures(HOSTILE);
    assert_eq!((of.completed, of.dead_letters, of.failed_total()), (1, 0, 0));
    here.end().await;
}
