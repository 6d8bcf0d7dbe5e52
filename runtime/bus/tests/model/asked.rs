//! Senders: those who send and go on, those who wait for an answer beside what is done next, and those who go away while
//! they wait.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sandbus_bus::*;
use tokio::task::JoinHandle;

use crate::case::{Back, HOME, name};
use crate::check::{self, Checked};
use crate::log::{End, REPLIES};
use crate::reference::{Draft, Expected, Remembered, Sent};
use crate::settings::number_of;
use crate::watch;
use crate::world::{World, tick};

type Answer = Result<Option<Reply>, RequestError>;
type Asking = Pin<Box<dyn Future<Output = (Answer, Instant)> + Send>>;

/// A sender that waits for an answer.
pub(crate) struct Asked {
    place: usize,
    number: u64,
    at: Instant,
    timeout: Duration,
    task: JoinHandle<(Answer, Instant)>,
}

impl Asked {
    /// Whether its listeners may be called at this place.
    pub(crate) fn is_at(&self, place: usize) -> bool {
        self.place == place && !self.task.is_finished()
    }
}

/// What a sender was told at the door: that its message was accepted, with the id if it is told one; or why not.
type Told = Result<Option<MessageId>, String>;

/// What is sent.
struct Outbound {
    place: usize,
    number: u64,
    body: Outgoing,
    back: Back,
    direct: bool,
}

impl Outbound {
    fn has_dedup_key(&self) -> bool {
        self.body.options.as_ref().is_some_and(|options| options.dedup_key.is_some())
    }
}

impl World {
    /// The next message; its length, which the bound in bytes counts, varies.
    fn outbound(&mut self, place: usize, options: Option<Box<SendOptions>>, back: Back) -> Outbound {
        let number = self.next;
        self.next += 1;
        let mut body = Outgoing::text(format!("{number:>width$}", width = 4 + (number % 9) as usize));
        body.options = options;
        body.response_destination = match back {
            Back::Nowhere => None,
            Back::Home => Some(HOME.parse().unwrap()),
            Back::Unknown => Some("m/unknown".parse().unwrap()),
        };
        Outbound { place, number, body, back, direct: false }
    }

    /// What should become of it, by the rules and the figures of this moment.
    fn expects(&mut self, outbound: &Outbound) -> Expected {
        let figures = self.bus.statistics(&name(outbound.place));
        let options = outbound.body.options.as_deref();
        let draft = Draft { number: outbound.number, bytes: outbound.body.size_bytes(), options };
        self.places[outbound.place].expects(&draft, figures.as_ref())
    }

    /// The same for a request, which is not held: without a listener nobody could answer.
    fn expects_of_request(&mut self, outbound: &Outbound) -> Expected {
        let place = &self.places[outbound.place];
        match place.exists && place.listeners.is_empty() {
            true => Expected::Refused("no-listener"),
            false => self.expects(outbound),
        }
    }

    pub(crate) async fn send(
        &mut self,
        d: usize,
        options: Option<Box<SendOptions>>,
        back: Back,
        follow: bool,
    ) -> Checked {
        let outbound = self.outbound(d, options, back);
        let expected = self.expects(&outbound);
        let at = Instant::now();
        let (to, body, number) = (name(d), outbound.body.clone(), outbound.number);
        let mut followed = None;
        let told = match follow {
            false => self.bus.send(&to, body).await,
            true => self.bus.send_tracked(&to, body).await.map(|send| {
                let id = send.id();
                followed = Some(send);
                id
            }),
        };
        let told = told.map(Some).map_err(|error| error.name().to_owned());
        // Only who waits for room is taken on later than at once.
        let waited = matches!(expected, Expected::IfThereIsRoom(_));
        let accepted_at = if waited { Instant::now() } else { at };
        if waited && outbound.has_dedup_key() {
            self.places[d].forget_keys();
        }
        self.sent(outbound, at, accepted_at, expected, told)?;
        if let Some(send) = followed {
            let accepted = self.sent.contains_key(&number);
            self.follow(number, accepted, send);
        }
        Ok(())
    }

