//! Runs a case on a real bus and keeps the naive reference beside it. What is done to destinations stands here; senders,
//! and what an operator does, stand in files of their own.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use sandbus_bus::*;

use crate::asked::Asked;
use crate::case::{Case, Gone, HOME, Home, LISTENERS, Operation, name};
use crate::check::{self, Checked};
use crate::log::{Event, SharedLog, listener};
use crate::reference::{Place, Sent};
use crate::settings::{Settings, Shape, custom_type};
use crate::tally::Tally;
use crate::watch::{Followed, Told, Watch};

pub(crate) struct World {
    pub(crate) bus: Bus,
    pub(crate) places: Vec<Place>,
    pub(crate) log: SharedLog,
    /// What was accepted, by number.
    pub(crate) sent: BTreeMap<u64, Sent>,
    /// Senders that wait beside the operations.
    pub(crate) asked: Vec<Asked>,
    pub(crate) next: u64,
    /// Dead letters that were redriven to the destination of replies.
    pub(crate) redriven_home: u64,
    /// Replies to it that it had turned away, and that have left the dead letters since.
    pub(crate) replies_gone: u64,
    /// Whether some of them may have left unseen.
    pub(crate) replies_lost: bool,
    /// Messages whose sender follows them.
    pub(crate) followed: Vec<Followed>,
    /// Numbers of messages that were redriven.
    pub(crate) redriven: HashSet<u64>,
    pub(crate) watch: Watch,
    pub(crate) tally: Tally,
    start: Instant,
}

pub(crate) async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Lets the smallest time pass that the clock can tell, so that what comes next has a time of its own.
pub(crate) async fn tick() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Runs one case, checking the books after every step and everything at the end.
pub(crate) async fn run(case: &Case) -> Result<Tally, String> {
    let mut world = World::new(case);
    for (d, listeners) in case.opening.iter().enumerate() {
        let Some(listeners) = listeners else { continue };
        world.perform(&Operation::Create(d)).await?;
        for l in listeners {
            world.perform(&Operation::Register(d, *l)).await?;
        }
    }
    for (step, operation) in case.operations.iter().enumerate() {
        let done = tokio::time::timeout(Duration::from_secs(3_600), world.perform(operation)).await;
        let done = done.unwrap_or_else(|_| Err(format!("it never ends: {:#?}", world.bus.all_statistics())));
        let done = done.and_then(|()| check::books(&mut world));
        done.map_err(|error| format!("after step {step}, {operation:?}: {error}"))?;
    }
    world.finish().await?;
    check::everything(&mut world)?;
    let log = world.log.lock().unwrap();
    let batches =
        [("batches", log.together), ("given back", log.given_back), ("batches stopped", log.stopped)];
    batches.into_iter().for_each(|(what, count)| world.tally.add(what, count));
    drop(log);
    Ok(world.tally)
}

impl World {
    fn new(case: &Case) -> Self {
        let (bus, log) = (Bus::new(BusConfig::default()), SharedLog::default());
        open_home(&bus, case.home);
        let place = |(d, (shape, settings)): (usize, &(Shape, Settings))| {
            let custom = custom_type(shape.destination_type);
            let config = settings.config(d, shape, &custom, &log);
            Place::new(*shape, custom, config)
        };
        let places = case.places.iter().enumerate().map(place).collect();
        let watch = Watch::new(&bus);
        Self {
            bus,
            places,
            log,
            sent: BTreeMap::new(),
            asked: Vec::new(),
            next: 0,
            redriven_home: 0,
            replies_gone: 0,
            replies_lost: false,
            followed: Vec::new(),
            redriven: HashSet::new(),
            watch,
            tally: Tally::default(),
            start: Instant::now(),
        }
    }

