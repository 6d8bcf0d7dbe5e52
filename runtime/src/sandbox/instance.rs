//! One live instance: a store, what was made in it, and its slot. It receives one message at a time; after a fault it is
//! not there any more.

use std::pin::pin;
use std::sync::Arc;

use sandbus_bus::{Answer, Cause, Delivery, Fault, Instant, Origin, Outcome, Usage, until};
use wasmtime::Store;

use super::bounded::{Bounds, Over};
use super::build::Build;
use super::counts::Counter;
use super::fault::{Circumstances, classify};
use super::gauge::Mark;
use super::listening::{Listener, Received, handle};
use super::pool::Admitted;
use super::report::{self, FaultFrame, Occasion};
use crate::host::bindings::exports::sandbus::bus::{lifecycle, message_listener, message_listener_batch};
use crate::host::{Changes, Denied, HostFuel, HostState, Phase, Receiving, Whose, reply, wire_message};

/// An instance of a guest.
pub(super) struct GuestInstance {
    pub(super) store: Store<HostState>,
    pub(super) listener: Option<Listener>,
    /// Where it takes several messages in one call.
    pub(super) batch: Option<message_listener_batch::Guest>,
    pub(super) lifecycle: Option<lifecycle::Guest>,
    /// What its host calls are paid from.
    pub(super) host_fuel: Arc<HostFuel>,
    /// What it was made of.
    pub(super) build: Arc<Build>,
    /// Calls of `receive` that it has had.
    pub(super) uses: u64,
    /// The calls that it has received.
    pub(super) calls: Counter,
    /// Given back when the store is gone.
    pub(super) _slot: Option<Admitted>,
    /// Counts it among the live ones of its build, until all of the above is gone; none where it is `activate`'s own.
    pub(super) alive: Option<Mark>,
}

/// Which of the two functions of `lifecycle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Activate,
    Deactivate,
}

/// Against whom a fault speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Guest,
    /// The host ended the call.
    Host,
}

/// How a call ended, and the instance if it may be used again.
pub(super) struct Called {
    pub(super) outcome: Outcome,
    pub(super) usage: Usage,
    pub(super) instance: Option<Box<GuestInstance>>,
}

impl Called {
    fn spent(outcome: Outcome) -> Self {
        Self { outcome, usage: Usage::default(), instance: None }
    }
}

impl GuestInstance {
    /// Has it receive one message.
    pub(super) async fn call(mut self: Box<Self>, delivery: &Delivery) -> Called {
        self.uses += 1;
        let fuel = self.store.data().facts.limits.fuel;
        if let Err(error) = self.store.set_fuel(fuel) {
            return Called::spent(Outcome::faulted(Cause::Instantiate, error.to_string()));
        }
        let receiving = Receiving { delivery: delivery.clone(), values: None, response: None };
        self.store.data_mut().begin(Phase::Receiving(receiving), fuel);
        let over = {
            let Self { store, listener, build, host_fuel, .. } = &mut *self;
            let bounds = Bounds { fuel: host_fuel, cut: &build.cut, deadline: delivery.deadline() };
            match listener {
                Some(Listener::Sandbus(listener)) => {
                    bounds.on(pin!(listener.call_receive(store, wire_message(delivery)))).await
                }
                // In a box, so that a call of ours is not as large as the largest of these.
                Some(Listener::Other(interface, function)) => {
                    bounds.on(Box::pin(handle(*interface, *function, store, delivery))).await
                }
                None => {
                    let text = "the guest exports no `message-listener`";
                    return Called::spent(Outcome::faulted(Cause::Instantiate, text));
                }
            }
        };
        self.calls.call();
        let usage = self.usage(fuel);
        let (changes, stderr) = self.store.data_mut().end();
        let (mut frames, mut blame) = (Vec::new(), Blame::Guest);
        let outcome = match over {
            Over::Itself(Ok(answer)) => {
                let outcome = answered(answer, changes, |text| self.store.data().masked(text));
                self.tell(&outcome, delivery, usage, frames, Blame::Guest);
                return Called { outcome, usage, instance: Some(self) };
            }
            Over::Cut(by) => {
                blame = Blame::Host;
                Outcome::Faulted(by.fault())
            }
            Over::Itself(Err(error)) => {
                frames = report::frames(&error, &self.build.loaded.places);
                let memory_denied = self.store.data().limiter.denied;
                Outcome::Faulted(classify(
                    &error,
                    &Circumstances { memory_denied, fuel, stderr: &stderr, frames: &frames },
                ))
            }
            Over::Deadline => Outcome::faulted(Cause::Deadline, delivery.deadline_text()),
        };
        let outcome = self.masked(outcome);
        let usage = match &outcome {
            Outcome::Faulted(fault) => after_fault(usage, fault.cause),
            _ => usage,
        };
        self.tell(&outcome, delivery, usage, frames, blame);
        Called { usage, ..Called::spent(outcome) }
    }

    /// Has a fault told and counted.
    pub(super) fn tell(
        &self,
        outcome: &Outcome,
        delivery: &Delivery,
        usage: Usage,
        frames: Vec<FaultFrame>,
        blame: Blame,
    ) {
        let Outcome::Faulted(fault) = outcome else { return };
        let occasion = Occasion {
            during: "receive",
            delivery: Some(delivery),
            message: None,
            batch: &[],
            fuel_max: Some(self.build.facts.limits.fuel),
            took: delivery.started().elapsed(),
        };
        self.build.tell(occasion, fault, usage, frames, self.store.data().take_last_lines());
        // Told first: what follows may put the guest into quarantine.
        self.count_fault(fault, blame);
    }