    /// An answer under an id that no request ever had is dropped at the bus's own destination, and its sender learns nothing.
    pub(crate) async fn forge(&mut self) -> Checked {
        let before = watch::replies_of_nobody(&self.bus);
        let mut body = Outgoing::text("0");
        body.response_id = Some("nobody ever had this".into());
        let sent = self.bus.send(DEFAULT_RESPONSE, body).await;
        let forged = |figures: &DestinationStatistics| {
            (figures.accepted, figures.dropped.get("forged-reply").copied().unwrap_or(0))
        };
        let (was, is) = (forged(&before), forged(&watch::replies_of_nobody(&self.bus)));
        check::equal("it was sent", &sent.is_ok(), &true)?;
        check::equal("forged replies", &is, &(was.0 + 1, was.1 + 1))
    }

    /// Requests run beside what follows, once they are accepted: their listeners would be fixed later otherwise.
    pub(crate) async fn request(
        &mut self,
        d: usize,
        options: Option<Box<SendOptions>>,
        timeout: Duration,
    ) -> Checked {
        let mut outbound = self.outbound(d, options, Back::Nowhere);
        let known = self.places[d].dedup.clone();
        let mut expected = self.expects_of_request(&outbound);
        if matches!(expected, Expected::IfThereIsRoom(_)) && outbound.has_dedup_key() {
            // When exactly it is accepted is not known here, so that nobody could say when its key is forgotten.
            outbound.body.options = None;
            self.places[d].dedup = known;
            expected = self.expects_of_request(&outbound);
        }
        let (bus, to, body) = (self.bus.clone(), name(d), outbound.body.clone());
        let asking =
            Box::pin(async move { (bus.request(&to, body, Some(timeout)).await.map(Some), Instant::now()) });
        self.ask(outbound, asking, timeout, expected).await
    }

    pub(crate) async fn direct(&mut self, d: usize, timeout: Duration) -> Checked {
        let outbound = Outbound { direct: true, ..self.outbound(d, None, Back::Nowhere) };
        let place = &self.places[d];
        let receivers = place.receivers(outbound.number);
        let synchronous = place.config.destination_type == DestinationType::Synchronous;
        let expected = if !place.exists {
            Expected::Refused("no-such-destination")
        } else if outbound.body.size_bytes() > place.config.message_bytes_max {
            Expected::Refused("too-large")
        } else if place.closed {
            Expected::Refused("closed")
        } else if synchronous && place.paused {
            Expected::Refused("paused")
        } else if receivers.is_empty() {
            Expected::Refused("no-listener")
        } else {
            Expected::Received(receivers)
        };
        let (bus, to, body) = (self.bus.clone(), name(d), outbound.body.clone());
        let asking =
            Box::pin(async move { (bus.request_direct(&to, body, Some(timeout)).await, Instant::now()) });
        self.ask(outbound, asking, timeout, expected).await
    }

