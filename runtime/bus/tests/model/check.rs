//! What must hold: the books at every step, and one end for each message and listener at the end.

use std::collections::{BTreeMap, BTreeSet};

use sandbus_bus::*;

use crate::case::{Back, HOME, LISTENERS, name};
use crate::log::{Call, End};
use crate::operator::{listener_of, place_of};
use crate::order;
use crate::reference::{Pair, PairKey, Place};
use crate::settings::number_of;
use crate::watch;
use crate::world::World;

pub(crate) type Checked = Result<(), String>;

pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Checked {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} where {should:?} was expected")) }
}

/// The accounting law, what the reference counts, and the bounds of the queue, at this moment.
pub(crate) fn books(world: &mut World) -> Checked {
    let all = world.bus.all_statistics();
    if let Some(figures) = all.iter().find(|figures| !figures.adds_up()) {
        return Err(format!("the books do not balance: {figures:#?}"));
    }
    world.watch.check()?;
    for d in 0..world.places.len() {
        let figures = all.iter().find(|figures| figures.name == name(d));
        equal("it exists", &figures.is_some(), &world.places[d].exists)?;
        let Some(figures) = figures else { continue };
        let place = &mut world.places[d];
        // The oldest of what is held is discarded first.
        let discarded = place.all_held().count().saturating_sub(figures.held).min(place.held.len());
        place.held.drain(..discarded);
        book(place, figures).map_err(|error| format!("{error}: {figures:#?}"))?;
        world.tally.add("steps with something aside", figures.aside.min(1));
    }
    Ok(())
}

fn book(place: &Place, figures: &DestinationStatistics) -> Checked {
    let state = match (place.closed, place.paused) {
        (true, _) => "closed",
        (false, true) => "paused",
        (false, false) => "open",
    };
    equal("the state", &figures.state, &state)?;
    equal("accepted, and not again", &(figures.accepted, figures.duplicates), &place.doors())?;
    equal("held", &figures.held, &place.all_held().count())?;
    let names: Vec<&str> = figures.listeners.iter().map(|listener| listener.name.as_str()).collect();
    let known: Vec<&str> = place.listeners.iter().map(|l| LISTENERS[*l]).collect();
    equal("the listeners", &names, &known)?;
    if place.was_replaced {
        return Ok(());
    }
    let workers_max = place.most(|config| config.workers.max);
    if figures.workers_active > figures.workers_current || figures.workers_current > workers_max {
        return Err("too many workers".to_owned());
    }
    // An entry that a worker has taken may come back as a retry when its place is taken again; where several listeners
    // stand aside, as one for each.
    let each = if place.shape.breaker.is_some() { LISTENERS.len() } else { 1 };
    let pending_max = (place.most(|config| config.queue_entries_max) + workers_max) * each;
    let bytes_max = place.most(|config| config.queue_bytes_max) + workers_max * 12;
    if figures.pending > pending_max || figures.pending_bytes > bytes_max {
        return Err(format!("{} wait where {pending_max} may", figures.pending));
    }
    Ok(())
}

/// Pairs that a destination gave up under a policy or an act that asked for it, without giving a dead letter to anybody.
pub(crate) fn given_up(figures: &DestinationStatistics) -> u64 {
    let dropped = |reason| figures.dropped.get(reason).copied().unwrap_or(0);
    let dropped = dropped("queue-full") + dropped("no-listener") + dropped("dead-letter-bound");
    figures.listener_removed + figures.reported + dropped
}

/// Everything that must hold once nothing runs any more.
pub(crate) fn everything(world: &mut World) -> Checked {
    for d in 0..world.places.len() {
        if world.places[d].exists {
            world.replies_lost |= world.places[d].forgets_letters();
            place(world, d).map_err(|error| format!("{}: {error}", name(d)))?;
        }
    }
    let unheard = watch::replies_of_nobody(&world.bus);
    watch::dropped(&unheard).for_each(|(reason, count)| world.tally.add(&reason, count));
    world.ends()?;
    replies(world)
}

/// Everything that must hold at one destination at which nothing runs any more.
pub(crate) fn place(world: &mut World, d: usize) -> Checked {
    let figures = world.bus.statistics(&name(d)).unwrap();
    let waits = world.places[d].all_held().count() as u64;
    equal("what waits and what runs at the end", &(figures.waiting, figures.running), &(waits, 0))?;
    one_end_each(world, d, &figures)?;
    order::all(world, d)
}

/// What was seen of a pair: calls and dead letters, by the time of acceptance.
#[derive(Debug, Default)]
struct Seen<'a> {
    calls: Vec<&'a Call>,
    letters: Vec<&'a DeadLetter>,
}

