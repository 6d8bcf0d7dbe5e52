//! A host of your own: one destination, one guest, and each line of standard input as a request to it.
//!
//! ```console
//! $ printf 'hello\nworld\n' | cargo run --example embed -- echo.wasm
//! hello
//! world
//! ```

use std::error::Error;
use std::io::{BufRead, stdin};
use std::process::ExitCode;

use sandbus::bus::{Bus, DestinationConfig, Outgoing, RequestError};
use sandbus::{Compiler, GuestSettings, Platform, PlatformConfig, RuntimeSettings};

const REQUESTS: &str = "requests";

fn main() -> ExitCode {
    // Guests are compiled by this program, started once more with limits of its own.
    if let Some(code) = sandbus::compiler_main_if_asked() {
        return code;
    }
    match host() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn host() -> Result<(), Box<dyn Error>> {
    let component = std::env::args().nth(1).ok_or("usage: embed GUEST.wasm")?;
    let mut guest = GuestSettings::new("guest", component);
    guest.listens_to = vec![REQUESTS.to_owned()];
    guest.limits.fuel = 10_000_000;

    let platform = Platform::start(PlatformConfig {
        destinations: vec![DestinationConfig::serial(REQUESTS)?],
        guests: vec![guest],
        runtime: RuntimeSettings { compiler: Compiler::own_executable(), ..RuntimeSettings::default() },
        ..PlatformConfig::default()
    })
    .await?;
    for line in stdin().lock().lines() {
        // A guest that refuses or faults answers this line with an error, and the next one with a new instance.
        match answer(platform.bus(), line?).await {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("{error}"),
        }
    }
    platform.shutdown().await;
    Ok(())
}

async fn answer(bus: &Bus, line: String) -> Result<String, RequestError> {
    let reply = bus.request(REQUESTS, Outgoing::text(line), None).await?;
    Ok(String::from_utf8_lossy(&reply.payload).into_owned())
}
