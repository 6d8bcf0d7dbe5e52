//! What an operator does to a running destination: other settings, a purge, and what becomes of dead letters.

use std::collections::{BTreeSet, HashSet};

use sandbus_bus::*;

use crate::case::{HOME, LISTENERS, Letters, To, name};
use crate::check::{self, Checked};
use crate::reference::Expected;
use crate::settings::{Settings, number_of};
use crate::world::{World, tick};

/// The place that a name belongs to, if it is that of one.
pub(crate) fn place_of(destination: &DestinationName) -> Option<usize> {
    destination.as_str().strip_prefix("m/")?.parse().ok()
}

pub(crate) fn listener_of(letter: &DeadLetter) -> Option<usize> {
    let listener = letter.listener.as_deref()?;
    LISTENERS.iter().position(|known| *known == listener)
}

impl World {
    pub(crate) async fn tune(&mut self, d: usize, settings: &Settings) -> Checked {
        // What was accepted before it has another time than what is accepted after it.
        tick().await;
        let config = self.configured(d, settings);
        let tuned = self.bus.reconfigure(config.clone());
        check::equal("it exists", &tuned.is_ok(), &self.places[d].exists)?;
        if tuned.is_ok() {
            self.tally.add("tuned", 1);
            check::equal("the settings", self.bus.config(&name(d)).as_deref().unwrap(), &config)?;
            self.places[d].configure(config);
        } else {
            self.places[d].config = config;
        }
        Ok(())
    }

    pub(crate) fn mistune(&mut self, d: usize) -> Checked {
        let before = self.bus.config(&name(d));
        let mut config = self.places[d].config.clone();
        config.queue_entries_max = 0;
        let refused = self.bus.reconfigure(config).is_err();
        check::equal("settings that are not legal are refused", &refused, &true)?;
        check::equal("the settings after that", &self.bus.config(&name(d)), &before)
    }

    pub(crate) fn purge(&mut self, d: usize) -> Checked {
        let waited = self.bus.statistics(&name(d)).map(|before| before.waiting);
        let purged = self.bus.purge(&name(d));
        check::equal("it exists", &purged.is_ok(), &self.places[d].exists)?;
        let Ok(purged) = purged else { return Ok(()) };
        let figures = self.bus.statistics(&name(d)).unwrap();
        check::equal("what was purged", &Some(purged.len() as u64), &waited)?;
        check::equal(
            "what waits after a purge",
            &(figures.waiting, figures.pending, figures.pending_bytes),
            &(0, 0, 0),
        )?;
        self.tally.add("purged", purged.len());
        self.places[d].forget_held();
        purged.into_iter().for_each(|letter| self.letter_left(d, letter));
        Ok(())
    }

    /// Notes that a dead letter is not kept any more.
    fn letter_left(&mut self, d: usize, letter: DeadLetter) {
        let place = &mut self.places[d];
        if place_of(letter.message.destination()) == Some(d) {
            let number = number_of(letter.message.payload());
            place.pair(number, listener_of(&letter)).letters_gone.push(letter);
        } else if letter.message.destination().as_str() == HOME {
            self.replies_gone += 1;
        }
    }

    fn filter(&self, d: Option<usize>, letters: Letters) -> DeadLetterFilter {
        let filter = DeadLetterFilter::default();
        match letters {
            Letters::All => filter,
            Letters::Reason(reason) => filter.reason(reason).unwrap(),
            Letters::Listener(l) => filter.listener(LISTENERS[l]),
            Letters::Oldest(count) => {
                let all = self.bus.dead_letters_matching(d.map(name).as_deref(), &filter).unwrap_or_default();
                filter.ids(all.iter().take(count).map(|(_, letter)| letter.id))
            }
        }
    }

    pub(crate) fn drop_letters(&mut self, d: Option<usize>, letters: Letters) -> Checked {
        let (filter, place) = (self.filter(d, letters), d.map(name));
        let meant = self.bus.dead_letters_matching(place.as_deref(), &filter);
        let dropped = self.bus.drop_dead_letters(place.as_deref(), &filter);
        let ids = |all: &[(DestinationName, DeadLetter)]| {
            all.iter().map(|(_, letter)| letter.id).collect::<Vec<_>>()
        };
        let (Ok(meant), Ok(dropped)) = (&meant, &dropped) else {
            return check::equal("it exists", &(meant.is_ok(), dropped.is_ok()), &(false, false));
        };
        check::equal("the dead letters that were dropped", &ids(dropped), &ids(meant))?;
        let left = self.bus.dead_letters_matching(place.as_deref(), &filter).unwrap();
        check::equal("those that are left of them", &left.len(), &0)?;
        self.tally.add("letters dropped", dropped.len());
        for (keeper, letter) in dropped {
            // The destination of replies may have one, of what was redriven there and expired.
            if let Some(keeper) = place_of(keeper) {
                self.letter_left(keeper, letter.clone());
            }
        }
        Ok(())
    }

