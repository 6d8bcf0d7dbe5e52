//! INST: what stays in an instance from one message to the next, and what never leaves it.

use crate::support::{Asking, harness, parallel, plugin, serial, zoo, zoo_that};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_1_a_worker_keeps_its_instance_and_the_instance_its_state() {
    // One worker, one instance: the guest's memory is where it was after the last message.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let mut counts = Vec::new();
    for _ in 0..5 {
        counts.push(harness.answer("t/a", "count").await);
    }
    assert_eq!(counts, ["1", "2", "3", "4", "5"]);
    assert_eq!(harness.figures("t/a").listeners[0].instances_made, 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_3_a_trap_discards_the_instance_with_all_that_it_kept() {
    // Memory after a trap is in no state to be trusted: the next message begins anew.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    for command in ["count", "count", "panic three", "count", "count"] {
        harness.tell("t/a", command).await;
    }
    harness.idle().await.unwrap();
    let counted: Vec<String> =
        harness.lines_of("guest").into_iter().filter(|line| line.starts_with("count ")).collect();
    assert_eq!(counted, ["count 1", "count 2", "count 1", "count 2"]);
    assert_eq!(harness.figures("t/a").listeners[0].instances_made, 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_5_two_guests_of_one_component_share_nothing() {
    // The component is compiled once; memories are made for each guest.
    let harness = harness()
        .destination(serial("t/a"))
        .guest(zoo_that("count", "first", &["t/a"]))
        .guest(zoo_that("count", "second", &["t/a"]))
        .start()
        .await
        .unwrap();
    for _ in 0..3 {
        harness.tell("t/a", "go").await;
    }
    harness.idle().await.unwrap();
    for guest in ["first", "second"] {
        assert_eq!(harness.lines_of(guest), ["count 1", "count 2", "count 3"], "{guest}");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inst_1_instances_are_as_many_as_workers_and_go_with_the_platform() {
    // A pool of five workers makes at most five instances; at the end every slot is free again.
    // Nobody else's instances are counted by an engine of its own.
    let own = sandbus::SandboxEngine::new(&crate::support::runtime()).unwrap();
    let harness = harness()
        .engine(own.clone())
        .destination(parallel("t/a"))
        .guest(zoo_that("count", "guest", &["t/a"]))
        .start()
        .await
        .unwrap();
    for _ in 0..200 {
        harness.tell("t/a", "go").await;
    }
    harness.idle().await.unwrap();
    let of = harness.figures("t/a");
    assert_eq!(of.completed, 200);
    assert!((1..=5).contains(&of.listeners[0].instances_made), "{}", of.listeners[0].instances_made);
    let guest = harness.platform().guests().remove(0);
    assert!((1..=5).contains(&guest.instances), "{guest:?}");
    assert_eq!((guest.calls, guest.faults.len()), (200, 0));
    harness.settled().await;
    // A worker that left in the same moment as another one may still be about to drop its own.
    let began = std::time::Instant::now();
    while own.instances() > 0 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "no instance outlives its platform");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_the_instance_that_is_kept_for_deactivate_does_not_keep_messages_out() {
    // A guest of one instance that has a start and an end still has to receive what is sent to it.
    let mut settings = plugin("guest", "", "");
    settings.listens_to = vec!["t/a".to_owned()];
    settings.limits.instances_max = 1;
    let harness = harness().destination(serial("t/a")).guest(settings).start().await.unwrap();
    assert_eq!(harness.ask("t/a", "hello").await.as_deref(), Ok("hello"));
    harness.settled().await;
}
