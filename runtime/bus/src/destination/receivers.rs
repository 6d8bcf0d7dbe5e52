//! Who receives a message: all that listen, or those whom an embedder's type chooses. The choice is made under no lock.

use std::sync::Arc;

use super::{Destination, State};
use crate::message::Message;
use crate::registration::ListenerSet;
use crate::sync::MutexGuard;

/// Who receives a message.
pub(super) enum Receivers {
    /// All that listen.
    Present,
    /// Those that the destination's type has chosen.
    Chosen(Arc<ListenerSet>),
}

/// Those whom an embedder's type has chosen, and whom it chose from.
pub(super) struct Choice {
    present: Arc<ListenerSet>,
    chosen: Arc<ListenerSet>,
}

impl Receivers {
    pub(super) fn of<'a>(&'a self, state: &'a State) -> &'a Arc<ListenerSet> {
        match self {
            Receivers::Present => &state.listeners,
            Receivers::Chosen(chosen) => chosen,
        }
    }
}

impl Destination {
    /// Takes the lock, and says who of those that listen receives `message`.
    pub(super) fn state_for(&self, message: &Message) -> (MutexGuard<'_, State>, Receivers) {
        loop {
            if let Some(found) = self.state_if_chosen(self.choose(message)) {
                return found;
            }
        }
    }

    /// Has an embedder's type choose among those that listen; to be called under no lock. None where all of them receive it.
    pub(super) fn choose(&self, message: &Message) -> Option<Choice> {
        let custom = self.custom_type.as_ref()?;
        let present = self.listeners();
        let chosen = Arc::new(custom.chosen(message, &present));
        Some(Choice { present, chosen })
    }

    /// Takes the lock; none if the listeners have changed since they were chosen from: the choice must be made again.
    pub(super) fn state_if_chosen(
        &self,
        choice: Option<Choice>,
    ) -> Option<(MutexGuard<'_, State>, Receivers)> {
        let state = self.state();
        match choice {
            None => Some((state, Receivers::Present)),
            Some(Choice { present, chosen }) => {
                Arc::ptr_eq(&present, &state.listeners).then_some((state, Receivers::Chosen(chosen)))
            }
        }
    }
}
