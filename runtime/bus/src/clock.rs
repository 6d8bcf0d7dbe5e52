//! The wall clock of a bus: what time it is in a message, a dead letter and a schedule. It never makes anybody wait; that
//! is the bus clock's.

use std::time::{Duration, SystemTime};

use crate::sync::Instant;

/// Where a bus takes the time of day from.
///
/// # Examples
/// ```
/// use sandbus_bus::{Bus, BusConfig, WallClock};
/// use std::time::{Duration, UNIX_EPOCH};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // For this bus it is midnight of 1 January 2030; with a paused tokio clock a night passes in no time.
/// let midnight = UNIX_EPOCH + Duration::from_secs(1_893_456_000);
/// let bus = Bus::new(BusConfig { clock: WallClock::starting_at(midnight), ..BusConfig::default() });
/// assert!(bus.now() >= midnight);
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WallClock {
    /// The machine's. It does not follow a paused or advanced bus clock.
    #[default]
    System,
    /// It shows this when the bus is made, and goes with the bus clock from then on.
    StartingAt(SystemTime),
}

impl WallClock {
    /// A clock that shows `start` when the bus is made, and goes with the bus clock from then on.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        WallClock::StartingAt(start)
    }
}

/// The wall clock of one bus, since it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: WallClock,
    made_at: Instant,
}

impl Clock {
    pub(crate) fn new(wall: WallClock) -> Self {
        Self { wall, made_at: Instant::now() }
    }

    /// The time of day at `now`, which the bus clock shows at this moment.
    ///
    /// Taking it from the caller saves whoever has read the bus clock anyway a second look.
    pub(crate) fn at(&self, now: Instant) -> SystemTime {
        match self.wall {
            WallClock::System => SystemTime::now(),
            WallClock::StartingAt(start) => later(start, now.saturating_duration_since(self.made_at)),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.at(Instant::now())
    }

    /// Whether somebody may set it, or it goes on while the machine sleeps and the bus clock does not: who waits for a time
    /// of day must look at it now and then.
    pub(crate) fn may_be_set(&self) -> bool {
        self.wall == WallClock::System
    }
}

/// So much later; the last time that there is, if there is none so late.
pub(crate) fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}
