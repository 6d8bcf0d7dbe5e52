//! A component written with Spin's own SDK: it publishes on a channel what it receives, in capitals.

use spin_sdk::redis::{Connection, Payload};
use spin_sdk::{redis_component, variables};

#[redis_component]
fn on_message(message: Payload) -> anyhow::Result<()> {
    let text = String::from_utf8(message)?;
    println!("received {text}");
    let channel = variables::get("channel")?;
    let connection = Connection::open("redis://nowhere:6379")?;
    connection.publish(&channel, &text.to_uppercase().into_bytes())?;
    Ok(())
}
