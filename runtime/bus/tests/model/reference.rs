//! The naive reference: plain lists of what was sent, whom it is owed to and what became of it, and what the rules say about a
//! message at the door. It calls nothing of the bus but to read figures.

use std::collections::BTreeMap;
use std::time::Duration;

use sandbus_bus::*;

use crate::case::Back;
use crate::ranks::Hidden;
use crate::settings::{Shape, handler_keeps, is_chosen};

/// One message that was sent and accepted, as the reference sees it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Where it was sent.
    pub(crate) place: usize,
    pub(crate) at: Instant,
    /// None where the sender is not told: a request.
    pub(crate) id: Option<MessageId>,
    pub(crate) options: SendOptions,
    pub(crate) back: Back,
    /// How many (message, listener) pairs were owed.
    pub(crate) pairs: usize,
}

/// What a destination owes of one message to one listener, or to nobody in particular.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    /// How often it was accepted for it, or redriven to it.
    pub(crate) owed: usize,
    /// How many of these are given up already, at the door.
    pub(crate) dropped: usize,
    /// When its listener was taken away: in the order of the log, and by the clock.
    pub(crate) removed: Vec<(usize, Instant)>,
    /// Dead letters of it that left: redriven, dropped, purged.
    pub(crate) letters_gone: Vec<DeadLetter>,
    /// Whether its sender called the listeners in direct mode, and is told of failures.
    pub(crate) direct: bool,
}

/// A message and a listener of a destination; none for the message alone.
pub(crate) type PairKey = (u64, Option<usize>);

/// One destination, as the reference sees it.
pub(crate) struct Place {
    pub(crate) shape: Shape,
    pub(crate) custom: CustomType,
    pub(crate) config: DestinationConfig,
    /// Every configuration that it had, since when.
    pub(crate) configs: Vec<(Instant, DestinationConfig)>,
    pub(crate) exists: bool,
    /// Among the destinations of its name.
    pub(crate) ranking: i32,
    pub(crate) closed: bool,
    pub(crate) paused: bool,
    pub(crate) inline: bool,
    pub(crate) listeners: Vec<usize>,
    pub(crate) pairs: BTreeMap<PairKey, Pair>,
    /// Messages that wait for a first listener, the oldest first.
    pub(crate) held: Vec<u64>,
    pub(crate) dedup: Vec<Remembered>,
    /// Where in the log its life began.
    pub(crate) since: usize,
    /// What the figures should say since it was opened last.
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    /// Pairs given up in the lives before the last reopening, and by a destination of this name that is gone.
    pub(crate) given_up_before: u64,
    /// The destination of its name that stands behind it.
    pub(crate) hidden: Option<Box<Hidden>>,
    /// Whether there ever was one: the two deliver side by side, so that no order is promised.
    pub(crate) was_replaced: bool,
}

/// A dedup key, with the first message of it, and when that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) key: String,
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

/// What the rules say about a message at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is turned away with the error of this name.
    Refused(&'static str),
    /// It is not accepted again: the first message of its key is this one.
    Duplicate(u64),
    /// A handler keeps it.
    Handled,
    /// It is owed to these.
    Received(Vec<usize>),
    /// It waits for a first listener.
    Held,
    /// A dead letter at once.
    Letter,
    /// Accepted for these, and dropped.
    Dropped(Vec<Option<usize>>),
    /// There is no room now, and may be in the end; then this.
    IfThereIsRoom(Box<Expected>),
}

/// What the reference knows about a message before it is sent.
pub(crate) struct Draft<'a> {
    pub(crate) number: u64,
    pub(crate) bytes: usize,
    pub(crate) options: Option<&'a SendOptions>,
}

impl Draft<'_> {
    fn is_invalid(&self, queued: bool) -> bool {
        let Some(options) = self.options else { return false };
        let delay = options.deliver_after.filter(|delay| !delay.is_zero());
        match (delay, options.expires_after) {
            (Some(_), _) if !queued => true,
            (Some(delay), Some(expires)) => expires <= delay,
            _ => false,
        }
    }

    fn waits_its_turn(&self) -> bool {
        self.options.is_some_and(|options| options.ordering_key.is_some() || options.deliver_after.is_some())
    }
}

