//! PERM, H29 to H31: what a guest may do beyond receiving, which is nothing unless it is granted.

use sandbus::bus::{Outgoing, RequestError};

use crate::support::{Asking, Granting, beside_a_neighbour, guest, harness, serial, zoo, zoo_that};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_1_perm_4_without_a_grant_every_send_is_denied_and_nothing_is_received() {
    // Nothing is allowed by default; a refusal is an error that the guest can act on, not a fault.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/x"))
        .guest(zoo("guest", &["t/a"]))
        .start()
        .await
        .unwrap();
    harness.note("t/x").unwrap();
    for command in ["send t/x hello", "request t/x 100 hello", "direct t/x hello", "send t/a hello"] {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.contains("denied"), "{command}: {answer}");
    }
    harness.idle().await.unwrap();
    assert!(harness.received().is_empty());
    assert_eq!((harness.figures("t/x").accepted, harness.figures("t/a").failed_total()), (0, 0));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_2_what_is_granted_is_received() {
    // The success beside the refusal: the same guest, the same destination, one line of configuration.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/x"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/x"]))
        .start()
        .await
        .unwrap();
    harness.note("t/x").unwrap();
    assert!(harness.answer("t/a", "send t/x hello").await.starts_with("sent "));
    harness.idle().await.unwrap();
    assert_eq!(harness.received_texts(), ["hello"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_3_a_pattern_grants_what_it_matches_and_nothing_beside_it() {
    // A star stands for characters within one segment: it does not reach further down.
    let mut builder =
        harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"]).may_send(&["acme/*"]));
    for name in ["acme/a", "acme/a/b", "other/a"] {
        builder = builder.destination(serial(name));
    }
    let harness = builder.start().await.unwrap();
    for name in ["acme/a", "acme/a/b", "other/a"] {
        harness.note(name).unwrap();
    }
    assert!(harness.answer("t/a", "send acme/a hello").await.starts_with("sent "));
    assert!(harness.answer("t/a", "send acme/a/b hello").await.starts_with("error denied"));
    assert!(harness.answer("t/a", "send other/a hello").await.starts_with("error denied"));
    harness.idle().await.unwrap();
    let places: Vec<String> =
        harness.received().iter().map(|delivery| delivery.destination().to_string()).collect();
    assert_eq!(places, ["acme/a"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h30_a_denied_send_does_not_tell_whether_the_destination_exists() {
    // Grants are checked before any look-up, so that names cannot be probed.
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/secret"))
        .guest(zoo("guest", &["t/a"]))
        .start()
        .await
        .unwrap();
    let there = harness.answer("t/a", "send t/secret x").await;
    assert_eq!(there, harness.answer("t/a", "send t/nowhere x").await);
    assert!(there.starts_with("error denied"), "{there}");
    let there = harness.answer("t/a", "stats t/secret").await;
    assert_eq!(there, harness.answer("t/a", "stats t/nowhere").await);
    assert!(there.starts_with("error denied"), "{there}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_5_h31_a_guest_makes_and_removes_destinations_under_its_prefix_only() {
    // The prefix ends with its slash: `acme2/new` is not under `acme/`.
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.create = vec!["acme/".to_owned()];
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/x"))
        .guest(settings)
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "create acme/new").await, "ok");
    assert!(harness.bus().has_destination("acme/new"));
    assert!(harness.answer("t/a", "create acme2/new").await.starts_with("error denied"));
    assert!(!harness.bus().has_destination("acme2/new"));
    assert_eq!(harness.answer("t/a", "remove acme/new").await, "ok");
    assert!(!harness.bus().has_destination("acme/new"));
    assert!(harness.answer("t/a", "remove t/x").await.starts_with("error denied"));
    assert!(harness.bus().has_destination("t/x"));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h31_a_guest_listens_while_it_runs_only_where_it_is_configured_or_granted() {
    // Starting and stopping to listen are rights of their own.
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.listen = vec!["t/granted".parse().unwrap()];
    let mut builder = beside_a_neighbour().destination(serial("t/a")).guest(settings);
    for name in ["t/granted", "t/other"] {
        builder = builder.destination(serial(name));
    }
    let harness = builder.start().await.unwrap();
    assert_eq!(harness.answer("t/a", "listen t/granted").await, "true");
    assert_eq!(harness.answer("t/a", "listen t/granted").await, "false");
    assert_eq!(harness.answer("t/granted", "echo here").await, "here");
    assert!(harness.answer("t/a", "listen t/other").await.starts_with("error denied"));
    assert!(harness.answer("t/a", "stop-listening t/other").await.starts_with("error denied"));
    assert!(!harness.bus().has_listener("t/other"));
    assert_eq!(harness.answer("t/a", "stop-listening t/granted").await, "true");
    assert!(!harness.bus().has_listener("t/granted"));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h31_a_guest_cannot_take_a_reserved_name_or_more_destinations_than_it_may_have() {
    // The grant covers a prefix, not the rules of names nor the bound.
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.create = vec!["acme/".to_owned(), "sandbus/".to_owned()];
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(settings).start().await.unwrap();
    assert!(harness.answer("t/a", "create sandbus/events").await.starts_with("error invalid"));
    assert!(harness.answer("t/a", "create acme/../x").await.starts_with("error invalid"));
    assert!(harness.answer("t/a", "create acme/y nope").await.contains("parallel, serial, synchronous"));
    let many = harness.answer("t/a", "create-many acme/n 100").await;
    assert!(many.starts_with("64 made, then "), "{many}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h31_what_a_guest_makes_has_no_more_room_than_a_guest_may_have() {
    // Nobody receives there: all that it may send would wait in the host's memory.
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.create = vec!["acme/".to_owned()];
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(settings).start().await.unwrap();
    let told = harness.answer("t/a", "create-greedy acme/y").await;
    let keys = ["queue-bytes-max", "queue-messages-max", "workers-max", "workers-core"];
    assert_eq!(told.lines().count(), keys.len(), "{told}");
    for (line, key) in told.lines().zip(keys) {
        assert!(line.starts_with("error invalid") && line.contains(key), "{line}");
    }
    assert_eq!(harness.answer("t/a", "create acme/y parallel").await, "ok");
    let made = harness.bus().config("acme/y").unwrap();
    let most = sandbus::limits::GUEST_QUEUE_BYTES_MAX;
    assert_eq!((made.queue_bytes_max, made.dead_letters.bytes_max), (most, most));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h31_a_guest_listens_to_so_many_names_and_its_neighbour_to_others() {
    // The bus keeps each name, also before there is such a destination, and its own bound is for all of them.
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.listen = vec!["x/**".parse().unwrap()];
    let mut other = zoo("other", &["t/b"]);
    other.grants.listen = vec!["x/**".parse().unwrap()];
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(settings)
        .guest(other)
        .start()
        .await
        .unwrap();
    let many = harness.answer("t/a", "listen-many x/ 1500").await;
    assert!(many.starts_with("1000 begun, then ") && many.contains("1000"), "{many}");
    assert_eq!(harness.answer("t/b", "listen x/2000").await, "true");
    // One that it ended makes room for another.
    assert!(harness.answer("t/a", "listen x/2001").await.starts_with("error limit-reached"));
    assert_eq!(harness.answer("t/a", "stop-listening x/7").await, "true");
    assert_eq!(harness.answer("t/a", "listen x/2001").await, "true");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_7_a_listener_without_any_grant_answers_a_request() {
    // A returned reply is sent by the host; an answer that is sent uses the right of the message in hand.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    assert_eq!(harness.answer("t/a", "echo returned").await, "returned");
    assert_eq!(harness.answer("t/a", "answer sent").await, "sent");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h28_the_right_to_answer_ends_with_the_call() {
    // What a later call sends under the kept id is a send without a grant.
    let harness =
        beside_a_neighbour().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    let kept = harness.ask("t/a", "keep-response").await;
    assert_eq!(kept, Err(RequestError::NoReply));
    let later = harness.answer("t/a", "answer-kept too late").await;
    assert!(later.starts_with("error denied"), "{later}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h29_a_response_destination_needs_a_grant_and_opens_no_other_way() {
    // It is checked against the sender's grants when the message is accepted: nobody is made to send elsewhere.
    let mut builder = beside_a_neighbour().guest(zoo("guest", &["t/a"]).may_send(&["t/b", "t/answers"]));
    builder = builder.guest(zoo_that("echo answered", "b", &["t/b"]));
    for name in ["t/a", "t/b", "t/answers", "t/victim"] {
        builder = builder.destination(serial(name));
    }
    let harness = builder.start().await.unwrap();
    harness.note("t/answers").unwrap();
    harness.note("t/victim").unwrap();
    let denied = harness.answer("t/a", "send-respond t/b t/victim id-1 hello").await;
    assert!(denied.starts_with("error denied"), "{denied}");
    let sent = harness.answer("t/a", "send-respond t/b t/answers id-2 hello").await;
    assert!(sent.starts_with("sent "), "{sent}");
    harness.idle().await.unwrap();
    let received = harness.received();
    assert_eq!(harness.received_texts(), ["answered"]);
    assert_eq!(received[0].message().response_id(), Some("id-2"));
    assert_eq!(harness.figures("t/victim").accepted, 0);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_8_h49_a_guest_that_is_built_for_http_does_not_load_and_the_error_names_http() {
    // What is not offered cannot be called: the refusal comes before anything of the component runs.
    let refused = harness()
        .destination(serial("t/a"))
        .guest(guest("wants_http", "caller", &["t/a"]))
        .start()
        .await
        .err()
        .expect("HTTP is not offered");
    let text = format!("{refused}: {}", std::error::Error::source(&refused).expect("a cause"));
    assert!(text.contains("`caller`") && text.contains("wasi:http/client"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_6_each_guest_reads_its_own_environment_and_nothing_of_the_host() {
    // Environment, files and network of the host are not there at all.
    let with = |name: &str, place: &str| {
        let mut settings = zoo(name, &[place]);
        settings.env.insert("OWN".to_owned(), name.to_owned());
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
    assert_eq!(harness.answer("t/a", "env").await, "OWN=a");
    assert_eq!(harness.answer("t/b", "env").await, "OWN=b");
    for command in ["read-file /etc/passwd", "write-file /tmp/sandbus-was-here x", "connect 127.0.0.1:1"] {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.starts_with("error "), "{command}: {answer}");
    }
    assert!(!std::path::Path::new("/tmp/sandbus-was-here").exists());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perm_7_a_reply_that_is_not_asked_for_is_dropped_and_counted() {
    // Without a response destination there is nobody to answer; that is no failure of the listener.
    let harness = harness().destination(serial("t/a")).guest(zoo("guest", &["t/a"])).start().await.unwrap();
    harness.send("t/a", Outgoing::text("echo nobody asked")).await.unwrap();
    harness.idle().await.unwrap();
    let of = harness.figures("t/a");
    assert_eq!((of.completed, of.dead_letters), (1, 0));
    assert_eq!(of.dropped.get("no-response-destination"), Some(&1));
    harness.settled().await;
}
