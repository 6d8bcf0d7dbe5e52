//! What one worker has taken to run next. It still waits: it counts as pending, and goes back to the queue when it must.

use std::collections::VecDeque;

use crate::entry::Entry;
use crate::sync::{Instant, Mutex};

/// Entries that one worker has taken to run next; they wait until it begins with them.
#[derive(Default)]
pub(crate) struct Claim(Mutex<Claimed>);

#[derive(Default)]
struct Claimed {
    entries: VecDeque<Entry>,
    left: Left,
}

/// What has left the queue through a claim since the queue's books were last put right.
#[derive(Default, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
    pub(crate) pairs: u64,
}

impl Claim {
    /// Adds entries at the end, which still wait.
    pub(crate) fn fill(&self, fill: impl FnOnce(&mut VecDeque<Entry>)) {
        fill(&mut self.0.lock().entries);
    }

    /// Gives back what is not begun.
    pub(crate) fn take_back(&self) -> VecDeque<Entry> {
        std::mem::take(&mut self.0.lock().entries)
    }

    /// What has begun since this was asked last.
    pub(crate) fn take_left(&self) -> Left {
        std::mem::take(&mut self.0.lock().left)
    }

    /// Takes the next claimed entry; `begin` counts it as running before it counts as waiting no more.
    pub(crate) fn pop(&self, begin: impl FnOnce(u64)) -> Option<Entry> {
        let mut claimed = self.0.lock();
        let entry = claimed.entries.pop_front()?;
        begin(entry.targets.pairs());
        claimed.left.entries += 1;
        claimed.left.pairs += entry.targets.pairs();
        if entry.message.leave_queue() {
            claimed.left.bytes += entry.message.size_bytes();
        }
        Some(entry)
    }

    /// When the oldest claimed entry was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.0.lock().entries.front().map(|entry| entry.message.accepted_at())
    }
}
