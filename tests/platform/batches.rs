//! Guests that take several messages in one call: an outcome for each, which message is in hand, what a fault of such a call
//! costs, and who gets batches at all. How many come together depends on the machine, so each test repeats itself until some did.

use sandbus::bus::{Identity, Origin, Outgoing};
use sandbus::harness::Harness;
use sandbus::{FaultReport, GuestSettings, InstancePolicy};

use crate::support::{Asking, Granting, beside_a_neighbour, guest, harness, serial};

/// Rounds after which a test gives up.
const ROUNDS_MAX: usize = 50;

/// The guest that takes batches, dealing with each as this text says.
fn batched(how: &str) -> GuestSettings {
    let mut settings = guest("batch", "guest", &["t/a"]).may_send(&["out"]);
    settings.env.insert("BATCH".to_owned(), how.to_owned());
    settings
}

async fn started(settings: GuestSettings) -> Harness {
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("out"))
        .guest(settings)
        .start()
        .await
        .unwrap();
    harness.note("out").unwrap();
    harness
}

/// Has these messages wait together before they are delivered.
async fn deliver(harness: &Harness, messages: &[String]) {
    harness.bus().pause("t/a").unwrap();
    for message in messages {
        harness.tell("t/a", message).await;
    }
    harness.bus().resume("t/a").unwrap();
    harness.idle().await.unwrap();
}

fn thirty(text: impl Fn(usize) -> String) -> Vec<String> {
    (0..30).map(text).collect()
}

/// Reports of calls for several messages.
fn of_batches(harness: &Harness) -> Vec<FaultReport> {
    harness.faults().into_iter().filter(|report| report.during == "receive-batch").collect()
}

