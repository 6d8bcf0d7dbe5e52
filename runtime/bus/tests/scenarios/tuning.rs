//! Changing a destination while it runs: live settings, purge.

use crate::support::*;

type Change = fn(&mut DestinationConfig);

fn workers(bus: &Bus, destination: &str, core: usize, max: usize) -> Result<(), DestinationError> {
    bus.reconfigure(with(config_of(bus, destination), |config| {
        config.workers = Workers { core, max, ..config.workers };
    }))
}

#[tokio::test(start_paused = true)]
async fn queue_8_a_pool_that_is_resized_while_messages_flow_receives_each_once() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 1, max: 1, ..config.workers };
    }))
    .unwrap();
    let noted = notes.clone();
    let slow = listener_fn("l", move |delivery| {
        let notes = noted.clone();
        async move {
            tokio::time::sleep(ms(3)).await;
            notes.add(delivery.text().unwrap());
            Outcome::done()
        }
    });
    bus.register("t/p", slow).unwrap();
    for n in 0..200 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
        if n == 60 {
            workers(&bus, "t/p", 2, 2).unwrap();
            let now = figures(&bus, "t/p");
            assert_eq!((now.workers_core, now.workers_max), (2, 2));
            eventually(|| figures(&bus, "t/p").workers_active == 2).await;
        }
        if n == 140 {
            workers(&bus, "t/p", 1, 1).unwrap();
            assert_eq!(figures(&bus, "t/p").workers_max, 1);
            eventually(|| figures(&bus, "t/p").workers_current == 1).await;
        }
        tokio::time::sleep(ms(1)).await;
    }
    settled(&bus).await;
    let mut seen: Vec<u32> = notes.all().iter().map(|note| note.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<u32>>());
}

#[tokio::test(start_paused = true)]
async fn queue_10_changed_settings_take_effect_at_once_and_without_closing() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.register("t/p", blocking("l", &notes, &gate)).unwrap();
    bus.create(with(parallel("t/p"), |config| {
        config.workers = Workers { core: 3, max: 7, ..config.workers };
        config.queue_entries_max = 10;
    }))
    .unwrap();
    for n in 0..17 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
        turns().await;
    }
    assert_eq!(bus.send("t/p", text("x")).await.unwrap_err().name(), "queue-full");
    assert_eq!((figures(&bus, "t/p").workers_active, figures(&bus, "t/p").pending), (7, 10));
    bus.reconfigure(with(config_of(&bus, "t/p"), |config| {
        config.workers = Workers { core: 4, max: 8, ..config.workers };
        config.queue_entries_max = 50;
    }))
    .unwrap();
    eventually(|| figures(&bus, "t/p").workers_active == 8).await;
    for n in 17..57 {
        bus.send("t/p", text(n.to_string())).await.unwrap();
    }
    assert_eq!((figures(&bus, "t/p").state, figures(&bus, "t/p").pending), ("open", 49));
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.len(), 57);
}

#[tokio::test(start_paused = true)]
async fn a_bound_below_what_waits_loses_nothing_and_takes_nothing_on_until_it_is_reached() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(serial("t/s")).unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    for n in 0..6 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    bus.reconfigure(with(config_of(&bus, "t/s"), |config| config.queue_entries_max = 2)).unwrap();
    let refused = bus.send("t/s", text("x")).await.unwrap_err();
    assert_eq!(refused.to_string(), "destination `t/s` is full: 5 of 2 messages wait");
    for _ in 0..4 {
        gate.let_one_pass();
    }
    eventually(|| figures(&bus, "t/s").pending == 1).await;
    bus.send("t/s", text("6")).await.unwrap();
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_room_goes_on_when_the_bound_is_raised() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/s"), |config| {
        config.queue_entries_max = 1;
        config.rejected_execution = RejectedExecution::Block(secs(3_600));
    }))
    .unwrap();
    bus.register("t/s", blocking("l", &notes, &gate)).unwrap();
    for n in 0..2 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    let sender = bus.clone();
    let waits = tokio::spawn(async move { sender.send("t/s", text("2")).await });
    turns().await;
    assert!(!waits.is_finished());
    bus.reconfigure(with(config_of(&bus, "t/s"), |config| config.queue_entries_max = 2)).unwrap();
    waits.await.unwrap().unwrap();
    gate.open();
    settled(&bus).await;
    assert_eq!(notes.all(), ["l:0", "l:1", "l:2"]);
}

