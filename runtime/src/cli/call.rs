//! `sandbus call`: one guest, one message, a bus of its own. The reply on stdout; how it ended and what it used on stderr.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sandbus_bus::{
    Bus, DeadLetter, DeadLetterReason, Delivery, DestinationConfig, Outcome, Outgoing, Reply, listener_fn,
};
use serde_json::{Map, Value as Json, json};

use super::args::{Call, Global};
use super::faults;
use super::output::Output;
use super::payload::{Payload, destination_and_payload, pair, put_values};
use super::problems::{build_problem, failure_code, send_problem, start_problem};
use super::summary::thousands;
use crate::codec::payload_to_json;
use crate::diagnostic::{Code, Problem, Problems};
use crate::manifest::{Manifest, Overrides, find_manifest, parse_guest_spec};
use crate::platform::{Platform, PlatformConfig};
use crate::sandbox::{FaultReport, FaultSink};
use crate::settings::{CompileCache, Compiler, GuestSettings, RuntimeSettings};

/// Where the guest's replies go.
const ANSWERS: &str = "call/answers";

pub(super) async fn call(call: Call, global: &Global, output: &Output) -> Result<ExitCode, Problems> {
    let (guest, runtime) = guest(&call, global)?;
    if let Some(build) = guest.build.as_ref().map(|_| &guest) {
        crate::platform::build(build).await.map_err(|error| build_problem(&error))?;
    }
    let message = message(&call)?;
    let name = guest.name.clone();
    let limits = guest.limits.clone();
    let (fault_sink, fault) = faults::kept();
    let platform = platform(&call, guest, runtime, output, fault_sink).await?;
    let seen = Seen::default();
    seen.listen(platform.bus(), &call, output)?;
    let mut last = None;
    for _ in 0..call.repeat {
        let started = Instant::now();
        let sent = platform.bus().send(&call.dest, message.clone()).await;
        if let Err(error) = sent {
            platform.shutdown().await;
            return Err(send_problem(&call.dest, &error).into());
        }
        platform.bus().idle().await;
        last = Some(started.elapsed());
    }
    let mut report =
        Report::new(&platform, &call, &name, limits.fuel, last.unwrap_or_default(), seen.reply());
    let _ = platform.shutdown().await;
    report.fault = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(report.say(output))
}

