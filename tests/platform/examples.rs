//! EX: the examples of Liferay's documentation, as guests.

use std::time::{Duration, Instant};

use sandbus::GuestSettings;
use sandbus::bus::{
    MessageListener, Outcome, Outgoing, Registered, Reply, RequestError, Workers, listener_fn,
};

use crate::support::{Asking, Granting, harness, parallel, plugin, sample, serial, synchronous, zoo_that};

const ABLE: &str = "acme/n8k5_able";

fn charlie() -> GuestSettings {
    let mut charlie = sample("n8k5_charlie", "charlie");
    charlie.listens_to = vec![ABLE.to_owned()];
    charlie
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_1_what_baker_sends_on_activation_reaches_charlie() {
    // Sender and listener share nothing but the destination's name.
    let baker = sample("n8k5_baker", "baker").may_send(&[ABLE]);
    let harness = harness().destination(serial(ABLE)).guest(charlie()).guest(baker).start().await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("baker"), ["Sent message to acme/n8k5_able"]);
    let logs = harness.logs();
    let received = logs.iter().find(|line| &*line.guest == "charlie").expect("charlie logs");
    assert_eq!(received.text, "Received message payload N8K5Baker#_activate");
    let message = received.message.as_ref().expect("the line belongs to a message");
    assert_eq!(message.destination().as_str(), ABLE);
    assert_eq!(&*message.context().sender, "baker");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_2_the_order_of_the_guests_does_not_matter() {
    // Listeners register before any `activate` runs, so that the sender may stand first.
    let baker = sample("n8k5_baker", "baker").may_send(&[ABLE]);
    let harness = harness().destination(serial(ABLE)).guest(baker).guest(charlie()).start().await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("charlie"), ["Received message payload N8K5Baker#_activate"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_2_a_listener_that_comes_later_still_receives_what_was_held() {
    // A queued destination without listeners holds: `send` means accepted, and nothing vanishes.
    let baker = sample("n8k5_baker", "baker").may_send(&[ABLE]);
    let harness = harness().destination(serial(ABLE)).guest(baker).start().await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.figures(ABLE).held, 1);
    harness.note(ABLE).unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["N8K5Baker#_activate"]);
    harness.settled().await;
}

const BAKER: &str = "acme/n8k5_baker";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_3_a_returned_reply_reaches_the_response_destination_with_the_senders_id() {
    // The host sends the reply: Charlie has no grant, and does not know where it goes.
    let mut baker = sample("n8k5_reply_baker", "baker").may_send(&[ABLE, BAKER]);
    baker.listens_to = vec![BAKER.to_owned()];
    let harness = harness()
        .destination(serial(ABLE))
        .destination(serial(BAKER))
        .guest(charlie())
        .guest(baker)
        .start()
        .await
        .unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("charlie"), ["Received message payload N8K5Baker#_activate"]);
    let said = harness.lines_of("baker");
    assert_eq!(said.last().unwrap(), "Received message payload N8K5CharlieMessageListener for n8k5-1");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_3_an_answer_that_the_listener_sends_itself_arrives_the_same() {
    // The right to answer comes with the message in hand, so that this listener needs no grant either.
    let mut baker = sample("n8k5_reply_baker", "baker").may_send(&[ABLE, BAKER]);
    baker.listens_to = vec![BAKER.to_owned()];
    let harness = harness()
        .destination(serial(ABLE))
        .destination(serial(BAKER))
        .guest(zoo_that("answer N8K5CharlieMessageListener", "charlie", &[ABLE]))
        .guest(baker)
        .start()
        .await
        .unwrap();
    harness.idle().await.unwrap();
    let said = harness.lines_of("baker");
    assert_eq!(said.last().unwrap(), "Received message payload N8K5CharlieMessageListener for n8k5-1");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_4_both_roadies_answer_the_task_in_their_order() {
    // One message to a serial destination: its listeners are called in the order of registration.
    let on = |mut guest: GuestSettings, name: &str| {
        guest.listens_to = vec![name.to_owned()];
        guest
    };
    let (roadies, manager) = ("tour/roadie/setup", "tour/manager/task");
    let tasks = on(sample("tour_tasks", "tasks"), manager).may_send(&[roadies, manager]);
    let harness = harness()
        .destination(serial(roadies))
        .destination(serial(manager))
        .guest(on(sample("tour_setup", "setup"), roadies))
        .guest(on(sample("tour_inventory", "inventory"), roadies))
        .guest(tasks)
        .start()
        .await
        .unwrap();
    harness.idle().await.unwrap();
    let tasks = harness.lines_of("tasks");
    assert_eq!(tasks[0], "Sent task Set up the stage to tour/roadie/setup");
    assert_eq!(tasks[1..], ["Answer 1 from setup: Yes", "Answer 2 from inventory: Yes"]);
    let logs = harness.logs();
    let place = |guest: &str| logs.iter().position(|line| &*line.guest == guest).expect("a line");
    assert!(place("setup") < place("inventory"));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_5_a_request_is_answered_under_an_id_that_the_sender_did_not_choose() {
    // A fresh id for each request: nobody can answer, or guess, a request by what its sender wrote.
    let harness = harness()
        .destination(serial("tour/roadie/setup"))
        .guest(zoo_that("context", "setup", &["tour/roadie/setup"]))
        .start()
        .await
        .unwrap();
    let asked = Outgoing::text("task").response_id("1111");
    let reply = harness.request("tour/roadie/setup", asked).await.unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(seen["response_destination"], "sandbus/default-response");
    assert_eq!(seen["response_id"].as_str().unwrap().len(), 32);
    assert_ne!(seen["response_id"], "1111");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_6_ten_listeners_of_a_serial_destination_share_one_worker() {
    // Serial means one worker and one queue entry a message, however many listeners there are.
    let able = "acme/w3r2_able";
    let mut builder = harness().destination(serial(able));
    for number in 0..10 {
        builder = builder.guest(zoo_that("note", &format!("listener-{number}"), &[able]));
    }
    let harness = builder.start().await.unwrap();
    harness.tell(able, "foo").await;
    harness.idle().await.unwrap();
    let logs = harness.logs();
    let guests: Vec<String> = logs.iter().map(|line| line.guest.to_string()).collect();
    assert_eq!(guests, (0..10).map(|number| format!("listener-{number}")).collect::<Vec<_>>());
    assert!(logs.iter().all(|line| line.text.starts_with("Received message payload foo")));
    assert!(logs.iter().all(|line| line.worker == logs[0].worker && line.worker.is_some()));
    let of = harness.figures(able);
    assert_eq!((of.workers_active, of.workers_current, of.workers_largest), (0, 1, 1));
    assert_eq!((of.workers_max, of.workers_core, of.listeners.len()), (1, 1, 10));
    assert_eq!((of.pending, of.finished), (0, 1));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_7_ten_listeners_of_a_parallel_destination_each_receive_a_message_once() {
    // Parallel means one entry a listener, and as many workers as there is work for: never more than may be.
    let able = "acme/w3r2_able";
    let mut config = parallel(able);
    config.workers = Workers { core: 10, max: 20, ..config.workers };
    let mut builder = harness().destination(config);
    for number in 0..10 {
        builder = builder.guest(zoo_that("note", &format!("listener-{number}"), &[able]));
    }
    let harness = builder.start().await.unwrap();
    harness.tell(able, "foo").await;
    harness.idle().await.unwrap();
    let mut guests: Vec<String> = harness.logs().iter().map(|line| line.guest.to_string()).collect();
    guests.sort();
    assert_eq!(guests, (0..10).map(|number| format!("listener-{number}")).collect::<Vec<_>>());
    let of = harness.figures(able);
    assert_eq!((of.workers_max, of.workers_core, of.workers_active, of.pending), (20, 10, 0, 0));
    assert!((1..=10).contains(&of.workers_current), "{of:?}");
    assert!((of.workers_current..=10).contains(&of.workers_largest), "{of:?}");
    assert_eq!((of.completed, of.delivered), (10, 10));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_9_a_direct_request_returns_the_response_that_was_set_last() {
    // The sender's own call runs the listeners in order; Charlie is the second one.
    let able = "acme/x6n5_able";
    let on_able = |name: &str, crate_name: &str| {
        let mut guest = sample(crate_name, name);
        guest.listens_to = vec![able.to_owned()];
        guest
    };
    let harness = harness()
        .destination(synchronous(able))
        .guest(on_able("dog", "x6n5_dog"))
        .guest(on_able("charlie", "x6n5_charlie"))
        .guest(sample("x6n5_baker", "baker").may_send(&[able]))
        .start()
        .await
        .unwrap();
    let said: Vec<(String, String)> =
        harness.logs().into_iter().map(|line| (line.guest.to_string(), line.text)).collect();
    let wanted = [
        ("dog", "Received message payload foo"),
        ("charlie", "Received message payload foo"),
        ("baker", "Response: X6N5CharlieMessageListener"),
    ];
    assert_eq!(said, wanted.map(|(guest, text)| (guest.to_owned(), text.to_owned())));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_10_an_answer_wakes_the_sender_and_reaches_the_listener_at_the_response_destination() {
    // A response destination that exists is an ordinary one: its listeners receive what wakes the sender.
    let (able, noted) = ("acme/m4q7_able", "acme/m4q7_baker");
    let mut charlie = sample("m4q7_charlie", "charlie");
    charlie.listens_to = vec![able.to_owned()];
    let mut baker = sample("m4q7_baker", "baker");
    baker.listens_to = vec![noted.to_owned()];
    let harness = harness()
        .destination(serial(able))
        .destination(serial(noted))
        .guest(charlie)
        .guest(baker)
        .start()
        .await
        .unwrap();
    let message = Outgoing::text("foo").response_destination(noted.parse().unwrap());
    let reply = harness.request(able, message).await.unwrap();
    assert_eq!(reply, Reply::text("M4Q7CharlieMessageListener"));
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("charlie"), ["Received message payload foo"]);
    assert_eq!(harness.lines_of("baker"), ["Received message payload M4Q7CharlieMessageListener"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_11_a_sender_learns_at_once_that_nobody_answers() {
    // Every listener has settled: the clock has nothing to add.
    let able = "acme/m4q7_able";
    let harness = harness()
        .destination(serial(able))
        .guest(zoo_that("note", "charlie", &[able]))
        .start()
        .await
        .unwrap();
    let began = Instant::now();
    assert_eq!(harness.ask(able, "foo").await, Err(RequestError::NoReply));
    assert!(began.elapsed() < Duration::from_secs(5), "far below the timeout of 10 s");
    assert_eq!(harness.lines_of("charlie").len(), 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_13_a_second_listener_reads_the_payload_as_text_with_its_destination() {
    // Payloads are bytes; two guests on one serial destination each get them.
    let able = "acme/w3a4_able";
    let harness = harness()
        .destination(serial(able))
        .guest(zoo_that("noop", "other", &[able]))
        .guest(zoo_that("note", "w3a4", &[able]))
        .start()
        .await
        .unwrap();
    harness.tell(able, "W3A4").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("w3a4"), ["Received message payload W3A4 at destination acme/w3a4_able"]);
    assert_eq!(harness.figures(able).completed, 2);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_13_a_guest_and_host_code_are_listeners_of_the_same_kind() {
    // "Arbitrary classes" of the original: a closure registers beside a guest, under the same rules.
    let harness = harness()
        .destination(serial("t/mixed"))
        .guest(plugin("starter", "send t/mixed hello", "").may_send(&["t/mixed"]))
        .start()
        .await
        .unwrap();
    let host = listener_fn("host-code", |_| std::future::ready(Outcome::done()));
    assert_eq!(host.name(), "host-code");
    assert_eq!(harness.bus().register("t/mixed", host).unwrap(), Registered::Now);
    harness.idle().await.unwrap();
    assert_eq!(harness.figures("t/mixed").completed, 1);
    harness.settled().await;
}
