//! PROC-5 and PROC-6: interceptors. Processors stand in `processors`.

use std::sync::{Arc, Mutex};

use crate::support::*;

/// An interceptor that notes `name:kind:destination` and does as `decide` says.
struct Looking<F> {
    name: &'static str,
    notes: Notes,
    decide: F,
}

impl<F: Fn(Sending) -> Interception + Send + Sync + 'static> Interceptor for Looking<F> {
    fn intercept(&self, sending: Sending) -> Interception {
        self.notes.add(format!("{}:{:?}:{}", self.name, sending.kind(), sending.destination()));
        (self.decide)(sending)
    }
}

fn looking<F>(name: &'static str, notes: &Notes, decide: F) -> Looking<F>
where
    F: Fn(Sending) -> Interception + Send + Sync + 'static,
{
    Looking { name, notes: notes.clone(), decide }
}

/// Keeps what goes to one destination until it is released.
#[derive(Clone)]
struct Keeping(&'static str, Arc<Mutex<Vec<Sending>>>);

impl Keeping {
    fn at(destination: &'static str) -> Self {
        Self(destination, Arc::default())
    }

    fn kept(&self) -> Vec<Sending> {
        std::mem::take(&mut *self.1.lock().unwrap())
    }
}

impl Interceptor for Keeping {
    fn intercept(&self, sending: Sending) -> Interception {
        if sending.destination() != self.0 {
            return Interception::Pass(sending);
        }
        self.1.lock().unwrap().push(sending);
        Interception::Consumed
    }
}

#[tokio::test(start_paused = true)]
async fn proc_5_one_that_consumes_is_the_last_to_see_a_message() {
    // Before the look-up: whether the destination exists is not the sender's to learn from it.
    let (bus, seen, received) = (bus(), Notes::default(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &received)).unwrap();
    bus.add_interceptor(looking("a", &seen, Interception::Pass)).unwrap();
    let b = bus.add_interceptor(looking("b", &seen, |_| Interception::Consumed)).unwrap();
    bus.add_interceptor(looking("c", &seen, Interception::Pass)).unwrap();
    let known = bus.send("t/s", text("1")).await.unwrap();
    let unknown = bus.send("not even a name", text("2")).await.unwrap();
    assert_ne!(known, unknown);
    assert_eq!(known.uuid().get_version_num(), 7);
    assert_eq!(seen.all(), ["a:Send:t/s", "b:Send:t/s", "a:Send:not even a name", "b:Send:not even a name"]);
    assert_eq!(bus.figures().intercepted, 2);
    assert_eq!(figures(&bus, "t/s").accepted, 0);
    // Without it, the message goes on and an unknown destination is one again.
    assert!(bus.remove_hook(b) && !bus.remove_hook(b));
    bus.send("t/s", text("3")).await.unwrap();
    assert_eq!(bus.send("t/x", text("4")).await.unwrap_err().name(), "no-such-destination");
    settled(&bus).await;
    assert_eq!(seen.all()[4..], ["a:Send:t/s", "c:Send:t/s", "a:Send:t/x", "c:Send:t/x"]);
    assert_eq!((received.all(), bus.figures().intercepted), (vec!["l:3".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn proc_5_a_request_that_is_consumed_ends_in_no_reply_at_once() {
    // Nobody can answer what nobody received.
    let (bus, seen, received) = (bus(), Notes::default(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &received)).unwrap();
    bus.add_interceptor(looking("a", &seen, |_| Interception::Consumed)).unwrap();
    let begun = Instant::now();
    assert_eq!(bus.request("t/s", text("m"), None).await, Err(RequestError::NoReply));
    assert_eq!(bus.request_direct("t/s", text("m"), None).await, Err(RequestError::NoReply));
    assert_eq!(begun.elapsed(), ms(0));
    assert_eq!(seen.all(), ["a:Request:t/s", "a:RequestDirect:t/s"]);
    assert_eq!((bus.figures().intercepted, bus.waiting_requests(), received.len()), (2, 0, 0));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn proc_5_a_returned_reply_is_seen_and_one_that_is_consumed_answers_nobody() {
    // A reply is a message like any other, to the built-in destination, too.
    let (bus, seen) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    let a = bus.add_interceptor(looking("a", &seen, Interception::Pass)).unwrap();
    assert_eq!(bus.request("t/s", text("m"), None).await.unwrap().payload, "m");
    assert_eq!(seen.all(), ["a:Request:t/s", "a:Reply:sandbus/default-response"]);
    bus.remove_hook(a);
    let replies = |sending: Sending| match sending.kind() {
        SendKind::Reply => Interception::Consumed,
        _ => Interception::Pass(sending),
    };
    bus.add_interceptor(looking("b", &seen, replies)).unwrap();
    assert_eq!(bus.request("t/s", text("m"), None).await, Err(RequestError::NoReply));
    // In direct mode nothing is sent back: there is nothing to see.
    let direct = bus.request_direct("t/s", text("d"), None).await.unwrap();
    assert_eq!(direct.unwrap().payload, "d");
    settled(&bus).await;
    assert_eq!((bus.figures().intercepted, figures(&bus, "t/s").completed), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn proc_6_what_is_kept_is_received_when_it_is_released_in_order_and_under_its_id() {
    // The sender was told an id: who looks for it must find the message.
    let (bus, behind, received) = (bus(), Notes::default(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    let seen = received.clone();
    let listener = listener_fn("l", move |delivery| {
        let (message, context) = (delivery.message(), delivery.message().context());
        seen.add(format!(
            "{} {} {} {} {:?}",
            delivery.text().unwrap(),
            message.id(),
            context.sender,
            context.hop_count,
            delivery.values().integer("n")
        ));
        async { Outcome::done() }
    });
    bus.register("t/x", listener).unwrap();
    let keeping = Keeping::at("t/x");
    bus.add_interceptor(looking("before", &behind, Interception::Pass)).unwrap();
    bus.add_interceptor(keeping.clone()).unwrap();
    bus.add_interceptor(looking("behind", &behind, Interception::Pass)).unwrap();
    let shop = Origin::named("shop").with_deadline(Instant::now() + ms(100));
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(bus.send_as(&shop, "t/x", text("m").value("n", n).unwrap()).await.unwrap());
    }
    settled(&bus).await;
    assert!(received.is_empty());
    assert_eq!((bus.figures().intercepted, figures(&bus, "t/x").accepted), (3, 0));
    assert_eq!(behind.all(), ["before:Send:t/x"; 3]);
    // The deadline of the sender's call is over by now; what it sent is not.
    tokio::time::advance(secs(1)).await;
    for (sending, id) in keeping.kept().into_iter().zip(&ids) {
        assert_eq!((sending.id(), sending.origin().sender()), (*id, "shop"));
        assert_eq!(sending.release().await.unwrap(), *id);
    }
    settled(&bus).await;
    let wanted: Vec<_> = ids.iter().zip(1..).map(|(id, n)| format!("m {id} shop 0 Ok(Some({n}))")).collect();
    assert_eq!(received.all(), wanted);
    // Those behind the one that kept them see them now, those before it do not see them again.
    assert_eq!(behind.all()[3..], ["behind:Send:t/x"; 3]);
    assert_eq!(bus.figures().intercepted, 3);
}

#[tokio::test(start_paused = true)]
async fn proc_6_a_message_that_is_released_is_checked_like_any_other() {
    // Keeping a message is no way around the bounds.
    let bus = bus();
    bus.create(with(synchronous("t/x"), |config| config.message_bytes_max = 4)).unwrap();
    bus.register("t/x", listener_fn("l", |_| async { Outcome::done() })).unwrap();
    let keeping = Keeping::at("t/x");
    bus.add_interceptor(keeping.clone()).unwrap();
    bus.send("t/x", text("1")).await.unwrap();
    bus.send("t/x", text("12345")).await.unwrap();
    let asked = bus.request("t/x", text("2"), None).await;
    assert_eq!(asked, Err(RequestError::NoReply));
    let mut ended = Vec::new();
    for sending in keeping.kept() {
        ended.push(sending.release().await.map_err(|error| error.name()).map(drop));
    }
    assert_eq!(ended, [Ok(()), Err("too-large"), Ok(())]);
    settled(&bus).await;
    assert_eq!(figures(&bus, "t/x").completed, 2);
}

#[tokio::test(start_paused = true)]
async fn proc_6_what_is_sent_of_its_parts_is_another_message_that_all_interceptors_see() {
    // Only a release goes past; a rule that holds for messages holds for those that an interceptor makes.
    let (bus, received) = (bus(), Notes::default());
    bus.create(serial("t/x")).unwrap();
    bus.register("t/x", noting("l", &received)).unwrap();
    let keeping = Keeping::at("t/x");
    bus.add_interceptor(keeping.clone()).unwrap();
    bus.send_as(&Origin::named("shop"), "t/x", text("m")).await.unwrap();
    let (origin, destination, message) = keeping.kept().remove(0).into_parts();
    assert_eq!((origin.sender(), &*destination, &message), ("shop", "t/x", &text("m")));
    bus.send_as(&origin, &destination, message).await.unwrap();
    assert_eq!((keeping.kept().len(), bus.figures().intercepted), (1, 2));
    settled(&bus).await;
    assert!(received.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_fails_the_send() {
    // It may be the one that enforces a rule: passing the message on would be the wrong half of the choice.
    let (bus, received) = (bus(), Notes::default());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", noting("l", &received)).unwrap();
    let panics = bus.add_interceptor(looking("p", &Notes::default(), |_| panic!("boom"))).unwrap();
    let told = bus.send("t/s", text("m")).await.unwrap_err();
    assert_eq!((told.name(), told.to_string().contains("boom")), ("interceptor", true), "{told}");
    let told = bus.request("t/s", text("m"), None).await.unwrap_err();
    assert!(matches!(told, RequestError::NotSent(SendError::Interceptor(_))), "{told}");
    bus.remove_hook(panics);
    // One that gives back what it kept of somebody else would send under a wrong name.
    let first = Arc::new(Mutex::new(None));
    let swapping = move |sending: Sending| match first.lock().unwrap().replace(sending) {
        Some(other) => Interception::Pass(other),
        None => Interception::Consumed,
    };
    bus.add_interceptor(looking("s", &Notes::default(), swapping)).unwrap();
    bus.send("t/s", text("mine")).await.unwrap();
    let told = bus.send_as(&Origin::named("other"), "t/s", text("theirs")).await.unwrap_err();
    assert_eq!(told.name(), "interceptor");
    settled(&bus).await;
    assert!(received.is_empty());
    assert_eq!(bus.figures().intercepted, 1);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_at_a_reply_makes_a_dead_letter_of_it() {
    // The listener has done its part; what it answered must not vanish.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", echo("l")).unwrap();
    let replies = |sending: Sending| match sending.kind() {
        SendKind::Reply => panic!("boom"),
        _ => Interception::Pass(sending),
    };
    bus.add_interceptor(looking("p", &Notes::default(), replies)).unwrap();
    assert_eq!(bus.request("t/s", text("m"), None).await, Err(RequestError::NoReply));
    settled(&bus).await;
    assert_eq!(reasons(&bus, "t/s"), ["interceptor"]);
    assert_eq!(bus.dead_letters("t/s")[0].message.payload(), "m");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_outlives_its_bus_cannot_be_released() {
    // An interceptor that keeps messages must not keep the bus.
    let keeping = Keeping::at("t/x");
    {
        let bus = bus();
        bus.add_interceptor(keeping.clone()).unwrap();
        bus.send("t/x", text("m")).await.unwrap();
    }
    let error = keeping.kept().remove(0).release().await.unwrap_err();
    assert!(error.to_string().contains("its bus is gone"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn hooks_of_one_kind_are_bounded_and_one_that_goes_makes_room() {
    // Each is looked at for every message.
    let bus = bus();
    let pass = || looking("a", &Notes::default(), Interception::Pass);
    let ids: Vec<_> = (0..limits::HOOKS_MAX).map(|_| bus.add_interceptor(pass()).unwrap()).collect();
    assert_eq!(bus.add_interceptor(pass()), Err(TooManyHooks { hooks: limits::HOOKS_MAX }));
    assert!(bus.remove_hook(ids[7]));
    bus.add_interceptor(pass()).unwrap();
    settled(&bus).await;
}