#[tokio::test(start_paused = true)]
async fn illegal_live_settings_are_refused_with_the_range_and_change_nothing() {
    let bus = bus();
    bus.create(parallel("t/p")).unwrap();
    let before = config_of(&bus, "t/p");
    let bad: [(&str, Change); 6] = [
        ("`workers` is 0/1; it must be 1 <= core <= max <= 1,024", |c| {
            c.workers = Workers { core: 0, max: 1, ..c.workers }
        }),
        ("`workers` is 3/2; it must be 1 <= core <= max <= 1,024", |c| {
            c.workers = Workers { core: 3, max: 2, ..c.workers }
        }),
        ("`max-queue-size` is 0; it must be at least 1", |c| c.queue_entries_max = 0),
        ("`max-queue-bytes` is 0; it must be at least 1", |c| c.queue_bytes_max = 0),
        ("`expires-in` is 0 ms; it must be longer than nothing and at most 366 days", |c| {
            c.expires_in = Some(ms(0))
        }),
        ("`type` cannot change while it lives", |c| *c = serial("t/p")),
    ];
    for (told, change) in bad {
        let error = bus.reconfigure(with(before.clone(), |config| {
            config.message_bytes_max = 7;
            change(config);
        }));
        assert!(error.as_ref().unwrap_err().to_string().contains(told), "{error:?}");
        assert_eq!(config_of(&bus, "t/p"), before);
    }
    bus.send("t/p", text("more than seven bytes")).await.unwrap();
    let unknown = bus.reconfigure(serial("t/none")).unwrap_err();
    assert_eq!(unknown.to_string(), "no destination is called `t/none`");
}

#[tokio::test(start_paused = true)]
async fn a_purge_gives_what_waits_to_the_caller_and_leaves_what_runs() {
    let (bus, notes, gate) = (bus(), Notes::default(), Gate::closed());
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, secs(60)))).unwrap();
    bus.register("t/s", blocking("a", &notes, &gate)).unwrap();
    bus.register("t/s", noting("b", &notes)).unwrap();
    for n in 0..3 {
        bus.send("t/s", text(n.to_string())).await.unwrap();
        turns().await;
    }
    let purged = bus.purge("t/s").unwrap();
    let what: Vec<_> = purged
        .iter()
        .map(|letter| (letter.message.payload().clone(), letter.listener.as_deref().unwrap().to_owned()))
        .collect();
    let pair = |n: &'static str, l: &str| (n.into(), l.to_owned());
    assert_eq!(what, [pair("1", "a"), pair("1", "b"), pair("2", "a"), pair("2", "b")]);
    gate.open();
    settled(&bus).await;
    let then = figures(&bus, "t/s");
    assert_eq!((notes.all(), then.dropped["purged"]), (vec!["a:0".to_owned(), "b:0".to_owned()], 4));
    assert_eq!(bus.purge("t/none").unwrap_err().to_string(), "no destination is called `t/none`");
}

#[tokio::test(start_paused = true)]
async fn a_purge_reaches_held_delayed_and_retried_messages_and_tells_who_waits_for_an_answer() {
    let (bus, notes) = (bus(), Notes::default());
    bus.create(serial("t/held")).unwrap();
    bus.send("t/held", text("h")).await.unwrap();
    assert_eq!(bus.purge("t/held").unwrap()[0].listener, None);
    bus.create(with(serial("t/s"), |config| config.retry = retries(5, secs(60)))).unwrap();
    bus.register("t/s", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
    let asking = bus.clone();
    let asked = tokio::spawn(async move { asking.request("t/s", text("r"), Some(secs(600))).await });
    eventually(|| notes.len() == 1 && figures(&bus, "t/s").running == 0).await;
    let purged = bus.purge("t/s").unwrap();
    assert_eq!((purged.len(), purged[0].attempts, purged[0].reason.name()), (1, 1, "purged"));
    let told = asked.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("purged"), "{told}");
    settled(&bus).await;
}
