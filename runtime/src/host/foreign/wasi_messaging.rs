//! `wasi:messaging@0.2.0-draft` in its final form. A topic is a destination, metadata are text values; a message is a resource,
//! whose bytes the host holds for the guest within a bound.

use bytes::Bytes;
use sandbus_bus::{Delivery, Reply, RequestError, SendError};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType};

use super::codec::{Envelope, metadata, reply_address};
use super::{request_error_text, send_error_text};
use crate::host::linking::{Store, offer, offer_resource};
use crate::host::state::HostState;

/// A message that the guest was handed, has made or was answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    topic: Option<String>,
    content_type: Option<String>,
    data: Bytes,
    metadata: Vec<(String, String)>,
    /// Where it is answered, if it asks for an answer.
    reply_to: Option<String>,
}

impl Message {
    /// What the host holds for it, about.
    fn size_bytes(&self) -> usize {
        let pairs =
            self.metadata.iter().map(|(key, value)| key.len() + value.len() + size_of::<(String, String)>());
        let texts = [&self.topic, &self.content_type, &self.reply_to];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + texts + self.data.len() + pairs.sum::<usize>()
    }

    fn envelope(self) -> Envelope {
        let Self { content_type, data, metadata, .. } = self;
        Envelope { payload: data, content_type, metadata, reply_to: None }
    }
}

impl From<&Delivery> for Message {
    fn from(delivery: &Delivery) -> Self {
        Self {
            topic: Some(delivery.destination().to_string()),
            content_type: delivery.content_type().map(str::to_owned),
            data: delivery.payload().clone(),
            metadata: metadata(delivery.values()),
            reply_to: reply_address(delivery.message()),
        }
    }
}

impl From<Reply> for Message {
    fn from(reply: Reply) -> Self {
        Self {
            content_type: reply.content_type.as_deref().map(str::to_owned),
            metadata: metadata(&reply.values),
            data: reply.payload,
            ..Self::default()
        }
    }
}

/// A connection to the bus: there is one bus, whatever its name.
struct Client;

#[derive(Debug, Clone, Copy, Default)]
struct RequestOptions {
    timeout_ms: Option<u32>,
    expected_replies: Option<u32>,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Error {
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "connection")]
    Connection(String),
    #[component(name = "permission-denied")]
    PermissionDenied(String),
    #[component(name = "other")]
    Other(String),
}

impl Error {
    /// What a handler's error says to an operator.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Timeout => "timeout".to_owned(),
            Self::Connection(text) | Self::PermissionDenied(text) | Self::Other(text) => text,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        let text = send_error_text(&error);
        match error {
            SendError::Denied { .. } => Self::PermissionDenied(text),
            _ => Self::Other(text),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Timeout(_) => Self::Timeout,
            RequestError::NotSent(error) => error.into(),
            other => Self::Other(request_error_text(&other)),
        }
    }
}

type Connected = Resource<Client>;
type This = Resource<Message>;
type Options = Resource<RequestOptions>;
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;
/// What `handle` answers.
pub(crate) type Handled = (Result<(), Error>,);

impl HostState {
    /// Holds a message for the guest.
    ///
    /// # Errors
    /// A trap when it holds too many of them, or too many bytes.
    pub(crate) fn hold(&mut self, message: Message) -> wasmtime::Result<This> {
        self.hold_bytes(message.size_bytes())?;
        Ok(self.resources().push(message)?)
    }

    fn let_go(&mut self, message: This) -> wasmtime::Result<Message> {
        let message = self.resources().delete(message)?;
        self.release_bytes(message.size_bytes());
        Ok(message)
    }

    fn change(&mut self, message: &This, change: impl FnOnce(&mut Message)) -> wasmtime::Result<()> {
        let message = self.resources().get_mut(message)?;
        let before = message.size_bytes();
        change(message);
        let after = message.size_bytes();
        // All its pairs were looked at.
        let pairs = message.metadata.len();
        self.fuel.charge_bytes(pairs * size_of::<(String, String)>());
        self.release_bytes(before);
        self.hold_bytes(after)
    }
}