impl Expected {
    /// How many pairs are owed of a message that is accepted so.
    pub(crate) fn pairs(&self) -> usize {
        match self {
            Expected::Received(receivers) => receivers.len(),
            Expected::Dropped(whose) => whose.len(),
            Expected::IfThereIsRoom(inside) => inside.pairs(),
            Expected::Held | Expected::Letter => 1,
            Expected::Refused(_) | Expected::Duplicate(_) | Expected::Handled => 0,
        }
    }
}

impl Place {
    pub(crate) fn new(shape: Shape, custom: CustomType, config: DestinationConfig) -> Self {
        Self {
            shape,
            custom,
            config,
            configs: Vec::new(),
            exists: false,
            ranking: 0,
            closed: false,
            paused: false,
            inline: false,
            listeners: Vec::new(),
            pairs: BTreeMap::new(),
            held: Vec::new(),
            dedup: Vec::new(),
            since: 0,
            accepted: 0,
            duplicates: 0,
            given_up_before: 0,
            hidden: None,
            was_replaced: false,
        }
    }

    /// Those of the listeners that a message is for.
    pub(crate) fn receivers(&self, number: u64) -> Vec<usize> {
        let all = self.listeners.iter().copied();
        all.filter(|listener| !self.shape.chooses || is_chosen(number, *listener)).collect()
    }

    /// What becomes of a message that is sent now; `figures` are those of the destination at this moment.
    pub(crate) fn expects(&mut self, draft: &Draft<'_>, figures: Option<&DestinationStatistics>) -> Expected {
        let Some(figures) = figures else { return Expected::Refused("no-such-destination") };
        let queued = self.config.destination_type.is_queued();
        if draft.bytes > self.config.message_bytes_max {
            return Expected::Refused("too-large");
        }
        if draft.is_invalid(queued) {
            return Expected::Refused("invalid");
        }
        if let Some(first) = self.first_of_key(draft) {
            return Expected::Duplicate(first);
        }
        if self.closed {
            return Expected::Refused("closed");
        }
        if self.listeners.is_empty() {
            return match self.config.on_no_listener {
                OnNoListener::Reject => Expected::Refused("no-listener"),
                OnNoListener::Discard => Expected::Dropped(vec![None]),
                OnNoListener::DeadLetter => Expected::Letter,
                OnNoListener::Hold => self.room(draft, figures, Expected::Held),
            };
        }
        let receivers = self.receivers(draft.number);
        match (receivers.is_empty(), queued, self.paused) {
            (true, ..) => Expected::Refused("no-listener"),
            (_, false, true) => Expected::Refused("paused"),
            (_, false, false) => Expected::Received(receivers),
            (_, true, false) if self.inline => Expected::Received(receivers),
            _ => self.room(draft, figures, Expected::Received(receivers)),
        }
    }

    fn room(&self, draft: &Draft<'_>, figures: &DestinationStatistics, inside: Expected) -> Expected {
        let to = match &inside {
            Expected::Received(receivers) => receivers.clone(),
            _ => Vec::new(),
        };
        let parallel = self.config.destination_type == DestinationType::Parallel;
        let entries = if parallel { to.len().max(1) } else { 1 };
        let fits = figures.pending + entries <= self.config.queue_entries_max
            && figures.pending_bytes + draft.bytes <= self.config.queue_bytes_max;
        if fits {
            return inside;
        }
        match &self.config.rejected_execution {
            RejectedExecution::Abort => Expected::Refused("queue-full"),
            RejectedExecution::CallerRuns if to.is_empty() || self.paused || draft.waits_its_turn() => {
                Expected::Refused("queue-full")
            }
            RejectedExecution::CallerRuns => inside,
            RejectedExecution::Discard if to.is_empty() => Expected::Dropped(vec![None]),
            RejectedExecution::Discard => Expected::Dropped(to.into_iter().map(Some).collect()),
            RejectedExecution::DeadLetter => Expected::Letter,
            RejectedExecution::Handler(_) if handler_keeps(draft.number) => Expected::Handled,
            RejectedExecution::Handler(_) => Expected::Refused("queue-full"),
            RejectedExecution::Block(_) | RejectedExecution::DiscardOldest => {
                Expected::IfThereIsRoom(Box::new(inside))
            }
        }
    }

