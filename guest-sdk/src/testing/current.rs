//! The lazily read part of a message in a test: it is kept in the message itself.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use crate::{ChangeError, Context, MessageId, Reply, SendOptions, Value};

/// As long as a call may run by default.
const TIME_LEFT: Duration = Duration::from_secs(2);

pub(crate) struct Current {
    pub(super) id: MessageId,
    pub(super) context: Context,
    pub(super) options: SendOptions,
    pub(super) time_left: Duration,
    pub(super) response_destination: Option<String>,
    pub(super) response_id: Option<String>,
    // A listener changes both through a shared reference, as it does at the host.
    values: RefCell<Vec<(String, Value)>>,
    response: RefCell<Option<Reply>>,
}

impl Default for Current {
    fn default() -> Self {
        Self {
            id: MessageId::from("message-1".to_owned()),
            context: Context {
                sender: "host".to_owned(),
                sent_at: SystemTime::UNIX_EPOCH,
                attempt: 1,
                hop_count: 0,
                traceparent: None,
                tracestate: None,
                identity: None,
            },
            options: SendOptions::default(),
            time_left: TIME_LEFT,
            response_destination: None,
            response_id: None,
            values: RefCell::default(),
            response: RefCell::default(),
        }
    }
}

impl Current {
    /// Each message has its own here, so that it is always in hand.
    pub(crate) fn focus(&self) {}

    pub(crate) fn id(&self) -> MessageId {
        self.id.clone()
    }

    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.values.borrow().iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    }

    pub(crate) fn values(&self) -> Vec<(String, Value)> {
        self.values.borrow().clone()
    }

    pub(crate) fn put_value(&self, key: &str, value: Option<Value>) -> Result<(), ChangeError> {
        if key.is_empty() {
            return Err(ChangeError::Invalid("the key is empty".to_owned()));
        }
        self.set(key.to_owned(), value);
        Ok(())
    }

    /// Sets or removes a value; one that is there keeps its place.
    pub(super) fn set(&self, key: String, value: Option<Value>) {
        let mut values = self.values.borrow_mut();
        let found = values.iter().position(|(other, _)| *other == key);
        match (found, value) {
            (Some(place), Some(value)) => {
                if let Some(entry) = values.get_mut(place) {
                    entry.1 = value;
                }
            }
            (Some(place), None) => drop(values.remove(place)),
            (None, Some(value)) => values.push((key, value)),
            (None, None) => {}
        }
    }

    pub(crate) fn response_destination(&self) -> Option<String> {
        self.response_destination.clone()
    }

    pub(crate) fn response_id(&self) -> Option<String> {
        self.response_id.clone()
    }

    pub(crate) fn set_response(&self, reply: Reply) -> Result<(), ChangeError> {
        self.response.replace(Some(reply));
        Ok(())
    }

    pub(super) fn response(&self) -> Option<Reply> {
        self.response.borrow().clone()
    }

    pub(crate) fn context(&self) -> Context {
        self.context.clone()
    }

    pub(crate) fn options(&self) -> SendOptions {
        self.options.clone()
    }

    pub(crate) fn time_left(&self) -> Duration {
        self.time_left
    }
}
