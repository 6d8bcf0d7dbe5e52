//! `wasi:keyvalue` as other hosts spell it (`@0.2.0-draft`): the wire form of what `buckets` keeps. Every handle is of a
//! bucket of the guest's own.

use std::sync::Arc;

use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

use super::buckets::KeepError;
use super::linking::{offer, offer_resource};
use super::state::HostState;

/// An open bucket.
struct Bucket {
    name: Arc<str>,
}

#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
enum KeyvalueError {
    #[component(name = "no-such-store")]
    #[allow(dead_code, reason = "the type is the interface's; a bucket that is asked for is made")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl From<KeepError> for KeyvalueError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::NoStore => Self::AccessDenied,
            KeepError::Other(text) => Self::Other(text),
        }
    }
}

#[derive(Debug, Clone, ComponentType, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    cursor: Option<u64>,
}

type Entry = (String, Vec<u8>);
type Handle = Resource<Bucket>;
/// What a host function gives back: a trap of the host, or the interface's own result.
type Answer<T> = wasmtime::Result<(Result<T, KeyvalueError>,)>;

fn answer<T>(result: Result<T, KeepError>) -> Answer<T> {
    Ok((result.map_err(KeyvalueError::from),))
}

fn name(state: &mut HostState, bucket: &Handle) -> wasmtime::Result<Arc<str>> {
    Ok(Arc::clone(&state.resources().get(bucket)?.name))
}

fn open(state: &mut HostState, (identifier,): (String,)) -> Answer<Handle> {
    match state.facts.buckets.open(&identifier, state.facts.limits.keyvalue_bytes_max) {
        Ok(name) => Ok((Ok(state.resources().push(Bucket { name })?),)),
        Err(error) => answer(Err(error)),
    }
}

fn get(state: &mut HostState, (bucket, key): (Handle, String)) -> Answer<Option<Vec<u8>>> {
    let bucket = name(state, &bucket)?;
    let value = state.facts.buckets.get(&bucket, &key);
    state.fuel.charge_bytes(value.as_ref().map_or(0, Vec::len));
    answer(Ok(value))
}

fn set(state: &mut HostState, (bucket, key, value): (Handle, String, Vec<u8>)) -> Answer<()> {
    let bucket = name(state, &bucket)?;
    answer(state.facts.buckets.set(&bucket, key, value, state.facts.limits.keyvalue_bytes_max))
}

fn delete(state: &mut HostState, (bucket, key): (Handle, String)) -> Answer<()> {
    let bucket = name(state, &bucket)?;
    state.facts.buckets.delete(&bucket, &key);
    answer(Ok(()))
}

fn exists(state: &mut HostState, (bucket, key): (Handle, String)) -> Answer<bool> {
    let bucket = name(state, &bucket)?;
    answer(Ok(state.facts.buckets.exists(&bucket, &key)))
}

fn list_keys(state: &mut HostState, (bucket, cursor): (Handle, Option<u64>)) -> Answer<KeyResponse> {
    let bucket = name(state, &bucket)?;
    // There are so few that one answer has all of them.
    let keys = state.facts.buckets.keys(&bucket, cursor.unwrap_or(0));
    state.fuel.charge_bytes(keys.iter().map(|key| key.len() + size_of::<String>()).sum());
    answer(Ok(KeyResponse { keys, cursor: None }))
}

fn increment(state: &mut HostState, (bucket, key, delta): (Handle, String, u64)) -> Answer<u64> {
    let bucket = name(state, &bucket)?;
    let bytes_max = state.facts.limits.keyvalue_bytes_max;
    answer(state.facts.buckets.increment(&bucket, key, delta, bytes_max))
}

fn get_many(state: &mut HostState, (bucket, keys): (Handle, Vec<String>)) -> Answer<Vec<Option<Entry>>> {
    let bucket = name(state, &bucket)?;
    let bytes_max = state.facts.limits.host_memory_bytes_max;
    let mut bytes = 0;
    let mut found = Vec::new();
    for key in keys {
        let value = state.facts.buckets.get(&bucket, &key);
        let entry = value.as_ref().map_or(0, Vec::len) + key.len() + size_of::<Option<Entry>>();
        state.fuel.charge_bytes(entry);
        bytes += entry;
        // One key may be asked for a million times, and the answer is the host's memory.
        if bytes > bytes_max {
            let text = format!("one answer may have {bytes_max} bytes (`limits.host-memory`)");
            return answer(Err(KeepError::Other(text)));
        }
        found.push(value.map(|value| (key, value)));
    }
    answer(Ok(found))
}

fn set_many(state: &mut HostState, (bucket, entries): (Handle, Vec<Entry>)) -> Answer<()> {
    let bucket = name(state, &bucket)?;
    // Not all or nothing, as the draft says of it.
    for (key, value) in entries {
        let kept = state.facts.buckets.set(&bucket, key, value, state.facts.limits.keyvalue_bytes_max);
        if kept.is_err() {
            return answer(kept);
        }
    }
    answer(Ok(()))
}

fn delete_many(state: &mut HostState, (bucket, keys): (Handle, Vec<String>)) -> Answer<()> {
    let bucket = name(state, &bucket)?;
    for key in &keys {
        state.facts.buckets.delete(&bucket, key);
    }
    answer(Ok(()))
}

pub(super) fn link_store(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer_resource::<Bucket>(instance, "bucket")?;
    offer(instance, "open", open)?;
    offer(instance, "[method]bucket.get", get)?;
    offer(instance, "[method]bucket.set", set)?;
    offer(instance, "[method]bucket.delete", delete)?;
    offer(instance, "[method]bucket.exists", exists)?;
    offer(instance, "[method]bucket.list-keys", list_keys)
}

pub(super) fn link_atomics(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer(instance, "increment", increment)
}

pub(super) fn link_batch(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer(instance, "get-many", get_many)?;
    offer(instance, "set-many", set_many)?;
    offer(instance, "delete-many", delete_many)
}
