//! PROC-1 to PROC-4: outbound and inbound processors.

use std::sync::Arc;

use crate::support::*;

type Before<T> = dyn Fn(T) -> Result<T, String> + Send + Sync;
type Fail = fn(Outgoing) -> Result<Outgoing, String>;
type AfterDelivery = dyn Fn(&Outcome) -> Result<(), String> + Send + Sync;

/// A processor of either kind that notes `name+` before and `name-` with the end after.
#[derive(Clone)]
struct Noting {
    name: &'static str,
    notes: Notes,
    send: Arc<Before<Outgoing>>,
    delivery: Arc<Before<Delivery>>,
    after_delivery: Arc<AfterDelivery>,
}

impl Noting {
    fn new(name: &'static str, notes: &Notes) -> Self {
        Self {
            name,
            notes: notes.clone(),
            send: Arc::new(Ok),
            delivery: Arc::new(Ok),
            after_delivery: Arc::new(|_| Ok(())),
        }
    }

    fn on_send(
        mut self,
        send: impl Fn(Outgoing) -> Result<Outgoing, String> + Send + Sync + 'static,
    ) -> Self {
        self.send = Arc::new(send);
        self
    }

    fn on_delivery(
        mut self,
        delivery: impl Fn(Delivery) -> Result<Delivery, String> + Send + Sync + 'static,
    ) -> Self {
        self.delivery = Arc::new(delivery);
        self
    }

    fn after(mut self, after: impl Fn(&Outcome) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.after_delivery = Arc::new(after);
        self
    }
}

impl OutboundProcessor for Noting {
    fn before_send(&self, destination: &DestinationName, message: Outgoing) -> Result<Outgoing, String> {
        self.notes.add(format!("{}+{destination}", self.name));
        (self.send)(message)
    }

    fn after_send(&self, _destination: &DestinationName, sent: Sent<'_>) {
        let end = match sent {
            Sent::Accepted(_) => "accepted",
            Sent::Refused(error) => error.name(),
            Sent::Abandoned => "abandoned",
        };
        self.notes.add(format!("{}-{end}", self.name));
    }
}

impl InboundProcessor for Noting {
    fn before_delivery(&self, delivery: Delivery) -> Result<Delivery, String> {
        self.notes.add(format!("{}+{}", self.name, delivery.listener()));
        (self.delivery)(delivery)
    }

    fn after_delivery(&self, _delivery: &Delivery, outcome: &Outcome) -> Result<(), String> {
        let end = outcome.failure().map_or("done", |kind| kind.name());
        self.notes.add(format!("{}-{end}", self.name));
        (self.after_delivery)(outcome)
    }
}

fn at(destination: &str) -> Scope {
    Scope::Destination(name(destination))
}

#[tokio::test(start_paused = true)]
async fn proc_1_inbound_processors_run_once_each_around_the_call_on_every_type_and_in_direct_mode() {
    // What is measured or decrypted there must not depend on who runs the listener.
    for config in each_type() {
        let (bus, notes) = (bus(), Notes::default());
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        bus.add_inbound(at(&destination), Noting::new("p", &notes)).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all(), ["p+l", "l:m", "p-done"], "{destination}");
        bus.request_direct(&destination, text("d"), None).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.all()[3..], ["p+l", "l:d", "p-done"], "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn proc_1_they_nest_in_the_order_of_registration_where_they_are_meant_to_and_can_be_removed() {
    // A processor may be there before its destination, and one of another destination is none of this one's business.
    let (bus, notes) = (bus(), Notes::default());
    bus.add_inbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
    let b = bus.add_inbound(at("t/s"), Noting::new("b", &notes)).unwrap();
    bus.add_inbound(at("t/other"), Noting::new("c", &notes)).unwrap();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all(), ["a+l", "b+l", "l:1", "b-done", "a-done"]);
    assert!(bus.remove_hook(b));
    bus.send("t/s", text("2")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all()[5..], ["a+l", "l:2", "a-done"]);
}

