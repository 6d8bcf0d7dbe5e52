//! The macros that make a component of a type, and what they expand to. A component exports what its macro declares and
//! nothing else. Off WebAssembly the macros only check the type, so a guest can be tested with `cargo test`.

/// Makes this crate a listener: `listener!(MyListener)`, where `MyListener` implements [`Listener`](crate::Listener).
#[macro_export]
macro_rules! listener {
    ($listener:ty) => {
        const _: () = $crate::__export::is_listener::<$listener>();
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static LISTENER: ::std::cell::RefCell<$listener> = ::std::default::Default::default();
            }
            struct Exported;
            impl $crate::__export::ListenerGuest for Exported {
                fn receive(message: $crate::__export::WitMessage) -> $crate::__export::WitOutcome {
                    LISTENER.with_borrow_mut(|listener| $crate::__export::receive(listener, message))
                }
            }
            $crate::__export::export_listener! { Exported with_types_in $crate::__export::listener_world }
        };
    };
}

/// Makes this crate a listener that receives several messages in one call where many wait: `batch_listener!(MyListener)`
/// instead of `listener!(MyListener)`. Each message comes to [`Listener::receive`](crate::Listener::receive) all the same,
/// unless [`Listener::receive_batch`](crate::Listener::receive_batch) is written by hand.
///
/// With `sender!` beside it, it is also told when it starts and ends.
#[macro_export]
macro_rules! batch_listener {
    ($listener:ty) => {
        const _: () = $crate::__export::is_listener::<$listener>();
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static LISTENER: ::std::cell::RefCell<$listener> = ::std::default::Default::default();
            }
            struct Exported;
            impl $crate::__export::ListenerGuest for Exported {
                fn receive(message: $crate::__export::WitMessage) -> $crate::__export::WitOutcome {
                    LISTENER.with_borrow_mut(|listener| $crate::__export::receive(listener, message))
                }
            }
            impl $crate::__export::BatchGuest for Exported {
                fn receive_batch(
                    destination: ::std::string::String,
                    messages: ::std::vec::Vec<$crate::__export::WitBatchedMessage>,
                    stop_at_failure: bool,
                ) -> ::std::vec::Vec<$crate::__export::WitOutcome> {
                    LISTENER.with_borrow_mut(|listener| {
                        $crate::__export::receive_batch(listener, destination, messages, stop_at_failure)
                    })
                }
            }
            $crate::__export::export_listener! { Exported with_types_in $crate::__export::listener_world }
            $crate::__export::export_batch! { Exported with_types_in $crate::__export::batch_world }
        };
    };
}

/// Makes this crate a sender: `sender!(MySender)`, where `MySender` implements [`Lifecycle`](crate::Lifecycle).
#[macro_export]
macro_rules! sender {
    ($sender:ty) => {
        const _: () = $crate::__export::is_lifecycle::<$sender>();
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exported;
            impl $crate::__export::SenderGuest for Exported {
                fn activate() -> ::std::result::Result<(), ::std::string::String> {
                    <$sender as $crate::Lifecycle>::activate()
                }
                fn deactivate() {
                    <$sender as $crate::Lifecycle>::deactivate()
                }
            }
            $crate::__export::export_sender! { Exported with_types_in $crate::__export::sender_world }
        };
    };
}

/// Makes this crate a listener that is told when it starts and ends: `plugin!(MyPlugin)`, where `MyPlugin` implements
/// [`Listener`](crate::Listener) and [`Lifecycle`](crate::Lifecycle).
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        $crate::listener!($plugin);
        $crate::sender!($plugin);
    };
}

/// What the macros expand to. Not for guests: it changes without notice.
#[doc(hidden)]
pub mod __export {
    #[cfg(target_arch = "wasm32")]
    pub use super::component::*;

    pub const fn is_lifecycle<T: crate::Lifecycle>() {}
    pub const fn is_listener<T: crate::Listener>() {}
}

#[cfg(target_arch = "wasm32")]
mod component {
    pub use crate::bindings::batch as batch_world;
    pub use crate::bindings::batch::export_batch;
    pub use crate::bindings::batch::exports::sandbus::bus::message_listener_batch::Guest as BatchGuest;
    pub use crate::bindings::listener as listener_world;
    pub use crate::bindings::listener::export_listener;
    pub use crate::bindings::listener::exports::sandbus::bus::message_listener::Guest as ListenerGuest;
    pub use crate::bindings::sender as sender_world;
    pub use crate::bindings::sender::export_sender;
    pub use crate::bindings::sender::exports::sandbus::bus::lifecycle::Guest as SenderGuest;
    pub use crate::host::{WitBatchedMessage, WitMessage, WitOutcome, receive, receive_batch};
}
