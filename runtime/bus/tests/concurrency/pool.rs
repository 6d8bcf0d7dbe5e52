//! The pool and the life of a destination race with senders: workers come and go, the destination pauses, closes and opens
//! again. What was accepted is received once or is a dead letter, the books balance, and no worker stays behind.

use crate::support::*;

const SENDERS: usize = 2;
const MESSAGES: usize = 3;

/// A parallel destination whose pool grows to three and shrinks to one.
fn growing() -> DestinationConfig {
    let config = DestinationConfig::parallel("t/pool").unwrap();
    DestinationConfig { workers: Workers { core: 1, max: 3, keep_alive: secs(1) }, ..config }
}

/// A bus with `config`, a listener there, and the notes of what it received.
fn with_listener(config: DestinationConfig) -> (Bus, Notes) {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(config).unwrap();
    bus.register("t/pool", noting("all", &notes)).unwrap();
    (bus, notes)
}

/// Senders that send on whatever the destination says; what it accepted.
async fn accepted(bus: &Bus) -> Vec<String> {
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let bus = bus.clone();
            spawn(async move {
                let mut accepted = Vec::new();
                for number in 0..MESSAGES {
                    let text = format!("{sender}.{number}");
                    if bus.send("t/pool", Outgoing::text(&text)).await.is_ok() {
                        accepted.push(text);
                    }
                    yield_now().await;
                }
                accepted
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for sender in senders {
        accepted.extend(sender.await.unwrap());
    }
    accepted
}

/// Runs senders beside what `act` does with the bus, opens the destination once more, and looks at the end.
async fn senders_beside<R: Future<Output = ()> + Send + 'static>(
    config: DestinationConfig,
    act: impl FnOnce(Bus) -> R,
) {
    let (bus, notes) = with_listener(config);
    let time = Time::passes();
    let acting = spawn(act(bus.clone()));
    let accepted = accepted(&bus).await;
    acting.await.unwrap();
    bus.resume("t/pool").unwrap();
    bus.reopen("t/pool").unwrap();
    bus.idle().await;
    drop(time);
    settled(&bus).await;
    nothing_lost(&bus, "t/pool", &accepted, &notes);
}

#[test]
fn a_pool_that_grows_and_shrinks_beside_senders_runs_all_and_keeps_its_books() {
    explore(450, || {
        senders_beside(growing(), |bus| async move {
            for _ in 0..3 {
                yield_now().await;
                let figures = figures(&bus, "t/pool");
                assert!(figures.workers_current <= 3 && figures.workers_active <= figures.workers_current);
            }
        })
    });
}

#[test]
fn without_time_a_message_that_is_accepted_always_finds_a_worker() {
    // A worker that is not woken, and one that is counted on while it leaves, would be a deadlock here.
    explore(600, || async {
        let (bus, notes) = with_listener(growing());
        let accepted = accepted(&bus).await;
        assert_eq!(accepted.len(), SENDERS * MESSAGES);
        settled(&bus).await;
        nothing_lost(&bus, "t/pool", &accepted, &notes);
    });
}

#[test]
fn a_destination_that_pauses_and_goes_on_beside_senders_runs_all() {
    explore(450, || {
        senders_beside(growing(), |bus| async move {
            for _ in 0..2 {
                bus.pause("t/pool").unwrap();
                yield_now().await;
                bus.resume("t/pool").unwrap();
            }
        })
    });
}

#[test]
fn a_destination_that_closes_and_opens_again_beside_senders_loses_nothing() {
    explore(600, || {
        senders_beside(growing(), |bus| async move {
            bus.close("t/pool", secs(2)).await.unwrap();
            bus.reopen("t/pool").unwrap();
            yield_now().await;
            bus.close_now("t/pool").await.unwrap();
            bus.reopen("t/pool").unwrap();
        })
    });
}

#[test]
fn a_call_that_never_ends_is_interrupted_whenever_the_destination_closes_now() {
    // No time passes: an interrupt that the call does not see is a deadlock.
    explore(300, || async {
        let bus = bus();
        bus.create(growing()).unwrap();
        let endless = listener_fn("endless", |_| std::future::pending());
        bus.register("t/pool", endless.with_deadline(FOR_EVER)).unwrap();
        bus.send("t/pool", Outgoing::text("a")).await.unwrap();
        bus.close_now("t/pool").await.unwrap();
        settled(&bus).await;
        assert_eq!(bus.dead_letters("t/pool")[0].reason.name(), "closed");
    });
}

#[test]
fn two_that_close_and_open_at_once_do_not_undo_each_other() {
    explore(900, || {
        senders_beside(growing(), |bus| async move {
            let other = bus.clone();
            let closing = spawn(async move {
                other.close_now("t/pool").await.unwrap();
                other.reopen("t/pool").unwrap();
            });
            bus.close("t/pool", secs(2)).await.unwrap();
            bus.reopen("t/pool").unwrap();
            closing.await.unwrap();
        })
    });
}

#[test]
fn a_listener_that_is_taken_away_beside_a_close_keeps_the_books_over_a_reopening() {
    explore(900, || async {
        let (bus, _) = with_listener(DestinationConfig { paused: true, ..growing() });
        accepted(&bus).await;
        let (closer, remover) = (bus.clone(), bus.clone());
        let closing = spawn(async move {
            closer.close("t/pool", FOR_EVER).await.unwrap();
            closer.reopen("t/pool").unwrap();
        });
        let removing = spawn(async move { assert!(remover.unregister("t/pool", "all").await) });
        closing.await.unwrap();
        removing.await.unwrap();
        settled(&bus).await;
    });
}

#[test]
fn a_purge_beside_a_close_keeps_the_books_over_a_reopening() {
    explore(900, || async {
        let (bus, _) = with_listener(DestinationConfig { paused: true, ..growing() });
        accepted(&bus).await;
        let closer = bus.clone();
        let closing = spawn(async move {
            closer.close("t/pool", FOR_EVER).await.unwrap();
            closer.reopen("t/pool").unwrap();
        });
        let purged = bus.purge("t/pool").unwrap().len();
        closing.await.unwrap();
        assert_eq!(purged + bus.dead_letters("t/pool").len(), SENDERS * MESSAGES);
        settled(&bus).await;
    });
}

#[test]
fn a_sender_that_runs_the_listener_itself_is_waited_for_by_a_close() {
    explore(600, || {
        let rejected_execution = RejectedExecution::CallerRuns;
        let config = DestinationConfig { queue_entries_max: 1, rejected_execution, ..growing() };
        senders_beside(config, |bus| async move {
            bus.close("t/pool", FOR_EVER).await.unwrap();
            bus.reopen("t/pool").unwrap();
        })
    });
}

/// Senders find a paused destination full, while it closes and opens again.
async fn given_up_beside_a_close(policy: RejectedExecution) {
    let (bus, _) = with_listener(DestinationConfig {
        paused: true,
        queue_entries_max: 1,
        rejected_execution: policy,
        ..growing()
    });
    let closer = bus.clone();
    let closing = spawn(async move {
        closer.close("t/pool", FOR_EVER).await.unwrap();
        closer.reopen("t/pool").unwrap();
    });
    accepted(&bus).await;
    closing.await.unwrap();
    bus.resume("t/pool").unwrap();
    settled(&bus).await;
}

#[test]
fn a_dead_letter_made_at_the_door_keeps_the_books_over_a_reopening() {
    explore(900, || given_up_beside_a_close(RejectedExecution::DeadLetter));
}

#[test]
fn what_is_discarded_at_the_door_keeps_the_books_over_a_reopening() {
    explore(900, || given_up_beside_a_close(RejectedExecution::Discard));
}

#[test]
fn what_is_discarded_for_a_newer_message_keeps_the_books_over_a_reopening() {
    explore(900, || given_up_beside_a_close(RejectedExecution::DiscardOldest));
}
