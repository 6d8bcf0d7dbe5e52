//! A hostile guest and, beside it, one that behaves: whatever the first does, the second completes everything. Every test
//! ends with [`Neighbourhood::end`], which checks that and the accounting law.

use std::time::{Duration, Instant};

use sandbus::bus::{DeadLetter, Fault, RequestError};
use sandbus::harness::{Harness, HarnessBuilder};
use sandbus::{Ended, GuestSettings};

use crate::support::{Asking, harness, serial, zoo, zoo_that};

/// Where the hostile guest listens.
pub(crate) const HOSTILE: &str = "t/hostile";
const GOOD: &str = "t/good";
/// Messages that the neighbour gets in each of two rounds.
const ROUND: u64 = 20;

pub(crate) struct Neighbourhood {
    pub(crate) harness: Harness,
}

impl Neighbourhood {
    /// With a hostile zoo that has every default, but is not called again after a fault.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a hostile zoo whose settings are changed.
    pub(crate) async fn with(change: impl FnOnce(&mut GuestSettings)) -> Self {
        Self::among(harness(), change).await
    }

    /// With other destinations and guests besides.
    pub(crate) async fn among(others: HarnessBuilder, change: impl FnOnce(&mut GuestSettings)) -> Self {
        let mut hostile = zoo("hostile", &[HOSTILE]);
        change(&mut hostile);
        let mut place = serial(HOSTILE);
        place.retry.attempts_max = 1;
        let started = others
            .destination(place)
            .destination(serial(GOOD))
            .guest(hostile)
            .guest(zoo_that("note", "good", &[GOOD]))
            .start()
            .await;
        let here = Self { harness: started.unwrap_or_else(|error| panic!("{error}")) };
        here.feed_neighbour().await;
        here
    }

    async fn feed_neighbour(&self) {
        for _ in 0..ROUND {
            self.harness.tell(GOOD, "work").await;
        }
    }

    /// Has the hostile guest do this; what the sender learns.
    pub(crate) async fn ask(&self, command: &str) -> Result<String, RequestError> {
        self.harness.ask(HOSTILE, command).await
    }

    /// The same for what is answered.
    pub(crate) async fn answer(&self, command: &str) -> String {
        self.harness.answer(HOSTILE, command).await
    }

    /// Has it do what must fault: the fault, which also became the newest dead letter after one attempt.
    pub(crate) async fn fault(&self, command: &str) -> (Fault, DeadLetter) {
        let Err(RequestError::ListenerFaulted(fault)) = self.ask(command).await else {
            panic!("`{command}` must fault")
        };
        self.harness.idle().await.expect("it comes to rest");
        let letter = self.harness.dead_letters(HOSTILE).pop().expect("a dead letter");
        assert_eq!((letter.reason.name(), letter.attempts), (fault.cause.name(), 1), "{command}");
        assert!(letter.last_error.as_str().len() <= 1_024, "{command}: {}", letter.last_error);
        assert!(!letter.last_error.as_str().contains(char::is_control), "{command}");
        (fault, letter)
    }

    /// The same, and that it was stopped in this time.
    pub(crate) async fn fault_within(&self, command: &str, bound: Duration) -> Fault {
        let began = Instant::now();
        let (fault, _) = self.fault(command).await;
        assert!(began.elapsed() < bound, "{command} took {:?} of {bound:?}", began.elapsed());
        fault
    }

    /// The worker serves the next good message; the neighbour has completed all of its own; the figures add up.
    pub(crate) async fn end(self) -> Ended {
        assert_eq!(self.answer("echo still here").await, "still here");
        self.feed_neighbour().await;
        self.harness.idle().await.expect("it comes to rest");
        let good = self.harness.figures(GOOD);
        assert_eq!((good.completed, good.failed_total()), (2 * ROUND, 0), "the neighbour: {good:?}");
        assert_eq!(good.listeners[0].instances_made, 1);
        self.harness.settled().await
    }
}