    async fn perform(&mut self, operation: &Operation) -> Checked {
        self.tally.add(&format!("op {}", operation.name()), 1);
        match operation {
            Operation::Create(d) => self.create(*d),
            Operation::Destroy(d) => return self.destroy(*d).await,
            Operation::Replace(d, shape, settings) => return self.replace(*d, *shape, settings),
            Operation::Unreplace(d, gone) => return self.unreplace(*d, *gone).await,
            Operation::Send(d, options, back, follow) => {
                return self.send(*d, options.clone(), *back, *follow).await;
            }
            Operation::Burst(d, count, back) => {
                for _ in 0..*count {
                    self.send(*d, None, *back, false).await?;
                }
            }
            Operation::Request(d, options, timeout) => {
                return self.request(*d, options.clone(), *timeout).await;
            }
            Operation::Direct(d, timeout) => return self.direct(*d, *timeout).await,
            Operation::Cancel => self.cancel().await,
            Operation::Forge => return self.forge().await,
            Operation::Register(d, l) => return self.register(*d, *l),
            Operation::Unregister(d, l) => return self.unregister(*d, *l).await,
            Operation::Pause(d) => self.pause(*d, true),
            Operation::Resume(d) => self.pause(*d, false),
            Operation::Inline(d, inline) => self.inline(*d, *inline),
            Operation::Tune(d, settings) => return self.tune(*d, settings).await,
            Operation::Mistune(d) => return self.mistune(*d),
            Operation::Purge(d) => return self.purge(*d),
            Operation::Redrive(d, to, letters) => return self.redrive(*d, *to, *letters).await,
            Operation::DropLetters(d, letters) => return self.drop_letters(*d, *letters),
            Operation::Close(d, drain) => self.close(*d, Some(*drain)).await,
            Operation::CloseNow(d) => self.close(*d, None).await,
            Operation::Reopen(d) => self.reopen(*d),
            Operation::Advance(by) => tokio::time::sleep(*by).await,
            Operation::Turn => turns(10).await,
        }
        Ok(())
    }

    /// Notes something that happens to listeners besides their calls, and answers how much was noted before.
    pub(crate) fn note(&self, event: Event) -> usize {
        self.log.lock().unwrap().note(event).order
    }

    /// The configuration that `settings` are at a destination.
    pub(crate) fn configured(&self, d: usize, settings: &Settings) -> DestinationConfig {
        let place = &self.places[d];
        let settings = if place.hidden.is_some() { &settings.wide() } else { settings };
        settings.config(d, &place.shape, &place.custom, &self.log)
    }

    fn create(&mut self, d: usize) {
        let (config, exists) = (self.places[d].config.clone(), self.places[d].exists);
        let (shown, hidden) = self.places[d].rankings();
        // Three of one name, or two of which one is closed, are more than the reference knows.
        if exists && shown != 0 && (hidden.is_some_and(|hidden| hidden != 0) || self.places[d].closed) {
            return;
        }
        let created = self.bus.create(config.clone());
        let behind = exists && shown != 0 && hidden.is_none();
        assert_eq!(created.is_ok(), !exists || behind);
        if created.is_ok() && behind {
            self.tally.add("hidden from the start", 1);
            self.places[d].hide_behind();
        } else if created.is_ok() {
            let events = self.note(Event::Fresh(d, None));
            self.places[d].open(config, events);
            self.was_created(d);
        }
    }

    /// Its dead letters go with a destination: what it owed is checked before they do.
    async fn destroy(&mut self, d: usize) -> Checked {
        if self.places[d].hidden.is_some() {
            return self.unreplace(d, Gone::Shown).await;
        }
        if self.places[d].exists {
            self.close(d, None).await;
            check::place(self, d).map_err(|error| format!("{} when it is destroyed: {error}", name(d)))?;
            self.replies_go(d);
            self.was_destroyed(d);
            self.tally.add("destroyed", 1);
        }
        let destroyed = self.bus.destroy(&name(d)).await;
        assert_eq!(destroyed.is_ok(), self.places[d].exists);
        if destroyed.is_ok() {
            let place = &mut self.places[d];
            *place = Place::new(place.shape, place.custom.clone(), place.config.clone());
        }
        Ok(())
    }

