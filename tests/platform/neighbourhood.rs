//! A hostile guest and, beside it, one that behaves: whatever the first does, the second completes everything. Every test
//! ends with [`Neighbourhood::end`], which checks that, the accounting law, and what was told and logged.

use std::time::{Duration, Instant};

use sandbus::bus::{Cause, DeadLetter, Fault, Outgoing, RequestError};
use sandbus::harness::{Harness, HarnessBuilder};
use sandbus::{Ended, GuestSettings};

use crate::support::{Asking, harness, serial, zoo, zoo_that};
use crate::watch::{A_PAYLOAD, A_SECRET, Faults, until};

/// Where the hostile guest listens.
pub(crate) const HOSTILE: &str = "t/hostile";
const GOOD: &str = "t/good";
/// Messages that the neighbour gets in each of two rounds.
const ROUND: u64 = 20;

pub(crate) struct Neighbourhood {
    pub(crate) harness: Harness,
    pub(crate) faults: Faults,
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
        let harness = started.unwrap_or_else(|error| panic!("{error}"));
        let here = Self { faults: Faults::of(harness.bus()), harness };
        here.feed_neighbour().await;
        here
    }

    async fn feed_neighbour(&self) {
        for _ in 0..ROUND {
            self.harness.send(GOOD, marked("work")).await.expect("the neighbour's message is accepted");
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

    /// Has it do what must fault: the fault, which also became the newest dead letter after one attempt, was told once and
    /// counted once, with the guest, the destination and the message.
    pub(crate) async fn fault(&self, command: &str) -> (Fault, DeadLetter) {
        let (told, counted) = (self.faults.told().len(), self.counted());
        let message = Outgoing::text(command).value("password", A_SECRET).expect("a value");
        let Err(RequestError::ListenerFaulted(fault)) = self.harness.request(HOSTILE, message).await else {
            panic!("`{command}` must fault")
        };
        self.harness.idle().await.expect("it comes to rest");
        let letter = self.harness.dead_letters(HOSTILE).pop().expect("a dead letter");
        assert_eq!((letter.reason.name(), letter.attempts), (fault.cause.name(), 1), "{command}");
        assert!(letter.last_error.as_str().len() <= 1_024, "{command}: {}", letter.last_error);
        assert!(!letter.last_error.as_str().contains(char::is_control), "{command}");
        until("the fault is told", || self.faults.told().len() > told).await;
        let all = self.faults.told();
        let [event] = &all[told..] else { panic!("{command}: told {:?}", &all[told..]) };
        assert_eq!((&*event.listener, event.destination.as_str()), ("hostile", HOSTILE), "{command}");
        assert_eq!((event.message_id, event.attempt), (letter.message.id(), 1), "{command}");
        assert_eq!((event.cause, event.text.as_str()), (fault.cause, fault.text.as_str()), "{command}");
        let now = self.counted();
        for cause in Cause::ALL {
            let more = u64::from(cause == fault.cause);
            for (before, after) in counted.iter().zip(&now) {
                assert_eq!(after[cause as usize], before[cause as usize] + more, "{command}: {cause}");
            }
        }
        (fault, letter)
    }

    /// Faults by cause, as the destination, the listener there and the guest have counted them.
    fn counted(&self) -> [[u64; Cause::ALL.len()]; 3] {
        let of = self.harness.figures(HOSTILE);
        let guests = self.harness.platform().guests();
        let guest = guests.iter().find(|guest| &*guest.name == "hostile").expect("it runs");
        [&of.failed, &of.listeners[0].failed, &guest.faults]
            .map(|counts| Cause::ALL.map(|cause| counts.get(cause.name()).copied().unwrap_or_default()))
    }

    /// The same, and that it was stopped in this time.
    pub(crate) async fn fault_within(&self, command: &str, bound: Duration) -> Fault {
        let began = Instant::now();
        let (fault, _) = self.fault(command).await;
        assert!(began.elapsed() < bound, "{command} took {:?} of {bound:?}", began.elapsed());
        fault
    }

    /// The worker serves the next good message; the neighbour has completed all of its own; the figures add up; each fault
    /// was told once; nothing was logged that may not be.
    pub(crate) async fn end(self) -> Ended {
        assert_eq!(self.answer("echo still here").await, "still here");
        self.feed_neighbour().await;
        self.harness.idle().await.expect("it comes to rest");
        let good = self.harness.figures(GOOD);
        assert_eq!((good.completed, good.failed_total()), (2 * ROUND, 0), "the neighbour: {good:?}");
        assert_eq!(good.listeners[0].instances_made, 1);
        self.faults.are_those_of(&self.harness.bus().all_statistics()).await;
        self.harness.settled().await
    }
}

/// A text with what no log of the host may show.
pub(crate) fn marked(text: &str) -> Outgoing {
    Outgoing::text(format!("{text} {A_PAYLOAD}")).value("password", A_SECRET).expect("a value")
}