/// Delivers the messages again and again until a batch faulted; answers how often.
async fn until_a_batch_faults(harness: &Harness, messages: &[String]) -> u64 {
    for round in 1..=ROUNDS_MAX {
        deliver(harness, messages).await;
        if !of_batches(harness).is_empty() {
            return round as u64;
        }
    }
    panic!("no batch of {ROUNDS_MAX} rounds faulted: {:?}", harness.faults());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_wait_come_together_and_each_reply_goes_its_own_way() {
    // Answers must not be mixed up, however many come in one call.
    let harness = started(batched("each")).await;
    for _ in 0..ROUNDS_MAX {
        harness.bus().pause("t/a").unwrap();
        for n in 0..30 {
            let asking = Outgoing {
                response_destination: Some("out".parse().unwrap()),
                response_id: Some(format!("r{n}").into()),
                ..Outgoing::text(format!("echo e{n}"))
            };
            harness.send("t/a", asking).await.unwrap();
        }
        harness.bus().resume("t/a").unwrap();
        harness.idle().await.unwrap();
        if harness.received_texts().iter().any(|text| !text.contains(" of 0 ")) {
            break;
        }
    }
    let received = harness.received();
    assert!(received.iter().any(|delivery| !delivery.text().unwrap().contains(" of 0 ")));
    for delivery in &received {
        let (text, id) = (delivery.text().unwrap(), delivery.message().response_id().unwrap());
        assert!(text.starts_with(&format!("e{} of ", &id[1..])), "{id}: {text}");
        assert_eq!(delivery.message().context().hop_count, 1);
    }
    let (guest, figures) = (harness.platform().guest("guest").unwrap(), harness.figures("t/a"));
    assert_eq!((guest.calls, figures.completed), (received.len() as u64, received.len() as u64));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_batch_with_a_poisoned_message_only_that_one_fails() {
    // A trap and an endless loop: the others are received all the same, once each, and nothing is tried twice.
    for (poison, cause) in [("panic boom", "trap"), ("loop", "out-of-fuel")] {
        let mut settings = batched("each");
        settings.limits.fuel = 2_000_000;
        settings.circuit_breaker = None;
        let harness = started(settings).await;
        let messages = thirty(|n| if n == 20 { poison.to_owned() } else { "noop".to_owned() });
        let rounds = until_a_batch_faults(&harness, &messages).await;
        let figures = harness.figures("t/a");
        assert_eq!((figures.completed, figures.delivered), (29 * rounds, 30 * rounds));
        assert_eq!((figures.failed_total(), figures.failed[cause], figures.retried), (rounds, rounds, 0));
        let letters = harness.dead_letters("t/a");
        assert!(letters.iter().all(|letter| letter.message.payload() == poison && letter.attempts == 1));
        let report = &of_batches(&harness)[0];
        let in_hand = report.message.as_ref().unwrap();
        assert_eq!(in_hand.payload(), poison, "the message in hand is told");
        assert!(report.batch.len() > 1 && report.batch.iter().any(|message| message.id() == in_hand.id()));
        assert_eq!((report.fault.cause.name(), report.attempt), (cause, None));
        assert_eq!(report.fuel_max, Some(2_000_000 * report.batch.len() as u64));
        let guest = harness.platform().guest("guest").unwrap();
        assert_eq!(
            guest.faults[cause],
            rounds + of_batches(&harness).len() as u64,
            "told once, counted once"
        );
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_a_wrong_length_is_a_fault_of_none_of_the_messages() {
    for (how, text) in
        [("none", "answered for none of"), ("too-many", "outcomes for"), ("panic", "all of them")]
    {
        let harness = started(batched(how)).await;
        let rounds = until_a_batch_faults(&harness, &thirty(|_| "noop".to_owned())).await;
        let report = &of_batches(&harness)[0];
        assert!(report.fault.text.as_str().contains(text), "{how}: {}", report.fault.text);
        assert!(report.message.is_none(), "none was in hand");
        let figures = harness.figures("t/a");
        assert_eq!(
            (figures.completed, figures.delivered, figures.failed_total()),
            (30 * rounds, 30 * rounds, 0)
        );
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_does_not_begin_comes_again() {
    let harness = started(batched("one")).await;
    deliver(&harness, &thirty(|_| "noop".to_owned())).await;
    let figures = harness.figures("t/a");
    assert_eq!((figures.completed, figures.delivered, figures.failed_total()), (30, 30, 0));
    assert!(harness.faults().is_empty(), "{:?}", harness.faults());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_blocks_keeps_the_order() {
    // The SDK stops at a failure; what was behind it comes after it.
    let settings = batched("each");
    let mut destination = serial("t/a");
    destination.retry.delay_initial = std::time::Duration::from_millis(1);
    destination.retry.delay_max = std::time::Duration::from_millis(1);
    let harness = harness().destination(destination).guest(settings).start().await.unwrap();
    deliver(&harness, &thirty(|n| if n == 17 { "retry later".to_owned() } else { format!("print {n}") }))
        .await;
    let lines: Vec<usize> = harness.lines_of("guest").iter().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(lines, (0..30).filter(|n| *n != 17).collect::<Vec<_>>());
    let figures = harness.figures("t/a");
    assert_eq!((figures.completed, figures.retried), (30, 1));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_and_printed_belongs_to_the_message_in_hand() {
    // Its tenant, its hop count, its id: a batch must not lend one message what another one has.
    let harness = started(batched("each")).await;
    harness.bus().pause("t/a").unwrap();
    let mut ids = Vec::new();
    for n in 0..30 {
        let origin = Origin::host().with_identity(Identity::new("tenant", &format!("p{n}")).unwrap());
        let command = if n % 2 == 0 { format!("send {n}") } else { format!("print {n}") };
        ids.push(harness.bus().send_as(&origin, "t/a", Outgoing::text(command)).await.unwrap());
    }
    harness.bus().resume("t/a").unwrap();
    harness.idle().await.unwrap();
    let received = harness.received();
    assert_eq!(received.len(), 15);
    for delivery in received {
        let context = delivery.message().context();
        let principal = context.identity.as_ref().unwrap().principal().to_owned();
        assert_eq!((principal, context.hop_count), (format!("p{}", delivery.text().unwrap()), 1));
    }
    let lines = harness.logs();
    for n in (1..30).step_by(2) {
        let line = lines.iter().find(|line| line.text == n.to_string()).unwrap();
        assert_eq!(line.message.as_ref().map(|message| message.id()), Some(ids[n]), "line {n}");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_in_hand_before_the_guest_takes_it() {
    // `current-message` traps, one that there is not traps, and nothing can be sent in nobody's name.
    for (how, text) in [
        ("unfocused", "no message of the batch in hand"),
        ("focus-beyond", "was called with 1000; the batch has"),
    ] {
        let harness = started(batched(how)).await;
        until_a_batch_faults(&harness, &thirty(|_| "noop".to_owned())).await;
        let report = &of_batches(&harness)[0];
        assert!(report.fault.text.as_str().contains(text), "{how}: {}", report.fault.text);
        harness.settled().await;
    }
    let harness = started(batched("send-unfocused")).await;
    for _ in 0..ROUNDS_MAX {
        deliver(&harness, &thirty(|_| "noop".to_owned())).await;
        if !harness.dead_letters("t/a").is_empty() {
            break;
        }
    }
    let letters = harness.dead_letters("t/a");
    assert!(letters[0].last_error.as_str().contains("no message of the batch is in hand"), "{letters:?}");
    assert!(harness.received().is_empty());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_of_a_message_stays_its_own() {
    let harness = started(batched("back-and-forth")).await;
    for _ in 0..ROUNDS_MAX {
        harness.bus().pause("t/a").unwrap();
        for n in 0..30 {
            let asking = Outgoing {
                response_destination: Some("out".parse().unwrap()),
                response_id: Some(format!("noop {n}").into()),
                ..Outgoing::text(format!("noop {n}"))
            };
            harness.send("t/a", asking).await.unwrap();
        }
        harness.bus().resume("t/a").unwrap();
        harness.idle().await.unwrap();
        if !harness.received().is_empty() {
            break;
        }
    }
    let received = harness.received();
    assert!(!received.is_empty());
    for delivery in received {
        assert_eq!(delivery.text(), delivery.message().response_id());
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_may_send_as_much_as_its_messages_could_alone() {
    let mut settings = batched("each");
    settings.limits.sends_max = 1;
    settings.limits.send_bytes_max = 8;
    let harness = started(settings).await;
    deliver(&harness, &thirty(|n| format!("send {n}"))).await;
    let mut sent = harness.received_texts();
    sent.sort_by_key(|text| text.parse::<usize>().unwrap());
    assert_eq!(sent, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_none_gets_no_batches() {
    // `batch-max = 1`, a fresh instance for each message, an instance that may be used once.
    let changes: [fn(&mut GuestSettings); 3] = [
        |settings| settings.limits.batch_messages_max = 1,
        |settings| settings.instances.policy = InstancePolicy::PerMessage,
        |settings| settings.instances.uses_max = Some(1),
    ];
    for change in changes {
        let mut settings = batched("panic");
        change(&mut settings);
        let harness = started(settings).await;
        deliver(&harness, &thirty(|_| "noop".to_owned())).await;
        assert!(harness.faults().is_empty(), "{:?}", harness.faults());
        assert_eq!(harness.figures("t/a").completed, 30);
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_with_one_instance_gets_batches_on_it() {
    let mut settings = batched("none");
    settings.instances.policy = InstancePolicy::Single;
    let harness = started(settings).await;
    let rounds = until_a_batch_faults(&harness, &thirty(|_| "noop".to_owned())).await;
    assert_eq!(harness.figures("t/a").completed, 30 * rounds);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_not_used_more_often_than_it_may_be() {
    // A batch counts as as many uses as it has messages.
    let mut settings = batched("each");
    settings.instances.uses_max = Some(3);
    let harness = started(settings).await;
    deliver(&harness, &thirty(|_| "noop".to_owned())).await;
    let figures = harness.figures("t/a");
    assert_eq!(figures.completed, 30);
    assert!(figures.listeners[0].instances_made >= 10, "{figures:?}");
    harness.settled().await;
}
