//! The messages of `run --send`, and what is asked for them: read and checked before anything is built or started. It
//! sends nothing.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use sandbus_bus::{DestinationConfig, Outgoing, SendOptions, limits};

use super::args::{Run, SendFlags};
use super::payload::destination_and_payload;
use crate::diagnostic::{Code, Problem};
use crate::manifest::Manifest;

/// How long a message may be delayed, and after what time it may expire: the range of `expires-in` in a manifest.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=limits::SEND_DELAY_MAX;

/// What `--send` stands for: destinations and messages, in order.
pub(super) fn sends(run: &Run) -> Result<Vec<(String, Outgoing)>, Problem> {
    let options = options(&run.send_flags)?;
    let mut sends = Vec::new();
    for typed in &run.sends {
        let (destination, payload) = destination_and_payload(typed)?;
        let mut message = payload.message(None);
        message.options = (!options.is_default()).then(|| Box::new(options.clone()));
        sends.push((destination.to_owned(), message));
    }
    Ok(sends)
}

/// Says what their destinations would not keep. What a guest makes while it runs is not known here.
pub(super) fn check(sends: &[(String, Outgoing)], manifest: &Manifest) -> Result<(), Problem> {
    for (name, message) in sends {
        let config = manifest.destinations.iter().find(|destination| destination.name.as_str() == name);
        if let (Some(config), Some(options)) = (config, &message.options) {
            check_destination(options, config)?;
        }
    }
    Ok(())
}

fn options(flags: &SendFlags) -> Result<SendOptions, Problem> {
    let options = SendOptions {
        priority: flags.priority.as_deref().map(priority).transpose()?,
        deliver_after: time("--deliver-in", flags.deliver_in.as_deref())?,
        expires_after: time("--expires-in", flags.expires_in.as_deref())?,
        ordering_key: key("--ordering-key", flags.ordering_key.as_deref())?,
        dedup_key: key("--dedup-key", flags.dedup_key.as_deref())?,
    };
    match (options.deliver_after, options.expires_after) {
        (Some(delay), Some(expiry)) if expiry <= delay => {
            let (delay, expiry) = (humantime::format_duration(delay), humantime::format_duration(expiry));
            let text = format!("--expires-in `{expiry}` is over before --deliver-in `{delay}` is");
            Err(Problem::new(Code::Usage, text).with_help("let it expire later than it is delivered"))
        }
        _ => Ok(options),
    }
}

fn priority(typed: &str) -> Result<u8, Problem> {
    let read = typed.parse().ok().filter(|priority| *priority <= limits::PRIORITY_MAX);
    let max = limits::PRIORITY_MAX;
    read.ok_or_else(|| {
        let text = format!("--priority `{}` is not from 0 to {max}", typed.escape_debug());
        Problem::new(Code::Usage, text).with_help(format!("write `--priority {max}` for what goes first"))
    })
}

fn time(flag: &str, typed: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(typed) = typed else { return Ok(None) };
    let problem = |why: String| {
        let text = format!("{flag} `{}` {why}", typed.escape_debug());
        Problem::new(Code::Usage, text)
            .with_help(format!("write a time such as `{flag} 500ms` or `{flag} 2h`"))
    };
    let time =
        humantime::parse_duration(typed).map_err(|error| problem(format!("is not a duration: {error}")))?;
    if TIMES.contains(&time) {
        return Ok(Some(time));
    }
    Err(problem("is not from 1ms to 366d".to_owned()))
}

fn key(flag: &str, typed: Option<&str>) -> Result<Option<Arc<str>>, Problem> {
    let Some(typed) = typed else { return Ok(None) };
    let max = limits::KEY_BYTES_MAX;
    let why = match typed.len() {
        0 => "it is empty".to_owned(),
        bytes if bytes > max => format!("it has {bytes} bytes; it may have 1 to {max}"),
        _ if typed.chars().any(char::is_control) => "it has a control character".to_owned(),
        _ => return Ok(Some(Arc::from(typed))),
    };
    let problem = Problem::new(Code::Usage, format!("{flag} cannot be used: {why}"));
    Err(problem.with_help(format!("write a short text such as `{flag} order-7`")))
}

fn check_destination(options: &SendOptions, config: &DestinationConfig) -> Result<(), Problem> {
    let name = &config.name;
    let problem = |flag: &str, why: &str, help: String| {
        Err(Problem::new(Code::Usage, format!("{flag} does nothing at `{name}`: {why}")).with_help(help))
    };
    let asked = [
        ("--priority", options.priority.is_some()),
        ("--deliver-in", options.deliver_after.is_some()),
        ("--expires-in", options.expires_after.is_some()),
    ];
    if let Some((flag, _)) =
        asked.iter().find(|(_, is_asked)| *is_asked && !config.destination_type.is_queued())
    {
        let help = "leave it out, or send to a parallel or serial destination".to_owned();
        return problem(flag, "a synchronous destination delivers at once", help);
    }
    if options.priority.is_some() && !config.priority {
        let help = format!("set `priority = true` on it; then 0 to {} count", limits::PRIORITY_MAX);
        return problem("--priority", "it does not have `priority = true`", help);
    }
    Ok(())
}
