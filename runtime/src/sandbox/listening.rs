//! By which interface a component receives: ours, or one of those that components for other hosts have. It is recognised by the
//! name and the type of an export, never by a version; who calls it sees one kind of answer.

use std::sync::Arc;

use sandbus_bus::Delivery;
use wasmtime::component::types::{Component as Types, ComponentItem};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Func, Instance, InstancePre, Lift, Lower, Resource,
};
use wasmtime::{Engine, Store};

use crate::host::HostState;
use crate::host::bindings::exports::sandbus::bus::message_listener::{
    self, Failure, GuestIndices, Message, Reply,
};
use crate::host::foreign::{spin, wasi_messaging, wasmcloud};

/// The interface by which a component receives messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessagingInterface {
    /// `sandbus:bus/message-listener`.
    Sandbus,
    /// `wasmcloud:messaging/handler`.
    Wasmcloud,
    /// `fermyon:spin/inbound-redis`.
    Spin,
    /// `wasi:messaging/incoming-handler`.
    WasiMessaging,
}

impl MessagingInterface {
    /// All of them: of several that a component exports, the first counts.
    const IN_ORDER: [Self; 4] = [Self::Sandbus, Self::Wasmcloud, Self::Spin, Self::WasiMessaging];

    /// Its name, without a version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sandbus => "sandbus:bus/message-listener",
            Self::Wasmcloud => "wasmcloud:messaging/handler",
            Self::Spin => "fermyon:spin/inbound-redis",
            Self::WasiMessaging => "wasi:messaging/incoming-handler",
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Sandbus => "receive",
            Self::Wasmcloud | Self::Spin => "handle-message",
            Self::WasiMessaging => "handle",
        }
    }

    /// Whether an export of this name is of this interface. Ours has one version; drafts of others have one name for several.
    fn is(self, export: &str) -> bool {
        match self {
            Self::Sandbus => export == super::component::LISTENER,
            _ => export.split('@').next() == Some(self.name()),
        }
    }
}

/// An export that receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    pub(super) interface: MessagingInterface,
    /// Its name in the component.
    pub(super) export: String,
    /// Other exports that could receive, and are not called.
    pub(super) passed_over: Vec<String>,
}

/// Which function has another type, and where the types differ.
pub(super) type Mismatch = (String, String);

/// Looks for the export that receives. Where none has the type of its interface, the first one's difference is the error.
pub(super) fn recognise(
    exports: &[String],
    fits: impl Fn(MessagingInterface, &str) -> Result<(), Mismatch>,
) -> Result<Option<Recognised>, Mismatch> {
    let mut found: Option<Recognised> = None;
    let mut different = None;
    for interface in MessagingInterface::IN_ORDER {
        for export in exports.iter().filter(|export| interface.is(export)) {
            match (fits(interface, export), &mut found) {
                (Ok(()), Some(found)) => found.passed_over.push(export.clone()),
                (Ok(()), None) => {
                    found = Some(Recognised { interface, export: export.clone(), passed_over: Vec::new() });
                }
                // Who exports ours means ours.
                (Err(mismatch), _) if interface == MessagingInterface::Sandbus => return Err(mismatch),
                (Err(mismatch), _) => different = different.or(Some(mismatch)),
            }
        }
    }
    match (found, different) {
        (None, Some(mismatch)) => Err(mismatch),
        (found, _) => Ok(found),
    }
}

/// The type of a component, to be compared with what the host expects without instantiating anything.
pub(super) struct Shape<'a> {
    pub(super) types: &'a Types,
    pub(super) engine: &'a Engine,
}

impl Shape<'_> {
    /// Whether an export has the type of the interface.
    pub(super) fn fits(&self, interface: MessagingInterface, export: &str) -> Result<(), Mismatch> {
        let name = interface.function();
        match interface {
            MessagingInterface::Sandbus => self.function::<(Message<'_>,), (Received,)>(export, name),
            MessagingInterface::Wasmcloud => {
                self.function::<(wasmcloud::Handed<'_>,), wasmcloud::Handled>(export, name)
            }
            MessagingInterface::Spin => self.function::<(&[u8],), spin::Handled>(export, name),
            MessagingInterface::WasiMessaging => {
                type Handed = (Resource<wasi_messaging::Message>,);
                self.function::<Handed, wasi_messaging::Handled>(export, name)
            }
        }
    }

    /// Compares an exported function.
    pub(super) fn function<P, R>(&self, export: &str, name: &str) -> Result<(), Mismatch>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let mismatch = |reason: String| (format!("{export}#{name}"), reason);
        let Some(ComponentItem::ComponentInstance(instance)) =
            self.types.get_export(self.engine, export).map(|export| export.ty)
        else {
            return Err(mismatch("it is not in an instance".to_owned()));
        };
        match instance.get_export(self.engine, name).map(|export| export.ty) {
            Some(ComponentItem::ComponentFunc(function)) if function.async_() => {
                Err(mismatch("it is `async`, and here it is not".to_owned()))
            }
            Some(ComponentItem::ComponentFunc(function)) => function
                .typecheck::<P, R>(&self.types.instance_type())
                .map_err(|error| mismatch(format!("{error:#}"))),
            Some(_) => Err(mismatch("it is not a function".to_owned())),
            None => Err(mismatch("it is missing".to_owned())),
        }
    }
}

/// What `receive` answers; what others answer is put into the same words.
pub(super) type Received = Result<Option<Reply>, Failure>;

