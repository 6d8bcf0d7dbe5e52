//! What one worker has taken to run next. It still waits: it counts as pending, and goes back to the queue when it must.

use std::collections::VecDeque;

use crate::entry::Entry;
use crate::statistics::{Padded, Tally};
use crate::sync::{Instant, Mutex};

/// What one worker has in the books: entries that it has taken to run next, which wait until it begins with them, and what
/// it has counted.
#[derive(Default)]
pub(crate) struct Claim {
    claimed: Mutex<Claimed>,
    /// For the worker alone to write.
    pub(crate) tally: Padded<Tally>,
}

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
        fill(&mut self.claimed.lock().entries);
    }

    /// Whether nothing is claimed.
    pub(crate) fn is_empty(&self) -> bool {
        self.claimed.lock().entries.is_empty()
    }

    /// Gives back what is not begun.
    pub(crate) fn take_back(&self) -> VecDeque<Entry> {
        std::mem::take(&mut self.claimed.lock().entries)
    }

    /// What has begun since this was asked last.
    pub(crate) fn take_left(&self) -> Left {
        std::mem::take(&mut self.claimed.lock().left)
    }

    /// Takes the next claimed entry; it counts as running before it counts as waiting no more.
    pub(crate) fn pop(&self) -> Option<Entry> {
        let mut claimed = self.claimed.lock();
        let entry = claimed.entries.pop_front()?;
        let pairs = entry.targets.pairs();
        self.tally.running.add(pairs);
        claimed.left.entries += 1;
        claimed.left.pairs += pairs;
        if entry.leave_queue() {
            claimed.left.bytes += entry.message.size_bytes();
        }
        Some(entry)
    }

    /// Takes further claimed entries, up to `count`, as long as the next one `joins`; all of them count as running at once. Answers
    /// how many. Neither closure may call foreign code.
    pub(crate) fn pop_while(
        &self,
        count: usize,
        mut joins: impl FnMut(&Entry) -> bool,
        mut take: impl FnMut(Entry),
    ) -> usize {
        let mut claimed = self.claimed.lock();
        let Claimed { entries, left } = &mut *claimed;
        let mut taken = 0;
        while taken < count && entries.front().is_some_and(&mut joins) {
            let Some(entry) = entries.pop_front() else { break };
            let pairs = entry.targets.pairs();
            self.tally.running.add(pairs);
            left.entries += 1;
            left.pairs += pairs;
            if entry.leave_queue() {
                left.bytes += entry.message.size_bytes();
            }
            take(entry);
            taken += 1;
        }
        taken
    }

    /// When the oldest claimed entry was accepted.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.claimed.lock().entries.front().map(|entry| entry.message.accepted_at())
    }
}
