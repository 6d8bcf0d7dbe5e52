//! GUEST-4, F35, H2: a guest is replaced while messages flow. Nothing is lost, each call runs on one build, and a build that
//! cannot run takes nobody's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sandbus::bus::{Cause, DeadLetterReason, DestinationConfig, Outgoing};
use sandbus::harness::Harness;
use sandbus::{GuestError, GuestSettings, GuestState, InstancePolicy, LifecycleError, LoadError, Quarantine};

use crate::support::{
    Asking, Told, beside_a_neighbour, eventually, guest, harness, parallel, plugin, serial, synchronous,
    zoo_that,
};

fn version(number: &str, listens_to: &[&str]) -> GuestSettings {
    guest(&format!("version_{number}"), "guest", listens_to)
}

/// Requests to one destination from several tasks, until it is told to end; what each build answered.
struct Load {
    end: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    answered: Arc<[AtomicU64; 2]>,
}

impl Load {
    fn on(harness: &Harness, destinations: &[&'static str]) -> Self {
        let (end, answered) =
            (Arc::new(AtomicBool::new(false)), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
        let tasks = destinations.iter().copied().map(|destination| {
            let (bus, end, answered) = (harness.bus().clone(), Arc::clone(&end), Arc::clone(&answered));
            tokio::spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    let asked = bus.request(destination, Outgoing::text("which"), None).await;
                    let reply = asked.expect("every request is answered");
                    answered[usize::from(reply.payload == "two")].fetch_add(1, Ordering::Relaxed);
                    // A synchronous destination answers in this task: it would never let others run.
                    tokio::task::yield_now().await;
                }
            })
        });
        Self { tasks: tasks.collect(), end, answered }
    }

    fn answers(&self) -> u64 {
        self.answered.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    async fn end(self) -> [u64; 2] {
        self.end.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a sender ends well");
        }
        [self.answered[0].load(Ordering::Relaxed), self.answered[1].load(Ordering::Relaxed)]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_4_a_guest_is_replaced_a_hundred_times_under_load_and_no_message_is_lost() {
    // Senders notice nothing but the answer: each message is received once, by one build, and after the swap by the new one.
    const PLACES: [&str; 3] = ["t/parallel", "t/serial", "t/synchronous"];
    let harness = beside_a_neighbour()
        .destination(parallel(PLACES[0]))
        .destination(serial(PLACES[1]))
        .destination(synchronous(PLACES[2]))
        .guest(version("one", &PLACES))
        .start()
        .await
        .unwrap();
    let load = Load::on(&harness, &[PLACES[0], PLACES[0], PLACES[1], PLACES[2], PLACES[2]]);
    for round in 0..100 {
        let before = load.answers();
        eventually("messages flow", || load.answers() > before + 5).await;
        let number = if round % 2 == 0 { "two" } else { "one" };
        let replaced = harness.platform().replace_guest("guest", version(number, &PLACES)).await.unwrap();
        assert!(!replaced.cut && replaced.not_deactivated.is_none(), "{replaced:?}");
        for place in PLACES {
            assert_eq!(harness.answer(place, "which").await, number, "round {round}");
        }
    }
    let [one, two] = load.end().await;
    assert!(one > 0 && two > 0, "both builds answered: {one}, {two}");
    harness.idle().await.unwrap();
    let asked = one + two + 100 * PLACES.len() as u64;
    let completed: u64 = PLACES.iter().map(|place| harness.figures(place).completed).sum();
    let delivered: u64 = PLACES.iter().map(|place| harness.figures(place).delivered).sum();
    assert_eq!((completed, delivered), (asked, asked), "each once, by one build");
    let status = harness.platform().guest("guest").unwrap();
    assert_eq!((status.calls, status.faults.len()), (asked, 0));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_whichever_policy_its_instances_follow_a_guest_is_replaced_ten_times_under_load() {
    // Also where all calls wait for one instance: those that wait run on the new build.
    for policy in [InstancePolicy::Single, InstancePolicy::PerMessage] {
        let of = |number: &str| {
            let mut settings = version(number, &["t/a"]);
            settings.instances.policy = policy;
            settings
        };
        let harness =
            beside_a_neighbour().destination(parallel("t/a")).guest(of("one")).start().await.unwrap();
        let load = Load::on(&harness, &["t/a", "t/a", "t/a"]);
        for round in 0..10 {
            let before = load.answers();
            eventually("messages flow", || load.answers() > before + 5).await;
            let number = if round % 2 == 0 { "two" } else { "one" };
            assert!(!harness.platform().replace_guest("guest", of(number)).await.unwrap().cut);
            assert_eq!(harness.answer("t/a", "which").await, number);
        }
        let [one, two] = load.end().await;
        harness.idle().await.unwrap();
        let figures = harness.figures("t/a");
        assert_eq!((figures.completed, figures.delivered), (one + two + 10, one + two + 10));
        harness.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_build_that_cannot_run_leaves_the_old_one_running_untouched() {
    // Under load, too: whatever is wrong with the new build is found before it takes anybody's place.
    let harness = beside_a_neighbour()
        .destination(parallel("t/a"))
        .guest(version("one", &["t/a"]))
        .start()
        .await
        .unwrap();
    let told = Told::by(harness.bus());
    told.take();
    let load = Load::on(&harness, &["t/a", "t/a"]);
    let mut looping = plugin("guest", "loop", "");
    looping.limits.activate_fuel = 10_000_000;
    let mut too_small = version("two", &["t/a"]);
    too_small.limits.memory_bytes_max = 64 << 10;
    let mut no_listener = crate::support::sample("n8k5_baker", "guest");
    no_listener.listens_to = vec!["t/a".to_owned()];
    for (bad, says) in [
        (looping, "out-of-fuel"),
        (plugin("guest", "panic no engine", ""), "no engine"),
        (plugin("guest", "error no licence", ""), "no licence"),
        (too_small, "memory"),
        (no_listener, "exports no `message-listener`"),
        (guest("missing_import", "guest", &["t/a"]), "acme:printer/print@1.0.0"),
        (guest("no_such_file", "guest", &["t/a"]), "cannot read"),
    ] {
        let error = harness.platform().replace_guest("guest", bad).await.unwrap_err();
        let text = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(text.contains(says), "{text}");
        assert_eq!(harness.answer("t/a", "which").await, "one", "after {text}");
        assert_eq!(told.take(), ["guest-load-failed guest"]);
    }
    assert_eq!(harness.platform().guest("guest").unwrap().state, GuestState::Active);
    let [one, two] = load.end().await;
    assert!(one > 0 && two == 0);
    let error = harness.platform().replace_guest("other", version("two", &[])).await.unwrap_err();
    assert!(matches!(error, GuestError::OtherName { .. }), "{error}");
    let error = harness.platform().reload_guest("other").await.unwrap_err();
    assert!(matches!(error, GuestError::NoSuchGuest { .. }), "{error}");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_what_the_old_build_ends_in_its_deactivate_stays_with_the_new_one() {
    // An honest guest tidies up behind itself. What it listens to and has made is the guest's, and not that build's.
    let mut tidy = plugin(
        "tidy",
        "listen t/x; create made/here",
        "stop-listening t/x; remove made/here; listen t/other; create made/late",
    );
    tidy.grants.listen = vec!["t/*".parse().unwrap()];
    tidy.grants.create = vec!["made/".to_owned()];
    let harness = beside_a_neighbour()
        .destination(serial("t/x"))
        .destination(serial("t/other"))
        .guest(tidy.clone())
        .start()
        .await
        .unwrap();
    // A name that is there already is an error in `activate`: the second build only listens.
    tidy.env.insert("ACTIVATE".to_owned(), "listen t/x".to_owned());
    harness.platform().replace_guest("tidy", tidy).await.unwrap();
    assert_eq!(harness.answer("t/x", "still here").await, "still here");
    assert!(harness.bus().config("made/here").is_some(), "it was not removed");
    assert!(harness.bus().config("made/late").is_none(), "nothing was made");
    assert!(harness.bus().statistics("t/other").unwrap().listeners.is_empty(), "it listens nowhere else");
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_where_a_build_that_cannot_run_ended_listening_the_old_one_listens_again() {
    let mut guest = plugin("guest", "listen t/x", "");
    guest.grants.listen = vec!["t/*".parse().unwrap()];
    let harness = beside_a_neighbour().destination(serial("t/x")).guest(guest.clone()).start().await.unwrap();
    assert_eq!(harness.answer("t/x", "first").await, "first");
    guest.env.insert(
        "ACTIVATE".to_owned(),
        "listen t/y; stop-listening t/y; stop-listening t/x; error not fit".to_owned(),
    );
    let error = harness.platform().replace_guest("guest", guest).await.unwrap_err();
    assert!(matches!(error, GuestError::Activate { .. }), "{error}");
    assert_eq!(harness.answer("t/x", "second").await, "second");
    let places: Vec<String> = harness.bus().registrations("guest").iter().map(ToString::to_string).collect();
    assert_eq!(places, ["t/x"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_call_that_outlasts_the_drain_is_ended_and_tried_again_on_the_new_build() {
    // The old build does not stay for ever, and its message is not lost: a deadline is what is tried again by default.
    let mut slow = zoo_that("sleep 600000", "guest", &["t/a"]);
    slow.limits.deadline = Duration::from_secs(1_800);
    slow.drain = Duration::from_millis(50);
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(slow).start().await.unwrap();
    harness.tell("t/a", "x").await;
    eventually("it is being received", || harness.figures("t/a").running == 1).await;
    let next = zoo_that("log 1 on the new build", "guest", &["t/a"]);
    let replaced = harness.platform().replace_guest("guest", next).await.unwrap();
    assert!(replaced.cut);
    harness.idle().await.unwrap();
    let figures = harness.figures("t/a");
    assert_eq!((figures.completed, figures.delivered, figures.retried), (1, 2, 1));
    assert_eq!(harness.lines_of("guest").last().map(String::as_str), Some("on the new build"));
    let status = harness.platform().guest("guest").unwrap();
    assert_eq!((status.state, status.faults.get("deadline")), (GuestState::Active, Some(&1)));
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_call_that_ends_within_the_drain_ends_on_the_build_that_began_it() {
    // `deactivate` of the old build comes after its last call, and `activate` of the new one before its first.
    let mut slow = plugin("guest", "", "");
    slow.listens_to = vec!["t/a".to_owned()];
    let harness = beside_a_neighbour()
        .destination(serial("t/a"))
        .destination(serial("t/b"))
        .guest(slow.clone())
        .guest(zoo_that("sleep 200", "sleeper", &["t/b"]))
        .start()
        .await
        .unwrap();
    harness.tell("t/b", "x").await;
    eventually("it is being received", || harness.figures("t/b").running == 1).await;
    let next = zoo_that("noop", "sleeper", &["t/b"]);
    assert!(!harness.platform().replace_guest("sleeper", next).await.unwrap().cut);
    assert_eq!(harness.figures("t/b").completed, 1, "it was waited for");
    assert_eq!(harness.answer("t/a", "first").await, "first");
    harness.platform().replace_guest("guest", slow).await.unwrap();
    assert_eq!(harness.answer("t/a", "second").await, "second");
    let lines = harness.lines_of("guest");
    assert_eq!(lines, ["activate", "receive first", "activate", "deactivate", "receive second"]);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_what_the_new_settings_say_counts_from_the_swap_on() {
    // Where a guest listens before and after, what waits and what was counted stays; elsewhere it comes or goes.
    let config = |name: &str| DestinationConfig { paused: true, ..serial(name) };
    let harness = beside_a_neighbour()
        .destination(config("t/gone"))
        .destination(config("t/kept"))
        .destination(serial("t/new"))
        .guest(version("one", &["t/gone", "t/kept"]))
        .start()
        .await
        .unwrap();
    for place in ["t/gone", "t/kept", "t/new"] {
        harness.tell(place, "waits").await;
    }
    let told = Told::by(harness.bus());
    told.take();
    let mut next = version("two", &["t/kept", "t/new"]);
    next.limits.fuel = 1_000;
    harness.platform().replace_guest("guest", next).await.unwrap();
    assert_eq!(told.take()[..2], ["unregistered guest t/gone", "guest-replaced guest"]);
    assert_eq!(harness.letter("t/gone").reason, DeadLetterReason::ListenerRemoved);
    assert_eq!(harness.figures("t/kept").pending, 1, "its queue is its own");
    harness.bus().resume("t/kept").unwrap();
    harness.idle().await.unwrap();
    for place in ["t/kept", "t/new"] {
        let letter = harness.letter(place);
        assert_eq!(
            letter.last_error.as_str().split(' ').take(5).collect::<Vec<_>>().join(" "),
            "used all of its 1000"
        );
        assert_eq!(letter.build, harness.platform().guest("guest").unwrap().build);
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_4_a_guest_that_is_replaced_by_itself_is_told_of_by_its_build() {
    // `reload` reads the file anew; whoever observes later is told the build that runs.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("guest.wasm");
    std::fs::copy(version("one", &[]).path, &file).unwrap();
    let mut settings = version("one", &["t/a"]);
    settings.path.clone_from(&file);
    let harness = harness().destination(serial("t/a")).guest(settings).start().await.unwrap();
    let first = harness.platform().guest("guest").unwrap();
    std::fs::copy(version("two", &[]).path, &file).unwrap();
    harness.platform().reload_guest("guest").await.unwrap();
    assert_eq!(harness.answer("t/a", "which").await, "two");
    let second = harness.platform().guest("guest").unwrap();
    assert_ne!(first.digest, second.digest);
    std::fs::write(&file, "no component").unwrap();
    let error = harness.platform().reload_guest("guest").await.unwrap_err();
    assert!(matches!(error, GuestError::Load { source: LoadError::Prescan { .. }, .. }), "{error}");
    assert_eq!(harness.answer("t/a", "which").await, "two");
    let builds = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&builds);
    let observation =
        harness.bus().observe(sandbus::bus::EventFilter::All, move |event: &sandbus::bus::Event| {
            if let sandbus::bus::Event::GuestLoaded { build, .. } = event {
                kept.lock().unwrap().push(build.clone());
            }
        });
    let observation = observation.unwrap();
    assert_eq!(*builds.lock().unwrap(), [second.build]);
    drop(observation);
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_11_a_platform_shuts_down_while_a_guest_is_being_replaced() {
    // The end of the host waits for nobody's start: the replacement is given up, the old build drained and deactivated.
    let mut old = plugin("guest", "", "");
    old.listens_to = vec!["t/a".to_owned()];
    let harness = harness().destination(serial("t/a")).guest(old).start().await.unwrap();
    let mut slow = plugin("guest", "sleep 3600000", "");
    slow.limits.activate_deadline = Duration::from_secs(3_600);
    let platform = harness.platform().clone();
    let replacing = tokio::spawn(async move { platform.replace_guest("guest", slow).await });
    eventually("the new build is being activated", || harness.lines_of("guest").len() == 2).await;
    harness.tell("t/a", "received").await;
    let platform = harness.platform().clone();
    let ended = tokio::time::timeout(Duration::from_secs(60), harness.settled()).await.expect("it ends");
    assert_eq!(
        (ended.statistics.iter().map(|each| each.completed).sum::<u64>(), ended.not_deactivated.len()),
        (1, 0)
    );
    let error = replacing.await.unwrap().unwrap_err();
    assert!(matches!(error, GuestError::ShuttingDown { .. }), "{error}");
    let error = platform.reload_guest("guest").await.unwrap_err();
    assert!(matches!(error, GuestError::ShuttingDown { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guest_4_a_caller_that_goes_away_leaves_no_half_replacement() {
    // The replacement has an owner of its own.
    let harness = harness().destination(serial("t/a")).guest(version("one", &["t/a"])).start().await.unwrap();
    let mut slow = plugin("guest", "sleep 200", "");
    slow.listens_to = vec!["t/a".to_owned()];
    let replacing = harness.platform().replace_guest("guest", slow);
    assert!(tokio::time::timeout(Duration::from_millis(50), replacing).await.is_err());
    let harness = &harness;
    let replaced =
        || harness.lines_of("guest").len() == 1 && harness.platform().guest("guest").unwrap().instances == 0;
    eventually("it is activated", replaced).await;
    while harness.answer("t/a", "echo").await == "one" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_a_guest_whose_activate_loops_is_quarantined_when_it_is_loaded() {
    // Its messages wait: whoever repairs it finds them there.
    let harness = harness().destination(serial("t/a")).start().await.unwrap();
    let told = Told::by(harness.bus());
    let mut looping = plugin("guest", "loop", "");
    looping.listens_to = vec!["t/a".to_owned()];
    looping.limits.activate_fuel = 10_000_000;
    let hour = Duration::from_secs(3_600);
    looping.quarantine = Some(Quarantine { initial: hour, max: hour, ..Quarantine::default() });
    let error = harness.platform().load_guest(looping.clone()).await.unwrap_err();
    let GuestError::Activate { source: LifecycleError::Faulted(fault), .. } = error else {
        panic!("{error}")
    };
    assert_eq!(fault.cause, Cause::OutOfFuel);
    assert_eq!(told.take(), ["guest-loaded guest", "guest-load-failed guest", "guest-quarantined guest"]);
    let GuestState::Quarantined { why, retry_in, .. } = harness.platform().guest("guest").unwrap().state
    else {
        panic!("it is in quarantine")
    };
    assert!(
        why.as_str().contains("out-of-fuel") && retry_in > Duration::from_secs(3_000),
        "{why} {retry_in:?}"
    );
    harness.tell("t/a", "waits").await;
    harness.idle().await.unwrap();
    assert_eq!(harness.figures("t/a").aside, 1);
    assert!(harness.platform().release_guest("guest").await.is_err(), "it still loops");
    assert_eq!(harness.figures("t/a").aside, 1);
    let mut mended = plugin("guest", "", "");
    mended.listens_to = vec!["t/a".to_owned()];
    harness.platform().replace_guest("guest", mended).await.unwrap();
    harness.idle().await.unwrap();
    assert_eq!(harness.lines_of("guest").last().map(String::as_str), Some("receive waits"));
    assert_eq!(told.take(), ["guest-recovered guest", "guest-activated guest"]);
    // Without a quarantine it is not there at all.
    let mut off = looping;
    off.name = "other".to_owned();
    off.quarantine = None;
    assert!(harness.platform().load_guest(off).await.is_err());
    assert!(harness.platform().guest("other").is_none());
    assert_eq!(harness.figures("t/a").listeners.len(), 1);
    harness.settled().await;
}
