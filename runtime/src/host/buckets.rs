//! What a guest keeps through `wasi:keyvalue`: buckets in memory, shared by its own instances and nobody else, within bounds
//! of their own. They end with the process; nothing here is written to a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{
    KEYVALUE_BUCKETS_MAX, KEYVALUE_KEY_BYTES_MAX, KEYVALUE_KEYS_MAX, KEYVALUE_VALUE_BYTES_MAX,
};

/// The buckets of one guest.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// Guards what is kept and what it adds up to.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buckets: BTreeMap<Arc<str>, BTreeMap<String, Vec<u8>>>,
    keys: usize,
    /// Of keys and values.
    bytes: usize,
}

/// Why something is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeepError {
    /// The guest has no store at all.
    NoStore,
    /// A bound, with its name, or a value that is no number.
    Other(String),
}

impl Buckets {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the bucket of this name, for a guest that may keep so many bytes; it is made if there is none.
    pub(super) fn open(&self, name: &str, bytes_max: usize) -> Result<Arc<str>, KeepError> {
        if bytes_max == 0 {
            return Err(KeepError::NoStore);
        }
        let mut kept = self.kept();
        if let Some((name, _)) = kept.buckets.get_key_value(name) {
            return Ok(Arc::clone(name));
        }
        if name.len() > KEYVALUE_KEY_BYTES_MAX {
            return Err(too_much("the name of a bucket", "bytes", KEYVALUE_KEY_BYTES_MAX));
        }
        if kept.buckets.len() >= KEYVALUE_BUCKETS_MAX {
            return Err(too_much("a guest", "buckets", KEYVALUE_BUCKETS_MAX));
        }
        let name: Arc<str> = Arc::from(name);
        kept.buckets.insert(Arc::clone(&name), BTreeMap::new());
        Ok(name)
    }

    pub(super) fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.kept().buckets.get(bucket)?.get(key).cloned()
    }

    pub(super) fn exists(&self, bucket: &str, key: &str) -> bool {
        self.kept().buckets.get(bucket).is_some_and(|entries| entries.contains_key(key))
    }

    pub(super) fn set(
        &self,
        bucket: &str,
        key: String,
        value: Vec<u8>,
        bytes_max: usize,
    ) -> Result<(), KeepError> {
        self.kept().set(bucket, key, value, bytes_max)
    }

    pub(super) fn delete(&self, bucket: &str, key: &str) {
        self.kept().delete(bucket, key);
    }

    /// The keys of a bucket, in their order, without the first so many.
    pub(super) fn keys(&self, bucket: &str, after: u64) -> Vec<String> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let kept = self.kept();
        let Some(entries) = kept.buckets.get(bucket) else { return Vec::new() };
        entries.keys().skip(after).cloned().collect()
    }

    /// Adds to a number that is kept as text; what is not there is 0.
    pub(super) fn increment(
        &self,
        bucket: &str,
        key: String,
        delta: u64,
        bytes_max: usize,
    ) -> Result<u64, KeepError> {
        let mut kept = self.kept();
        let old = match kept.buckets.get(bucket).and_then(|entries| entries.get(&key)) {
            None => 0,
            Some(value) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()).ok_or_else(
                    || KeepError::Other("the value is not a whole number, written as text".to_owned()),
                )?
            }
        };
        let new = old
            .checked_add(delta)
            .ok_or_else(|| KeepError::Other(format!("the sum is more than {}", u64::MAX)))?;
        kept.set(bucket, key, new.to_string().into_bytes(), bytes_max)?;
        Ok(new)
    }
}

