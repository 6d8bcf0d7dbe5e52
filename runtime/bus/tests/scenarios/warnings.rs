//! One warning per episode, whatever the number of messages: of a full queue, and of a missing listener.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::support::*;

/// The warnings of this thread, each as `destination policy`, as long as the guard lives.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn of_this_thread() -> (Self, tracing::subscriber::DefaultGuard) {
        let warnings = Self::default();
        (warnings.clone(), tracing::subscriber::set_default(warnings))
    }

    /// Those since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sandbus_bus")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() != Level::WARN {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(format!("{} {}", fields.destination, fields.policy));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Fields {
    destination: String,
    policy: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "destination" => self.destination = format!("{value:?}"),
            "policy" => self.policy = format!("{value:?}").trim_matches('"').to_owned(),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_warns_once_per_episode_under_each_policy() {
    // Three messages without room are one warning; with room and full again, one more.
    let (warnings, _guard) = Warnings::of_this_thread();
    for policy in [
        RejectedExecution::Abort,
        RejectedExecution::Block(ms(10)),
        RejectedExecution::Discard,
        RejectedExecution::DiscardOldest,
        RejectedExecution::DeadLetter,
    ] {
        let (bus, notes, gate, named) = (bus(), Notes::default(), Gate::closed(), policy.name());
        bus.create(with(serial("t/s"), |config| {
            config.queue_entries_max = 2;
            config.rejected_execution = policy;
        }))
        .unwrap();
        bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
        for episode in 1..=2 {
            let received = notes.len();
            bus.send("t/s", text("runs")).await.unwrap();
            eventually(|| notes.len() == received + 1).await;
            for _ in 0..2 {
                bus.send("t/s", text("waits")).await.unwrap();
            }
            assert!(warnings.take().is_empty(), "{named}: there was room in episode {episode}");
            for _ in 0..3 {
                let _ = bus.send("t/s", text("no room")).await;
            }
            assert_eq!(warnings.take(), [format!("t/s {named}")], "episode {episode}");
            for _ in 0..3 {
                gate.let_one_pass();
            }
            settled(&bus).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_listener_warns_once_until_one_was_there_and_left() {
    // Held messages are no episode: they wait for their listener.
    let (warnings, _guard) = Warnings::of_this_thread();
    for (policy, expected) in [
        (OnNoListener::Reject, vec!["t/s reject"]),
        (OnNoListener::Discard, vec!["t/s discard"]),
        (OnNoListener::DeadLetter, vec!["t/s dead-letter"]),
        (OnNoListener::Hold, vec![]),
    ] {
        let (bus, notes) = (bus(), Notes::default());
        bus.create(with(serial("t/s"), |config| config.on_no_listener = policy)).unwrap();
        for episode in 1..=2 {
            for _ in 0..3 {
                let _ = bus.send("t/s", text("unheard")).await;
            }
            assert_eq!(warnings.take(), expected, "episode {episode}");
            bus.register("t/s", noting("l", &notes)).unwrap();
            bus.send("t/s", text("heard")).await.unwrap();
            settled(&bus).await;
            assert!(bus.unregister("t/s", "l").await);
            assert!(warnings.take().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_listener_are_part_of_the_episode() {
    // They are told at once, whatever the policy, and so is the log.
    let (warnings, _guard) = Warnings::of_this_thread();
    let bus = bus();
    bus.create(serial("t/s")).unwrap();
    for _ in 0..2 {
        bus.request("t/s", text("?"), None).await.unwrap_err();
        bus.request_direct("t/s", text("?"), None).await.unwrap_err();
    }
    assert_eq!(warnings.take(), ["t/s reject"]);
    assert_eq!(figures(&bus, "t/s").rejected["no-listener"], 4);
    settled(&bus).await;
}