    /// The first message of the draft's dedup key, where the destination remembers it.
    fn first_of_key(&mut self, draft: &Draft<'_>) -> Option<u64> {
        let key = draft.options?.dedup_key.as_ref()?;
        self.forget_keys();
        self.dedup.iter().find(|known| known.key == **key).map(|known| known.number)
    }

    /// Forgets the dedup keys whose window is over, as a look for one does.
    pub(crate) fn forget_keys(&mut self) {
        let window = self.config.dedup_window;
        self.dedup.retain(|known| known.at.elapsed() < window);
    }

    /// Notes what is owed of a message that was accepted, or accepted anew.
    pub(crate) fn owe(&mut self, number: u64, what: &Expected) {
        match what {
            Expected::Received(receivers) => {
                receivers.iter().for_each(|listener| self.pair(number, Some(*listener)).owed += 1);
            }
            Expected::Held => {
                self.held.push(number);
                self.pair(number, None).owed += 1;
            }
            Expected::Letter => self.pair(number, None).owed += 1,
            Expected::Dropped(whose) => {
                for listener in whose {
                    let pair = self.pair(number, *listener);
                    (pair.owed, pair.dropped) = (pair.owed + 1, pair.dropped + 1);
                }
            }
            Expected::IfThereIsRoom(inside) => return self.owe(number, inside),
            Expected::Refused(_) | Expected::Duplicate(_) | Expected::Handled => return,
        }
        self.accepted += 1;
    }

    pub(crate) fn pair(&mut self, number: u64, listener: Option<usize>) -> &mut Pair {
        self.pairs.entry((number, listener)).or_default()
    }

    /// What was held becomes owed to the first listener.
    pub(crate) fn fix_held(&mut self, listener: usize) {
        let held: Vec<u64> = self.all_held().collect();
        self.forget_held();
        for number in held {
            self.pair(number, None).owed -= 1;
            self.pair(number, Some(listener)).owed += 1;
        }
    }

    /// Notes that a listener was taken away after so many events.
    pub(crate) fn removed(&mut self, listener: usize, events: usize) {
        self.listeners.retain(|known| *known != listener);
        let of_it = self.pairs.iter_mut().filter(|((_, of), _)| *of == Some(listener));
        of_it.for_each(|(_, pair)| pair.removed.push((events, Instant::now())));
    }

    /// Puts other settings in force.
    pub(crate) fn configure(&mut self, config: DestinationConfig) {
        self.configs.push((Instant::now(), config.clone()));
        self.config = config;
    }

    /// The configuration at a moment; none where it is not clear, because it changed at that very moment.
    pub(crate) fn config_at(&self, at: Instant) -> Option<&DestinationConfig> {
        let (since, config) = self.configs.iter().rev().find(|(since, _)| *since <= at)?;
        (*since < at || self.configs.first().is_some_and(|(first, _)| first == since)).then_some(config)
    }

    /// Whether it ever was configured so.
    pub(crate) fn ever(&self, how: impl Fn(&DestinationConfig) -> bool) -> bool {
        self.configs.iter().any(|(_, config)| how(config))
    }

    /// The most that this setting ever was.
    pub(crate) fn most(&self, setting: impl Fn(&DestinationConfig) -> usize) -> usize {
        self.configs.iter().map(|(_, config)| setting(config)).max().unwrap_or(0)
    }

    /// Whether dead letters may leave at their bound.
    pub(crate) fn forgets_letters(&self) -> bool {
        self.ever(|config| config.dead_letters.letters_max < 1_000)
    }

    /// Begins a life with this configuration.
    pub(crate) fn open(&mut self, config: DestinationConfig, events: usize) {
        let listeners = std::mem::take(&mut self.listeners);
        *self = Self::new(self.shape, self.custom.clone(), config.clone());
        self.listeners = listeners;
        self.exists = true;
        self.paused = config.paused;
        self.since = events;
        self.configure(config);
    }

    /// What a message of these options expires after, where it is accepted at this moment.
    pub(crate) fn expiry(&self, options: &SendOptions, at: Instant) -> Option<Duration> {
        options.expires_after.or_else(|| self.config_at(at)?.expires_in)
    }
}
