//! Reads the current message while none is received: the host must trap. The SDK cannot be made to do this, so the import
//! is declared by hand.
#![allow(unsafe_code, reason = "generated")]

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package sandbus-tests:plugin-zoo;
        world imports {
            import sandbus:bus/current-message@0.1.0;
        }
    ",
    generate_all,
});

pub(crate) fn read_a_message_that_is_not_there() -> Result<(), String> {
    println!("read {}", sandbus::bus::current_message::id());
    Ok(())
}
