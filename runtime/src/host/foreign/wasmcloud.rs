//! `wasmcloud:messaging@0.2.0` and the part of `wasmcloud:bus` that stands beside it. A subject is a destination; the inbox of a
//! request is an opaque reply address.

use sandbus_bus::Delivery;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use super::codec::{Envelope, reply_address};
use super::{request_error_text, send_error_text};
use crate::host::linking::{Store, offer, offer_resource};
use crate::host::state::HostState;

/// A message that the guest gives.
#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct BrokerMessage {
    subject: String,
    body: Vec<u8>,
    #[component(name = "reply-to")]
    reply_to: Option<String>,
}

/// A message that the guest is given, borrowed from the delivery.
#[derive(Debug, Clone, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Handed<'a> {
    subject: &'a str,
    body: &'a [u8],
    #[component(name = "reply-to")]
    reply_to: Option<String>,
}

pub(crate) fn handed(delivery: &Delivery) -> Handed<'_> {
    Handed {
        subject: delivery.destination().as_str(),
        body: delivery.payload(),
        reply_to: reply_address(delivery.message()),
    }
}

/// What `handle-message` answers.
pub(crate) type Handled = (Result<(), String>,);

pub(in crate::host) fn link_consumer(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    instance.func_wrap_async("publish", |mut store: Store<'_>, (message,): (BrokerMessage,)| {
        Box::new(async move {
            let BrokerMessage { subject, body, reply_to } = message;
            let envelope = Envelope { payload: body.into(), reply_to, ..Envelope::default() };
            let state = store.data_mut();
            state.called().fuel.pause().await?;
            let sent = state.publish(&subject, envelope).await;
            Ok((sent.map(drop).map_err(|error| send_error_text(&error)),))
        })
    })?;
    type Request = (String, Vec<u8>, u32);
    instance.func_wrap_async("request", |mut store: Store<'_>, (subject, body, timeout_ms): Request| {
        Box::new(async move {
            let envelope = Envelope { payload: body.into(), ..Envelope::default() };
            let state = store.data_mut();
            state.called().fuel.pause().await?;
            let answered = state.ask(&subject, envelope, Some(timeout_ms)).await;
            let body = |reply: sandbus_bus::Reply| {
                state.fuel.charge_bytes(reply.payload.len());
                reply.payload.to_vec()
            };
            let answer = answered.map(body).map(|body| BrokerMessage { subject, body, reply_to: None });
            Ok((answer.map_err(|error| request_error_text(&error)),))
        })
    })
}

/// A name of an interface that `set-link-name` is told; here it names nothing.
struct CallTarget;

type Chosen = (String, Vec<Resource<CallTarget>>);

/// Which provider a later call goes to is nothing that this host has: every choice is taken and means nothing. Before
/// version 2 nothing is answered.
pub(in crate::host) fn link_lattice(
    instance: &mut LinkerInstance<'_, HostState>,
    answers: bool,
) -> wasmtime::Result<()> {
    offer_resource::<CallTarget>(instance, "call-target-interface")?;
    offer(instance, "[constructor]call-target-interface", |state, _: (String, String, String)| {
        Ok((state.resources().push(CallTarget)?,))
    })?;
    if answers {
        return offer(instance, "set-link-name", |state, chosen: Chosen| {
            forget(state, chosen)?;
            Ok((Ok::<(), String>(()),))
        });
    }
    offer(instance, "set-link-name", forget)
}

fn forget(state: &mut HostState, (_, targets): Chosen) -> wasmtime::Result<()> {
    for target in targets {
        state.resources().delete(target)?;
    }
    Ok(())
}
