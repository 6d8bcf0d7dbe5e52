//! `sandbus bench`: starts a platform as `run` does, sends many messages to one destination, and says how long each stage of
//! their way took. What it measures is the bus's; here it is asked for, counted together and printed.

mod compare;
mod measured;
mod plan;
mod report;
mod senders;
mod spread;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbus_bus::DestinationStatistics;

use self::compare::Former;
use self::measured::{How, Measured};
use self::plan::{Plan, Until};
use self::senders::{Stop, Tally};
use super::args::{Bench, Global};
use super::output::Output;
use super::problems::send_problem;
use super::signals::{Signalled, Signals};
use super::{faults, load};
use crate::diagnostic::{Code, Problem, Problems};
use crate::host::LogLine;
use crate::limits;
use crate::manifest::Manifest;
use crate::platform::{Platform, PlatformConfig};

pub(super) async fn bench(bench: Bench, global: &Global, output: &Output) -> Result<ExitCode, Problems> {
    // What cannot be read is found before anything is built or started.
    let plan = Arc::new(Plan::read(&bench)?);
    let former = bench.compare.as_deref().map(|file| Former::read(file, plan.mode)).transpose()?;
    let manifest = load::manifest(&bench.sources, &bench.built, global)?;
    manifest.warnings.iter().for_each(|warning| output.warn(warning));
    load::known_destination(&manifest, "bench", &plan.destination)?;
    plan.check(manifest.destinations.iter().find(|config| config.name.as_str() == plan.destination))?;
    bench.csv.as_deref().map(can_be_written).transpose()?;
    let mut signals = Signals::new()?;
    load::build_guests(&manifest, output).await?;
    let started = Instant::now();
    let platform = load::start(&manifest, config(&manifest, output)).await?;
    output.note(&load::ready(&platform, started.elapsed()));
    let mut ran = Run { platform: &platform, plan: &plan, signals: &mut signals, signalled: None };
    let found = ran.measure(output).await;
    let signalled = ran.signalled;
    if !matches!(&found, Ok(found) if found.how == How::Done) {
        // What nobody will look at any more must not hold up the end.
        let _ = platform.bus().purge(&plan.destination);
    }
    let _ = platform.shutdown().await;
    say(&plan, &found?, former.as_ref(), bench.csv.as_deref(), signalled, output)
}

/// As for `run`, but for what would be in the way: schedules send what is not asked for, lines of guests would flood, and
/// what is left of these messages is of no use to anybody.
fn config(manifest: &Manifest, output: &Output) -> PlatformConfig {
    let mut config = load::config(manifest, output);
    config.schedules = Vec::new();
    config.save_left = false;
    config.fault_sink = faults::told_once(*output);
    if !output.is_verbose() {
        config.log_sink = Arc::new(|_: &LogLine| {});
    }
    config
}

/// Found before anything is sent: what a bench found must not be lost at its end.
fn can_be_written(path: &Path) -> Result<(), Problem> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    Problem::caused_by(Code::FileUnwritable, format!("cannot write `{}`", path.display()), error)
}

/// A bench that runs.
struct Run<'a> {
    platform: &'a Platform,
    plan: &'a Arc<Plan>,
    signals: &'a mut Signals,
    signalled: Option<Signalled>,
}

impl Run<'_> {
    async fn measure(&mut self, output: &Output) -> Result<Measured, Problem> {
        let bus = self.platform.bus();
        let name = &self.plan.destination;
        if self.figures()?.listeners.is_empty() {
            let text = format!("destination `{name}` has no listener: nothing would be delivered");
            return Err(Problem::new(Code::NoListener, text).with_usual_help());
        }
        // Guests may have sent something when they were activated.
        let mut rests = self.rests(limits::BENCH_DRAIN).await;
        if let Some(time) = self.plan.warm_up.filter(|_| rests) {
            output.note(&format!("  warm-up for {}", humantime::format_duration(time)));
            self.send(Until::Elapsed(time)).await?;
            rests = self.rests(limits::BENCH_DRAIN).await;
        }
        bus.measure_stages(name).map_err(|error| Problem::new(Code::NoSuchDestination, error.to_string()))?;
        let before = self.figures()?;
        output.note("  sending");
        let began = Instant::now();
        let tally = match self.signalled {
            None => self.send(self.plan.until).await?,
            Some(_) => Tally::default(),
        };
        if let Some(error) = tally.gave_up.as_ref().filter(|_| tally.accepted == 0) {
            return Err(send_problem(name, error));
        }
        let drain = match self.plan.until {
            // Somebody asked for so many messages, however long they take.
            Until::Count(_) => Duration::MAX,
            Until::Elapsed(_) => limits::BENCH_DRAIN,
        };
        rests &= self.rests(drain).await;
        let elapsed = began.elapsed();
        let how = match (self.signalled, &tally.gave_up) {
            (Some(_), _) => How::Interrupted,
            (_, Some(_)) => How::GaveUp,
            _ if rests => How::Done,
            _ => How::NotDrained,
        };
        Ok(Measured::new(self.plan, how, elapsed, tally, &before, &self.figures()?))
    }

    fn figures(&self) -> Result<DestinationStatistics, Problem> {
        let name = &self.plan.destination;
        self.platform.bus().statistics(name).ok_or_else(|| {
            let text = format!("no destination is called `{name}`: no guest has made it");
            Problem::new(Code::NoSuchDestination, text).with_usual_help()
        })
    }

    /// Has the senders send; a signal ends them early.
    async fn send(&mut self, until: Until) -> Result<Tally, Problem> {
        let stop = Arc::new(Stop::default());
        let sending = senders::run(self.platform.bus(), self.plan, until, &stop);
        tokio::pin!(sending);
        tokio::select! {
            ended = &mut sending => return ended,
            signal = self.signals.any() => self.signalled = Some(signal),
        }
        stop.stop();
        sending.await
    }

    /// Waits until nothing runs any more; false when that took too long, or a signal came.
    async fn rests(&mut self, at_most: Duration) -> bool {
        if self.signalled.is_some() {
            return false;
        }
        tokio::select! {
            rested = tokio::time::timeout(at_most, self.platform.bus().idle()) => rested.is_ok(),
            signal = self.signals.any() => {
                self.signalled = Some(signal);
                false
            }
        }
    }
}

fn say(
    plan: &Plan,
    found: &Measured,
    former: Option<&Former>,
    csv: Option<&Path>,
    signalled: Option<Signalled>,
    output: &Output,
) -> Result<ExitCode, Problems> {
    let mut document = report::document(plan, found);
    let mut text = report::text(plan, found);
    if let Some(former) = former {
        text.push_str(&format!("\n\n{}", former.text(plan, &document)));
        let compared = former.document(&document);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("compared".to_owned(), compared);
        }
    }
    if let Some(path) = csv {
        std::fs::write(path, report::csv(plan, found)).map_err(|error| cannot_write(path, &error))?;
    }
    if output.json {
        text = document.to_string();
    }
    if let Err(code) = output.answer(&text) {
        return Ok(code);
    }
    Ok(match signalled {
        Some(signal) => signal.exit_code(),
        None if found.is_complete() => ExitCode::SUCCESS,
        None => ExitCode::from(1),
    })
}
