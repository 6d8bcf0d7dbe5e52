//! What a schedule may be, checked once before anything changes. It starts nothing.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::plan::{Moment, Plan, Timing};
use crate::limits::{SCHEDULE_INTERVAL_MIN, SCHEDULE_NAME_BYTES_MAX};
use crate::message::Outgoing;
use crate::name::DestinationName;
use crate::sync::Instant;

/// When a schedule fires.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// use std::time::Duration;
/// let every = Trigger::Every(Duration::from_secs(60));
/// let noon = ScheduleConfig::cron("noon", "clock".parse().unwrap(), "0 12 * * *", Outgoing::text("noon"));
/// assert!(every != noon.trigger && matches!(noon.trigger, Trigger::Cron { .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// At this interval, by the bus clock; the first time after one interval.
    Every(Duration),
    /// At times of day, by the wall clock of the bus.
    Cron {
        /// Five fields, from minute to day of the week, with one for seconds before them where there are six. `L`, `W`,
        /// `#`, names of days and months, and `@daily` and the like are understood.
        text: String,
        /// A name of the tz database, such as `UTC` or `Europe/Berlin`.
        time_zone: String,
    },
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Every(interval) => write!(f, "every {interval:?}"),
            Trigger::Cron { text, time_zone } => write!(f, "{text} ({time_zone})"),
        }
    }
}

/// What a firing does while the message of an earlier one is not yet settled.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let mut noon = ScheduleConfig::cron("noon", "clock".parse().unwrap(), "0 12 * * *", Outgoing::text("noon"));
/// (noon.overlap, noon.misfire) = (Overlap::Allow, Misfire::Once);
/// assert!(noon.check(std::time::SystemTime::now()).is_ok());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It sends nothing, and is counted as skipped.
    #[default]
    Skip,
    /// It sends all the same.
    Allow,
}

/// What becomes of firings whose time passed while the schedule was paused, or the host could not act.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Misfire {
    /// They are counted as missed.
    #[default]
    Skip,
    /// One message stands for all of them.
    Once,
}

/// A schedule: when it sends what to where, always as the host.
///
/// # Examples
/// ```
/// use sandbus_bus::{Misfire, Outgoing, ScheduleConfig};
/// use std::time::Duration;
/// let tick = ScheduleConfig::every("tick", "clock/tick".parse()?, Duration::from_secs(30), Outgoing::default());
/// let mut nightly = ScheduleConfig::cron("nightly", "reports/make".parse()?, "30 2 * * *", Outgoing::text("daily"))
///     .in_time_zone("Europe/Berlin");
/// nightly.misfire = Misfire::Once;
/// # Ok::<(), sandbus_bus::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleConfig {
    /// Its name: 1 to 64 bytes of ASCII letters, digits, `-`, `_` and `.`, as a guest's.
    pub name: String,
    /// Where it sends; need not exist yet.
    pub destination: DestinationName,
    /// When it fires.
    pub trigger: Trigger,
    /// From when on it fires no more; none: it goes on.
    pub end: Option<SystemTime>,
    /// What it sends, a copy at each firing.
    pub message: Outgoing,
    /// What a firing does while the last message is not settled.
    pub overlap: Overlap,
    /// What becomes of missed firings.
    pub misfire: Misfire,
}

impl ScheduleConfig {
    /// A schedule that fires at this interval and has no end; it skips what overlaps and what it missed.
    #[must_use]
    pub fn every(name: &str, destination: DestinationName, interval: Duration, message: Outgoing) -> Self {
        Self::new(name, destination, Trigger::Every(interval), message)
    }

    /// The same for one that fires at times of day, in UTC.
    #[must_use]
    pub fn cron(name: &str, destination: DestinationName, text: &str, message: Outgoing) -> Self {
        let trigger = Trigger::Cron { text: text.to_owned(), time_zone: "UTC".to_owned() };
        Self::new(name, destination, trigger, message)
    }

    fn new(name: &str, destination: DestinationName, trigger: Trigger, message: Outgoing) -> Self {
        Self {
            name: name.to_owned(),
            destination,
            trigger,
            end: None,
            message,
            overlap: Overlap::Skip,
            misfire: Misfire::Skip,
        }
    }

    /// Takes the times of day in this time zone. An interval has none, and stays as it is.
    #[must_use]
    pub fn in_time_zone(mut self, name: &str) -> Self {
        if let Trigger::Cron { time_zone, .. } = &mut self.trigger {
            name.clone_into(time_zone);
        }
        self
    }

    /// Checks all of it, as [`Bus::schedule`](crate::Bus::schedule) does at that time.
    ///
    /// # Errors
    /// The first thing that is not legal.
    pub fn check(&self, now: SystemTime) -> Result<(), ScheduleError> {
        self.plan(Moment { instant: Instant::now(), wall: now }).map(drop)
    }

