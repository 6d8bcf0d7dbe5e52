//! H32, H34, H35, H44: names that a guest chooses, and what it claims to be.

use std::collections::BTreeSet;

use sandbus::RuntimeSettings;
use sandbus::bus::{DropReason, FailureKind, Outgoing, RejectReason, RequestError, Value};

use crate::neighbourhood::{HOSTILE, Neighbourhood};
use crate::support::{Asking, Granting, harness, parallel, runtime, serial, zoo, zoo_that};

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h32_a_guest_cannot_say_who_sent_a_message_on_whose_behalf_or_in_which_trace() {
    // Those parts are the host's alone; values of the same names are values.
    let others = harness().destination(serial("t/sink"));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/sink".parse().unwrap()];
    })
    .await;
    here.harness.note("t/sink").unwrap();
    let lies = "sender=host tenant=7 principal=root hop-count=0 attempt=9 id=1 \
                traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 tracestate=x=y";
    here.answer(&format!("send-values t/sink {lies}")).await;
    here.harness.idle().await.unwrap();
    let received = here.harness.received().remove(0);
    let context = received.message().context();
    assert_eq!((&*context.sender, context.hop_count, &context.identity), ("hostile", 1, &None));
    assert!(context.trace.as_ref().is_none_or(|trace| !trace.traceparent().contains("0af7651916cd43dd")));
    assert_eq!(received.attempt(), 1);
    assert_eq!(received.values().get("sender"), Some(&Value::from("host")));
    here.end().await;
}

/// Names that the grammar does not allow, or that are reserved.
const NAMES: [&str; 18] = [
    "",
    " ",
    "a b",
    "t/*",
    "t/>",
    "t/**",
    "$JS.API.x",
    "../x",
    "t/../x",
    "t/./x",
    "t//b",
    "/t",
    "t/",
    "/etc/passwd",
    "t/\u{0}",
    "t/x\n",
    "t/\u{430}",
    "t/\u{202e}x",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h34_no_name_that_the_grammar_does_not_allow_gets_anywhere() {
    // Whatever a guest does with it ends in an error; the guest here is granted everything there is.
    let state = tempfile::tempdir().unwrap();
    let settings = RuntimeSettings { state_dir: state.path().join("a/state"), ..runtime() };
    let others = harness().runtime(settings).destination(serial("t/sink")).guest(zoo_that(
        "noop",
        "sink",
        &["t/sink"],
    ));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["**".parse().unwrap()];
        hostile.grants.listen = vec!["**".parse().unwrap()];
        hostile.grants.create = vec![String::new()];
    })
    .await;
    let before = here.harness.bus().destinations();
    let long = "x".repeat(256);
    for name in NAMES.into_iter().chain([&*long, "sandbus/x", "sandbus/events"]) {
        let answer = here.answer(&format!("name {}", hex(name))).await;
        for line in answer.lines() {
            let (act, came) = line.split_once(": ").unwrap();
            // To stop what never began changes nothing. Where a name is reserved, answers may be asked for, listeners may
            // register where they are granted to, and figures be looked at; nothing is made there.
            let reserved = name.starts_with("sandbus/") && ["respond", "listen", "statistics"].contains(&act);
            let harmless = act == "stop-listening" || reserved;
            assert!(harmless || came.starts_with("error "), "{name:?}: {line}");
        }
        assert_eq!(here.harness.bus().destinations(), before, "{name:?}");
    }
    // The success beside the refusal, and no name was a path.
    let legal = here.answer(&format!("name {}", hex("T/x-1_2.3"))).await;
    assert!(legal.contains("create: ok"), "{legal}");
    let (ends, entries) = (here.end().await, std::fs::read_dir(state.path()).unwrap().count());
    assert!(ends.dead_letters_of_removed <= 1 && entries <= 1, "{entries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h35_a_guest_settles_its_own_delivery_and_that_once() {
    // There is no call that settles: an outcome is what `receive` returns, for the one message in hand.
    let others = harness()
        .destination(parallel("t/both"))
        .guest(zoo("rude", &["t/both"]).may_send(&["t/both"]))
        .guest(zoo_that("note", "polite", &["t/both"]));
    let here = Neighbourhood::among(others, |_| {}).await;
    for command in ["refuse all of it", "panic at it", "noop"] {
        here.harness.tell("t/both", command).await;
    }
    assert_eq!(here.harness.answer("t/both", "answer-twice once").await, "once");
    here.harness.idle().await.unwrap();
    let of = here.harness.figures("t/both");
    let calls: Vec<_> = of.listeners.iter().map(|each| (each.name.as_str(), each.calls, each.done)).collect();
    assert_eq!(calls, [("rude", 4, 2), ("polite", 4, 4)]);
    let letters = here.harness.dead_letters("t/both");
    assert!(letters.iter().all(|letter| letter.listener.as_deref() == Some("rude")), "{letters:?}");
    assert_eq!((of.owed, of.completed, letters.len()), (8, 6, 2));
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h44_no_name_that_a_guest_chooses_becomes_a_name_in_the_figures() {
    // A label that a guest makes up would be one more series for each message.
    let others = harness().destination(serial("t/sink")).guest(zoo_that("noop", "sink", &["t/sink"]));
    let here = Neighbourhood::among(others, |hostile| {
        hostile.grants.send = vec!["t/**".parse().unwrap()];
    })
    .await;
    for number in 0..20 {
        here.answer(&format!("send t/made-up-{number} x")).await;
        here.answer(&format!("send-respond t/sink t/made-up-{number} id-{number} x")).await;
        here.answer(&format!("send-values t/sink made-up-{number}=1")).await;
        let refused = here.ask(&format!("refuse made-up-{number}")).await;
        assert!(matches!(refused, Err(RequestError::ListenerRefused(_))));
    }
    here.harness.send("t/sink", Outgoing::typed("x", "text/made-up")).await.unwrap();
    here.harness.idle().await.unwrap();
    let kinds = FailureKind::ALL.iter().map(|kind| kind.name());
    let reasons: BTreeSet<&str> = kinds
        .chain(DropReason::ALL.iter().map(|reason| reason.name()))
        .chain(RejectReason::ALL.iter().map(|reason| reason.name()))
        .collect();
    for of in here.harness.bus().all_statistics() {
        let mut labels: Vec<&str> = vec![&of.name];
        labels.extend(of.listeners.iter().map(|each| each.name.as_str()));
        assert!(labels.iter().all(|label| !label.contains("made-up")), "{labels:?}");
        let keys = of.failed.keys().chain(of.dropped.keys()).chain(of.rejected.keys());
        assert!(keys.into_iter().all(|key| reasons.contains(key)), "{of:?}");
    }
    assert_eq!(here.harness.figures(HOSTILE).failed["refused"], 20);
    here.end().await;
}