    fn register(&mut self, d: usize, l: usize) -> Checked {
        let place = &mut self.places[d];
        let made = listener(d, l, &place.shape, &self.log, self.start);
        let registered = self.bus.register(&name(d), made).unwrap();
        let known = place.listeners.contains(&l);
        let wanted = match (known, place.exists) {
            (true, _) => Registered::Already,
            (false, true) => Registered::Now,
            (false, false) => Registered::WhenItAppears,
        };
        check::equal("the registration", &registered, &wanted)?;
        if !known {
            self.log.lock().unwrap().note(Event::Fresh(d, Some(l)));
            place.listeners.push(l);
            if place.exists && place.listeners.len() == 1 {
                self.tally.add("held", place.all_held().count());
                place.fix_held(l);
            }
            if place.exists {
                self.watch.expect(Told::Registered(d, l));
            }
        }
        Ok(())
    }

    async fn unregister(&mut self, d: usize, l: usize) -> Checked {
        let was_there = self.bus.unregister(&name(d), LISTENERS[l]).await;
        check::equal("it was there", &was_there, &self.places[d].listeners.contains(&l))?;
        if was_there {
            let events = self.log.lock().unwrap().events.len();
            self.places[d].removed(l, events);
            if self.places[d].exists {
                self.watch.expect(Told::Unregistered(d, l));
            }
        }
        Ok(())
    }

    fn pause(&mut self, d: usize, pause: bool) {
        let done = if pause { self.bus.pause(&name(d)) } else { self.bus.resume(&name(d)) };
        assert_eq!(done.is_ok(), self.places[d].exists);
        self.places[d].pause(pause && done.is_ok());
    }

    fn inline(&mut self, d: usize, inline: bool) {
        let done = self.bus.run_inline(&name(d), inline);
        assert_eq!(done.is_ok(), self.places[d].exists);
        self.places[d].run_inline(inline && done.is_ok());
    }

    pub(crate) async fn close(&mut self, d: usize, drain: Option<Duration>) {
        if self.places[d].exists {
            self.note(Event::Closing(d));
        }
        let closed = match drain {
            Some(drain) => self.bus.close(&name(d), drain).await,
            None => self.bus.close_now(&name(d)).await,
        };
        assert_eq!(closed.is_ok(), self.places[d].exists);
        if let Ok(closed) = closed {
            self.tally.add("interrupted", usize::from(closed.interrupted));
            self.places[d].closed = true;
            self.places[d].forget_held();
        }
    }

    fn reopen(&mut self, d: usize) {
        let before = self.bus.statistics(&name(d));
        let reopened = self.bus.reopen(&name(d));
        assert_eq!(reopened.is_ok(), self.places[d].exists);
        let Some(before) = before.filter(|before| before.state == "closed") else { return };
        self.note(Event::Fresh(d, None));
        self.tally.add("reopened", 1);
        let place = &mut self.places[d];
        place.given_up_before += check::given_up(&before);
        place.reopen();
    }

    /// Lets everything come to its end: resumed, at rest, and nothing aside any more.
    async fn finish(&mut self) -> Checked {
        for d in 0..self.places.len() {
            self.pause(d, false);
        }
        for _ in 0..300 {
            self.rest().await?;
            let all = self.bus.all_statistics();
            if all.iter().all(|figures| figures.aside == 0) {
                self.answers().await?;
                self.rest().await?;
                return check::books(self);
            }
            // No cooldown is longer than that.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        Err(format!("something stands aside for ever: {:#?}", self.bus.all_statistics()))
    }

    async fn rest(&self) -> Checked {
        let rest = tokio::time::timeout(Duration::from_secs(3_600), self.bus.idle()).await;
        rest.map_err(|_| format!("the bus does not come to rest: {:#?}", self.bus.all_statistics()))
    }
}

/// Replies to one that is not wide take a while there.
fn open_home(bus: &Bus, home: Home) {
    let mut config = DestinationConfig::serial(HOME).unwrap();
    if home != Home::Wide {
        config.queue_entries_max = 1;
    }
    if let Home::Waiting(timeout) = home {
        config.rejected_execution = RejectedExecution::Block(timeout);
    }
    bus.create(config).unwrap();
    let takes = Duration::from_millis(if home == Home::Wide { 0 } else { 30 });
    let listener = listener_fn("home", move |_| async move {
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        Outcome::done()
    });
    bus.register(HOME, listener).unwrap();
}
