//! What must hold: the books at every step, and one end for each message and listener at the end.

use std::collections::BTreeMap;

use sandbus_bus::*;

use crate::case::{LISTENERS, name};
use crate::world::{Call, Place, World};

type Checked = Result<(), String>;

/// The accounting law, and the bound of the queue, at this moment.
pub(crate) fn books(world: &World) -> Checked {
    for figures in world.bus.all_statistics() {
        if !figures.adds_up() {
            return Err(format!("the books do not balance: {figures:#?}"));
        }
    }
    for (d, place) in world.places.iter().enumerate() {
        let Some(figures) = world.bus.statistics(&name(d)) else { continue };
        // An entry that a worker has taken may come back as a retry when its place is taken again.
        let pending_max = place.config.queue_entries_max + place.config.workers.max;
        let runs_here = place.config.rejected_execution == RejectedExecution::CallerRuns;
        if figures.pending > pending_max && !runs_here {
            return Err(format!("{} wait where {pending_max} may: {figures:#?}", figures.pending));
        }
    }
    Ok(())
}

/// Pairs that a destination gave up under a policy or an act that asked for it, without keeping a dead letter.
pub(crate) fn given_up(figures: &DestinationStatistics) -> u64 {
    let dropped = |reason| figures.dropped.get(reason).copied().unwrap_or(0);
    figures.listener_removed + dropped("queue-full") + dropped("no-listener")
}

/// A listener is done with a message once, however often it was redriven, and nobody waits for an answer any more.
pub(crate) fn done_once(world: &World) -> Checked {
    for d in 0..world.places.len() {
        for (pair, calls) in world.calls_at(d) {
            if calls.iter().filter(|call| call.done).count() > 1 {
                return Err(format!("{}: done twice with {pair:?}: {calls:?}", name(d)));
            }
        }
    }
    nobody_waits(world)
}

pub(crate) fn nobody_waits(world: &World) -> Checked {
    let waiting = world.bus.waiting_requests();
    if waiting == 0 { Ok(()) } else { Err(format!("{waiting} requests wait although all were resolved")) }
}

/// Everything that must hold once nothing runs any more.
pub(crate) fn everything(world: &World) -> Checked {
    for (d, place) in world.places.iter().enumerate() {
        if place.exists {
            one_end_each(world, d, place).map_err(|error| format!("{}: {error}", name(d)))?;
            order(world, d, place).map_err(|error| format!("{}: {error}", name(d)))?;
        } else if place.sent.iter().any(|sent| sent.accepted) {
            return Err(format!("{} does not exist and accepted something", name(d)));
        }
    }
    nobody_waits(world)
}

/// The dead letters of a destination by message and listener; none for the message alone.
fn letters(world: &World, d: usize) -> BTreeMap<(u64, Option<usize>), Vec<DeadLetter>> {
    let mut letters: BTreeMap<_, Vec<DeadLetter>> = BTreeMap::new();
    for letter in world.bus.dead_letters(&name(d)) {
        if matches!(letter.reason, DeadLetterReason::ReplyNotAccepted(_)) {
            continue;
        }
        let number = std::str::from_utf8(letter.message.payload()).unwrap().trim().parse().unwrap();
        let listener = letter.listener.as_deref();
        let listener = listener.map(|found| LISTENERS.iter().position(|known| *known == found).unwrap());
        letters.entry((number, listener)).or_default().push(letter);
    }
    letters
}