    /// Checks all of it, and says when the schedule will fire from `now` on.
    pub(super) fn plan(&self, now: Moment) -> Result<Plan, ScheduleError> {
        check_name(&self.name)?;
        let timing = self.timing()?;
        if let Some(end) = self.end.filter(|end| *end <= now.wall) {
            let (schedule, end, now) = (self.name.clone(), shown(end), shown(now.wall));
            return Err(ScheduleError::EndPassed { schedule, end, now });
        }
        let plan = Plan::new(timing, self.end, now);
        match &self.trigger {
            Trigger::Cron { text, .. } if plan.never_fires() => {
                Err(ScheduleError::NeverFires { schedule: self.name.clone(), text: text.clone() })
            }
            _ => Ok(plan),
        }
    }

    fn timing(&self) -> Result<Timing, ScheduleError> {
        match &self.trigger {
            Trigger::Every(interval) if *interval < SCHEDULE_INTERVAL_MIN => {
                Err(ScheduleError::Interval { schedule: self.name.clone(), interval: *interval })
            }
            Trigger::Every(interval) => Ok(Timing::Every(*interval)),
            Trigger::Cron { text, time_zone } => {
                let cron = super::plan::parse(text).map_err(|reason| ScheduleError::Cron {
                    schedule: self.name.clone(),
                    text: text.clone(),
                    reason,
                })?;
                let zone = super::plan::zone(time_zone).ok_or_else(|| ScheduleError::TimeZone {
                    schedule: self.name.clone(),
                    time_zone: time_zone.clone(),
                })?;
                Ok(Timing::Cron { cron: Box::new(cron), zone })
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), ScheduleError> {
    let bad = |reason: String| Err(ScheduleError::Name { name: name.escape_debug().to_string(), reason });
    if name.is_empty() || name.len() > SCHEDULE_NAME_BYTES_MAX {
        return bad(format!("it has {} bytes; it may have 1 to {SCHEDULE_NAME_BYTES_MAX}", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.chars().find(|c| !allowed(*c)) {
        Some(c) => bad(format!("it has `{}`; use letters, digits, `-`, `_` and `.`", c.escape_debug())),
        None => Ok(()),
    }
}

/// A time as people read it.
fn shown(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{time:?}"),
    }
}

/// Why a schedule was not made, or not changed. Nothing happened.
///
/// # Examples
/// ```
/// use sandbus_bus::*;
/// let bad = ScheduleConfig::cron("noon", "clock".parse().unwrap(), "at noon", Outgoing::text("noon"));
/// let error: ScheduleError = bad.check(std::time::SystemTime::now()).unwrap_err();
/// assert!(error.to_string().contains("`at noon`"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The name breaks a rule.
    #[error("`{name}` cannot be the name of a schedule: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Which rule.
        reason: String,
    },
    /// The interval is too short.
    #[error(
        "schedule `{schedule}`: the interval {interval:?} is too short; it must be at least {SCHEDULE_INTERVAL_MIN:?}"
    )]
    Interval {
        /// Whose.
        schedule: String,
        /// How long it is.
        interval: Duration,
    },
    /// The text is not a cron text.
    #[error(
        "schedule `{schedule}`: `{}` is not a cron text: {reason}; write minute, hour, day of the month, month and day of \
         the week, with seconds before them if need be",
        text.escape_debug()
    )]
    Cron {
        /// Whose.
        schedule: String,
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such time.
    #[error("schedule `{schedule}`: `{}` would never fire: there is no such date", text.escape_debug())]
    NeverFires {
        /// Whose.
        schedule: String,
        /// The cron text.
        text: String,
    },
    /// The tz database has no such zone.
    #[error(
        "schedule `{schedule}`: there is no time zone `{}`; use a name such as `UTC` or `Europe/Berlin`",
        time_zone.escape_debug()
    )]
    TimeZone {
        /// Whose.
        schedule: String,
        /// The name.
        time_zone: String,
    },
    /// It would have ended before it began.
    #[error("schedule `{schedule}`: the end {end} has passed; it is {now}")]
    EndPassed {
        /// Whose.
        schedule: String,
        /// The end.
        end: String,
        /// The time of the check.
        now: String,
    },
    /// There is one already.
    #[error("schedule `{0}` exists already; remove it first")]
    AlreadyExists(String),
    /// There is none of this name.
    #[error("no schedule is called `{0}`")]
    NoSuchSchedule(String),
    /// There are as many as there may be.
    #[error("there are {0} schedules, and no more may be made; remove those that are completed")]
    TooMany(usize),
}