    async fn ask(
        &mut self,
        outbound: Outbound,
        mut asking: Asking,
        timeout: Duration,
        expected: Expected,
    ) -> Checked {
        let (place, number, at) = (outbound.place, outbound.number, Instant::now());
        let accepted_before = self.accepted(place);
        // In this task, so that nobody else comes between the look at the figures and the door.
        let polled = std::future::poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx))).await;
        let told = match &polled {
            Poll::Ready((Err(RequestError::NotSent(error)), _)) => Err(error.name().to_owned()),
            _ => Ok(None),
        };
        let at_door = matches!(polled, Poll::Pending) && matches!(expected, Expected::IfThereIsRoom(_));
        let task = match polled {
            Poll::Ready(answer) => tokio::spawn(async move { answer }),
            Poll::Pending => tokio::spawn(asking),
        };
        let asked = Asked { place, number, at, timeout, task };
        let mut told = told;
        if at_door {
            while self.accepted(place) == accepted_before && !asked.task.is_finished() {
                tick().await;
            }
            if self.accepted(place) == accepted_before {
                told = Err("queue-full".to_owned());
            }
        }
        self.asked.push(asked);
        self.sent(outbound, at, at, expected, told)
    }

    fn accepted(&self, place: usize) -> u64 {
        self.bus.statistics(&name(place)).map_or(0, |figures| figures.accepted)
    }

    /// Compares what was told with what was expected, and notes what is owed from now on.
    fn sent(
        &mut self,
        outbound: Outbound,
        at: Instant,
        accepted_at: Instant,
        expected: Expected,
        told: Told,
    ) -> Checked {
        let Outbound { place: d, number, body, back, direct } = outbound;
        let wrong =
            || Err(format!("message {number} to {}: expected {expected:?}, and {told:?} was told", name(d)));
        let inside = match (&expected, &told) {
            (Expected::Refused(name), Err(error)) => {
                self.tally.add(&format!("refused {name}"), 1);
                return if error == name { Ok(()) } else { wrong() };
            }
            (Expected::IfThereIsRoom(_), Err(error)) if error == "queue-full" => {
                self.tally.add("no room", 1);
                return Ok(());
            }
            (Expected::Duplicate(first), Ok(id)) => {
                self.places[d].duplicates += 1;
                self.tally.add("duplicates", 1);
                let known = &mut self.sent.get_mut(first).unwrap().id;
                *known = known.or(*id);
                return if id.is_none() || known == id { Ok(()) } else { wrong() };
            }
            (Expected::Handled, Ok(_)) if self.log.lock().unwrap().handled.last() == Some(&number) => {
                self.tally.add("handled", 1);
                return Ok(());
            }
            (Expected::IfThereIsRoom(inside), Ok(_)) => {
                self.tally.add("room was made", 1);
                (**inside).clone()
            }
            (Expected::Received(_) | Expected::Held | Expected::Letter | Expected::Dropped(_), Ok(_)) => {
                expected
            }
            _ => return wrong(),
        };
        self.tally.add("accepted", 1);
        self.tally.add("dropped at the door", usize::from(matches!(inside, Expected::Dropped(_))));
        let place = &mut self.places[d];
        place.owe(number, &inside);
        if direct {
            place
                .pairs
                .iter_mut()
                .filter(|((of, _), _)| *of == number)
                .for_each(|(_, pair)| pair.direct = true);
        }
        let options = body.options.map(|options| *options).unwrap_or_default();
        if let Some(key) = options.dedup_key.as_ref().filter(|_| !direct) {
            place.dedup.push(Remembered { key: key.to_string(), number, at: accepted_at });
        }
        let id = told.unwrap_or_default();
        let pairs = inside.pairs();
        self.sent.insert(number, Sent { place: d, at, id, options, back, pairs });
        Ok(())
    }

    /// The oldest sender that still waits goes away.
    pub(crate) async fn cancel(&mut self) {
        let Some(oldest) = self.asked.iter().position(|asked| !asked.task.is_finished()) else { return };
        let asked = self.asked.remove(oldest);
        self.log.lock().unwrap().cancel(asked.number);
        self.tally.add("cancelled", 1);
        asked.task.abort();
        let _ = asked.task.await;
    }

    /// Waits for those who still wait, and looks at what all of them were told.
    pub(crate) async fn answers(&mut self) -> Checked {
        for asked in std::mem::take(&mut self.asked) {
            let Asked { place, number, at, timeout, task } = asked;
            let answer = tokio::time::timeout(Duration::from_secs(3_600), task).await;
            let Ok(Ok((answer, then))) = answer else {
                return Err(format!("a request to {} was never resolved: {answer:?}", name(place)));
            };
            self.tally.add(if answer.is_ok() { "answered" } else { "not answered" }, 1);
            let told = self.answer(number, &answer, then, (at, timeout));
            told.map_err(|error| format!("request {number} to {} got {answer:?}: {error}", name(place)))?;
        }
        check::equal("requests that wait although all were resolved", &self.bus.waiting_requests(), &0)
    }

    /// An answer is a reply that a listener gave to this message; none is told only where none was given in time.
    fn answer(&self, number: u64, answer: &Answer, then: Instant, wait: (Instant, Duration)) -> Checked {
        let log = self.log.lock().unwrap();
        let replied = |at_most: Instant| {
            let mut of_it = log.calls.iter().filter(|call| call.number == number && call.end == End::Replied);
            of_it.any(|call| call.ended.is_some_and(|ended| ended.at < at_most))
        };
        match answer {
            Ok(Some(reply)) => {
                let call = log.calls.get((number_of(&reply.payload) - REPLIES) as usize);
                let is_its = call.is_some_and(|call| call.number == number && call.end == End::Replied);
                if is_its { Ok(()) } else { Err(format!("this is not the reply to it: {call:?}")) }
            }
            Err(RequestError::Timeout(_)) if then < wait.0 + wait.1 => Err("that was too early".to_owned()),
            Ok(None) | Err(_) if replied(then) => Err("a listener replied before".to_owned()),
            _ => Ok(()),
        }
    }
}
