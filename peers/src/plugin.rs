//! Extism: the same guests as plug-ins. Their `.wasm` is built first.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use extism::{Manifest, PluginBuilder, Wasm};

use crate::harness::Failure;

const TARGET: &str = "wasm32-unknown-unknown";

/// A warm plug-in as it comes, and one that is bounded as a guest of sandbus is.
pub(crate) struct Plugin {
    plain: extism::Plugin,
    bounded: extism::Plugin,
}

impl Plugin {
    pub(crate) fn build() -> Result<Self, Failure> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        // A target directory of its own: whoever started this one may hold the other.
        let built = folder.join("target/plugin");
        let done = Command::new("cargo")
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "-p",
                "plugin",
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(&built)
            .current_dir(folder)
            .output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(
                format!("its plug-in does not build; `rustup target add {TARGET}` may help\n{said}").into()
            );
        }
        // As bytes: without the features that it is built without here, Extism reads no files.
        let wasm = Wasm::data(std::fs::read(built.join(TARGET).join("release/plugin.wasm"))?);
        let bounded = Manifest::new([wasm.clone()])
            .with_timeout(sandbus::limits::DEADLINE)
            .with_memory_max(u32::try_from(sandbus::limits::MEMORY_BYTES_MAX / 65_536)?);
        Ok(Self {
            plain: PluginBuilder::new(Manifest::new([wasm])).build()?,
            bounded: PluginBuilder::new(bounded).with_fuel_limit(sandbus::limits::FUEL).build()?,
        })
    }

    /// What a call takes.
    pub(crate) fn calls(
        &mut self,
        name: &str,
        payload_bytes: usize,
        count: u32,
    ) -> Result<Duration, Failure> {
        calls(&mut self.plain, name, payload_bytes, count)
    }

    /// The same with fuel, a limit of memory and a deadline.
    pub(crate) fn calls_with_fuel(
        &mut self,
        name: &str,
        payload_bytes: usize,
        count: u32,
    ) -> Result<Duration, Failure> {
        calls(&mut self.bounded, name, payload_bytes, count)
    }
}

fn calls(
    plugin: &mut extism::Plugin,
    name: &str,
    payload_bytes: usize,
    count: u32,
) -> Result<Duration, Failure> {
    let payload = vec![b'x'; payload_bytes];
    let started = Instant::now();
    for _ in 0..count {
        let answer: &[u8] = plugin.call(name, payload.as_slice())?;
        if name == "echo" && answer.len() != payload_bytes {
            return Err("the answer is not the question".into());
        }
    }
    Ok(started.elapsed() / count)
}
