//! Components that were written for other messaging interfaces: each as listener and sender, beside native guests, with the
//! rights and the bounds that a native guest has.

use std::time::Duration;

use sandbus::bus::{Cause, Outgoing, RequestError};
use sandbus::harness::Harness;
use sandbus::{GuestSettings, MessagingInterface, RuntimeSettings};

use crate::support::{
    Asking, Granting, beside_a_neighbour, engine, guest, harness, runtime, sdk_guest, serial, zoo, zoo_that,
};

/// The crates of the guests that can be told what to do, with the interface that each is recognised by.
const ALL: [(&str, MessagingInterface); 3] = [
    ("foreign_wasmcloud", MessagingInterface::Wasmcloud),
    ("foreign_wasi_messaging", MessagingInterface::WasiMessaging),
    ("foreign_spin", MessagingInterface::Spin),
];
/// Those that can be asked for an answer.
const ANSWERING: [&str; 2] = ["foreign_wasmcloud", "foreign_wasi_messaging"];

async fn started(settings: GuestSettings) -> Harness {
    let mut builder =
        beside_a_neighbour().guest(settings).guest(zoo("native", &["t/native"]).may_send(&["t/*"]));
    for name in ["t/a", "t/native", "t/x", "t/answers"] {
        builder = builder.destination(serial(name));
    }
    let harness = builder.start().await.unwrap();
    harness.note("t/x").unwrap();
    harness.note("t/answers").unwrap();
    harness
}

/// What a guest answers to a command. One that cannot be asked sends its answer to `t/answers`.
async fn told(harness: &Harness, crate_name: &str, command: &str) -> String {
    if ANSWERING.contains(&crate_name) {
        return harness.answer("t/a", command).await;
    }
    let before = harness.received().len();
    harness.tell("t/a", command).await;
    harness.idle().await.unwrap();
    let received = harness.received();
    let answers: Vec<_> = received[before..]
        .iter()
        .filter(|delivery| delivery.destination().as_str() == "t/answers")
        .filter_map(|delivery| delivery.text().map(str::to_owned))
        .collect();
    assert_eq!(answers.len(), 1, "{command}: {answers:?}, {:?}", harness.dead_letters("t/a"));
    answers[0].clone()
}