    pub(crate) async fn redrive(&mut self, d: Option<usize>, to: To, letters: Letters) -> Checked {
        // What is redriven is accepted at a time of its own.
        tick().await;
        // Over all destinations the oldest of one moment have no order: they are named by their ids there.
        let count_max = if let (Letters::Oldest(count), Some(_)) = (letters, d) { Some(count) } else { None };
        let filter = self.filter(d, if count_max.is_some() { Letters::All } else { letters });
        let place = d.map(name);
        let target = match to {
            To::Back => None,
            To::Place(to) => Some(name(to).parse().unwrap()),
            To::Home => Some(HOME.parse().unwrap()),
        };
        let options = RedriveOptions {
            to: target.clone(),
            per_second: 1_000.0,
            count_max,
            ..RedriveOptions::default()
        };
        let before = self.bus.dead_letters_matching(place.as_deref(), &filter).unwrap_or_default();
        let dry = RedriveOptions { dry_run: true, ..options.clone() };
        let counted = self.bus.redrive(place.as_deref(), &filter, dry).await.map(|dry| dry.counted);
        let ended = self.bus.redrive(place.as_deref(), &filter, options).await;
        let Ok(end) = ended else {
            let there = |d: &usize| self.places[*d].exists;
            let exist = d.iter().all(there) && target.iter().filter_map(place_of).all(|to| there(&to));
            return check::equal("it exists", &exist, &false);
        };
        check::equal("what a dry run counts", &counted.ok(), &Some(end.counted))?;
        check::equal("what was counted", &end.counted, &before.len().min(count_max.unwrap_or(usize::MAX)))?;
        let refused: BTreeSet<DeadLetterId> =
            end.not_redriven.values().flat_map(|all| all.ids.iter().copied()).collect();
        check::equal("each has one end", &(end.redriven + refused.len()), &end.counted)?;
        let kept: HashSet<DeadLetterId> = self
            .bus
            .dead_letters_matching(place.as_deref(), &filter)
            .unwrap()
            .iter()
            .map(|(_, letter)| letter.id)
            .collect();
        self.tally.add("not redriven", refused.len());
        let gone = end.not_redriven.get("not-kept").map(|gone| gone.ids.clone()).unwrap_or_default();
        let mut redriven = 0;
        for (keeper, letter) in before.into_iter().take(end.counted) {
            let keeper = place_of(&keeper);
            let stays = refused.contains(&letter.id);
            let bounded = keeper.is_some_and(|keeper| self.places[keeper].forgets_letters());
            if kept.contains(&letter.id) != stays && !(stays && (bounded || gone.contains(&letter.id))) {
                return Err(format!("refused: {stays}, and kept: {}: {letter:?}", !stays));
            }
            if !stays {
                redriven += 1;
                self.redriven(keeper, letter, target.as_ref())?;
            }
        }
        check::equal("what was redriven", &end.redriven, &redriven)
    }

    /// Notes that a dead letter is on its way again.
    fn redriven(
        &mut self,
        keeper: Option<usize>,
        letter: DeadLetter,
        to: Option<&DestinationName>,
    ) -> Checked {
        let number = number_of(letter.message.payload());
        self.redriven.insert(number);
        let target = to.unwrap_or(letter.message.destination()).clone();
        match (keeper, listener_of(&letter), to) {
            (Some(keeper), Some(listener), None) => {
                self.tally.add("redriven to their listener", 1);
                let pair = self.places[keeper].pair(number, Some(listener));
                pair.owed += 1;
            }
            // To its own listener, where it is accepted already.
            (None, _, None) => {}
            _ if target.as_str() == HOME => {
                self.tally.add("redriven home", 1);
                self.redriven_home += 1;
            }
            _ => {
                let Some(to) = place_of(&target) else {
                    return Err(format!("{letter:?} was redriven to {target}"));
                };
                self.tally.add(if Some(to) == keeper { "redriven anew" } else { "redriven elsewhere" }, 1);
                let place = &mut self.places[to];
                let receivers = place.receivers(number);
                let what =
                    if place.listeners.is_empty() { Expected::Held } else { Expected::Received(receivers) };
                place.owe(number, &what);
            }
        }
        if let Some(keeper) = keeper {
            self.letter_left(keeper, letter);
        }
        Ok(())
    }
}