type AllSeen<'a> = BTreeMap<PairKey, BTreeMap<Instant, Seen<'a>>>;

fn one_end_each(world: &mut World, d: usize, figures: &DestinationStatistics) -> Checked {
    let mut own = world.bus.dead_letters(&name(d));
    own.retain(|letter| place_of(letter.message.destination()) == Some(d));
    let log = world.log.lock().unwrap();
    let place = &world.places[d];
    let mut seen = AllSeen::new();
    for call in log.calls.iter().filter(|call| call.place == d && call.begun.order >= place.since) {
        let key = (call.number, Some(call.listener));
        seen.entry(key).or_default().entry(call.accepted_at).or_default().calls.push(call);
    }
    let gone = place.pairs.values().flat_map(|pair| &pair.letters_gone);
    for letter in own.iter().chain(gone) {
        let key = (number_of(letter.message.payload()), listener_of(letter));
        seen.entry(key).or_default().entry(letter.message.accepted_at()).or_default().letters.push(letter);
    }
    if let Some((stranger, seen)) = seen.iter().find(|(key, _)| !place.pairs.contains_key(key)) {
        return Err(format!("{stranger:?} was never owed: {seen:?}"));
    }
    let mut without_end = 0;
    let mut reasons = Vec::new();
    for (key, pair) in &place.pairs {
        let seen = seen.remove(key).unwrap_or_default();
        let told = |error| format!("{key:?} {:?} {pair:?}: {error}: {seen:#?}", world.sent.get(&key.0));
        let ends = ends(world, d, *key, pair, &seen, &log.cancelled).map_err(told)?;
        let left = pair.owed - ends;
        without_end += left;
        let held =
            if key.1.is_none() { place.all_held().filter(|number| *number == key.0).count() } else { 0 };
        if left > pair.dropped + held && !may_be_given_up(place, pair, key.1) {
            return Err(told(format!("{left} vanished; {figures:#?}")));
        }
        reasons.extend(seen.values().flat_map(|seen| &seen.letters).map(|letter| letter.reason.name()));
    }
    let counted = place.given_up_before + given_up(figures) + figures.waiting;
    // Where dead letters leave at their bound, replies that nobody took on are among them.
    let replies_made =
        log.calls.iter().filter(|call| call.place == d && call.end == End::Replied).count() as u64;
    let more = if place.forgets_letters() { replies_made } else { 0 };
    let without_end = without_end as u64;
    if !(without_end..=without_end + more).contains(&counted) {
        return Err(format!("{without_end} pairs have no end, and {counted} are counted so: {figures:#?}"));
    }
    drop(log);
    reasons.iter().for_each(|reason| world.tally.add(&format!("letters {reason}"), 1));
    watch::dropped(figures).for_each(|(reason, count)| world.tally.add(&reason, count));
    world.tally.add("retried", figures.retried as usize);
    Ok(())
}

/// Whether a pair without an end can have been dropped, reported, or settled as `listener-removed`.
fn may_be_given_up(place: &Place, pair: &Pair, listener: Option<usize>) -> bool {
    // What is discarded to make room is the oldest, whatever it is.
    let discards = place.ever(|config| config.rejected_execution == RejectedExecution::DiscardOldest);
    let removed = listener.is_some() && !pair.removed.is_empty();
    removed || discards || pair.direct || place.forgets_letters()
}

/// How many ends a pair has, each of them the only one of what was accepted for it at one time.
fn ends(
    world: &World,
    d: usize,
    key: PairKey,
    pair: &Pair,
    seen: &BTreeMap<Instant, Seen<'_>>,
    cancelled: &[u64],
) -> Result<usize, String> {
    if seen.len() > pair.owed {
        return Err(format!("it was received or kept {} times and owed {} times", seen.len(), pair.owed));
    }
    let sent = world.sent.get(&key.0).filter(|sent| sent.place == d);
    let mut all = 0;
    for (accepted_at, Seen { calls, letters }) in seen {
        if sent.is_some_and(|sent| *accepted_at < sent.at) {
            return Err(format!("accepted at {accepted_at:?}, before it was sent"));
        }
        attempts(&world.places[d], calls, letters)?;
        let removed = |call: &&Call| {
            pair.removed.iter().any(|(order, at)| call.begun.order >= *order && call.accepted_at <= *at)
        };
        if let Some(call) = calls.iter().find(|call| removed(call)) {
            return Err(format!("received after its listener was taken away: {call:?}"));
        }
        let ids: BTreeSet<MessageId> = calls
            .iter()
            .map(|call| call.id)
            .chain(letters.iter().map(|letter| letter.message.id()))
            .collect();
        let told = world.sent.get(&key.0).and_then(|sent| sent.id);
        if ids.len() > 1 || told.is_some_and(|told| !ids.contains(&told)) {
            return Err(format!("{ids:?} where its sender was told {told:?}"));
        }
        let done = calls.iter().filter(|call| call.is_done()).count();
        // A sender who goes away while a returned reply waits for room leaves a call that is done and not settled.
        let abandoned = done == 1 && cancelled.contains(&key.0) && letters.len() == 1;
        let ends = if abandoned { 1 } else { done + letters.len() };
        if ends > 1 {
            return Err(format!("accepted once at {accepted_at:?}, it has {ends} ends"));
        }
        all += ends;
    }
    Ok(all)
}

