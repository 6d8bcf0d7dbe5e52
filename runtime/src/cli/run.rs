//! `sandbus run`: builds what is to be built, starts the platform, sends, prints, waits, drains, and says how it went.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbus_bus::{Delivery, Outcome, listener_fn};
use serde_json::{Map, Value as Json, json};

use super::args::{Global, Run};
use super::output::{Output, READER_WENT_AWAY};
use super::problems::send_problem;
use super::signals::{Signalled, Signals};
use super::summary::Summary;
use super::{load, sends};
use crate::codec::payload_to_json;
use crate::diagnostic::{Code, Problem, Problems};
use crate::manifest::to_toml;
use crate::platform::Platform;

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Idle,
    Elapsed(Duration),
    Signal,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    Itself,
    Signal(Signalled),
    ReaderGone,
}

pub(super) async fn run(run: Run, global: &Global, output: &Output) -> Result<ExitCode, Problems> {
    let until = until(&run)?;
    let manifest = load::manifest(&run.sources, &run.built, global)?;
    manifest.warnings.iter().for_each(|warning| output.warn(warning));
    if run.dry_run {
        let text = to_toml(&manifest);
        let json = json!({ "kind": "run", "v": 1, "manifest": text });
        return Ok(output.document(&json, text.trim_end()));
    }
    // What cannot be read is found before anything is built or started.
    let sends = sends::sends(&run)?;
    let named =
        run.prints.iter().map(|name| ("--print", name)).chain(sends.iter().map(|(name, _)| ("--send", name)));
    for (flag, name) in named {
        load::known_destination(&manifest, flag, name)?;
    }
    sends::check(&sends, &manifest)?;
    let mut signals = Signals::new()?;
    load::build_guests(&manifest, output).await?;
    let started = Instant::now();
    let platform = load::start(&manifest, load::config(&manifest, output)).await?;
    let guests = platform
        .guests()
        .iter()
        .filter(|guest| guest.build.is_some())
        .map(|guest| guest.name.to_string())
        .collect();
    let gone = match print(&platform, &run.prints, *output) {
        Ok(gone) => gone,
        Err(problems) => {
            platform.shutdown().await;
            return Err(problems);
        }
    };
    output.note(&load::ready(&platform, started.elapsed()));
    for (destination, message) in sends {
        let sent = platform.bus().send(&destination, message).await;
        if let Err(error) = sent {
            platform.shutdown().await;
            return Err(send_problem(&destination, &error).into());
        }
    }
    let ended_by = wait(&platform, until, &mut signals, &gone).await;
    let waited = started.elapsed();
    let mut summary = Summary::new(platform.bus(), guests);
    let ended = platform.shutdown().await;
    summary.letters_of_removed = ended.dead_letters_of_removed;
    Ok(say_end(output, until, ended_by, waited, &summary, &ended))
}

fn until(run: &Run) -> Result<Until, Problem> {
    match run.until.as_deref() {
        None if run.sends.is_empty() => Ok(Until::Signal),
        None | Some("idle") => Ok(Until::Idle),
        Some("signal") => Ok(Until::Signal),
        Some(text) => humantime::parse_duration(text).map(Until::Elapsed).map_err(|error| {
            let text = format!("--until `{text}` is neither `idle`, `signal` nor a duration: {error}");
            Problem::new(Code::Usage, text)
                .with_help("write `--until idle`, `--until 30s` or `--until signal`")
        }),
    }
}

/// Registers the listeners of `--print`. What comes back is told when nobody reads stdout any more.
fn print(
    platform: &Platform,
    prints: &[String],
    output: Output,
) -> Result<Arc<tokio::sync::Notify>, Problems> {
    let gone = Arc::new(tokio::sync::Notify::new());
    let several = prints.len() > 1;
    for destination in prints {
        let gone = Arc::clone(&gone);
        let listener = listener_fn("print", move |delivery: Delivery| {
            let text = if output.json {
                received_document(&delivery).to_string()
            } else {
                received(&delivery, several)
            };
            if output.answer(&text).is_err() {
                gone.notify_one();
            }
            std::future::ready(Outcome::done())
        });
        platform
            .bus()
            .register(destination, listener)
            .map_err(|error| Problem::new(Code::Usage, format!("--print {destination}: {error}")))?;
    }
    Ok(gone)
}

fn received(delivery: &Delivery, several: bool) -> String {
    let payload = String::from_utf8_lossy(delivery.payload());
    if several { format!("{}\t{payload}", delivery.destination()) } else { payload.into_owned() }
}

fn received_document(delivery: &Delivery) -> Json {
    let mut document = Map::new();
    document.insert("kind".to_owned(), json!("run"));
    document.insert("v".to_owned(), json!(1));
    document.insert("event".to_owned(), json!("received"));
    document.insert("destination".to_owned(), json!(delivery.destination().as_str()));
    document.insert("message_id".to_owned(), json!(delivery.message().id().to_string()));
    document.insert("content_type".to_owned(), json!(delivery.content_type()));
    payload_to_json(delivery.payload(), &mut document);
    Json::Object(document)
}

async fn wait(
    platform: &Platform,
    until: Until,
    signals: &mut Signals,
    gone: &tokio::sync::Notify,
) -> EndedBy {
    let itself = async {
        match until {
            Until::Idle => platform.bus().idle().await,
            Until::Elapsed(duration) => tokio::time::sleep(duration).await,
            Until::Signal => std::future::pending().await,
        }
    };
    tokio::select! {
        () = itself => EndedBy::Itself,
        signal = signals.any() => EndedBy::Signal(signal),
        () = gone.notified() => EndedBy::ReaderGone,
    }
}

fn say_end(
    output: &Output,
    until: Until,
    ended_by: EndedBy,
    waited: Duration,
    summary: &Summary,
    ended: &crate::platform::Ended,
) -> ExitCode {
    let how = match (ended_by, until) {
        (EndedBy::Itself, Until::Idle) => "idle",
        (EndedBy::Itself, _) => "ended",
        (EndedBy::Signal(_), _) => "stopped",
        (EndedBy::ReaderGone, _) => return ExitCode::from(READER_WENT_AWAY),
    };
    output.note(&format!("{how} after {} ms: {}", waited.as_millis(), summary.text()));
    match &ended.saved {
        Some(Ok(path)) => {
            output.note(&format!("saved {} dead letters in {}", letters(ended), path.display()))
        }
        Some(Err(reason)) => {
            let text = format!("the dead letters could not be saved: {reason}");
            output.warn(&Problem::warning(Code::StateDirectory, text).with_usual_help());
        }
        None => {}
    }
    if output.json {
        let mut document = summary.json();
        if let Json::Object(fields) = &mut document {
            fields.insert("kind".to_owned(), json!("run"));
            fields.insert("v".to_owned(), json!(1));
            fields.insert("event".to_owned(), json!(how));
            fields.insert("after_ms".to_owned(), json!(waited.as_secs_f64() * 1e3));
        }
        let _ = output.answer(&document.to_string());
    }
    match (ended_by, until) {
        (EndedBy::Signal(signal), Until::Idle) => signal.exit_code(),
        (EndedBy::Itself, Until::Idle) if !summary.is_clean() => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

fn letters(ended: &crate::platform::Ended) -> usize {
    let kept: usize = ended.statistics.iter().map(|each| each.dead_letters_kept).sum();
    kept + ended.dead_letters_of_removed
}
