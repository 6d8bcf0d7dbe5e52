//! Two destinations of one name: one takes the place of the other, which stands behind it and delivers what it has; one of the
//! two goes, and the other one keeps the letters. What one of them alone does stands elsewhere.

use sandbus_bus::*;

use crate::case::{Gone, HOME, name};
use crate::check::{self, Checked};
use crate::reference::{Place, Remembered};
use crate::settings::{Settings, Shape, custom_type};
use crate::watch::Told;
use crate::world::World;

/// What a destination takes with it when one of a higher ranking takes its place, and has again when it takes over.
pub(crate) struct Hidden {
    pub(crate) ranking: i32,
    shape: Shape,
    custom: CustomType,
    config: DestinationConfig,
    paused: bool,
    inline: bool,
    pub(crate) held: Vec<u64>,
    dedup: Vec<Remembered>,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
}

impl Hidden {
    fn new(ranking: i32, shape: Shape, custom: CustomType, config: DestinationConfig) -> Self {
        Self {
            ranking,
            shape,
            custom,
            paused: config.paused,
            config,
            inline: false,
            held: Vec::new(),
            dedup: Vec::new(),
            accepted: 0,
            duplicates: 0,
        }
    }
}

impl Place {
    /// Puts a destination of this configuration in its place.
    fn replace(&mut self, shown: Hidden) {
        let config = shown.config.clone();
        self.hidden = Some(Box::new(self.exchange(shown)));
        self.was_replaced = true;
        self.configure(config);
    }

    /// Puts one of the ranking that everybody begins with behind it.
    pub(crate) fn hide_behind(&mut self) {
        let hidden = Hidden::new(0, self.shape, self.custom.clone(), self.config.clone());
        self.hidden = Some(Box::new(hidden));
        self.was_replaced = true;
    }

    /// Notes that one of the two is gone; the other one is the only one now.
    pub(crate) fn unreplace(&mut self, gone: Gone) {
        let Some(hidden) = self.hidden.take() else { return };
        if gone == Gone::Shown {
            drop(self.exchange(*hidden));
        }
    }

    /// Has another destination be the one that senders see; answers the one that was.
    fn exchange(&mut self, other: Hidden) -> Hidden {
        use std::mem::replace;
        Hidden {
            ranking: replace(&mut self.ranking, other.ranking),
            shape: replace(&mut self.shape, other.shape),
            custom: replace(&mut self.custom, other.custom),
            config: replace(&mut self.config, other.config),
            paused: replace(&mut self.paused, other.paused),
            inline: replace(&mut self.inline, other.inline),
            held: replace(&mut self.held, other.held),
            dedup: replace(&mut self.dedup, other.dedup),
            accepted: replace(&mut self.accepted, other.accepted),
            duplicates: replace(&mut self.duplicates, other.duplicates),
        }
    }

    /// Its ranking, and that of the one behind it.
    pub(crate) fn rankings(&self) -> (i32, Option<i32>) {
        (self.ranking, self.hidden.as_ref().map(|hidden| hidden.ranking))
    }

    /// All that waits for a first listener.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = u64> {
        self.held.iter().chain(self.hidden.iter().flat_map(|hidden| &hidden.held)).copied()
    }

    /// Nothing waits for a first listener any more.
    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
        self.hidden.iter_mut().for_each(|hidden| hidden.held.clear());
    }

    /// Whether it delivers nothing, and the one behind it neither.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.hidden.iter_mut().for_each(|hidden| hidden.paused = paused);
    }

    pub(crate) fn run_inline(&mut self, inline: bool) {
        self.inline = inline;
        self.hidden.iter_mut().for_each(|hidden| hidden.inline = inline);
    }

    /// It is open again, and so is the one behind it: their figures begin anew.
    pub(crate) fn reopen(&mut self) {
        (self.closed, self.paused) = (false, self.config.paused);
        (self.accepted, self.duplicates) = (0, 0);
        if let Some(hidden) = &mut self.hidden {
            hidden.paused = hidden.config.paused;
            (hidden.accepted, hidden.duplicates) = (0, 0);
        }
    }

    /// What the figures of its name should say was accepted, and not accepted again.
    pub(crate) fn doors(&self) -> (u64, u64) {
        let hidden = self.hidden.as_ref();
        let more = hidden.map_or((0, 0), |hidden| (hidden.accepted, hidden.duplicates));
        (self.accepted + more.0, self.duplicates + more.1)
    }
}

