//! `sandbus:bus/current-message`: the rest of the message in hand. Valid during `receive`; a trap at any other time.

use std::time::UNIX_EPOCH;

use sandbus_bus::{Instant, SendOptions};

use super::bindings::sandbus::bus::current_message::{ChangeError, Host, Identity, MessageContext};
use super::bindings::sandbus::bus::types as wire;
use super::convert::{reply, too_large, value, wire_options, wire_value, wire_values};
use super::crossing::Crossing;
use super::state::HostState;

impl Host for HostState {
    fn id(&mut self) -> wasmtime::Result<String> {
        Ok(self.receiving()?.delivery.message().id().to_string())
    }

    async fn get_value(&mut self, key: String) -> wasmtime::Result<Option<wire::Value>> {
        self.fuel.pay(key.len()).await?;
        let value = self.receiving()?.values().get(&key).map(wire_value);
        self.fuel.charge_bytes(value.bytes());
        Ok(value)
    }

    async fn values(&mut self) -> wasmtime::Result<Vec<(String, wire::Value)>> {
        self.fuel.pause().await?;
        let values = self.receiving()?.values();
        let (all, bytes) = (wire_values(values), values.size_bytes());
        self.fuel.charge_bytes(bytes);
        Ok(all)
    }

    async fn put_value(
        &mut self,
        key: String,
        new: Option<wire::Value>,
    ) -> wasmtime::Result<Result<(), ChangeError>> {
        self.fuel.pay(key.len() + new.bytes()).await?;
        let bytes_max = self.message_bytes_max()?;
        let receiving = self.receiving()?;
        let mut values = receiving.values().clone();
        match new {
            None => values.remove(&key),
            Some(new) => {
                if let Err(error) = values.put(&key, value(new)) {
                    return Ok(Err(ChangeError::Invalid(error.to_string())));
                }
            }
        }
        let bytes = receiving.delivery.payload().len() + values.size_bytes();
        if bytes > bytes_max {
            return Ok(Err(ChangeError::TooLarge(too_large(bytes as u64, bytes_max as u64))));
        }
        receiving.values = Some(values);
        Ok(Ok(()))
    }

    fn response_destination(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.receiving()?.delivery.message().response_destination().map(ToString::to_string))
    }

    fn response_id(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.receiving()?.delivery.message().response_id().map(str::to_owned))
    }

    async fn set_response(&mut self, response: wire::Reply) -> wasmtime::Result<Result<(), ChangeError>> {
        self.fuel.pay(response.bytes()).await?;
        let bytes_max = self.message_bytes_max()?;
        let response = match reply(response) {
            Ok(response) => response,
            Err(rule) => return Ok(Err(ChangeError::Invalid(rule))),
        };
        let bytes = response.size_bytes();
        if bytes > bytes_max {
            return Ok(Err(ChangeError::TooLarge(too_large(bytes as u64, bytes_max as u64))));
        }
        self.receiving()?.response = Some(Box::new(response));
        Ok(Ok(()))
    }

    fn context(&mut self) -> wasmtime::Result<MessageContext> {
        let delivery = &self.receiving()?.delivery;
        let context = delivery.message().context();
        let sent_at = context.sent_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(MessageContext {
            sender: context.sender.to_string(),
            sent_at_unix_ms: u64::try_from(sent_at).unwrap_or(u64::MAX),
            attempt: delivery.attempt(),
            hop_count: context.hop_count,
            traceparent: context.trace.as_ref().map(|trace| trace.traceparent().to_owned()),
            tracestate: context.trace.as_ref().and_then(|trace| trace.tracestate().map(str::to_owned)),
            identity: context.identity.as_ref().map(|identity| Identity {
                tenant: identity.tenant().to_owned(),
                principal: identity.principal().to_owned(),
            }),
        })
    }

    fn options(&mut self) -> wasmtime::Result<wire::SendOptions> {
        let message = self.receiving()?.delivery.message();
        let none = SendOptions::default();
        Ok(wire_options(message.options().unwrap_or(&none), message.accepted_at().elapsed()))
    }

    fn time_left_ms(&mut self) -> wasmtime::Result<u32> {
        let left = self.receiving()?.delivery.deadline().saturating_duration_since(Instant::now());
        Ok(u32::try_from(left.as_millis()).unwrap_or(u32::MAX))
    }
}

impl HostState {
    /// What the destination of the message in hand takes; changes must fit it, too.
    fn message_bytes_max(&mut self) -> wasmtime::Result<usize> {
        let bus = self.facts.bus.clone();
        let destination = self.receiving()?.delivery.destination();
        let default = sandbus_bus::limits::MESSAGE_BYTES_MAX;
        Ok(bus.config(destination.as_str()).map_or(default, |config| config.message_bytes_max))
    }
}
