//! What `wit_bindgen` makes of `wit/`: the only place where its types and its unsafe code appear. Nothing here is for
//! guests; `host` and `export` turn it into the types that they see.
//!
//! Each part is a world of its own: a plugin is the union of listener and sender, one that takes batches of three. `pub_export_macro` keeps a world's exports out of a component
//! until its macro is called, so a guest exports only what it declares.
#![allow(
    unsafe_code,
    reason = "the canonical ABI is raw pointers; wit_bindgen generates the code that handles them"
)]
#![allow(missing_docs, reason = "generated; the words stand in wit/")]
#![allow(unreachable_pub, reason = "generated")]
#![allow(clippy::all, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "generated")]

/// `receive`, and all imports.
pub mod listener {
    wit_bindgen::generate!({
        path: "../wit",
        world: "listener",
        pub_export_macro: true,
        export_macro_name: "export_listener",
    });
}

/// `receive-batch`, and which message of a batch is in hand.
pub mod batch {
    wit_bindgen::generate!({
        path: "../wit",
        world: "batch",
        pub_export_macro: true,
        export_macro_name: "export_batch",
        with: {
            "sandbus:bus/types@0.1.0": crate::bindings::listener::sandbus::bus::types,
        },
    });
}

/// `activate` and `deactivate`; the imports are those of [`listener`].
pub mod sender {
    wit_bindgen::generate!({
        path: "../wit",
        world: "sender",
        pub_export_macro: true,
        export_macro_name: "export_sender",
        with: {
            "sandbus:bus/types@0.1.0": crate::bindings::listener::sandbus::bus::types,
            "sandbus:bus/message-bus@0.1.0": crate::bindings::listener::sandbus::bus::message_bus,
            "sandbus:bus/destinations@0.1.0": crate::bindings::listener::sandbus::bus::destinations,
        },
    });
}
