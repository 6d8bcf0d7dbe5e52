//! Several senders wait for room in a small queue: all of them get it. No time passes here, so that a wake-up that is lost
//! is a deadlock, which shuttle tells, and not a timeout that helps out.

use crate::support::*;

const SENDERS: usize = 3;

/// The story: each sender sends so many messages to `config`, which has so many listeners, while `act` does something.
async fn every_sender_gets_room(
    mut config: DestinationConfig,
    listeners: usize,
    messages: usize,
    act: fn(&Bus),
) {
    config.rejected_execution = RejectedExecution::Block(FOR_EVER);
    let (bus, name) = (bus(), config.name.to_string());
    bus.create(config).unwrap();
    let notes: Vec<Notes> = (0..listeners).map(|_| Notes::default()).collect();
    for (number, notes) in notes.iter().enumerate() {
        bus.register(&name, noting(&format!("listener {number}"), notes)).unwrap();
    }
    let senders: Vec<_> =
        (0..SENDERS).map(|sender| spawn(send_all(bus.clone(), &name, sender, messages))).collect();
    act(&bus);
    let mut accepted = Vec::new();
    for sender in senders {
        accepted.extend(sender.await.unwrap());
    }
    settled(&bus).await;
    for notes in &notes {
        nothing_lost(&bus, &name, &accepted, notes);
    }
    assert_eq!(figures(&bus, &name).completed, (SENDERS * messages * listeners) as u64);
}

fn send_all(
    bus: Bus,
    name: &str,
    sender: usize,
    messages: usize,
) -> impl Future<Output = Vec<String>> + use<> {
    let name = name.to_owned();
    async move {
        let texts: Vec<String> = (0..messages).map(|number| format!("{sender}.{number}")).collect();
        for text in &texts {
            bus.send(&name, Outgoing::text(text)).await.unwrap();
        }
        texts
    }
}

fn parallel(workers: usize, queue_entries_max: usize) -> DestinationConfig {
    let config = DestinationConfig::parallel("t/room").unwrap();
    let workers = Workers { core: workers, max: workers, ..config.workers };
    DestinationConfig { workers, queue_entries_max, ..config }
}

#[test]
fn senders_that_wait_for_room_on_a_parallel_destination_all_get_it() {
    explore(600, || every_sender_gets_room(parallel(2, 2), 1, 2, |_| ()));
}

#[test]
fn senders_that_wait_for_room_get_it_when_the_last_claim_empties_the_queue() {
    // There is room only in an empty queue. The worker has claimed the last entry when a sender finds none, and nobody but
    // its look that finds nothing more sees that there is.
    explore(600, || every_sender_gets_room(parallel(1, 3), 3, 2, |_| ()));
}

#[test]
fn senders_that_wait_for_room_on_a_serial_destination_all_get_it_while_claims_grow() {
    let config =
        || DestinationConfig { queue_entries_max: 5, ..DestinationConfig::serial("t/room").unwrap() };
    explore(300, move || every_sender_gets_room(config(), 1, 8, |_| ()));
}

#[test]
fn senders_that_wait_for_room_get_it_while_the_pool_is_tuned_down() {
    // A worker that leaves because it is one too many tells nobody of room; one that looks after it does.
    explore(300, || {
        every_sender_gets_room(parallel(3, 3), 3, 3, |bus| {
            let mut config = parallel(1, 3);
            config.rejected_execution = RejectedExecution::Block(FOR_EVER);
            bus.reconfigure(config).unwrap();
        })
    });
}