impl World {
    /// Puts another destination in the place of one that is open.
    pub(crate) fn replace(&mut self, d: usize, shape: Shape, settings: &Settings) -> Checked {
        let place = &self.places[d];
        if !place.exists || place.closed || place.hidden.is_some() {
            return Ok(());
        }
        let ranking = place.ranking + 1;
        let custom = custom_type(shape.destination_type);
        let config = settings.wide().config(d, &shape, &custom, &self.log);
        let again = self.bus.create_ranked(config.clone(), place.ranking);
        check::equal("another one of the same ranking was made", &again.is_ok(), &false)?;
        let created = self.bus.create_ranked(config.clone(), ranking);
        created.map_err(|error| format!("one of a higher ranking is not made: {error}"))?;
        self.tally.add("replaced", 1);
        self.watch.expect(Told::Removed(d, ranking - 1));
        self.watch.expect(Told::Added(d, ranking));
        self.places[d].replace(Hidden::new(ranking, shape, custom, config));
        Ok(())
    }

    /// Destroys one of two destinations of a name.
    pub(crate) async fn unreplace(&mut self, d: usize, gone: Gone) -> Checked {
        let (shown, hidden) = self.places[d].rankings();
        let Some(hidden) = hidden else {
            let destroyed = self.bus.destroy_ranked(&name(d), shown + 1).await;
            return check::equal("one of that ranking was destroyed", &destroyed.is_ok(), &false);
        };
        // What is given up while it goes is counted nowhere any more.
        let place = &self.places[d];
        let running =
            self.figures(d).running > 0 && place.pairs.values().any(|pair| !pair.removed.is_empty());
        if running || self.asked.iter().any(|asked| asked.is_at(d)) || self.places[d].forgets_letters() {
            self.close(d, None).await;
        }
        let before = self.figures(d);
        let destroyed = match gone {
            Gone::Shown => self.bus.destroy(&name(d)).await,
            Gone::Hidden => self.bus.destroy_ranked(&name(d), hidden).await,
        };
        let destroyed = destroyed.map_err(|error| format!("one of two is not destroyed: {error}"))?;
        check::equal("letters that the other one did not take", &destroyed.dead_letters.len(), &0)?;
        self.tally.add("replacements that went", 1);
        if gone == Gone::Shown {
            self.watch.expect(Told::Removed(d, shown));
            self.watch.expect(Told::Added(d, hidden));
        }
        let after = self.figures(d);
        let too_many = before.dead_letters_kept.saturating_sub(after.dead_letters_kept) as u64;
        let place = &mut self.places[d];
        place.given_up_before += check::given_up(&before) + too_many;
        place.given_up_before = place
            .given_up_before
            .checked_sub(check::given_up(&after))
            .ok_or_else(|| format!("more was given up than before: {before:#?} {after:#?}"))?;
        place.unreplace(gone);
        Ok(())
    }

    fn figures(&self, d: usize) -> DestinationStatistics {
        self.bus.statistics(&name(d)).unwrap()
    }

    /// Notes the replies among the letters of a destination that goes away.
    pub(crate) fn replies_go(&mut self, d: usize) {
        let letters = self.bus.dead_letters(&name(d));
        let replies = letters.iter().filter(|letter| letter.message.destination().as_str() == HOME);
        self.replies_gone += replies.count() as u64;
        self.replies_lost |= self.places[d].forgets_letters();
    }
}
