//! Spin's `inbound-redis` and `redis`, and the variables that go with them. A channel is a destination; there is no Redis, so that
//! the address means nothing and only `publish` does something.

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use super::codec::Envelope;
use super::send_error_text;
use crate::host::crossing::Crossing;
use crate::host::linking::{Store, offer, offer_resource};
use crate::host::state::HostState;

/// The error of the interface without a version, which says no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "`success` is the interface's, and made by the engine alone")]
pub(crate) enum Error {
    #[component(name = "success")]
    Success,
    #[component(name = "error")]
    Error,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(variant)]
#[allow(dead_code, reason = "made by the engine, of what a guest gives")]
enum Parameter {
    #[component(name = "int64")]
    Int64(i64),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

impl Crossing for Parameter {
    fn bytes(&self) -> usize {
        match self {
            Self::Int64(_) => 0,
            Self::Binary(bytes) => bytes.bytes(),
        }
    }
}

#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type is the interface's; no command runs here")]
enum RedisResult {
    #[component(name = "nil")]
    Nil,
    #[component(name = "status")]
    Status(String),
    #[component(name = "int64")]
    Int64(i64),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

/// The error of `@2.0.0`.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type is the interface's")]
enum ConnectionError {
    #[component(name = "invalid-address")]
    InvalidAddress,
    #[component(name = "too-many-connections")]
    TooManyConnections,
    #[component(name = "type-error")]
    TypeError,
    #[component(name = "other")]
    Other(String),
}

#[derive(Debug, Clone, ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the type is the interface's")]
enum VariableError {
    #[component(name = "invalid-name")]
    InvalidName(String),
    #[component(name = "undefined")]
    Undefined(String),
    #[component(name = "provider")]
    Provider(String),
    #[component(name = "other")]
    Other(String),
}

/// What `handle-message` answers.
pub(crate) type Handled = (Result<(), Error>,);
type Answer<T, E> = wasmtime::Result<(Result<T, E>,)>;

fn envelope(payload: Vec<u8>) -> Envelope {
    Envelope { payload: payload.into(), ..Envelope::default() }
}

/// Links the interface without a version.
pub(in crate::host) fn link_redis(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    fn no<P, T>(_: &mut HostState, _: P) -> Answer<T, Error> {
        Ok((Err(Error::Error),))
    }
    type Publish = (String, String, Vec<u8>);
    instance.func_wrap_async("publish", |mut store: Store<'_>, (_, channel, payload): Publish| {
        Box::new(async move {
            let state = store.data_mut();
            state.called().fuel.pause().await?;
            let sent = state.publish(&channel, envelope(payload)).await;
            if let Err(error) = &sent {
                // The guest is told no reason; whoever looks for one finds it here.
                tracing::debug!(guest = &*state.facts.name, %error, "`redis.publish` was refused");
            }
            Ok((sent.map(drop).map_err(|_| Error::Error),))
        })
    })?;
    offer(instance, "get", no::<(String, String), Vec<u8>>)?;
    offer(instance, "set", no::<(String, String, Vec<u8>), ()>)?;
    offer(instance, "incr", no::<(String, String), i64>)?;
    offer(instance, "del", no::<(String, Vec<String>), i64>)?;
    offer(instance, "sadd", no::<(String, String, Vec<String>), i64>)?;
    offer(instance, "smembers", no::<(String, String), Vec<String>>)?;
    offer(instance, "srem", no::<(String, String, Vec<String>), i64>)?;
    offer(instance, "execute", no::<(String, String, Vec<Parameter>), Vec<RedisResult>>)
}

/// A connection to nothing: what is published goes over the bus.
struct Connection;

/// Links `@2.0.0`, where a connection is a resource.
pub(in crate::host) fn link_connection(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    type This = Resource<Connection>;
    fn no<P, T>(_: &mut HostState, _: P) -> Answer<T, ConnectionError> {
        Ok((Err(ConnectionError::Other("there is no Redis here: only `publish` does something".to_owned())),))
    }
    offer_resource::<Connection>(instance, "connection")?;
    offer(instance, "[static]connection.open", |state, (_,): (String,)| -> Answer<This, ConnectionError> {
        Ok((Ok(state.resources().push(Connection)?),))
    })?;
    type Publish = (This, String, Vec<u8>);
    instance.func_wrap_async(
        "[method]connection.publish",
        |mut store: Store<'_>, (_, channel, payload): Publish| {
            Box::new(async move {
                let state = store.data_mut();
                state.called().fuel.pause().await?;
                let sent = state.publish(&channel, envelope(payload)).await;
                Ok((sent.map(drop).map_err(|error| ConnectionError::Other(send_error_text(&error))),))
            })
        },
    )?;
    offer(instance, "[method]connection.get", no::<(This, String), Option<Vec<u8>>>)?;
    offer(instance, "[method]connection.set", no::<(This, String, Vec<u8>), ()>)?;
    offer(instance, "[method]connection.incr", no::<(This, String), i64>)?;
    offer(instance, "[method]connection.del", no::<(This, Vec<String>), u32>)?;
    offer(instance, "[method]connection.sadd", no::<(This, String, Vec<String>), u32>)?;
    offer(instance, "[method]connection.smembers", no::<(This, String), Vec<String>>)?;
    offer(instance, "[method]connection.srem", no::<(This, String, Vec<String>), u32>)?;
    offer(instance, "[method]connection.execute", no::<(This, String, Vec<Parameter>), Vec<RedisResult>>)
}

/// Links the variables of an application: here they are the guest's own configuration.
pub(in crate::host) fn link_variables(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer(instance, "get", |state, (name,): (String,)| -> Answer<String, VariableError> {
        let value = state.facts.config.get(&name).cloned();
        state.fuel.charge_bytes(value.as_ref().map_or(0, String::len));
        Ok((value.ok_or_else(|| VariableError::Undefined(format!("`config` has no `{name}`"))),))
    })
}
