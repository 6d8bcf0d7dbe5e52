//! SCHED: what becomes of each firing of a schedule: sent, refused, skipped, missed, or caught up.

use crate::schedule::{counts, every, pass, status, timed_bus};
use crate::support::*;

#[tokio::test(start_paused = true)]
async fn after_a_pause_returned_nothing_more_is_accepted() {
    // The pause comes at the moment of the firing: before its turn, or between it and the send. What is not sent is missed.
    for pauses_first in [true, false] {
        let (bus, notes) = (timed_bus(), Notes::default());
        bus.create(serial("t/d")).unwrap();
        bus.register("t/d", noting("l", &notes)).unwrap();
        let (pauser, moment) = (bus.clone(), Instant::now() + secs(1));
        let pause = async move {
            tokio::time::sleep_until(moment).await;
            pauser.pause_schedule("tick").unwrap();
        };
        if pauses_first {
            tokio::spawn(pause);
            turns().await;
            bus.schedule(every("tick", "t/d", secs(1))).unwrap();
        } else {
            bus.schedule(every("tick", "t/d", secs(1))).unwrap();
            turns().await;
            tokio::spawn(pause);
        }
        pass(ms(1_500)).await;
        assert_eq!(
            (figures(&bus, "t/d").accepted, counts(&bus, "tick")),
            (0, (0, 0, 1, 0)),
            "{pauses_first}"
        );
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_paused_schedule_missed_is_caught_up_once_where_told() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(ScheduleConfig { misfire: Misfire::Once, ..every("tick", "t/d", secs(10)) }).unwrap();
    bus.pause_schedule("tick").unwrap();
    pass(secs(35)).await;
    assert_eq!(counts(&bus, "tick"), (0, 0, 3, 0));
    bus.resume_schedule("tick").unwrap();
    turns().await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (1, (1, 0, 2, 0)), "one for the three that it missed");
    pass(secs(10)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (2, (2, 0, 2, 0)), "at 40 s, as ever");
    bus.pause_schedule("tick").unwrap();
    pass(secs(3)).await;
    bus.resume_schedule("tick").unwrap();
    turns().await;
    assert_eq!(notes.len(), 2, "it missed nothing, and owes nothing");
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_its_task_never_saw_is_a_pause_all_the_same() {
    // The clock jumps while the task sleeps; what was due in between was due while it was paused.
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(every("tick", "t/d", secs(10))).unwrap();
    turns().await;
    bus.pause_schedule("tick").unwrap();
    let mut jump = Box::pin(tokio::time::advance(secs(25)));
    assert!(jump.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    bus.resume_schedule("tick").unwrap();
    turns().await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (0, (0, 0, 2, 0)));
    pass(secs(5)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (1, (1, 0, 2, 0)));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_firing_is_skipped_while_the_last_message_is_not_settled() {
    // On each type of destination, on the synchronous one in the middle of the send itself.
    for config in each_type() {
        let (bus, notes, gate, destination) =
            (timed_bus(), Notes::default(), Gate::closed(), config.name.to_string());
        bus.create(config).unwrap();
        bus.register(&destination, blocking("l", &notes, &gate)).unwrap();
        bus.schedule(every("tick", &destination, secs(1))).unwrap();
        pass(ms(3_500)).await;
        assert_eq!((notes.len(), status(&bus, "tick").skipped), (1, 2), "{destination}");
        gate.let_one_pass();
        pass(secs(1)).await;
        assert_eq!((notes.len(), status(&bus, "tick").skipped), (2, 2), "{destination}");
        gate.open();
        bus.remove_schedule("tick").unwrap();
        settled(&bus).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_retry_is_not_settled() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(with(serial("t/s"), |config| config.retry = retries(2, secs(10)))).unwrap();
    bus.register("t/s", ending("l", &notes, |_| Outcome::retry("later"))).unwrap();
    bus.schedule(every("tick", "t/s", secs(4))).unwrap();
    pass(secs(17)).await;
    // At 4 s, and again at 16 s: the first one became a dead letter at 14 s.
    assert_eq!((notes.len(), counts(&bus, "tick")), (3, (2, 2, 0, 0)));
    bus.remove_schedule("tick").unwrap();
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_may_overlap_sends_all_the_same_up_to_a_bound() {
    let (bus, notes, gate) = (timed_bus(), Notes::default(), Gate::closed());
    bus.create(parallel("t/p")).unwrap();
    bus.create(synchronous("t/y")).unwrap();
    bus.register("t/p", blocking("p", &notes, &gate)).unwrap();
    bus.register("t/y", blocking("y", &notes, &gate)).unwrap();
    for (schedule, destination) in [("queued", "t/p"), ("inline", "t/y")] {
        let config = every(schedule, destination, secs(1));
        bus.schedule(ScheduleConfig { overlap: Overlap::Allow, ..config }).unwrap();
    }
    pass(ms(20_500)).await;
    assert_eq!(counts(&bus, "queued"), (20, 0, 0, 0));
    // Each of these is a task that runs the listener; more than a few are not wanted.
    assert_eq!(notes.count("y:inline"), limits::SCHEDULE_SENDS_MAX);
    assert_eq!(status(&bus, "inline").skipped as usize, 20 - limits::SCHEDULE_SENDS_MAX);
    gate.open();
    for schedule in ["queued", "inline"] {
        bus.remove_schedule(schedule).unwrap();
    }
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_fails_is_counted_by_name_and_the_schedule_goes_on() {
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.schedule(every("tick", "t/d", secs(1))).unwrap();
    pass(ms(2_500)).await;
    bus.create(with(serial("t/d"), |config| config.on_no_listener = OnNoListener::Reject)).unwrap();
    pass(secs(1)).await;
    let failing = status(&bus, "tick");
    assert_eq!(
        failing.errors.into_iter().collect::<Vec<_>>(),
        [("no-listener", 1), ("no-such-destination", 2)]
    );
    assert_eq!(failing.last_error.unwrap().to_string(), "destination `t/d` has no listener");
    bus.register("t/d", noting("l", &notes)).unwrap();
    pass(secs(1)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (1, (1, 0, 0, 3)));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn firings_that_come_due_together_are_one_message_and_the_rest_is_missed() {
    // The host could not act for a while; a burst would be of no use to anybody.
    let (bus, notes) = (timed_bus(), Notes::default());
    bus.create(serial("t/d")).unwrap();
    bus.register("t/d", noting("l", &notes)).unwrap();
    bus.schedule(every("tick", "t/d", secs(1))).unwrap();
    turns().await;
    tokio::time::advance(secs(100)).await;
    turns().await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (1, (1, 0, 99, 0)));
    pass(secs(1)).await;
    assert_eq!((notes.len(), counts(&bus, "tick")), (2, (2, 0, 99, 0)));
    settled(&bus).await;
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_is_far_too_late_is_missed_or_caught_up() {
    for (misfire, received, missed) in [(Misfire::Skip, 0, 1), (Misfire::Once, 1, 0)] {
        let (bus, notes) = (timed_bus(), Notes::default());
        bus.create(serial("t/d")).unwrap();
        bus.register("t/d", noting("l", &notes)).unwrap();
        bus.schedule(ScheduleConfig { misfire, ..every("tick", "t/d", secs(3_600)) }).unwrap();
        turns().await;
        tokio::time::advance(secs(3_600) + limits::SCHEDULE_LATE_MAX + secs(1)).await;
        turns().await;
        assert_eq!((notes.len(), counts(&bus, "tick").2), (received, missed), "{misfire:?}");
        settled(&bus).await;
    }
}