impl Kept {
    fn set(&mut self, bucket: &str, key: String, value: Vec<u8>, bytes_max: usize) -> Result<(), KeepError> {
        if key.len() > KEYVALUE_KEY_BYTES_MAX {
            return Err(too_much("a key", "bytes", KEYVALUE_KEY_BYTES_MAX));
        }
        if value.len() > KEYVALUE_VALUE_BYTES_MAX {
            return Err(too_much("a value", "bytes", KEYVALUE_VALUE_BYTES_MAX));
        }
        // A handle of the bucket was opened, and buckets are never taken away.
        let Some(entries) = self.buckets.get_mut(bucket) else { return Err(KeepError::NoStore) };
        let replaced = entries.get(&key).map(|old| key.len() + old.len());
        if replaced.is_none() && self.keys >= KEYVALUE_KEYS_MAX {
            return Err(too_much("a guest", "keys", KEYVALUE_KEYS_MAX));
        }
        let bytes = self.bytes - replaced.unwrap_or(0) + key.len() + value.len();
        if bytes > bytes_max {
            return Err(too_much("a guest", "bytes of keys and values (`limits.keyvalue-bytes`)", bytes_max));
        }
        self.keys += usize::from(replaced.is_none());
        self.bytes = bytes;
        entries.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, bucket: &str, key: &str) {
        let removed = self.buckets.get_mut(bucket).and_then(|entries| entries.remove(key));
        if let Some(value) = removed {
            self.keys -= 1;
            self.bytes -= key.len() + value.len();
        }
    }
}

fn too_much(what: &str, unit: &str, max: usize) -> KeepError {
    KeepError::Other(format!("{what} may have {max} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(result: Result<(), KeepError>) -> String {
        match result {
            Err(KeepError::Other(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_given_back() {
        let buckets = Buckets::default();
        buckets.open("", 100).unwrap();
        let set = |key: &str, bytes: usize| buckets.set("", key.to_owned(), vec![0; bytes], 100);
        set("a", 60).unwrap();
        assert_eq!(
            other(set("b", 60)),
            "a guest may have 100 bytes of keys and values (`limits.keyvalue-bytes`)"
        );
        set("a", 99).unwrap();
        buckets.delete("", "a");
        buckets.delete("", "a");
        set("b", 99).unwrap();
        {
            let kept = buckets.kept();
            assert_eq!((kept.keys, kept.bytes), (1, 100));
        }
        assert_eq!(buckets.get("", "b").map(|value| value.len()), Some(99));
        assert!(!buckets.exists("", "a"));
    }

    #[test]
    fn each_bound_has_its_own_error() {
        let buckets = Buckets::default();
        let max = 100 << 20;
        for number in 0..KEYVALUE_BUCKETS_MAX {
            buckets.open(&number.to_string(), max).unwrap();
        }
        assert!(other(buckets.open("one more", max).map(drop)).contains("16 buckets"));
        assert!(buckets.open("0", max).is_ok());
        assert!(
            other(buckets.set("0", "k".repeat(256), Vec::new(), max)).contains("a key may have 255 bytes")
        );
        assert!(
            other(buckets.set("0", "k".to_owned(), vec![0; (64 << 10) + 1], max))
                .contains("a value may have 65536")
        );
        for number in 0..KEYVALUE_KEYS_MAX {
            buckets.set("0", number.to_string(), Vec::new(), max).unwrap();
        }
        assert!(other(buckets.set("1", "one more".to_owned(), Vec::new(), max)).contains("10000 keys"));
        assert_eq!(Buckets::default().open("", 0), Err(KeepError::NoStore));
    }

    #[test]
    fn numbers_are_text_and_do_not_wrap() {
        let buckets = Buckets::default();
        buckets.open("b", 1_000).unwrap();
        assert_eq!(buckets.increment("b", "n".to_owned(), 2, 1_000), Ok(2));
        assert_eq!(buckets.increment("b", "n".to_owned(), 40, 1_000), Ok(42));
        assert_eq!(buckets.get("b", "n"), Some(b"42".to_vec()));
        assert!(buckets.increment("b", "n".to_owned(), u64::MAX, 1_000).is_err());
        buckets.set("b", "t".to_owned(), b"text".to_vec(), 1_000).unwrap();
        assert!(buckets.increment("b", "t".to_owned(), 1, 1_000).is_err());
        assert_eq!(buckets.keys("b", 0), ["n", "t"]);
        assert_eq!(buckets.keys("b", 1), ["t"]);
        assert!(buckets.keys("b", u64::MAX).is_empty());
    }
}