#[tokio::test(start_paused = true)]
async fn proc_2_outbound_processors_run_once_each_for_whoever_sends_and_however() {
    // One kind of send that went past would be the one that leaks.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(synchronous("t/back")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    bus.register("t/back", noting("back", &notes)).unwrap();
    bus.add_outbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
    bus.add_outbound(at("t/back"), Noting::new("b", &notes)).unwrap();
    let take = |wanted: &[&str]| assert_eq!(notes.take(), wanted);
    bus.send("t/s", text("m")).await.unwrap();
    take(&["a+t/s", "a-accepted"]);
    bus.send_as(&Origin::named("guest"), "t/s", text("m")).await.unwrap();
    take(&["a+t/s", "a-accepted"]);
    // A request and its reply.
    bus.request("t/s", text("m"), None).await.unwrap();
    settled(&bus).await;
    take(&["a+t/s", "a-accepted", "a+sandbus/default-response", "a-accepted"]);
    bus.request_direct("t/s", text("m"), None).await.unwrap();
    take(&["a+t/s", "a-accepted"]);
    // On a synchronous destination the listener has returned before the send has.
    bus.send("t/back", text("m")).await.unwrap();
    take(&["a+t/back", "b+t/back", "back:m", "b-accepted", "a-accepted"]);
    // What is refused behind them they are told.
    bus.create(with(serial("t/none"), |config| config.on_no_listener = OnNoListener::Reject)).unwrap();
    bus.send("t/none", text("m")).await.unwrap_err();
    take(&["a+t/none", "a-no-listener"]);
    bus.request_direct("t/none", text("m"), None).await.unwrap_err();
    take(&["a+t/none", "a-no-listener"]);
    // Where there is no destination, nothing is sent.
    bus.send("t/x", text("m")).await.unwrap_err();
    take(&[]);
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn proc_3_a_before_send_that_fails_is_told_to_the_sender_and_nobody_receives_the_message() {
    // A panic is a failure like another; in either case the processors that began are told the end.
    let failing: [(&str, Fail); 2] = [("no key", |_| Err("no key".to_owned())), ("boom", |_| panic!("boom"))];
    for (text_of_it, fail) in failing {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(serial("t/s")).unwrap();
        bus.register("t/s", noting("l", &notes)).unwrap();
        bus.add_outbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
        let b = bus.add_outbound(Scope::Bus, Noting::new("b", &notes).on_send(fail)).unwrap();
        bus.add_outbound(Scope::Bus, Noting::new("c", &notes)).unwrap();
        let told = bus.send("t/s", text("m")).await.unwrap_err();
        assert!(matches!(&told, SendError::Processor(text) if text.as_str().contains(text_of_it)), "{told}");
        let asked = bus.request("t/s", text("m"), None).await.unwrap_err();
        assert_eq!(asked, RequestError::NotSent(told.clone()));
        let direct = bus.request_direct("t/s", text("m"), None).await.unwrap_err();
        assert_eq!(direct, RequestError::NotSent(told));
        settled(&bus).await;
        assert_eq!(notes.all(), ["a+t/s", "b+t/s", "a-outbound-processor"].repeat(3));
        assert_eq!((figures(&bus, "t/s").accepted, bus.waiting_requests()), (0, 0));
        bus.remove_hook(b);
        bus.send("t/s", text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!(notes.count("l:m"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn proc_3_a_reply_that_a_processor_refuses_is_a_dead_letter_and_redriven_goes_through_it() {
    // An operator who redrives it must not get it past the processor that would not have it sent as it was.
    let (bus, notes, received) = (bus(), Notes::default(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.create(serial("t/back")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    bus.register("t/back", noting("back", &received)).unwrap();
    let broken = Noting::new("p", &notes).on_send(|_| Err("no key".to_owned()));
    let broken = bus.add_outbound(at("t/back"), broken).unwrap();
    let ask = || text("m").response_destination(name("t/back")).response_id("mine");
    bus.send("t/s", ask()).await.unwrap();
    settled(&bus).await;
    let letters = bus.dead_letters("t/s");
    assert_eq!(reasons(&bus, "t/s"), ["outbound-processor"]);
    assert!(letters[0].last_error.as_str().contains("no key"), "{letters:?}");
    assert_eq!(letters[0].message.payload(), "m");
    assert_eq!(figures(&bus, "t/s").completed, 1);
    // Refused again it stays; with a processor that works it arrives as that one makes it.
    assert_eq!(redriven(&bus, "t/s").await, 0);
    assert_eq!(bus.dead_letters("t/s").len(), 1);
    bus.remove_hook(broken);
    let works = Noting::new("q", &notes).on_send(|_| Ok(text("sealed")));
    bus.add_outbound(at("t/back"), works).unwrap();
    assert_eq!(redriven(&bus, "t/s").await, 1);
    settled(&bus).await;
    assert_eq!((received.all(), bus.dead_letters("t/s").len()), (vec!["back:sealed".to_owned()], 0));
    assert_eq!(notes.all().last().map(String::as_str), Some("q-accepted"));
}

async fn redriven(bus: &Bus, destination: &str) -> usize {
    bus.redrive(Some(destination), &DeadLetterFilter::default(), RedriveOptions::default())
        .await
        .unwrap()
        .redriven
}

#[tokio::test(start_paused = true)]
async fn proc_4_listeners_receive_what_an_outbound_processor_put_in_the_place_of_the_message() {
    // What was replaced is the message from then on: in the queue, at a retry, in a dead letter.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(parallel("t/p")).unwrap();
    bus.register("t/p", noting("a", &notes)).unwrap();
    bus.register("t/p", refusing("b", &notes, "no")).unwrap();
    bus.add_outbound(Scope::Bus, Noting::new("p", &Notes::default()).on_send(|_| Ok(text("first")))).unwrap();
    let appending = |message: Outgoing| {
        let was = String::from_utf8_lossy(&message.payload).into_owned();
        Ok(text(format!("{was} second")))
    };
    bus.add_outbound(Scope::Bus, Noting::new("q", &Notes::default()).on_send(appending)).unwrap();
    bus.send("t/p", text("m").value("gone", 1).unwrap()).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a:first second", "b:first second"]);
    let letter = bus.dead_letters("t/p").remove(0);
    assert_eq!((&letter.message.payload()[..], letter.values.len()), (&b"first second"[..], 0));
}

#[tokio::test(start_paused = true)]
async fn proc_4_what_stands_in_its_place_is_checked_and_still_answers_and_is_answered() {
    // A processor that forgets the response id must not make a sender wait for nothing.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.message_bytes_max = 8)).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    let shorter = |message: Outgoing| match message.payload.len() {
        3 => Ok(text("much too long")),
        _ => Ok(text("short")),
    };
    bus.add_outbound(Scope::Bus, Noting::new("p", &notes).on_send(shorter)).unwrap();
    let told = bus.send("t/s", text("123")).await.unwrap_err();
    assert_eq!(told.name(), "too-large");
    assert_eq!(notes.all(), ["p+t/s", "p-too-large"]);
    // What was too large before is not looked at.
    let reply = bus.request("t/s", text("12345678901234567890"), None).await.unwrap();
    assert_eq!(reply.payload, "short");
    settled(&bus).await;
    assert_eq!(bus.waiting_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_before_delivery_that_fails_is_a_failed_delivery_that_is_tried_again() {
    // It may be a key that is not there yet: as with an instance that cannot be made, the next attempt may go well.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(3, ms(10)))).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.add_inbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
    let secret = |delivery: Delivery| match (delivery.text(), delivery.attempt()) {
        (Some("never"), _) => Err("no key".to_owned()),
        (_, 1) => panic!("boom"),
        _ => Ok(delivery),
    };
    bus.add_inbound(Scope::Bus, Noting::new("b", &notes).on_delivery(secret)).unwrap();
    bus.send("t/s", text("second time")).await.unwrap();
    settled(&bus).await;
    let failed = ["a+l", "b+l", "a-processor"];
    assert_eq!(notes.all(), [&failed[..], &["a+l", "b+l", "l:second time", "b-done", "a-done"]].concat());
    bus.send("t/s", text("never")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all()[8..], failed.repeat(3));
    let letter = bus.dead_letters("t/s").remove(0);
    assert_eq!((letter.reason.name(), letter.attempts), ("processor", 3));
    assert!(letter.last_error.as_str().contains("no key"), "{letter:?}");
    assert_eq!(figures(&bus, "t/s").failed["processor"], 4);
    // In direct mode the sender is told.
    let told = bus.request_direct("t/s", text("never"), None).await.unwrap_err();
    assert!(
        matches!(&told, RequestError::ListenerFaulted(fault) if fault.cause == Cause::Processor),
        "{told}"
    );
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_inbound_processor_replaces_counts_for_this_delivery_and_nothing_else_changes() {
    // The answer, the retry and the dead letter belong to what was sent.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, ms(10)))).unwrap();
    let seen = notes.clone();
    let first = listener_fn("first", move |delivery| {
        let message = delivery.message();
        seen.add(format!("{:?} {:?}", delivery.text(), delivery.values()));
        assert_eq!((message.content_type(), message.payload()), (Some("text/new"), delivery.payload()));
        assert_eq!(&*message.context().sender, "shop");
        assert!(message.response_id().is_some());
        async { Outcome::reply(Reply::text("answer")) }
    });
    bus.register("t/s", first).unwrap();
    bus.register("t/s", refusing("second", &notes, "no")).unwrap();
    let replacing = |delivery: Delivery| {
        if delivery.listener() != "first" {
            return Ok(delivery);
        }
        let id = delivery.message().id();
        let new = delivery.with_payload("new", Some("text/new")).with_values(Values::default());
        if new.message().id() == id { Ok(new) } else { Err("another id".to_owned()) }
    };
    bus.add_inbound(Scope::Bus, Noting::new("p", &Notes::default()).on_delivery(replacing)).unwrap();
    let shop = Origin::named("shop");
    let reply = bus.request_as(&shop, "t/s", text("old").value("a", 1).unwrap(), None).await.unwrap();
    assert_eq!(reply.payload, "answer");
    settled(&bus).await;
    assert_eq!(notes.all(), ["Some(\"new\") {}", "second:old"]);
    let letter = bus.dead_letters("t/s").remove(0);
    assert_eq!((letter.message.payload().as_ref(), letter.values.integer("a")), (&b"old"[..], Ok(Some(1))));
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_gives_back_another_delivery_fails_this_one() {
    // The listener would settle a message that it never saw.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry.attempts_max = 1)).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    let first = std::sync::Mutex::new(None);
    let swapping = move |delivery: Delivery| Ok(first.lock().unwrap().get_or_insert(delivery).clone());
    bus.add_inbound(Scope::Bus, Noting::new("p", &Notes::default()).on_delivery(swapping)).unwrap();
    bus.send("t/s", text("1")).await.unwrap();
    bus.send("t/s", text("2")).await.unwrap();
    settled(&bus).await;
    assert_eq!((notes.all(), reasons(&bus, "t/s")), (vec!["l:1".to_owned()], vec!["processor"]));
}

#[tokio::test(start_paused = true)]
async fn an_after_delivery_that_fails_undoes_done_and_leaves_a_listeners_failure_as_it_is() {
    // A listener that refused has said more than that something behind it failed, too.
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, ms(10)))).unwrap();
    let listener = ending("l", &notes, |delivery| match delivery.text() {
        Some("bad") => Outcome::refused("bad total"),
        _ => Outcome::reply(Reply::text("answer")),
    });
    bus.register("t/s", listener).unwrap();
    bus.add_inbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
    let failing = Noting::new("b", &notes).after(|_| Err("not written down".to_owned()));
    bus.add_inbound(Scope::Bus, failing).unwrap();
    // The answer of a delivery that failed goes nowhere.
    let told = bus.request("t/s", text("good"), None).await.unwrap_err();
    assert!(
        matches!(&told, RequestError::ListenerFaulted(fault) if fault.cause == Cause::Processor),
        "{told}"
    );
    settled(&bus).await;
    assert_eq!(notes.all(), ["a+l", "b+l", "l:good", "b-done", "a-processor"].repeat(2));
    bus.send("t/s", text("bad")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.all()[10..], ["a+l", "b+l", "l:bad", "b-refused", "a-refused"]);
    assert_eq!(reasons(&bus, "t/s"), ["processor", "refused"]);
    assert!(bus.dead_letters("t/s")[0].last_error.as_str().contains("not written down"));
    assert_eq!(figures(&bus, "t/s").completed, 0);
}

#[tokio::test(start_paused = true)]
async fn processors_are_told_the_end_also_when_the_senders_task_goes_away() {
    // A span that is begun must be ended, or it is a leak.
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/y", blocking("l", &notes, &gate)).unwrap();
    bus.add_outbound(Scope::Bus, Noting::new("out", &notes)).unwrap();
    bus.add_inbound(Scope::Bus, Noting::new("in", &notes)).unwrap();
    let sender = bus.clone();
    let sending = tokio::spawn(async move { sender.send("t/y", text("m")).await });
    eventually(|| notes.count("l:m") == 1).await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    settled(&bus).await;
    assert_eq!(notes.all(), ["out+t/y", "in+l", "l:m", "in-interrupted", "out-abandoned"]);
    assert_eq!(reasons(&bus, "t/y"), ["closed"]);
}

#[tokio::test(start_paused = true)]
async fn an_after_send_that_panics_harms_nobody() {
    // The message is accepted by then: the sender must learn its id.
    struct Panics;
    impl OutboundProcessor for Panics {
        fn after_send(&self, _: &DestinationName, _: Sent<'_>) {
            panic!("boom");
        }
    }
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &notes)).unwrap();
    bus.add_outbound(Scope::Bus, Noting::new("a", &notes)).unwrap();
    bus.add_outbound(Scope::Bus, Panics).unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(notes.sorted(), ["a+t/s", "a-accepted", "l:m"]);
}