fn one_end_each(world: &World, d: usize, place: &Place) -> Checked {
    let (calls, letters) = (world.calls_at(d), letters(world, d));
    let figures = world.bus.statistics(&name(d)).unwrap();
    let mut without_end = 0;
    for sent in &place.sent {
        let received = LISTENERS.iter().enumerate().any(|(l, _)| calls.contains_key(&(sent.number, l)));
        let alone = letters.get(&(sent.number, None)).map_or(0, Vec::len);
        if !sent.accepted || alone > 0 {
            let kept = letters.keys().filter(|(number, _)| *number == sent.number).count();
            if received || alone > 1 || kept > alone || (alone == 1 && !sent.accepted) {
                return Err(format!("{sent:?} was received or kept twice, or received though refused"));
            }
            continue;
        }
        if sent.meant.is_empty() {
            without_end += 1;
        }
        for l in &sent.meant {
            let calls = calls.get(&(sent.number, *l)).map_or(&[][..], Vec::as_slice);
            let letters = letters.get(&(sent.number, Some(*l))).map_or(&[][..], Vec::as_slice);
            attempts(calls, letters, place).map_err(|error| format!("{sent:?} at {l}: {error}"))?;
            let removed = sent.removed.iter().find(|(removed, _)| removed == l).map(|(_, calls)| *calls);
            if calls.iter().any(|call| removed.is_some_and(|removed| call.before >= removed)) {
                return Err(format!("{sent:?} was received by {l} after that was taken away: {calls:?}"));
            }
            let ends = calls.iter().filter(|call| call.done).count() + letters.len();
            if ends > 1 {
                return Err(format!("{sent:?} at {l} has {ends} ends: {calls:?} {letters:?}"));
            }
            if ends == 0 {
                without_end += 1;
                if !may_be_given_up(place, removed.is_some()) {
                    return Err(format!("{sent:?} at {l} vanished: {calls:?}\n{figures:#?}"));
                }
            }
        }
        let stranger =
            (0..LISTENERS.len()).find(|l| !sent.meant.contains(l) && calls.contains_key(&(sent.number, *l)));
        if let Some(stranger) = stranger {
            return Err(format!("{sent:?} was received by {stranger}, for whom it was not meant"));
        }
    }
    let counted = place.given_up_before + given_up(&figures) + figures.waiting;
    if counted != without_end {
        return Err(format!("{without_end} pairs have no end, and {counted} are counted so: {figures:#?}"));
    }
    Ok(())
}

/// Whether a pair without an end can have been dropped, or settled as `listener-removed`.
fn may_be_given_up(place: &Place, removed: bool) -> bool {
    let discards = matches!(
        place.config.rejected_execution,
        RejectedExecution::Discard | RejectedExecution::DiscardOldest
    );
    removed || discards || place.config.on_no_listener == OnNoListener::Discard
}

/// Attempts come one after the other, no more than the policy allows, and a dead letter knows how many there were.
fn attempts(calls: &[Call], letters: &[DeadLetter], place: &Place) -> Checked {
    let seen: Vec<u32> = calls.iter().map(|call| call.attempt).collect();
    let wanted: Vec<u32> = (1..).take(seen.len()).collect();
    if seen != wanted || seen.len() > place.config.retry.attempts_max as usize {
        return Err(format!("attempts {seen:?} of at most {}", place.config.retry.attempts_max));
    }
    if calls.iter().rev().skip(1).any(|call| call.done) {
        return Err(format!("called again after it was done: {calls:?}"));
    }
    match letters.first() {
        Some(letter)
            if letter.attempts as usize != seen.len() && !letter_of_an_uncalled_turn(letter, &seen) =>
        {
            Err(format!(
                "the dead letter `{}` counts {} attempts of {seen:?}",
                letter.reason, letter.attempts
            ))
        }
        _ => Ok(()),
    }
}

/// A turn that an interrupt ended before its call began counts as an attempt.
fn letter_of_an_uncalled_turn(letter: &DeadLetter, seen: &[u32]) -> bool {
    letter.reason == DeadLetterReason::Closed && letter.attempts as usize == seen.len() + 1
}

/// On a serial destination each listener's first deliveries are in the order of acceptance.
fn order(world: &World, d: usize, place: &Place) -> Checked {
    if place.config.destination_type != DestinationType::Serial {
        return Ok(());
    }
    let calls = world.calls.lock().unwrap();
    for listener in 0..LISTENERS.len() {
        let first = calls
            .iter()
            .filter(|call| call.destination == name(d) && call.listener == listener && call.attempt == 1);
        let numbers: Vec<u64> = first.map(|call| call.number).collect();
        if !numbers.is_sorted() {
            return Err(format!("listener {listener} received out of order: {numbers:?}"));
        }
    }
    Ok(())
}
