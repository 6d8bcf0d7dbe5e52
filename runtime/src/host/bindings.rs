//! The WIT contract as Rust, generated. Wire types stay in `host` and `sandbox`; everybody else knows the bus's own.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "batch-plugin",
    imports: {
        "sandbus:bus/current-message.id": trappable,
        "sandbus:bus/current-message.response-destination": trappable,
        "sandbus:bus/current-message.response-id": trappable,
        "sandbus:bus/current-message.context": trappable,
        "sandbus:bus/current-message.options": trappable,
        "sandbus:bus/current-message.time-left-ms": trappable,
        "sandbus:bus/message-batch.focus": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
    require_store_data_send: true,
});
