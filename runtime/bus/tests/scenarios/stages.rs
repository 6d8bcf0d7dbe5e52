//! The stages of a call: measured where somebody asked for it, exact, and adding up. The clock is paused, so that a wait is
//! exactly as long as it says.

use std::sync::Arc;

use crate::support::*;

/// A listener whose instances take a while to make, and their calls another while; it makes a new one for each call where it
/// keeps none.
#[derive(Clone)]
struct Slow {
    makes: Duration,
    calls: Duration,
    keeps: bool,
    ends: Arc<dyn Fn(&Delivery) -> Outcome + Send + Sync>,
}

fn slow(makes: Duration, calls: Duration) -> Slow {
    Slow { makes, calls, keeps: true, ends: Arc::new(|_| Outcome::done()) }
}

impl MessageListener for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn instantiate(&self, _by: Instant) -> BoxFuture<'_, Result<Box<dyn ListenerInstance>, Fault>> {
        Box::pin(async {
            tokio::time::sleep(self.makes).await;
            Ok(Box::new(self.clone()) as Box<dyn ListenerInstance>)
        })
    }
}

impl ListenerInstance for Slow {
    fn receive<'a>(self: Box<Self>, delivery: &'a Delivery) -> BoxFuture<'a, Ended> {
        Box::pin(async move {
            tokio::time::sleep(self.calls).await;
            let (outcome, keeps) = ((self.ends)(delivery), self.keeps);
            let instance = self as Box<dyn ListenerInstance>;
            Ended { outcome, usage: Usage::default(), instance: keeps.then_some(instance) }
        })
    }
}

fn stages(bus: &Bus, destination: &str) -> Stages {
    figures(bus, destination).stages.expect("they were asked for")
}

/// How often each stage was recorded, and how long it took in all.
fn told(stages: &Stages) -> [(u64, Duration); 5] {
    let Stages { queue_wait, instance, guest, settle, end_to_end } = *stages;
    [queue_wait, instance, guest, settle, end_to_end]
        .map(|stage| stage.map_or((0, ms(0)), |stage| (stage.spread.count, stage.total)))
}

#[tokio::test(start_paused = true)]
async fn stages_that_nobody_asked_for_are_not_there() {
    // Whoever does not look at them must not pay for them.
    let (bus, notes) = (bus(), Notes::default());
    for config in each_type() {
        let destination = config.name.to_string();
        bus.create(config).unwrap();
        bus.register(&destination, noting("l", &notes)).unwrap();
        bus.send(&destination, text("m")).await.unwrap();
        settled(&bus).await;
        assert_eq!((figures(&bus, &destination).stages, figures(&bus, &destination).delivered), (None, 1));
    }
    assert_eq!(
        bus.measure_stages("t/nowhere").unwrap_err().to_string(),
        "no destination is called `t/nowhere`"
    );
}

#[tokio::test(start_paused = true)]
async fn stages_are_exact_and_make_up_the_whole_way() {
    // One worker: the second message waits for the making of the instance and for the first call, and finds the instance.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register_shared("t/s", Arc::new(slow(ms(3), ms(5)))).unwrap();
    bus.measure_stages("t/s").unwrap();
    for payload in ["a", "b"] {
        bus.send("t/s", text(payload)).await.unwrap();
    }
    settled(&bus).await;
    let stages = stages(&bus, "t/s");
    let wanted = [(2, ms(8)), (2, ms(3)), (2, ms(10)), (2, ms(0)), (2, ms(21))];
    assert_eq!(told(&stages), wanted);
    let (instance, guest) = (stages.instance.unwrap(), stages.guest.unwrap());
    assert_eq!((instance.spread.p50, instance.spread.max), (ms(0), ms(3)), "the second call found one");
    assert_eq!((guest.spread.max, guest.mean()), (ms(5), ms(5)));
    assert_eq!(figures(&bus, "t/s").call.unwrap().max, ms(8), "a call includes the making");
}

#[tokio::test(start_paused = true)]
async fn stages_of_a_listener_that_keeps_no_instance_have_a_making_for_each_call() {
    // What an instance for each message costs must not look like the guest's own time.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register_shared("t/s", Arc::new(Slow { keeps: false, ..slow(ms(2), ms(1)) })).unwrap();
    bus.measure_stages("t/s").unwrap();
    for payload in ["a", "b", "c"] {
        bus.send("t/s", text(payload)).await.unwrap();
    }
    settled(&bus).await;
    let [_, instance, guest, ..] = told(&stages(&bus, "t/s"));
    assert_eq!((instance, guest), ((3, ms(6)), (3, ms(3))));
}

