//! The same guests as those of sandbus's benches, as an Extism plug-in: one says nothing, one replies what it receives.

use extism_pdk::{FnResult, plugin_fn};

#[plugin_fn]
pub fn noop(_input: Vec<u8>) -> FnResult<()> {
    Ok(())
}

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}
