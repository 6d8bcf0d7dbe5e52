//! Schedules: messages that the host sends at an interval or at times of day. When one is due stands in `plan`, what it does
//! then in `run`; what a destination does with the message is no matter of theirs.

mod config;
mod plan;
mod run;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::plan::Moment;
use self::run::Schedule;
use crate::bus::Bus;
use crate::limits::SCHEDULES_MAX;
use crate::sync::Mutex;

pub use config::{Misfire, Overlap, ScheduleConfig, ScheduleError, Trigger};
pub use status::{ScheduleState, ScheduleStatus};

/// The schedules of a bus. Dropped, it ends them: their tasks hold the bus weakly.
#[derive(Default)]
pub(crate) struct Schedules(Mutex<BTreeMap<String, Arc<Schedule>>>);

impl Schedules {
    /// Ends all of them. What they counted can still be read.
    pub(crate) fn end(&self) {
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        all.iter().for_each(|schedule| schedule.end());
    }

    fn find(&self, name: &str) -> Result<Arc<Schedule>, ScheduleError> {
        let found = self.0.lock().get(name).cloned();
        found.ok_or_else(|| ScheduleError::NoSuchSchedule(name.to_owned()))
    }
}

impl Drop for Schedules {
    fn drop(&mut self) {
        self.end();
    }
}

impl Bus {
    /// Has the host send a message at an interval or at times of day. The destination need not exist yet; a message that is
    /// not accepted is counted, and the schedule goes on.
    ///
    /// # Errors
    /// When something about the schedule is not legal, its name is taken, or there are too many; then nothing changed.
    ///
    /// # Examples
    /// ```
    /// use sandbus_bus::{Bus, BusConfig, DestinationConfig, Outcome, Outgoing, ScheduleConfig, listener_fn};
    /// use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = Bus::new(BusConfig::default());
    /// bus.create(DestinationConfig::serial("clock/tick")?)?;
    /// bus.register("clock/tick", listener_fn("l", |_| async { Outcome::done() }))?;
    /// let every = Duration::from_millis(5);
    /// bus.schedule(ScheduleConfig::every("tick", "clock/tick".parse()?, every, Outgoing::text("tick")))?;
    /// while bus.schedules().iter().all(|schedule| schedule.fired < 2) {
    ///     tokio::time::sleep(every).await;
    /// }
    /// bus.remove_schedule("tick")?;
    /// # Ok(()) }
    /// ```
    pub fn schedule(&self, config: ScheduleConfig) -> Result<(), ScheduleError> {
        let clock = self.shared.clock;
        let now = Moment::now(&clock);
        let plan = config.plan(now)?;
        let schedule = {
            let mut table = self.shared.schedules.0.lock();
            if table.contains_key(&config.name) {
                return Err(ScheduleError::AlreadyExists(config.name));
            }
            if table.len() >= SCHEDULES_MAX {
                return Err(ScheduleError::TooMany(table.len()));
            }
            let schedule = Arc::new(Schedule::new(config, plan.next(now)));
            table.insert(schedule.config.name.clone(), Arc::clone(&schedule));
            schedule
        };
        self.shared.spawn(run::keep(schedule, plan, clock, Arc::downgrade(&self.shared)));
        Ok(())
    }

    /// Has a schedule send nothing until it is resumed. One that is paused or completed stays so.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn pause_schedule(&self, name: &str) -> Result<(), ScheduleError> {
        self.shared.schedules.find(name).map(|schedule| schedule.pause())
    }

    /// Has a paused schedule go on at its next time. What it missed meanwhile follows [`ScheduleConfig::misfire`]; its
    /// times stay what they were.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn resume_schedule(&self, name: &str) -> Result<(), ScheduleError> {
        let now = Moment::now(&self.shared.clock);
        self.shared.schedules.find(name).map(|schedule| schedule.resume(now))
    }

    /// Ends a schedule and forgets it; a send of it that has begun goes on. Its name is free again.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn remove_schedule(&self, name: &str) -> Result<(), ScheduleError> {
        let removed = self.shared.schedules.0.lock().remove(name);
        removed.map(|schedule| schedule.end()).ok_or_else(|| ScheduleError::NoSuchSchedule(name.to_owned()))
    }

    /// The schedules and what they did, sorted by name.
    #[must_use]
    pub fn schedules(&self) -> Vec<ScheduleStatus> {
        let all: Vec<_> = self.shared.schedules.0.lock().values().cloned().collect();
        all.iter().map(|schedule| schedule.status()).collect()
    }
}