fn from_x(harness: &Harness) -> Vec<sandbus::bus::Delivery> {
    harness.received().into_iter().filter(|delivery| delivery.destination().as_str() == "t/x").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_of_each_interface_is_recognised_by_what_it_exports() {
    // No manifest says what a component was written for.
    for (crate_name, interface) in ALL {
        let loaded = engine().load(&guest(crate_name, "a", &[]).path).unwrap();
        assert_eq!(loaded.messaging_interface(), Some(interface), "{crate_name}");
        assert!(loaded.passed_over.is_empty());
    }
    let native = engine().load(&zoo("a", &[]).path).unwrap();
    assert_eq!(native.messaging_interface(), Some(MessagingInterface::Sandbus));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_interfaces_the_first_in_order_is_called_and_types_alone_suffice() {
    // It imports nothing to send with; the binder must not ask for it.
    let settings = guest("foreign_types_alone", "guest", &["t/a"]);
    let loaded = engine().load(&settings.path).unwrap();
    assert_eq!(loaded.messaging_interface(), Some(MessagingInterface::Wasmcloud));
    assert_eq!(loaded.passed_over, ["fermyon:spin/inbound-redis"]);
    let harness = started(settings).await;
    harness.tell("t/a", "hello").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("guest"), ["wasmcloud hello"]);
    harness.settled().await;
}

#[test]
fn a_known_name_with_another_shape_does_not_load_and_the_difference_is_named() {
    // Several shapes carry the same version: what does not fit is told before anything of it runs.
    let error =
        engine().load(&guest("foreign_shape", "a", &[]).path).err().expect("another form of the draft");
    let text = error.to_string();
    assert!(text.contains("wasi:messaging/incoming-handler@0.2.0-draft#handle"), "{text}");
    assert!(text.contains("list"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_sender_is_answered_without_a_grant_of_the_listener() {
    // A request reaches it with an opaque address for the answer, which is a right of this one call.
    for crate_name in ANSWERING {
        let harness = started(guest(crate_name, "foreign", &["t/a"])).await;
        assert_eq!(harness.answer("t/a", "echo hello").await, "hello");
        assert_eq!(harness.answer("t/native", "request t/a 1000 echo hello").await, "reply hello");
        let of = harness.figures("t/a");
        assert_eq!((of.completed, of.failed_total()), (2, 0), "{crate_name}");
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_envelope_is_told_in_the_words_of_each_interface() {
    // Destination, payload, media type and text values; other values have no place there.
    let harness = started(guest("foreign_wasmcloud", "foreign", &["t/a"])).await;
    let described = harness.answer("t/a", "describe").await;
    assert!(described.starts_with("subject t/a reply-to sandbus-reply:"), "{described}");
    assert!(!described.contains("default-response"), "{described}");
    harness.settled().await;
    let harness = started(guest("foreign_wasi_messaging", "foreign", &["t/a"])).await;
    let message = Outgoing::typed("describe", "text/x-command")
        .value("color", "red")
        .and_then(|message| message.value("count", 3))
        .unwrap();
    let reply = harness.request("t/a", message).await.unwrap();
    assert_eq!(reply.payload, "topic t/a content-type text/x-command metadata color=red");
    let changed = harness.answer("t/a", "change").await;
    assert_eq!(changed, "changed topic t/a content-type text/x-changed metadata b=2");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_handler_is_refused_and_not_tried_again() {
    // `err` is an answer about this message, not a fault.
    for (crate_name, _) in ALL {
        let harness = started(guest(crate_name, "foreign", &["t/a"])).await;
        let refused = harness.ask("t/a", "refuse no stock").await;
        let text = if crate_name == "foreign_spin" { "the guest answered `error`" } else { "no stock" };
        assert_eq!(refused, Err(RequestError::ListenerRefused(text.into())), "{crate_name}");
        let letter = harness.letter("t/a");
        assert_eq!((letter.reason.name(), letter.attempts, letter.last_error.as_str()), ("refused", 1, text));
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_is_a_trap_and_the_next_message_has_a_new_instance() {
    // The fault names the panic and its place, as for a native guest.
    for (crate_name, _) in ALL {
        let harness = started(guest(crate_name, "foreign", &["t/a"])).await;
        let Err(RequestError::ListenerFaulted(fault)) = harness.ask("t/a", "panic boom").await else {
            panic!("{crate_name} did not fault");
        };
        assert_eq!(fault.cause, Cause::Trap);
        assert!(
            fault.text.as_str().contains("boom") && fault.text.as_str().contains("commands.rs"),
            "{fault:?}"
        );
        harness.tell("t/a", "noop").await;
        harness.idle().await.unwrap();
        assert_eq!((harness.figures("t/a").completed, harness.letter("t/a").reason.name()), (1, "trap"));
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_sends_is_granted_named_and_counted_as_a_native_send() {
    // Sender and hop are the host's to say; nobody is told apart by the interface that it was written for.
    for (crate_name, _) in ALL {
        let settings = guest(crate_name, "foreign", &["t/a"]).may_send(&["t/x", "t/answers"]);
        let harness = started(settings).await;
        assert_eq!(told(&harness, crate_name, "publish t/x hello").await, "sent", "{crate_name}");
        harness.idle().await.unwrap();
        let received = from_x(&harness);
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].text(), Some("hello"));
        let context = received[0].message().context();
        assert_eq!((&*context.sender, context.hop_count), ("foreign", 1));
        if crate_name == "foreign_wasi_messaging" {
            assert_eq!(received[0].content_type(), Some("text/plain"));
            assert_eq!(received[0].values().get("by"), Some(&"wasi".into()));
        }
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h30_a_send_without_a_grant_is_denied_in_the_form_of_each_interface_and_tells_nothing() {
    // Whether the destination exists is not to be found out.
    for (crate_name, _) in ALL {
        let harness = started(guest(crate_name, "foreign", &["t/a"]).may_send(&["t/answers"])).await;
        let there = told(&harness, crate_name, "publish t/x hello").await;
        assert_eq!(there, told(&harness, crate_name, "publish t/nowhere hello").await);
        let form = match crate_name {
            "foreign_wasmcloud" => "error denied: not in `grants.send`",
            "foreign_wasi_messaging" => "error permission-denied: denied: not in `grants.send`",
            _ => "error ",
        };
        assert!(there.starts_with(form), "{crate_name}: {there}");
        if crate_name == "foreign_spin" {
            let there = told(&harness, crate_name, "connection t/x hello").await;
            assert!(there.contains("denied: not in `grants.send`"), "{there}");
            assert_eq!(there, told(&harness, crate_name, "connection t/nowhere hello").await);
        } else {
            assert_eq!(harness.answer("t/a", "request t/native 100 echo x").await, form);
        }
        harness.idle().await.unwrap();
        assert!(from_x(&harness).is_empty());
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_asks_a_native_guest_and_each_end_of_a_request_has_its_form() {
    // A default synchronous send: a reply, nothing to say, a refusal, a fault.
    for crate_name in ANSWERING {
        let harness = started(guest(crate_name, "foreign", &["t/a"]).may_send(&["t/*"])).await;
        let ask =
            async |command: &str| harness.answer("t/a", &format!("request t/native 1000 {command}")).await;
        let reply = ask("echo hi").await;
        let wanted =
            if crate_name == "foreign_wasmcloud" { "reply hi from t/native" } else { "reply hi topic none" };
        assert!(reply.starts_with(wanted), "{reply}");
        assert!(ask("refuse never").await.contains("never"));
        assert!(ask("panic ouch").await.contains("ouch"));
        assert!(ask("noop").await.starts_with("error "));
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_timeout_has_that_of_the_destination() {
    // Waiting without a bound is not to be had; nothing is no bound, and not an end at once.
    for crate_name in ANSWERING {
        let mut slow = serial("t/slow");
        slow.request_timeout = Duration::from_secs(30);
        let mut short = serial("t/short");
        short.request_timeout = Duration::from_millis(50);
        short.paused = true;
        let harness = harness()
            .destination(serial("t/a"))
            .destination(slow)
            .destination(short)
            .guest(guest(crate_name, "foreign", &["t/a"]).may_send(&["t/*"]))
            .guest(zoo_that("sleep 100", "slow", &["t/slow"]))
            .guest(zoo_that("noop", "paused", &["t/short"]))
            .start()
            .await
            .unwrap();
        assert!(harness.answer("t/a", "request t/slow 0 x").await.starts_with("reply slept"));
        let late = harness.answer("t/a", "request t/short 0 x").await;
        let wanted = if crate_name == "foreign_wasmcloud" { "50 ms" } else { "error timeout" };
        assert!(late.starts_with("error ") && late.contains(wanted), "{late}");
        harness.bus().resume("t/short").unwrap();
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_reply_cannot_be_expected() {
    // A request has one answer here; asking for more is told and not cut down in silence.
    let settings = guest("foreign_wasi_messaging", "foreign", &["t/a"]).may_send(&["t/*"]);
    let harness = started(settings).await;
    let answer = harness.answer("t/a", "expect-two").await;
    assert_eq!(answer, "error other: a request has one reply here; `expected-replies` is 2");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h28_a_forged_or_kept_reply_address_answers_nothing() {
    // The right to answer is that of the message in hand: neither its form nor an older address gives it.
    let harness = started(guest("foreign_wasmcloud", "foreign", &["t/a"])).await;
    // The forms of an answer to `deadbeef` at the built-in destination, and of one to `id` at `t/x`.
    for forged in ["c2FuZGJ1cy9kZWZhdWx0LXJlc3BvbnNlAGRlYWRiZWVm", "dC94AGlk"] {
        let answer = harness.answer("t/a", &format!("publish sandbus-reply:{forged} forged")).await;
        assert_eq!(answer, "error denied: not in `grants.send`", "{forged}");
    }
    let nonsense = harness.answer("t/a", "publish sandbus-reply:!!! forged").await;
    assert!(nonsense.contains("not a reply address"), "{nonsense}");
    harness.settled().await;
    for crate_name in ANSWERING {
        let harness = started(guest(crate_name, "foreign", &["t/a"])).await;
        assert_eq!(harness.ask("t/a", "keep").await, Err(RequestError::NoReply), "{crate_name}");
        let answer = harness.answer("t/a", "answer-kept").await;
        assert!(answer.contains("denied: not in `grants.send`"), "{crate_name}: {answer}");
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_address_is_a_response_destination_of_what_it_sends() {
    // Whoever it names as the one to be answered must be one that it may send to.
    let harness =
        started(guest("foreign_wasmcloud", "foreign", &["t/a"]).may_send(&["t/native", "t/x"])).await;
    assert_eq!(harness.answer("t/a", "publish-as t/native t/x echo answered").await, "sent");
    let denied = harness.answer("t/a", "publish-as t/native t/answers echo answered").await;
    assert_eq!(denied, "error denied: not in `grants.send`");
    harness.idle().await.unwrap();
    let received = from_x(&harness);
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].text(), &*received[0].message().context().sender), (Some("answered"), "native"));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_5_sends_and_bytes_of_a_call_are_bounded_and_the_call_goes_on() {
    // An answer that is sent is a send: with no send left there is none.
    for crate_name in ANSWERING {
        let mut settings = guest(crate_name, "foreign", &["t/a"]).may_send(&["t/x"]);
        settings.limits.sends_max = 4;
        settings.limits.send_bytes_max = 1_000;
        let harness = started(settings).await;
        assert_eq!(harness.answer("t/a", "publish-many t/x 3").await, "3 sent");
        let too_large = harness.answer("t/a", "publish-big t/x 1001").await;
        assert!(too_large.contains("1000 bytes (`limits.send-bytes`)"), "{too_large}");
        match harness.ask("t/a", "publish-many t/x 9").await {
            Err(RequestError::ListenerRefused(text)) => {
                assert!(text.as_str().contains("4 messages (`limits.sends`)"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        harness.idle().await.unwrap();
        assert_eq!(from_x(&harness).len(), 3 + 4);
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_for_its_destination_is_told_with_both_numbers() {
    // The size is looked at where it is sent, whoever sends.
    let mut small = serial("t/small");
    small.message_bytes_max = 500;
    for crate_name in ANSWERING {
        let harness = harness()
            .destination(serial("t/a"))
            .destination(small.clone())
            .guest(guest(crate_name, "foreign", &["t/a"]).may_send(&["t/small"]))
            .start()
            .await
            .unwrap();
        harness.note("t/small").unwrap();
        let answer = harness.answer("t/a", "publish-big t/small 600").await;
        assert!(answer.starts_with("error ") && answer.contains("500"), "{answer}");
        assert_eq!(harness.figures("t/small").accepted, 0);
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_host_holds_as_messages_is_bounded() {
    // A message there is memory of the host, which no limit of the store counts: beyond the bound it is a trap.
    let mut settings = guest("foreign_wasi_messaging", "foreign", &["t/a"]);
    settings.limits.fuel = 1_000_000_000;
    let harness = started(settings).await;
    for command in ["hoard", "hoard-metadata"] {
        let Err(RequestError::ListenerFaulted(fault)) = harness.ask("t/a", command).await else {
            panic!("`{command}` must not go on for ever");
        };
        assert_eq!(fault.cause, Cause::Trap);
        assert!(fault.text.as_str().contains("`limits.host-memory`"), "{fault:?}");
    }
    assert_eq!(harness.answer("t/a", "echo next").await, "next");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spin_s_redis_publishes_over_the_bus_and_does_nothing_else() {
    // Both forms, the one with connections and the older one; there is no Redis anywhere.
    let mut settings = guest("foreign_spin", "foreign", &["t/a"]).may_send(&["t/x", "t/answers"]);
    settings.config.insert("level".to_owned(), "info".to_owned());
    let harness = started(settings).await;
    assert_eq!(told(&harness, "foreign_spin", "connection t/x over a connection").await, "sent");
    assert_eq!(from_x(&harness)[0].text(), Some("over a connection"));
    assert_eq!(told(&harness, "foreign_spin", "no-redis").await, "8 and 8 refused");
    assert_eq!(told(&harness, "foreign_spin", "variable level").await, "info");
    assert!(told(&harness, "foreign_spin", "variable other").await.contains("`config` has no `other`"));
    assert_eq!(harness.ask("t/a", "noop").await, Err(RequestError::NoReply));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_name_is_taken_and_means_nothing() {
    // Both forms; no handle is left behind, however often it is said.
    let harness = started(guest("foreign_wasmcloud", "foreign", &["t/a"])).await;
    for _ in 0..600 {
        assert_eq!(harness.answer("t/a", "link").await, "linked");
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hop_1_a_loop_over_another_interface_ends_by_itself() {
    // Each message that causes one counts, whatever interface it goes through.
    let runtime = RuntimeSettings { hops_max: 4, ..runtime() };
    let harness = sandbus::harness::Harness::builder()
        .engine(engine())
        .runtime(runtime)
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(zoo_that("forward t/a", "native", &["t/b"]).may_send(&["t/a"]))
        .guest(guest("foreign_wasmcloud", "foreign", &["t/a"]).may_send(&["t/b"]))
        .start()
        .await
        .unwrap();
    harness.tell("t/a", "forward t/b").await;
    harness.idle().await.unwrap();
    let letters = [harness.dead_letters("t/a"), harness.dead_letters("t/b")].concat();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].last_error.as_str().contains("hop"), "{:?}", letters[0]);
    assert_eq!(harness.figures("t/a").accepted + harness.figures("t/b").accepted, 5);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_written_with_wasmclouds_sdk_runs_unmodified() {
    // The SDK is the publisher's reading of the interface; ours must be the same.
    let mut settings = sdk_guest("sdk_wasmcloud", "sdk", &["t/a"]);
    settings.config.insert("greeting".to_owned(), "hello".to_owned());
    let harness = started(settings).await;
    assert_eq!(harness.answer("t/a", "world").await, "hello world 1");
    assert_eq!(harness.answer("t/native", "request t/a 1000 world").await, "reply hello world 2");
    harness.tell("t/a", "x").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.letter("t/a").last_error.as_str(), "nobody asked");
    let lines = harness.lines_of("sdk");
    assert!(lines[0].ends_with("received 5 bytes at t/a") && lines[1].ends_with("number 1"), "{lines:?}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_is_written_with_spins_sdk_runs_unmodified() {
    // Receive, transform, publish: the whole of such an application, and no Redis.
    let mut settings = sdk_guest("sdk_spin", "sdk", &["t/a"]).may_send(&["t/x"]);
    settings.config.insert("channel".to_owned(), "t/x".to_owned());
    let harness = started(settings).await;
    harness.tell("t/a", "hello").await;
    harness.idle().await.unwrap();
    assert_eq!(from_x(&harness)[0].text(), Some("HELLO"));
    assert_eq!(harness.lines_of("sdk")[0], "received hello");
    harness.send("t/a", Outgoing::bytes(vec![0xff])).await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.letter("t/a").reason.name(), "refused");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_answer_under_one_address_comes_too_late_and_is_counted() {
    // The draft allows several; here a request has one, and the guest that sends two is not at fault.
    for crate_name in ANSWERING {
        let harness = started(guest(crate_name, "foreign", &["t/a"])).await;
        assert_eq!(harness.answer("t/a", "echo-twice once").await, "once");
        harness.idle().await.unwrap();
        assert_eq!((harness.figures("t/a").completed, harness.figures("t/a").failed_total()), (1, 0));
        assert_eq!(harness.dead_letters("t/a").len(), 0);
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_address_that_is_handed_on_lets_another_guest_answer() {
    // The right to answer goes with the message that names it, and only where the first guest may send.
    let harness = harness()
        .destination(serial("t/a"))
        .destination(serial("t/next"))
        .guest(guest("foreign_wasmcloud", "first", &["t/a"]).may_send(&["t/next"]))
        .guest(zoo("second", &["t/next"]))
        .start()
        .await
        .unwrap();
    assert_eq!(harness.answer("t/a", "pass-on").await, "by another");
    harness.settled().await;
}
