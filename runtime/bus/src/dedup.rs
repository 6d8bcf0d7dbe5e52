//! Dedup keys: a message of a key that a destination remembers is not taken on again. It knows no queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::DEDUP_KEYS_MAX;
use crate::message::MessageId;
use crate::sync::Instant;

/// The dedup keys that one destination remembers, each with the first message of it.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    first: HashMap<Arc<str>, MessageId>,
    /// In the order of acceptance.
    order: VecDeque<(Instant, Arc<str>)>,
}

impl Dedup {
    /// The first message of this key, if it is remembered.
    pub(crate) fn first(&mut self, key: &str, now: Instant, window: Duration) -> Option<MessageId> {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= window) {
            self.forget_oldest();
        }
        self.first.get(key).copied()
    }

    /// Remembers the first message of a key.
    pub(crate) fn remember(&mut self, key: &Arc<str>, id: MessageId, now: Instant) {
        if self.order.len() >= DEDUP_KEYS_MAX {
            self.forget_oldest();
        }
        if self.first.insert(Arc::clone(key), id).is_none() {
            self.order.push_back((now, Arc::clone(key)));
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.first.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_key_is_forgotten_at_the_bound_and_each_at_the_end_of_its_window() {
        let (mut dedup, now, window) = (Dedup::default(), Instant::now(), Duration::from_secs(10));
        let id = MessageId::fresh(std::time::SystemTime::now());
        for n in 0..=DEDUP_KEYS_MAX {
            dedup.remember(&Arc::from(n.to_string()), id, now);
        }
        assert_eq!(dedup.first("0", now, window), None, "there is no room for it");
        assert_eq!(dedup.first("1", now, window), Some(id));
        assert_eq!(dedup.first("1", now + window, window), None);
        assert!(dedup.order.is_empty());
    }
}
