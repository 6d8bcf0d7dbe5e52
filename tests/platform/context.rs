//! CTX: what only the host may say about a message, as a guest reads it and carries it on.

use sandbus::bus::{Identity, Origin, Outgoing, Trace, Value};
use serde_json::{Value as Json, json};

use crate::support::{Asking, Granting, beside_a_neighbour, harness, parallel, serial, zoo};

async fn context_of(payload: &[u8]) -> Json {
    serde_json::from_slice(payload).expect("the zoo replies JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctx_2_h32_values_cannot_impersonate_what_the_host_says() {
    // The context is a part of its own that only the host writes; names of values mean nothing to it.
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("liar", &["t/a"]).may_send(&["t/b"]))
        .start()
        .await
        .unwrap();
    harness.note("t/b").unwrap();
    let lies = "companyId=7 tenant=7 principalName=root sender=host hop-count=0";
    harness.answer("t/a", &format!("send-values t/b {lies}")).await;
    harness.idle().await.unwrap();
    let received = harness.received();
    let context = received[0].message().context();
    assert_eq!((&*context.sender, context.hop_count, &context.identity), ("liar", 1, &None));
    assert_eq!(received[0].values().get("sender"), Some(&Value::from("host")));
    assert_eq!(received[0].values().len(), 5);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctx_3_each_guest_reads_its_sender_hop_and_attempt() {
    // A message that a message caused is one hop further; the sender is not carried on.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("first", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("second", &["t/b"]))
        .start()
        .await
        .unwrap();
    let first = context_of(harness.answer("t/a", "context").await.as_bytes()).await;
    assert_eq!(
        (&first["sender"], &first["hop_count"], &first["attempt"]),
        (&json!("host"), &json!(0), &json!(1))
    );
    let answered = harness.answer("t/a", "request t/b 1000 context").await;
    let second = context_of(answered.strip_prefix("reply ").expect(&answered).as_bytes()).await;
    assert_eq!((&second["sender"], &second["hop_count"]), (&json!("first"), &json!(1)));
    assert_eq!(second["attempt"], 1);
    assert!(first["sent_at_unix_ms"].as_u64() > Some(1_500_000_000_000));
    assert!(second["sent_at_unix_ms"].as_u64() >= first["sent_at_unix_ms"].as_u64());
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctx_5_a_guest_that_keeps_its_instance_keeps_no_tenant() {
    // Tenant and principal belong to a message, not to the instance that handles it.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo("guest", &["t/a"]).may_send(&["t/b"]))
        .start()
        .await
        .unwrap();
    let identity = Identity::new("7", "5").unwrap();
    let origin = Origin::host().with_identity(identity);
    let with = harness.bus().request_as(&origin, "t/a", Outgoing::text("context"), None).await.unwrap();
    assert_eq!(context_of(&with.payload).await["identity"], json!({"tenant": "7", "principal": "5"}));
    let without = context_of(harness.answer("t/a", "context").await.as_bytes()).await;
    assert_eq!(without["identity"], Json::Null);
    harness.note("t/b").unwrap();
    for message in ["first", "second"] {
        // Each from the same instance: the first in the name of a tenant, the second in nobody's.
        let command = Outgoing::text(format!("send t/b {message}"));
        match message {
            "first" => harness.bus().request_as(&origin, "t/a", command, None).await.unwrap(),
            _ => harness.request("t/a", command).await.unwrap(),
        };
    }
    harness.idle().await.unwrap();
    let carried: Vec<_> =
        harness.received().iter().map(|each| each.message().context().identity.clone()).collect();
    assert_eq!(carried[0].as_deref().map(Identity::tenant), Some("7"));
    assert_eq!(carried[1], None);
    assert_eq!(harness.figures("t/a").listeners[0].instances_made, 1);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctx_1_ctx_4_tenant_principal_and_trace_are_read_by_a_guest_and_carried_to_the_next() {
    // On whose behalf, and within which trace: the sender says it once, and whatever follows from it says so too.
    let harness = harness()
        .destination(parallel("t/a"))
        .destination(parallel("t/b"))
        .guest(zoo("first", &["t/a"]).may_send(&["t/b"]))
        .guest(zoo("second", &["t/b"]))
        .start()
        .await
        .unwrap();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let origin = Origin::host()
        .with_identity(Identity::new("7", "5").unwrap())
        .with_trace(Trace::new(traceparent, Some("vendor=opaque")).unwrap());
    let ask = |command: &'static str| {
        let (bus, origin) = (harness.bus().clone(), origin.clone());
        async move {
            let reply = bus.request_as(&origin, "t/a", Outgoing::text(command), None).await.unwrap();
            String::from_utf8(reply.payload.to_vec()).unwrap()
        }
    };
    let first = context_of(ask("context").await.as_bytes()).await;
    let answer = ask("request t/b 1000 context").await;
    let second = context_of(answer.strip_prefix("reply ").expect(&answer).as_bytes()).await;
    for (seen, sender) in [(&first, "host"), (&second, "first")] {
        assert_eq!(
            (&seen["sender"], &seen["identity"]),
            (&json!(sender), &json!({"tenant": "7", "principal": "5"}))
        );
        let trace_id = seen["traceparent"].as_str().unwrap().split('-').nth(1);
        assert_eq!(trace_id, Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{seen}");
        assert_eq!(seen["tracestate"], "vendor=opaque");
    }
    harness.settled().await;
}