/// The guest that is to be called, and the settings of its manifest's runtime where it has one.
fn guest(call: &Call, global: &Global) -> Result<(GuestSettings, RuntimeSettings), Problems> {
    let mut spec = Vec::new();
    for (key, flag) in [("fuel", &call.fuel), ("memory", &call.memory), ("deadline", &call.deadline)] {
        spec.extend(flag.as_ref().map(|value| format!("{key}={value}")));
    }
    for typed in &call.grants {
        let (kind, name) = pair(typed)?;
        spec.push(format!("grants.{kind}={name}"));
    }
    for (table, typed) in [("env", &call.env), ("config", &call.config)] {
        for typed in typed {
            let (key, value) = pair(typed)?;
            spec.push(format!("{table}.{key}=\"{value}\""));
        }
    }
    for typed in &call.mocks {
        let (destination, _) = pair(typed)?;
        spec.push(format!("grants.send={destination}"));
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    if Path::new(&call.guest).extension().is_some_and(|ending| ending == "wasm") {
        let stem = Path::new(&call.guest).file_stem().and_then(|stem| stem.to_str()).unwrap_or("guest");
        spec.insert(0, format!("{}=\"{}\"", guest_name(stem), call.guest));
        let runtime = RuntimeSettings { compile_cache: CompileCache::Off, ..RuntimeSettings::default() };
        return Ok((parse_guest_spec(&spec.join(","), &here)?, runtime));
    }
    let Some(file) = global.manifest.clone().or_else(|| find_manifest(&here)) else {
        let text =
            format!("`{}` is no `.wasm` file, and there is no manifest that could name a guest", call.guest);
        return Err(Problem::new(Code::NoSuchGuest, text).with_help("name a component: guest.wasm").into());
    };
    let settings = spec.iter().map(|each| format!("guests.\"{}\".{each}", call.guest)).collect();
    // The manifest alone first: a flag for a guest that it does not have would define one.
    let manifest = Manifest::load(&file)?;
    if manifest.guest(&call.guest).is_none() {
        let names: Vec<&str> = manifest.guests.iter().map(|guest| guest.name.as_str()).collect();
        let text = format!("no guest of `{}` is called `{}`", file.display(), call.guest);
        let help = format!("its guests are {}", names.join(", "));
        return Err(Problem::new(Code::NoSuchGuest, text).with_help(help).into());
    }
    let overrides = Overrides { settings, directory: here, ..Overrides::default() };
    let manifest = Manifest::load_with(&file, &overrides)?;
    let found = manifest.guest(&call.guest).cloned();
    found.map(|guest| (guest, manifest.runtime.clone())).ok_or_else(|| Problems::from(Vec::new()))
}

/// A guest's name made of a file's: what a name may not have becomes `-`.
pub(super) fn guest_name(stem: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    stem.chars().take(64).map(|c| if allowed(c) { c } else { '-' }).collect()
}

fn message(call: &Call) -> Result<Outgoing, Problems> {
    let mut message = Payload::read(&call.payload)?.message(call.content_type.as_deref());
    put_values(&mut message, &call.values)?;
    let answers =
        ANSWERS.parse().map_err(|error| Problem::caused_by(Code::HostFailed, "a built-in name", &error))?;
    Ok(message.response_destination(answers))
}

async fn platform(
    call: &Call,
    mut guest: GuestSettings,
    runtime: RuntimeSettings,
    output: &Output,
    fault_sink: FaultSink,
) -> Result<Platform, Problems> {
    let illegal = |error: sandbus_bus::ConfigError| Problem::new(Code::BadName, error.to_string());
    let mut destination = DestinationConfig::serial(&call.dest).map_err(illegal)?;
    destination.retry.attempts_max = 1;
    let mut destinations = vec![destination, DestinationConfig::serial(ANSWERS).map_err(illegal)?];
    let literal = guest.grants.send.iter().filter(|grant| grant.is_literal());
    for name in literal.map(|grant| grant.as_str().to_owned()).collect::<std::collections::BTreeSet<_>>() {
        if destinations.iter().all(|known| known.name.as_str() != name) && !name.starts_with("sandbus/") {
            destinations.push(DestinationConfig::parallel(&name).map_err(illegal)?);
        }
    }
    guest.listens_to = vec![call.dest.clone()];
    let config = PlatformConfig {
        runtime: RuntimeSettings { compiler: Compiler::own_executable(), ..runtime },
        types: Vec::new(),
        destinations,
        guests: vec![guest],
        schedules: Vec::new(),
        save_left: false,
        log_sink: output.guest_lines(),
        fault_sink,
    };
    Platform::start(config).await.map_err(|error| start_problem(&error).0.into())
}

/// What the host's own listeners saw.
#[derive(Default)]
struct Seen {
    reply: Arc<Mutex<Option<Reply>>>,
}

impl Seen {
    fn reply(&self) -> Option<Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Listens for replies, for what the guest sends, and for requests that are to be answered.
    fn listen(&self, bus: &Bus, call: &Call, output: &Output) -> Result<(), Problems> {
        let failed = |error| Problem::caused_by(Code::HostFailed, "cannot listen", &error);
        let reply = Arc::clone(&self.reply);
        let answers = listener_fn("call", move |delivery: Delivery| {
            let message = delivery.message();
            *reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(Reply {
                payload: message.payload().clone(),
                content_type: message.content_type().map(Arc::from),
                values: message.values().clone(),
            });
            std::future::ready(Outcome::done())
        });
        bus.register(ANSWERS, answers).map_err(failed)?;
        let mut mocks = Vec::new();
        for typed in &call.mocks {
            let (destination, payload) = destination_and_payload(typed)?;
            mocks.push((destination.to_owned(), Reply::new(payload.bytes, Some(payload.content_type))));
        }
        for destination in bus.destinations() {
            if destination.is_reserved() || [ANSWERS, &call.dest].contains(&destination.as_str()) {
                continue;
            }
            let mock =
                mocks.iter().find(|(name, _)| *name == destination.as_str()).map(|(_, reply)| reply.clone());
            bus.register(destination.as_str(), sent_listener(*output, mock)).map_err(failed)?;
        }
        Ok(())
    }
}

/// Says what the guest sent, and answers it where an answer is given.
fn sent_listener(output: Output, mock: Option<Reply>) -> sandbus_bus::NativeListener {
    listener_fn("call", move |delivery: Delivery| {
        let payload = String::from_utf8_lossy(delivery.payload()).escape_debug().to_string();
        output.note(&format!("sent     {} to {}", payload, delivery.destination()));
        std::future::ready(mock.clone().map_or_else(Outcome::done, Outcome::reply))
    })
}

/// How the call ended.
struct Report {
    guest: String,
    letter: Option<DeadLetter>,
    /// What is known of the last fault.
    fault: Option<FaultReport>,
    reply: Option<Reply>,
    fuel: u64,
    fuel_max: u64,
    memory_bytes: u64,
    took: Duration,
    calls: u64,
}

impl Report {
    fn new(
        platform: &Platform,
        call: &Call,
        name: &str,
        fuel_max: u64,
        took: Duration,
        reply: Option<Reply>,
    ) -> Self {
        let statistics = platform.bus().statistics(&call.dest);
        let listener =
            statistics.and_then(|each| each.listeners.into_iter().find(|listener| listener.name == name));
        Self {
            guest: name.to_owned(),
            letter: platform.bus().dead_letters(&call.dest).pop(),
            fault: None,
            reply,
            fuel: listener.as_ref().map_or(0, |listener| listener.fuel_max),
            fuel_max,
            memory_bytes: listener.as_ref().map_or(0, |listener| listener.memory_bytes_max),
            took,
            calls: listener.map_or(0, |listener| listener.calls),
        }
    }

    fn say(&self, output: &Output) -> ExitCode {
        let written = if output.json {
            output.answer(&self.json().to_string())
        } else {
            match &self.reply {
                Some(reply) => output.answer(&String::from_utf8_lossy(&reply.payload)),
                None => Ok(ExitCode::SUCCESS),
            }
        };
        if let Err(code) = written {
            return code;
        }
        output.note(&format!("{:<8} {}", self.outcome(), self.used()));
        match &self.letter {
            None => ExitCode::SUCCESS,
            Some(letter) => output.fail(&self.problem(letter).into()),
        }
    }

    fn outcome(&self) -> String {
        match &self.letter {
            None if self.reply.is_some() => "done     with a reply".to_owned(),
            None => "done     without a reply".to_owned(),
            Some(letter) => match letter.reason {
                DeadLetterReason::Failed(sandbus_bus::FailureKind::Faulted(cause)) => {
                    format!("faulted  {cause}")
                }
                ref other => other.to_string(),
            },
        }
    }

    fn used(&self) -> String {
        let calls = if self.calls > 1 {
            format!("   {} calls, the most that one used:", self.calls)
        } else {
            String::new()
        };
        let faulted = self.letter.as_ref().is_some_and(|letter| {
            matches!(letter.reason, DeadLetterReason::Failed(sandbus_bus::FailureKind::Faulted(_)))
        });
        let least = if faulted && self.fuel < self.fuel_max { "at least " } else { "" };
        format!(
            "{calls}   fuel {least}{} of {}   memory {} KiB   time {:.1} ms",
            thousands(self.fuel),
            thousands(self.fuel_max),
            self.memory_bytes / 1024,
            self.took.as_secs_f64() * 1e3
        )
    }

    fn problem(&self, letter: &DeadLetter) -> Problem {
        let code = match letter.reason {
            DeadLetterReason::Failed(kind) => failure_code(kind),
            ref other => Code::find(other.name()).unwrap_or(Code::HostFailed),
        };
        let guest = &self.guest;
        let text = format!("guest `{guest}` ended in `{}`: {}", letter.reason, letter.last_error);
        let problem = Problem::new(code, text).with_usual_help();
        let problem = self.fault.iter().fold(problem, faults::notes);
        match code {
            Code::OutOfFuel => {
                problem.with_note("note", format!("it may use {} fuel per call", thousands(self.fuel_max)))
            }
            _ => problem,
        }
    }

    fn json(&self) -> Json {
        let mut document = Map::new();
        document.insert("kind".to_owned(), json!("call"));
        document.insert("v".to_owned(), json!(1));
        let outcome = self.letter.as_ref().map_or("done", |letter| letter.reason.name());
        document.insert("outcome".to_owned(), json!(outcome));
        document
            .insert("error".to_owned(), json!(self.letter.as_ref().map(|letter| letter.last_error.as_str())));
        let mut reply = Map::new();
        if let Some(sent) = &self.reply {
            payload_to_json(&sent.payload, &mut reply);
            reply.insert("content_type".to_owned(), json!(sent.content_type.as_deref()));
        }
        document
            .insert("reply".to_owned(), if self.reply.is_some() { Json::Object(reply) } else { Json::Null });
        document.insert("fault".to_owned(), json!(self.fault.as_ref().map(faults::document)));
        document.insert("calls".to_owned(), json!(self.calls));
        document.insert("fuel".to_owned(), json!(self.fuel));
        document.insert("fuel_max".to_owned(), json!(self.fuel_max));
        document.insert("memory_bytes".to_owned(), json!(self.memory_bytes));
        document.insert("time_ms".to_owned(), json!(self.took.as_secs_f64() * 1e3));
        Json::Object(document)
    }
}