#[tokio::test(start_paused = true)]
async fn stages_of_a_retry_count_each_call_and_the_whole_way_once() {
    // Two attempts: two calls are settled, one pair has gone its way, and the time between them is part of that way.
    let bus = bus();
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, ms(10)))).unwrap();
    let ends = |delivery: &Delivery| match delivery.attempt() {
        1 => Outcome::retry("not yet"),
        _ => Outcome::done(),
    };
    bus.register_shared("t/s", Arc::new(Slow { ends: Arc::new(ends), ..slow(ms(0), ms(4)) })).unwrap();
    bus.measure_stages("t/s").unwrap();
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    let [queue_wait, _, guest, settle, end_to_end] = told(&stages(&bus, "t/s"));
    assert_eq!((queue_wait, guest, settle.0), ((1, ms(0)), (2, ms(8)), 2));
    assert_eq!(end_to_end, (1, ms(18)));
}

#[tokio::test(start_paused = true)]
async fn settling_takes_as_long_as_the_reply_needs() {
    // The listener at a synchronous response destination runs in the task that settles.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.create(synchronous("t/answers")).unwrap();
    bus.register("t/s", echo("echo")).unwrap();
    bus.register_shared("t/answers", Arc::new(slow(ms(1), ms(6)))).unwrap();
    for destination in ["t/s", "t/answers"] {
        bus.measure_stages(destination).unwrap();
    }
    bus.send("t/s", text("m").response_destination(name("t/answers"))).await.unwrap();
    settled(&bus).await;
    let wanted = [(1, ms(0)), (1, ms(0)), (1, ms(0)), (1, ms(7)), (1, ms(7))];
    assert_eq!(told(&stages(&bus, "t/s")), wanted);
    // In the sender's task nothing waits in a queue.
    let wanted = [(0, ms(0)), (1, ms(1)), (1, ms(6)), (1, ms(0)), (1, ms(7))];
    assert_eq!(told(&stages(&bus, "t/answers")), wanted);
}

#[tokio::test(start_paused = true)]
async fn stages_count_each_call_of_each_listener() {
    // Whatever becomes of it: done, refused, or without an instance; and on each type of destination.
    for config in each_type() {
        let (bus, notes, destination) = (bus(), Notes::default(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, noting("a", &notes)).unwrap();
        bus.register(&destination, refusing("b", &notes, "no")).unwrap();
        bus.measure_stages(&destination).unwrap();
        for n in 0..10 {
            bus.send(&destination, text(n.to_string())).await.unwrap();
        }
        settled(&bus).await;
        let then = figures(&bus, &destination);
        let [queue_wait, instance, guest, settle, end_to_end] =
            told(&then.stages.unwrap()).map(|(count, _)| count);
        assert_eq!([instance, guest, settle, end_to_end], [20; 4], "{destination}");
        assert_eq!(then.delivered, 20);
        assert_eq!(queue_wait, then.queue_wait.map_or(0, |wait| wait.count), "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn asking_again_begins_from_zero() {
    // After a warm-up, say.
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    bus.register_shared("t/s", Arc::new(slow(ms(3), ms(5)))).unwrap();
    bus.measure_stages("t/s").unwrap();
    bus.send("t/s", text("warm-up")).await.unwrap();
    settled(&bus).await;
    bus.measure_stages("t/s").unwrap();
    assert_eq!(told(&stages(&bus, "t/s")), [(0, ms(0)); 5]);
    bus.send("t/s", text("m")).await.unwrap();
    settled(&bus).await;
    assert_eq!(told(&stages(&bus, "t/s")), [(1, ms(0)), (1, ms(0)), (1, ms(5)), (1, ms(0)), (1, ms(5))]);
    // And so does the life of a destination that opens again.
    bus.close("t/s", secs(1)).await.unwrap();
    bus.reopen("t/s").unwrap();
    assert_eq!(told(&stages(&bus, "t/s")), [(0, ms(0)); 5]);
}
