//! CTX, HOP and PROF: what only the host says about a message, loops, and the old defaults.

use crate::support::*;

/// A listener that notes sender, hop count and attempt and sends the message on.
fn forwarding(listener: &str, to: &'static str, bus: &Bus, notes: &Notes) -> NativeListener {
    let (bus, notes) = (bus.clone(), notes.clone());
    listener_fn(listener, move |delivery| {
        let (bus, notes) = (bus.clone(), notes.clone());
        async move {
            let context = delivery.message().context();
            notes.add(format!("{} {} {}", context.sender, context.hop_count, delivery.attempt()));
            let on = text(delivery.text().unwrap());
            match bus.send_as(&delivery.origin(), to, on).await {
                Ok(_) => Outcome::done(),
                Err(error) => Outcome::refused(error.name()),
            }
        }
    })
}

fn identity() -> Identity {
    Identity::new("7", "5").unwrap()
}

fn trace() -> Trace {
    Trace::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("a=1")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn ctx_1_4_identity_and_trace_are_read_by_the_listener_and_carried_on() {
    // Whoever handles the second message must know on whose behalf, and in which trace.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/a")).unwrap();
    bus.create(serial("t/b")).unwrap();
    bus.register("t/a", forwarding("a", "t/b", &bus, &notes)).unwrap();
    let end = ending("b", &notes, |delivery| {
        let context = delivery.message().context();
        assert_eq!(context.identity.as_deref(), Some(&identity()));
        assert_eq!(context.trace.as_deref(), Some(&trace()));
        Outcome::done()
    });
    bus.register("t/b", end).unwrap();
    let origin = Origin::host().with_identity(identity()).with_trace(trace());
    bus.send_as(&origin, "t/a", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.len(), figures(&bus, "t/b").failed_total()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn ctx_2_values_that_look_like_context_are_ordinary_values() {
    // No impersonation by values.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    let listener = ending("l", &notes, |delivery| {
        let context = delivery.message().context();
        assert_eq!((&*context.sender, context.hop_count), ("guest", 0));
        assert!(context.identity.is_none());
        assert_eq!(delivery.values().text("sender"), Ok(Some("host")));
        Outcome::done()
    });
    bus.register("t/s", listener).unwrap();
    let message = text("m").value("sender", "host").unwrap().value("tenant", "7").unwrap();
    let message = message.value("hop-count", 99).unwrap();
    bus.send_as(&Origin::named("guest"), "t/s", message).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.len(), figures(&bus, "t/s").failed_total()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn ctx_3_the_first_sender_is_the_host_and_the_second_the_listener_one_hop_further() {
    // Each message names who sent it, not who began.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/a")).unwrap();
    bus.create(serial("t/b")).unwrap();
    bus.register("t/a", forwarding("first", "t/b", &bus, &notes)).unwrap();
    bus.register("t/b", forwarding("second", "t/unknown", &bus, &notes)).unwrap();
    bus.send("t/a", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["host 0 1", "first 1 1"]);
}

#[tokio::test(start_paused = true)]
async fn ctx_5_a_message_without_identity_causes_messages_without_one() {
    // Nothing of the message before may stay with a worker.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/a")).unwrap();
    bus.create(serial("t/b")).unwrap();
    bus.register("t/a", forwarding("a", "t/b", &bus, &Notes::default())).unwrap();
    let seen = notes.clone();
    bus.register(
        "t/b",
        listener_fn("b", move |delivery| {
            seen.add(format!(
                "{:?}",
                delivery.message().context().identity.as_ref().map(|known| known.tenant().to_owned())
            ));
            async { Outcome::done() }
        }),
    )
    .unwrap();
    bus.send_as(&Origin::host().with_identity(identity()), "t/a", text("1")).await.unwrap();
    bus.send("t/a", text("2")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["Some(\"7\")", "None"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_carries_the_identity_the_trace_and_one_hop_more() {
    // The host sends it, and it is caused by the message all the same.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(serial("t/back")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    let back = ending("back", &notes, |delivery| {
        let (message, context) = (delivery.message(), delivery.message().context());
        assert_eq!((context.hop_count, message.response_id()), (1, Some("mine")));
        assert_eq!(context.identity.as_deref(), Some(&identity()));
        assert_eq!(context.trace.as_deref(), Some(&trace()));
        Outcome::done()
    });
    bus.register("t/back", back).unwrap();
    let origin = Origin::host().with_identity(identity()).with_trace(trace());
    let message = text("m").response_destination(name("t/back")).response_id("mine");
    bus.send_as(&origin, "t/s", message).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.all(), figures(&bus, "t/back").failed_total()), (vec!["back:m".to_owned()], 0));
}

#[test]
fn ctx_4_a_trace_that_w3c_does_not_allow_is_an_error_and_not_carried_on() {
    // What a listener passes to another system must not be refused there.
    let (trace_id, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let good = format!("00-{trace_id}-{parent}-01");
    for traceparent in [&good, &format!("01-{trace_id}-{parent}-00"), &format!("cc-{trace_id}-{parent}-00-x")]
    {
        let trace = Trace::new(traceparent, None).unwrap();
        assert_eq!((trace.traceparent(), trace.trace_id()), (traceparent.as_str(), trace_id));
    }
    let bad = [
        String::new(),
        "not a trace".to_owned(),
        format!("00-{trace_id}-{parent}"),
        format!("ff-{trace_id}-{parent}-01"),
        format!("00-{trace_id}-{parent}-01-more"),
        format!("00-{}-{parent}-01", trace_id.to_uppercase()),
        format!("00-{}-{parent}-01", "0".repeat(32)),
        format!("00-{trace_id}-{}-01", "0".repeat(16)),
        format!("00-{trace_id}-{parent}-0g"),
        format!("01-{trace_id}-{parent}-01-a\nb"),
        format!("01-{trace_id}-{parent}-01-{}", "x".repeat(128)),
        format!("{good} "),
        good.replace('4', "é"),
    ];
    for traceparent in bad {
        let error = Trace::new(&traceparent, None).unwrap_err();
        assert_eq!(error.part, "traceparent", "{error}");
    }
    let state = |state: &str| Trace::new(&good, Some(state));
    for allowed in ["a=1", "a=1,,b@c= 2x", " a=1 ,\tb=2", &format!("a={}", "x".repeat(510))] {
        assert_eq!(state(allowed).unwrap().tracestate(), Some(allowed));
    }
    assert_eq!(state("").unwrap().tracestate(), None);
    let many = (0..33).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
    for refused in ["a", "A=1", "=1", "a=", "a=1=2", "a=\u{e9}", "a=1\nb=2", &many, &"x=1,".repeat(129)] {
        assert_eq!(state(refused).unwrap_err().part, "tracestate", "{refused:?}");
    }
}

#[test]
fn ctx_1_an_identity_is_two_short_names() {
    // It travels with every message that a message causes, and stands in logs.
    let longest = "x".repeat(255);
    assert_eq!(Identity::new(&longest, "5").unwrap().tenant(), longest);
    for (tenant, principal, part) in [
        ("", "5", "tenant"),
        ("7", "", "principal"),
        ("7\n", "5", "tenant"),
        ("7", &"x".repeat(256), "principal"),
    ] {
        let error = Identity::new(tenant, principal).unwrap_err();
        assert_eq!(error.part, part, "{error}");
        assert!(error.to_string().len() < 256, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn ctx_1_4_a_retried_message_keeps_all_that_is_said_about_it() {
    // A second attempt is the same message: the trace must not break where something failed.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| config.retry = retries(3, ms(10)))).unwrap();
    let contexts = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&contexts);
    let failing = ending("l", &notes, move |delivery| {
        seen.lock().unwrap().push((delivery.attempt(), delivery.message().context().clone()));
        Outcome::retry("later")
    });
    bus.register("t/p", failing).unwrap();
    let origin = Origin::named("shop").with_identity(identity()).with_trace(trace());
    bus.send_as(&origin, "t/p", text("m")).await.unwrap();
    settled(&bus).await;
    let contexts = contexts.lock().unwrap();
    assert_eq!(contexts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    let (_, first) = &contexts[0];
    assert_eq!((&*first.sender, first.hop_count), ("shop", 0));
    assert_eq!(first.identity.as_deref(), Some(&identity()));
    assert_eq!(first.trace.as_deref(), Some(&trace()));
    assert!(contexts.iter().all(|(_, context)| context == first));
    assert_eq!(bus.dead_letters("t/p")[0].message.context(), first);
}

#[tokio::test(start_paused = true)]
async fn ctx_1_4_a_redriven_message_keeps_its_context_where_it_came_from_and_elsewhere() {
    // The operator who redrives it does not become its sender, and it is no hop further.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(serial("t/elsewhere")).unwrap();
    let contexts = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for destination in ["t/s", "t/elsewhere"] {
        let seen = std::sync::Arc::clone(&contexts);
        let refusing = ending("l", &notes, move |delivery| {
            seen.lock().unwrap().push(delivery.message().context().clone());
            Outcome::refused("no")
        });
        bus.register(destination, refusing).unwrap();
    }
    let origin = Origin::named("shop").with_identity(identity()).with_trace(trace());
    bus.send_as(&origin, "t/s", text("m")).await.unwrap();
    settled(&bus).await;
    for to in [None, Some(name("t/elsewhere"))] {
        let options = RedriveOptions { to, ..RedriveOptions::default() };
        let redriven = bus.redrive(Some("t/s"), &DeadLetterFilter::default(), options).await.unwrap();
        assert_eq!(redriven.redriven, 1, "{redriven:?}");
        settled(&bus).await;
    }
    let contexts = contexts.lock().unwrap();
    assert_eq!((contexts.len(), bus.dead_letters("t/elsewhere").len()), (3, 1));
    assert_eq!((&*contexts[0].sender, contexts[0].hop_count), ("shop", 0));
    assert_eq!(contexts[0].identity.as_deref(), Some(&identity()));
    assert_eq!(contexts[0].trace.as_deref(), Some(&trace()));
    assert!(contexts.iter().all(|context| *context == contexts[0]));
}

#[tokio::test(start_paused = true)]
async fn hop_1_2_a_loop_ends_by_itself_and_the_next_message_starts_at_zero() {
    // 16 hops are allowed: 17 messages in all, and the 18th is refused to its sender.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/a")).unwrap();
    bus.create(serial("t/b")).unwrap();
    bus.register("t/a", forwarding("a", "t/b", &bus, &notes)).unwrap();
    bus.register("t/b", forwarding("b", "t/a", &bus, &notes)).unwrap();
    for _ in 0..2 {
        bus.send("t/a", text("m")).await.unwrap();
        settled(&bus).await;
    }
    assert_eq!((notes.len(), notes.count("host 0 1")), (34, 2));
    let letters = [bus.dead_letters("t/a"), bus.dead_letters("t/b")].concat();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.last_error.as_str() == "hops-exceeded"));
}

#[tokio::test(start_paused = true)]
async fn hop_1_a_loop_over_a_synchronous_destination_ends_too() {
    // Here each hop is a frame on the sender's task, so that a loop without end would be worse than slow.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", forwarding("l", "t/y", &bus, &notes)).unwrap();
    bus.send("t/y", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.len(), bus.dead_letters("t/y").len()), (17, 1));
}

#[tokio::test(start_paused = true)]
async fn prof_1_the_old_defaults_drop_what_liferay_dropped_and_count_it() {
    // Three settings give Liferay's behaviour back, except that each drop is counted.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/s"), |config| {
        config.on_no_listener = OnNoListener::Discard;
        config.rejected_execution = RejectedExecution::Discard;
        config.retry.attempts_max = 1;
        config.queue_entries_max = 1;
    }))
    .unwrap();
    bus.send("t/s", text("nobody")).await.unwrap();
    let (seen, at) = (notes.clone(), gate.clone());
    bus.register(
        "t/s",
        listener_fn("l", move |delivery| {
            let (seen, at) = (seen.clone(), at.clone());
            async move {
                seen.add(note_of(&delivery));
                at.pass().await;
                Outcome::retry("later")
            }
        }),
    )
    .unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    eventually(|| notes.len() == 1).await;
    bus.send("t/s", text("2")).await.unwrap();
    bus.send("t/s", text("3")).await.unwrap();
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:1", "l:2"]);
    let then = figures(&bus, "t/s");
    assert_eq!((then.dropped["no-listener"], then.dropped["queue-full"], then.retried), (1, 1, 0));
}
