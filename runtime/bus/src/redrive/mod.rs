//! What an operator does with dead letters: find them, drop them, send them on their way again. It acts on the set that it
//! counted when it began, and on nothing that came later.

mod one;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::bus::Bus;
use crate::dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterId};
use crate::destination::{Destination, Refused};
use crate::error::DestinationError;
use crate::limits::{REDRIVE_PER_SECOND, REDRIVE_PER_SECOND_MAX};
use crate::name::DestinationName;
use crate::sync::{Instant, after, sleep_until, yield_now};

/// How dead letters are redriven.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// let first_ten = RedriveOptions { count_max: Some(10), dry_run: true, ..RedriveOptions::default() };
/// assert_eq!(bus.redrive(Some("orders"), &DeadLetterFilter::default(), first_ten).await?.counted, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RedriveOptions {
    /// Where to; none (the default): to where each came from.
    pub to: Option<DestinationName>,
    /// How many in a second, at most; 10 unless told, and no more than 1,000.
    pub per_second: f64,
    /// How many at most, the oldest first; none (the default): all that were counted.
    pub count_max: Option<usize>,
    /// Count, and change nothing.
    pub dry_run: bool,
}

impl Default for RedriveOptions {
    fn default() -> Self {
        Self { to: None, per_second: REDRIVE_PER_SECOND, count_max: None, dry_run: false }
    }
}

impl RedriveOptions {
    /// The time between two of them.
    fn interval(&self) -> Result<Duration, RedriveError> {
        let legal = self.per_second > 0.0 && self.per_second <= REDRIVE_PER_SECOND_MAX;
        let interval = legal.then(|| Duration::try_from_secs_f64(self.per_second.recip()).ok()).flatten();
        interval.ok_or(RedriveError::Rate(self.per_second))
    }
}

/// What became of the dead letters that were to be redriven. A dry run has `counted` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redriven {
    /// How many were meant.
    pub counted: usize,
    /// How many are on their way again; what became of them since is another story.
    pub redriven: usize,
    /// Those that stay where they are, or were gone when their turn came (`not-kept`), by the name of the reason.
    pub not_redriven: BTreeMap<&'static str, NotRedriven>,
}

/// Dead letters that were not redriven for one reason.
///
/// # Examples
/// ```
/// # use sandbus_bus::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = Bus::new(BusConfig::default());
/// # bus.create(DestinationConfig::serial("orders")?)?;
/// # bus.register("orders", listener_fn("stock", |_| async { Outcome::refused("unknown article") }))?;
/// bus.send("orders", Outgoing::text("A1")).await?;
/// bus.idle().await;
/// bus.unregister("orders", "stock").await;
/// let end: Redriven = bus.redrive(None, &DeadLetterFilter::default(), RedriveOptions::default()).await?;
/// let NotRedriven { ids, text } = &end.not_redriven["listener-removed"];
/// assert_eq!((ids.len(), &**text), (1, "listener `stock` does not listen at `orders` any more"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRedriven {
    /// Which.
    pub ids: Vec<DeadLetterId>,
    /// What the first of them was told.
    pub text: String,
}

/// Why nothing was redriven.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RedriveError {
    /// The destination, or the one to redrive to, does not exist.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The rate is not one.
    #[error(
        "cannot redrive {0} dead letters per second: use more than 0 and at most {REDRIVE_PER_SECOND_MAX}"
    )]
    Rate(f64),
}

