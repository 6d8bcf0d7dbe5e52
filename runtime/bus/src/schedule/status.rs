//! What a reader sees of a schedule. It decides nothing.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::config::Trigger;
use crate::name::DestinationName;
use crate::outcome::ErrorText;

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleState {
    /// It fires.
    Running,
    /// It does not, until it is resumed.
    Paused,
    /// It never will again: its end has come, or its bus was shut down.
    Completed,
}

impl ScheduleState {
    /// The name as it stands in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ScheduleState::Running => "running",
            ScheduleState::Paused => "paused",
            ScheduleState::Completed => "completed",
        }
    }
}

/// A schedule at one moment.
///
/// Each firing is counted once: it was accepted (`fired`), refused (`errors`), skipped or missed; one that is being sent at
/// this moment is not counted yet.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # let hour = std::time::Duration::from_secs(3_600);
/// # bus.create(DestinationConfig::serial("clock")?)?;
/// bus.schedule(ScheduleConfig::every("hourly", "clock".parse()?, hour, Outgoing::text("bong")))?;
/// bus.pause_schedule("hourly")?;
/// let status: ScheduleStatus = bus.schedules().remove(0);
/// assert_eq!((status.state, status.fired), (ScheduleState::Paused, 0));
/// bus.resume_schedule("hourly")?;
/// bus.remove_schedule("hourly")?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// Its name.
    pub name: String,
    /// Where it sends.
    pub destination: DestinationName,
    /// When it fires.
    pub trigger: Trigger,
    /// Whether it does.
    pub state: ScheduleState,
    /// When it will send next; none while it is paused, and when no firing is left before its end.
    pub next: Option<SystemTime>,
    /// When it last sent, accepted or not.
    pub last: Option<SystemTime>,
    /// Messages that its destination accepted.
    pub fired: u64,
    /// Firings that sent nothing, because the last message was not settled yet.
    pub skipped: u64,
    /// Firings that sent nothing, because their time passed while it was paused or the host could not act.
    pub missed: u64,
    /// Messages that were not accepted, by the name of the error.
    pub errors: BTreeMap<&'static str, u64>,
    /// Why the last one of these was not.
    pub last_error: Option<ErrorText>,
}