/// Links `types`: the resources and their methods.
pub(in crate::host) fn link_types(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer_resource::<Client>(instance, "client")?;
    offer(instance, "[static]client.connect", |state, (_,): (String,)| -> Answer<Connected> {
        Ok((Ok(state.resources().push(Client)?),))
    })?;
    offer(instance, "[method]client.disconnect", |_, (_,): (Connected,)| -> Answer<()> { Ok((Ok(()),)) })?;
    instance.resource("message", ResourceType::host::<Message>(), |mut store, rep| {
        store.data_mut().called().let_go(This::new_own(rep)).map(drop)
    })?;
    offer(instance, "[constructor]message", |state, (data,): (Vec<u8>,)| {
        Ok((state.hold(Message { data: data.into(), ..Message::default() })?,))
    })?;
    offer(instance, "[method]message.topic", |state, (this,): (This,)| {
        Ok((state.resources().get(&this)?.topic.clone(),))
    })?;
    offer(instance, "[method]message.content-type", |state, (this,): (This,)| {
        Ok((state.resources().get(&this)?.content_type.clone(),))
    })?;
    offer(instance, "[method]message.set-content-type", |state, (this, content_type): (This, String)| {
        state.change(&this, |message| message.content_type = Some(content_type))
    })?;
    offer(instance, "[method]message.data", |state, (this,): (This,)| {
        let data = state.resources().get(&this)?.data.clone();
        state.fuel.charge_bytes(data.len());
        Ok((data.to_vec(),))
    })?;
    offer(instance, "[method]message.set-data", |state, (this, data): (This, Vec<u8>)| {
        state.change(&this, |message| message.data = data.into())
    })?;
    link_metadata(instance)
}

fn link_metadata(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    offer(instance, "[method]message.metadata", |state, (this,): (This,)| {
        let message = state.resources().get(&this)?;
        let (metadata, bytes) = (message.metadata.clone(), message.size_bytes());
        state.fuel.charge_bytes(bytes);
        Ok((Some(metadata).filter(|metadata| !metadata.is_empty()),))
    })?;
    offer(instance, "[method]message.add-metadata", |state, (this, key, value): (This, String, String)| {
        state.change(&this, |message| message.metadata.push((key, value)))
    })?;
    offer(
        instance,
        "[method]message.set-metadata",
        |state, (this, metadata): (This, Vec<(String, String)>)| {
            state.change(&this, |message| message.metadata = metadata)
        },
    )?;
    offer(instance, "[method]message.remove-metadata", |state, (this, key): (This, String)| {
        state.change(&this, |message| message.metadata.retain(|(other, _)| *other != key))
    })
}

/// Links `producer`.
pub(in crate::host) fn link_producer(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    type Send = (Connected, String, This);
    instance.func_wrap_async("send", |mut store: Store<'_>, (_, topic, message): Send| {
        Box::new(async move {
            let state = store.data_mut();
            state.called().fuel.pause().await?;
            let message = state.let_go(message)?;
            let sent = state.publish(&topic, message.envelope()).await;
            Ok((sent.map(drop).map_err(Error::from),))
        })
    })
}

/// Links `request-reply`.
pub(in crate::host) fn link_request_reply(
    instance: &mut LinkerInstance<'_, HostState>,
) -> wasmtime::Result<()> {
    offer_resource::<RequestOptions>(instance, "request-options")?;
    offer(instance, "[constructor]request-options", |state, (): ()| {
        Ok((state.resources().push(RequestOptions::default())?,))
    })?;
    offer(
        instance,
        "[method]request-options.set-timeout-ms",
        |state, (this, timeout_ms): (Options, u32)| {
            state.resources().get_mut(&this)?.timeout_ms = Some(timeout_ms);
            Ok(())
        },
    )?;
    offer(
        instance,
        "[method]request-options.set-expected-replies",
        |state, (this, expected_replies): (Options, u32)| {
            state.resources().get_mut(&this)?.expected_replies = Some(expected_replies);
            Ok(())
        },
    )?;
    type Request = (Connected, String, This, Option<Options>);
    instance.func_wrap_async("request", |mut store: Store<'_>, (_, topic, message, options): Request| {
        Box::new(async move { request(store.data_mut().called(), &topic, &message, options).await })
    })?;
    instance.func_wrap_async("reply", |mut store: Store<'_>, (asked, message): (This, This)| {
        Box::new(async move {
            let state = store.data_mut();
            state.called().fuel.pause().await?;
            let message = state.let_go(message)?;
            let Some(to) = state.resources().get(&asked)?.reply_to.clone() else {
                return Ok((Err(Error::Other("that message asks for no reply".to_owned())),));
            };
            let sent = state.publish(&to, message.envelope()).await;
            Ok((sent.map(drop).map_err(Error::from),))
        })
    })
}

async fn request(
    state: &mut HostState,
    topic: &str,
    message: &This,
    options: Option<Options>,
) -> Answer<Vec<This>> {
    state.fuel.pause().await?;
    // It is the guest's no more: nobody else would drop it.
    let options = options.map(|options| state.resources().delete(options)).transpose()?.unwrap_or_default();
    if let Some(expected) = options.expected_replies.filter(|expected| *expected != 1) {
        let text = format!("a request has one reply here; `expected-replies` is {expected}");
        return Ok((Err(Error::Other(text)),));
    }
    let envelope = state.resources().get(message)?.clone().envelope();
    match state.ask(topic, envelope, options.timeout_ms).await {
        Ok(reply) => Ok((Ok(vec![state.hold(reply.into())?]),)),
        Err(error) => Ok((Err(error.into()),)),
    }
}
