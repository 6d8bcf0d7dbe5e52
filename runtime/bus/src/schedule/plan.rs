//! When a schedule fires: arithmetic on times, by an interval or a cron text. It waits for nothing and sends nothing.

use std::time::{Duration, SystemTime};

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::clock::{Clock, later};
use crate::limits::SCHEDULE_MISSED_COUNTED_MAX;
use crate::sync::{Instant, after};

/// A moment by both clocks of the bus.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now(clock: &Clock) -> Self {
        let instant = Instant::now();
        Self { instant, wall: clock.at(instant) }
    }

    fn earlier(self, by: Duration) -> Self {
        Self {
            instant: self.instant.checked_sub(by).unwrap_or(self.instant),
            wall: self.wall.checked_sub(by).unwrap_or(self.wall),
        }
    }
}

/// A checked trigger.
#[derive(Debug)]
pub(super) enum Timing {
    Every(Duration),
    Cron { cron: Box<Cron>, zone: TimeZone },
}

/// What a cron text means, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Cron, String> {
    // A year would end a schedule without saying so; that is what its end is for.
    let parser = CronParser::builder().year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| error.to_string().trim_end_matches('.').to_owned())
}

/// The time zone of this name, from the database that is built in: the same on each machine.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The firings that are still to come.
#[derive(Debug)]
pub(super) struct Plan {
    next: Next,
    end: Option<SystemTime>,
}

#[derive(Debug)]
enum Next {
    Every { interval: Duration, due: Instant },
    Cron { cron: Box<Cron>, zone: TimeZone, due: Option<SystemTime> },
}

/// Firings whose time has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) count: u64,
    /// How long ago the last of them was due.
    pub(super) late: Duration,
}

impl Plan {
    pub(super) fn new(timing: Timing, end: Option<SystemTime>, now: Moment) -> Self {
        let next = match timing {
            Timing::Every(interval) => Next::Every { interval, due: after(now.instant, interval) },
            Timing::Cron { cron, zone } => {
                let due = occurrence(&cron, &zone, now.wall);
                Next::Cron { cron, zone, due }
            }
        };
        Self { next, end }
    }

    /// Whether no firing is left, whatever its end is.
    pub(super) fn never_fires(&self) -> bool {
        matches!(self.next, Next::Cron { due: None, .. })
    }

    pub(super) fn has_ended(&self, now: Moment) -> bool {
        self.end.is_some_and(|end| end <= now.wall) || (self.end.is_none() && self.never_fires())
    }

    /// The time of day of the next firing, if there is one before the end.
    pub(super) fn next(&self, now: Moment) -> Option<SystemTime> {
        let next = match self.next {
            Next::Every { due, .. } if due >= now.instant => later(now.wall, due - now.instant),
            Next::Every { due, .. } => now.earlier(now.instant - due).wall,
            Next::Cron { due, .. } => due?,
        };
        Some(next).filter(|next| self.end.is_none_or(|end| *next < end))
    }

    /// How long from `now` until something happens: a firing, or the end.
    pub(super) fn wait(&self, now: Moment) -> Duration {
        let until = |time: SystemTime| time.duration_since(now.wall).unwrap_or_default();
        let firing = match self.next {
            Next::Every { due, .. } => Some(due.saturating_duration_since(now.instant)),
            Next::Cron { due, .. } => due.map(until),
        };
        firing.into_iter().chain(self.end.map(until)).min().unwrap_or(Duration::MAX)
    }

    /// Whether the wait is one for a time of day.
    pub(super) fn follows_the_wall(&self) -> bool {
        self.end.is_some() || matches!(self.next, Next::Cron { .. })
    }

    /// Takes the firings that are due at `now` and before the end.
    pub(super) fn take_due(&mut self, now: Moment) -> Due {
        const INSTANT: Duration = Duration::from_nanos(1);
        let last = match self.end.map(|end| now.wall.duration_since(end)) {
            // What falls on the end itself is not before it.
            Some(Ok(over)) => now.earlier(over.saturating_add(INSTANT)),
            _ => now,
        };
        match &mut self.next {
            Next::Every { interval, due } => {
                if *due > last.instant {
                    return Due::default();
                }
                let (span, each) = ((last.instant - *due).as_nanos(), interval.as_nanos().max(1));
                // An interval that does not fit is longer than the clock; its remainder never comes here.
                let since = Duration::from_nanos(u64::try_from(span % each).unwrap_or(u64::MAX));
                let latest = last.earlier(since).instant;
                *due = after(latest, *interval);
                let count = u64::try_from(span / each + 1).unwrap_or(u64::MAX);
                Due { count, late: now.instant.saturating_duration_since(latest) }
            }
            Next::Cron { cron, zone, due } => {
                let (mut count, mut latest) = (0, None);
                while let Some(at) = due.filter(|at| *at <= last.wall) {
                    (count, latest) = (count + 1, Some(at));
                    // The rest of so many is let go uncounted.
                    let from = if count < SCHEDULE_MISSED_COUNTED_MAX { at } else { last.wall };
                    *due = occurrence(cron, zone, from);
                }
                let late = latest.and_then(|at| now.wall.duration_since(at).ok()).unwrap_or_default();
                Due { count, late }
            }
        }
    }
}

/// The first time after `from` that the text names.
fn occurrence(cron: &Cron, zone: &TimeZone, from: SystemTime) -> Option<SystemTime> {
    let from = jiff::Timestamp::try_from(from).ok()?.to_zoned(zone.clone());
    let found = cron.find_next_occurrence(&from, false).ok()?;
    Some(SystemTime::from(found.timestamp()))
}