impl Bus {
    /// The dead letters that pass `filter`, of one destination or of all, each with the name of the destination that keeps
    /// it; by name, and the oldest first.
    ///
    /// # Errors
    /// When there is no destination of this name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("stock", |_| async { Outcome::refused("unknown article") }))?;
    /// bus.send("orders", Outgoing::text("A1")).await?;
    /// bus.idle().await;
    /// let (kept_by, letter) = bus.dead_letters_matching(None, &DeadLetterFilter::default().reason("refused")?)?.remove(0);
    /// assert_eq!(kept_by.as_str(), "orders");
    /// assert!(bus.dead_letter(letter.id).is_some());
    /// # Ok(()) }
    /// ```
    pub fn dead_letters_matching(
        &self,
        destination: Option<&str>,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<(DestinationName, DeadLetter)>, DestinationError> {
        let mut found = Vec::new();
        for keeper in self.keepers(destination)? {
            let letters = keeper.dead_letters_matching(filter).into_iter();
            found.extend(letters.map(|letter| (keeper.name.clone(), letter)));
        }
        sort_by_name_and_age(&mut found);
        Ok(found)
    }

    /// One dead letter, with the name of the destination that keeps it.
    #[must_use]
    pub fn dead_letter(&self, id: DeadLetterId) -> Option<(DestinationName, DeadLetter)> {
        let all = self.shared.everywhere();
        all.iter().find_map(|keeper| Some((keeper.name.clone(), keeper.dead_letter(id)?)))
    }

    /// Takes the dead letters that pass `filter` out and gives them to the caller, who may save them; in the order of
    /// [`Bus::dead_letters_matching`]. They count as dropped
    /// from then on (`dead-letter-dropped`). What becomes a dead letter after the call has begun stays.
    ///
    /// # Errors
    /// When there is no destination of this name.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::{Bus, BusConfig, DeadLetterFilter, DestinationConfig, Outcome, Outgoing, listener_fn};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::synchronous("orders")?)?;
    /// # bus.register("orders", listener_fn("validator", |_| async { Outcome::refused("no") }))?;
    /// bus.send("orders", Outgoing::text("bad")).await?;
    /// let dropped = bus.drop_dead_letters(Some("orders"), &DeadLetterFilter::default().reason("refused")?)?;
    /// assert_eq!(dropped[0].1.message.payload(), "bad");
    /// # Ok(()) }
    /// ```
    pub fn drop_dead_letters(
        &self,
        destination: Option<&str>,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<(DestinationName, DeadLetter)>, DestinationError> {
        // Counted everywhere first: one that arrives at the last destination meanwhile is not meant.
        let counted: Vec<_> = self
            .keepers(destination)?
            .into_iter()
            .map(|keeper| {
                let ids = keeper.count_dead_letters(filter).into_iter().map(|(_, id)| id);
                let ids: HashSet<_> = ids.collect();
                (keeper, ids)
            })
            .collect();
        let mut dropped = Vec::new();
        for (keeper, ids) in counted {
            let letters = keeper.drop_dead_letters(&ids).into_iter();
            dropped.extend(letters.map(|letter| (keeper.name.clone(), letter)));
        }
        sort_by_name_and_age(&mut dropped);
        Ok(dropped)
    }

    /// Sends the dead letters that pass `filter`, of one destination or of all, on their way again, the oldest first.
    ///
    /// Without `to`, each goes back to where it came from, under its message's id: one that was meant for a listener goes to
    /// that listener only, from the first attempt on; one without a listener, and a reply that was not accepted, is sent anew
    /// to the destination of its message. With `to`, each is accepted there as a message to all listeners. Hop count, sender
    /// and trace stay what they were.
    ///
    /// What cannot be taken stays a dead letter and is reported. The set is the one that was counted when the call began: one
    /// that fails again is a new dead letter, and is not touched. A synchronous destination runs its listeners in this task.
    ///
    /// # Errors
    /// When a destination does not exist or the rate is not one; then nothing was redriven.
    ///
    /// # Cancel safety
    /// Safe: what is not yet redriven stays a dead letter. A call that runs in this task is interrupted, which makes a new
    /// dead letter of it.
    ///
    /// # Examples
    /// ```
    /// # use sandbus_bus::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = Bus::new(BusConfig::default());
    /// # bus.create(DestinationConfig::serial("orders")?)?;
    /// # bus.register("orders", listener_fn("validator", |_| async { Outcome::refused("no") }))?;
    /// # bus.send("orders", Outgoing::text("bad")).await?;
    /// # bus.idle().await;
    /// let filter = DeadLetterFilter::default().listener("validator");
    /// let end = bus.redrive(Some("orders"), &filter, RedriveOptions::default()).await?;
    /// assert_eq!((end.counted, end.redriven), (1, 1));
    /// # Ok(()) }
    /// ```
    pub async fn redrive(
        &self,
        destination: Option<&str>,
        filter: &DeadLetterFilter,
        options: RedriveOptions,
    ) -> Result<Redriven, RedriveError> {
        let mut pace = Pace { interval: options.interval()?, next: None };
        if let Some(to) = &options.to {
            self.destination(to.as_str())?;
        }
        let counted = self.oldest_first(destination, filter, options.count_max)?;
        let mut end = Redriven { counted: counted.len(), ..Redriven::default() };
        if options.dry_run {
            return Ok(end);
        }
        for (keeper, id) in counted {
            pace.wait().await;
            match self.shared.redrive(keeper.as_str(), id, options.to.as_ref()).await {
                Ok(()) => {
                    end.redriven += 1;
                    pace.count();
                }
                Err(refused) => {
                    if refused.may_pass() {
                        pace.count();
                    }
                    end.refuse(id, &refused);
                }
            }
        }
        Ok(end)
    }

    /// The destinations that are asked for dead letters, by name.
    fn keepers(&self, destination: Option<&str>) -> Result<Vec<Arc<Destination>>, DestinationError> {
        if let Some(name) = destination {
            return self.existing_ranks(name);
        }
        let mut all = self.shared.everywhere();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// What is to be redriven, over all destinations the oldest first.
    fn oldest_first(
        &self,
        destination: Option<&str>,
        filter: &DeadLetterFilter,
        count_max: Option<usize>,
    ) -> Result<Vec<(DestinationName, DeadLetterId)>, DestinationError> {
        let mut counted = Vec::new();
        for keeper in self.keepers(destination)? {
            let letters = keeper.count_dead_letters(filter).into_iter();
            counted.extend(letters.map(|(age, id)| (age, keeper.name.clone(), id)));
        }
        counted.sort_by_key(|(age, ..)| *age);
        counted.truncate(count_max.unwrap_or(usize::MAX));
        Ok(counted.into_iter().map(|(_, keeper, id)| (keeper, id)).collect())
    }
}

/// Those of one name may be kept by several destinations of it.
fn sort_by_name_and_age(letters: &mut [(DestinationName, DeadLetter)]) {
    letters.sort_by(|(one, first), (other, second)| {
        one.cmp(other).then_with(|| first.age_order().cmp(&second.age_order()))
    });
}

impl Redriven {
    fn refuse(&mut self, id: DeadLetterId, refused: &Refused) {
        let told = || NotRedriven { ids: Vec::new(), text: refused.to_string() };
        self.not_redriven.entry(refused.name()).or_insert_with(told).ids.push(id);
    }
}

/// When the next one may go.
struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    async fn wait(&self) {
        match self.next {
            Some(next) if next > Instant::now() => sleep_until(next).await,
            // One refusal after the other waits for nothing: let others run.
            _ => yield_now().await,
        }
    }

    /// Counts one that went. Time that was lost is not made up for: that would be a burst.
    fn count(&mut self) {
        let now = Instant::now();
        self.next = Some(after(self.next.unwrap_or(now).max(now), self.interval));
    }
}