/// How a component's listener is found in an instance; looked up once.
#[derive(Clone)]
pub(super) enum Listening {
    Sandbus(Arc<GuestIndices>),
    Other(MessagingInterface, ComponentExportIndex),
}

impl Listening {
    pub(super) fn new(
        recognised: &Recognised,
        component: &Component,
        pre: &InstancePre<HostState>,
    ) -> wasmtime::Result<Self> {
        let interface = recognised.interface;
        if interface == MessagingInterface::Sandbus {
            return Ok(Self::Sandbus(Arc::new(GuestIndices::new(pre)?)));
        }
        let index = component
            .get_export_index(None, &recognised.export)
            .and_then(|instance| component.get_export_index(Some(&instance), interface.function()));
        // It was there when its type was compared.
        let index = index.ok_or_else(|| wasmtime::Error::msg("an export is gone"))?;
        Ok(Self::Other(interface, index))
    }

    pub(super) fn interface(&self) -> MessagingInterface {
        match self {
            Self::Sandbus(_) => MessagingInterface::Sandbus,
            Self::Other(interface, _) => *interface,
        }
    }

    pub(super) fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<Listener> {
        match self {
            Self::Sandbus(indices) => Ok(Listener::Sandbus(indices.load(store, instance)?)),
            Self::Other(interface, index) => {
                let function = instance.get_func(store, index);
                let function = function.ok_or_else(|| wasmtime::Error::msg("an export is gone"))?;
                Ok(Listener::Other(*interface, function))
            }
        }
    }
}

/// The listener of one instance.
pub(super) enum Listener {
    Sandbus(message_listener::Guest),
    Other(MessagingInterface, Func),
}

/// Calls a function of another interface: no error is done, an error is refused.
pub(super) async fn handle(
    interface: MessagingInterface,
    function: Func,
    store: &mut Store<HostState>,
    delivery: &Delivery,
) -> wasmtime::Result<Received> {
    let refused = match interface {
        // Ours is called above.
        MessagingInterface::Sandbus => None,
        MessagingInterface::Wasmcloud => {
            let typed = function.typed::<(wasmcloud::Handed<'_>,), wasmcloud::Handled>(&*store)?;
            typed.call_async(store, (wasmcloud::handed(delivery),)).await?.0.err()
        }
        MessagingInterface::Spin => {
            let typed = function.typed::<(&[u8],), spin::Handled>(&*store)?;
            let (handled,) = typed.call_async(store, (&delivery.payload()[..],)).await?;
            handled.err().map(|_| "the guest answered `error`".to_owned())
        }
        MessagingInterface::WasiMessaging => {
            type Handed = (Resource<wasi_messaging::Message>,);
            let typed = function.typed::<Handed, wasi_messaging::Handled>(&*store)?;
            let message = store.data_mut().hold(delivery.into())?;
            typed.call_async(store, (message,)).await?.0.err().map(wasi_messaging::Error::into_text)
        }
    };
    Ok(refused.map_or(Ok(None), |text| Err(Failure::Refused(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "sandbus:bus/message-listener@0.1.0";
    const WASMCLOUD: &str = "wasmcloud:messaging/handler@0.2.0";
    const SPIN: &str = "fermyon:spin/inbound-redis";
    const WASI: &str = "wasi:messaging/incoming-handler@0.2.0-draft";

    fn names(exports: &[&str]) -> Vec<String> {
        exports.iter().map(|name| (*name).to_owned()).collect()
    }

    fn all_fit(_: MessagingInterface, _: &str) -> Result<(), Mismatch> {
        Ok(())
    }

    #[test]
    fn of_several_interfaces_the_first_in_order_counts_and_the_others_are_named() {
        let found = recognise(&names(&[WASI, SPIN, WASMCLOUD, OURS, "wasi:cli/run@0.2.0"]), all_fit)
            .unwrap()
            .unwrap();
        assert_eq!((found.interface, found.export.as_str()), (MessagingInterface::Sandbus, OURS));
        assert_eq!(found.passed_over, [WASMCLOUD, SPIN, WASI]);
        let found = recognise(&names(&[WASI, SPIN]), all_fit).unwrap().unwrap();
        assert_eq!((found.interface, found.passed_over), (MessagingInterface::Spin, names(&[WASI])));
        assert_eq!(recognise(&names(&["wasi:cli/run@0.2.0"]), all_fit), Ok(None));
        assert_eq!(recognise(&names(&["sandbus:bus/message-listener@0.2.0"]), all_fit), Ok(None));
    }

    #[test]
    fn the_type_decides_and_not_the_version() {
        let streams = "wasmcloud:messaging/handler@0.3.0";
        let only_the_older = |_: MessagingInterface, export: &str| {
            if export == streams { Err((export.to_owned(), "it is `async`".to_owned())) } else { Ok(()) }
        };
        let found = recognise(&names(&[streams, WASMCLOUD]), only_the_older).unwrap().unwrap();
        assert_eq!(found.export, WASMCLOUD);
        assert_eq!(recognise(&names(&[streams]), only_the_older).unwrap_err().0, streams);
        assert_eq!(recognise(&names(&[streams, SPIN]), only_the_older).unwrap().unwrap().export, SPIN);
    }

    #[test]
    fn whoever_exports_ours_with_another_type_means_ours() {
        let not_ours = |interface, export: &str| match interface {
            MessagingInterface::Sandbus => Err((export.to_owned(), "different".to_owned())),
            _ => Ok(()),
        };
        assert_eq!(recognise(&names(&[OURS, SPIN]), not_ours).unwrap_err().0, OURS);
    }
}