    /// Counts a fault, where it does against the guest.
    pub(super) fn count_fault(&self, fault: &Fault, blame: Blame) {
        let of_others = matches!(self.store.data().limiter.denied, Some(Denied::Together(Whose::All, _)));
        if blame == Blame::Host || (of_others && fault.cause == Cause::Memory) {
            self.build.counts.fault(fault.cause);
        } else {
            self.build.faulted(fault);
        }
    }

    /// What is told of a fault with the guest's secrets masked: it stands in dead letters, and in errors of senders.
    fn masked(&self, outcome: Outcome) -> Outcome {
        let mask = |text: &str| self.store.data().masked(text);
        match outcome {
            Outcome::Faulted(fault) => {
                Outcome::Faulted(Fault { text: report::masked(fault.text, mask), ..fault })
            }
            other => other,
        }
    }

    pub(super) fn usage(&self, fuel: u64) -> Usage {
        let computing = fuel.saturating_sub(self.store.get_fuel().unwrap_or(0));
        // Computing and host calls each have the whole tank; what is told stays within what was given.
        let used = computing.saturating_add(self.host_fuel.used()).min(fuel);
        Usage { fuel: Some(used), memory_bytes: Some(self.store.data().limiter.memory_bytes() as u64) }
    }

    /// Runs `activate` or `deactivate`. The instance may be used again unless it faulted.
    pub(super) async fn step(&mut self, step: Step, origin: Origin) -> Result<Result<(), String>, Fault> {
        let Some(lifecycle) = &self.lifecycle else { return Ok(Ok(())) };
        let limits = &self.store.data().facts.limits;
        let began = Instant::now();
        let (fuel, deadline) = (limits.activate_fuel, began + limits.activate_deadline);
        let refused = |error: wasmtime::Error| Fault::new(Cause::Instantiate, error.to_string());
        self.store.set_fuel(fuel).map_err(refused)?;
        self.store.data_mut().begin(Phase::Lifecycle(origin.with_deadline(deadline)), fuel);
        let called = match step {
            Step::Activate => {
                let call = pin!(lifecycle.call_activate(&mut self.store));
                until(deadline, self.host_fuel.meter(call)).await
            }
            Step::Deactivate => {
                let call = pin!(lifecycle.call_deactivate(&mut self.store));
                until(deadline, self.host_fuel.meter(call)).await.map(|called| called.map(Ok))
            }
        };
        let (_, stderr) = self.store.data_mut().end();
        let memory_denied = self.store.data().limiter.denied;
        let mut frames = Vec::new();
        let fault = match called {
            Ok(Ok(answer)) => {
                let mask = |text: String| self.store.data().masked(&text).unwrap_or(text);
                return Ok(answer.map_err(mask));
            }
            Ok(Err(error)) => {
                frames = report::frames(&error, &self.build.loaded.places);
                classify(&error, &Circumstances { memory_denied, fuel, stderr: &stderr, frames: &frames })
            }
            Err(_) => {
                let allowed = self.store.data().facts.limits.activate_deadline;
                Fault::new(Cause::Deadline, format!("deadline of {} ms passed", allowed.as_millis()))
            }
        };
        Err(self.tell_step(step, fault, began, frames))
    }

    fn tell_step(&self, step: Step, fault: Fault, began: Instant, frames: Vec<FaultFrame>) -> Fault {
        let state = self.store.data();
        let fault = Fault { text: report::masked(fault.text, |text| state.masked(text)), ..fault };
        let during = match step {
            Step::Activate => "activate",
            Step::Deactivate => "deactivate",
        };
        let fuel = self.build.facts.limits.activate_fuel;
        let occasion = Occasion {
            during,
            delivery: None,
            message: None,
            batch: &[],
            fuel_max: Some(fuel),
            took: began.elapsed(),
        };
        self.build.tell(occasion, &fault, self.usage(fuel), frames, state.take_last_lines());
        fault
    }
}

/// Fuel that was used before a trap is not charged exactly; only an empty tank is a certain number.
pub(super) fn after_fault(usage: Usage, cause: Cause) -> Usage {
    match cause {
        Cause::OutOfFuel => usage,
        _ => Usage { fuel: usage.fuel.filter(|fuel| *fuel > 0), ..usage },
    }
}

/// What `receive` returned, and what it changed meanwhile, as an outcome. Its texts are masked before they are cut: of half a
/// secret nobody would know that it is one.
pub(super) fn answered(
    received: Received,
    Changes { values, response }: Changes,
    mask: impl Fn(&str) -> Option<String>,
) -> Outcome {
    let masked = |text: String| mask(&text).unwrap_or(text);
    match received {
        Ok(None) => Outcome::Done(Answer { reply: None, response, values }),
        Ok(Some(answer)) => match reply(answer) {
            Ok(reply) => Outcome::Done(Answer { reply: Some(reply), response, values }),
            Err(error) => Outcome::faulted(Cause::Trap, format!("its reply breaks a rule: {error}")),
        },
        Err(message_listener::Failure::Refused(text)) => Outcome::refused(masked(text)),
        Err(message_listener::Failure::Retry(advice)) => Outcome::Retry {
            reason: sandbus_bus::ErrorText::new(&masked(advice.reason)),
            after: advice.after_ms.map(|ms| std::time::Duration::from_millis(ms.into())),
        },
    }
}
