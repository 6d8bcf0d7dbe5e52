//! H11, H23, H38, H39: work and messages that grow out of what is sent.

use std::time::Duration;

use sandbus::bus::{Cause, DestinationConfig, RejectedExecution};

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, Granting, harness, serial, zoo_that};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h11_a_payload_that_costs_exponential_work_is_one_dead_letter_and_the_others_go_on() {
    // The listener is honest; the pattern is tried in every way, and only this text makes that dear.
    let here = Neighbourhood::with(|hostile| {
        hostile.env.insert("ZOO".to_owned(), "match *a*a*a*a*a*a*b".to_owned());
    })
    .await;
    let hostile = "a".repeat(200);
    for text in ["aaaaaab", "nothing of the kind", &hostile, "xaxaxaxaxaxaxb"] {
        here.harness.tell(HOSTILE, text).await;
    }
    here.harness.idle().await.unwrap();
    let letter = here.harness.letter(HOSTILE);
    assert_eq!((letter.reason.name(), letter.attempts), (Cause::OutOfFuel.name(), 1));
    assert_eq!(letter.message.payload(), &hostile);
    assert!(letter.last_error.as_str().contains("matches"), "{}", letter.last_error);
    assert_eq!(here.harness.figures(HOSTILE).completed, 3);
    // It answers as before; what it is asked at the end of every other test it would match, too.
    assert_eq!(here.answer("abacadaeafagb").await, "true");
    here.harness.idle().await.unwrap();
    here.faults.are_those_of(&here.harness.bus().all_statistics()).await;
    assert_eq!(here.harness.figures("t/good").failed_total(), 0);
    here.harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h23_two_guests_that_send_to_each_other_for_ever_end_after_16_hops_and_it_is_counted() {
    // The send after the last hop is refused, at the destination that would have received it, and said once.
    let others = harness()
        .destination(serial("t/ping"))
        .destination(serial("t/pong"))
        .guest(zoo_that("forward t/pong", "ping", &["t/ping"]).may_send(&["t/pong"]))
        .guest(zoo_that("forward t/ping", "pong", &["t/pong"]).may_send(&["t/ping"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    let rounds = 3;
    for _ in 0..rounds {
        here.harness.tell("t/ping", "round and round").await;
    }
    here.harness.idle().await.unwrap();
    let (ping, pong) = (here.harness.figures("t/ping"), here.harness.figures("t/pong"));
    assert_eq!((ping.accepted, pong.accepted), (9 * rounds, 8 * rounds));
    assert_eq!(pong.rejected.get("hops-exceeded"), Some(&rounds));
    assert_eq!(ping.rejected.get("hops-exceeded"), None);
    let letters = here.harness.dead_letters("t/ping");
    assert!(letters.iter().all(|letter| letter.message.context().hop_count == 16), "{letters:?}");
    assert_eq!(letters.len() as u64, rounds);
    let said = crate::watch::host_lines(&format!("message_id={} ", letters[0].message.id()));
    let said: Vec<_> = said.iter().filter(|line| line.level == tracing::Level::WARN).collect();
    assert!(
        said.len() == 1 && said[0].text.contains("guest=ping") && said[0].text.contains("t/pong"),
        "{said:?}"
    );
    here.end().await;
}

fn full(name: &str, rejected_execution: RejectedExecution) -> DestinationConfig {
    let mut config = serial(name);
    config.queue_entries_max = 10;
    config.rejected_execution = rejected_execution;
    config.paused = true;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h38_a_million_delayed_messages_end_at_the_bound_of_the_queue() {
    // Waiting for their time they are in the queue, and count there.
    let mut later = full("t/later", RejectedExecution::Abort);
    later.paused = false;
    let others = harness().destination(later).guest(zoo_that("noop", "later", &["t/later"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/later".parse().unwrap()];
        hostile.limits.sends_max = 1_000_000;
    })
    .await;
    let answer = here.answer("send-later t/later 1500 1000000").await;
    assert!(answer.starts_with("10 accepted, then queue-full") && answer.contains("10"), "{answer}");
    let of = here.harness.figures("t/later");
    assert_eq!((of.accepted, of.rejected["queue-full"]), (10, 1));
    here.harness.idle().await.unwrap();
    assert_eq!(here.harness.figures("t/later").completed, 10);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h39_a_sender_in_a_busy_loop_meets_its_own_limit_or_a_full_queue() {
    // Both are errors in its hand, with the bound; what was accepted before stays accepted.
    let others = harness()
        .destination(full("t/full", RejectedExecution::Abort))
        .destination(serial("t/sink"))
        .guest(zoo_that("noop", "full", &["t/full"]))
        .guest(zoo_that("noop", "sink", &["t/sink"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/full".parse().unwrap(), "t/sink".parse().unwrap()];
    })
    .await;
    let full = here.answer("send-many t/full 1000000").await;
    assert!(full.starts_with("10 accepted, then queue-full"), "{full}");
    let spent = here.answer("send-many t/sink 1000000").await;
    assert!(spent.starts_with("64 accepted, then limit-reached"), "{spent}");
    let fault = here.fault("send-endless t/full").await.0;
    assert!([Cause::OutOfFuel, Cause::Deadline].contains(&fault.cause), "{fault:?}");
    here.harness.bus().resume("t/full").unwrap();
    here.harness.idle().await.unwrap();
    assert_eq!(here.harness.figures("t/full").completed, 10);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h39_senders_that_wait_for_room_hold_no_thread_and_end_within_their_deadline() {
    // Eight of them wait where two threads run everything; the neighbour completes its messages meanwhile.
    let mut others = harness()
        .destination(full("t/full", RejectedExecution::Block(Duration::from_secs(3_600))))
        .guest(zoo_that("noop", "receiver", &["t/full"]));
    for number in 0..8 {
        let (place, name) = (format!("t/sender/{number}"), format!("sender-{number}"));
        let mut sender = zoo_that("send-many t/full 1000", &name, &[&place]).may_send(&["t/full"]);
        sender.limits.deadline = Duration::from_millis(1_500);
        let mut config = serial(&place);
        config.retry.attempts_max = 1;
        others = others.destination(config).guest(sender);
    }
    let here = Neighbourhood::among(others, |_| {}).await;
    for number in 0..8 {
        here.harness.tell(&format!("t/sender/{number}"), "go").await;
    }
    crate::watch::until("the queue is full and all wait", || {
        let running = |number| here.harness.figures(&format!("t/sender/{number}")).running == 1;
        here.harness.figures("t/full").pending == 10 && (0..8).all(running)
    })
    .await;
    let good = here.answer("echo while they wait").await;
    assert_eq!(good, "while they wait");
    here.harness.idle().await.unwrap();
    for number in 0..8 {
        let of = here.harness.figures(&format!("t/sender/{number}"));
        assert_eq!((of.accepted, of.running, of.pending), (1, 0, 0));
    }
    here.harness.bus().resume("t/full").unwrap();
    here.harness.idle().await.unwrap();
    assert_eq!(here.harness.figures("t/full").completed, 10);
    here.end().await;
}