/// Attempts come one after the other, no more than the policy allows, and a dead letter knows how many there were.
fn attempts(place: &Place, calls: &[&Call], letters: &[&DeadLetter]) -> Checked {
    let seen: Vec<u32> = calls.iter().map(|call| call.attempt).collect();
    let wanted: Vec<u32> = (1..).take(seen.len()).collect();
    let allowed = place.most(|config| config.retry.attempts_max as usize);
    if seen != wanted || seen.len() > allowed {
        return Err(format!("attempts {seen:?} of at most {allowed}"));
    }
    if calls.iter().rev().skip(1).any(|call| call.is_done()) {
        return Err("called again after it was done".to_owned());
    }
    let may_come_again = |end: End| match end {
        End::Failed(kind, _) => place.config.retry.on.contains(kind),
        _ => true,
    };
    if let Some(call) = calls.iter().rev().skip(1).find(|call| !may_come_again(call.end)) {
        return Err(format!("called again after {call:?}"));
    }
    let Some(letter) = letters.first() else { return Ok(()) };
    last_attempt(place, calls.last().copied(), letter)?;
    // A turn that an interrupt ended before its call began counts as an attempt.
    let uncalled = letter.reason == DeadLetterReason::Closed && letter.attempts as usize == seen.len() + 1;
    if letter.attempts as usize == seen.len() || uncalled {
        return Ok(());
    }
    Err(format!("the dead letter `{}` counts {} attempts of {seen:?}", letter.reason, letter.attempts))
}

/// A dead letter of a failure says which, and that there was no attempt left.
fn last_attempt(place: &Place, last: Option<&Call>, letter: &DeadLetter) -> Checked {
    let DeadLetterReason::Failed(failed) = letter.reason else { return Ok(()) };
    if let Some(End::Failed(kind, _)) = last.map(|call| call.end)
        && kind != failed
    {
        return Err(format!("the dead letter says `{failed:?}` and its last call ended as `{kind:?}`"));
    }
    let least = match place.config.destination_type {
        _ if place.was_replaced => 1,
        DestinationType::Synchronous => 1,
        _ => place.configs.iter().map(|(_, config)| config.retry.attempts_max).min().unwrap_or(1),
    };
    if place.config.retry.on.contains(failed) && letter.attempts < least {
        return Err(format!("given up after {} attempts of {least}: {letter:?}", letter.attempts));
    }
    Ok(())
}

/// Every reply that was returned to the destination of replies arrived there, or is a dead letter of where it came from.
fn replies(world: &mut World) -> Checked {
    let home = world.bus.statistics(HOME).unwrap();
    let log = world.log.lock().unwrap();
    let goes_home = |call: &&Call| {
        let sent = world.sent.get(&call.number);
        call.end == End::Replied && sent.is_some_and(|sent| sent.back == Back::Home)
    };
    let returned = log.calls.iter().filter(goes_home).count() as u64;
    let is_one = |letter: &DeadLetter| letter.message.destination().as_str() == HOME;
    let kept = |d| world.bus.dead_letters(&name(d)).iter().filter(|letter| is_one(letter)).count();
    let letters = (0..world.places.len()).map(kept).sum::<usize>() as u64 + world.replies_gone;
    let arrived = home.accepted - world.redriven_home;
    // One is lost with a sender who goes away while it waits for room, or with a dead letter that leaves at its bound.
    let exact = log.cancelled.is_empty() && !world.replies_lost;
    if arrived + letters > returned || (exact && arrived + letters < returned) {
        return Err(format!(
            "{returned} replies were returned, {arrived} arrived, {letters} were kept: {home:#?}"
        ));
    }
    drop(log);
    world.tally.add("replies that arrived", arrived as usize);
    world.tally.add("replies that were turned away", letters as usize);
    Ok(())
}
