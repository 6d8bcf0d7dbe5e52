//! What a bench is to do: its flags, read and checked before anything is built or started. It sends nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

use sandbus_bus::{DestinationConfig, Outgoing};

use super::super::args::{Bench, Mode};
use super::super::payload::{Payload, put_values};
use crate::diagnostic::{Code, Problem};
use crate::limits;
use crate::manifest::units::{duration, grouped, number, show_duration, show_size, size};

/// When the senders are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// After so many messages, of all of them together.
    Count(u64),
    Elapsed(Duration),
}

/// What a bench is to do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) destination: String,
    pub(super) mode: Mode,
    pub(super) message: Outgoing,
    pub(super) until: Until,
    /// How long the same is done before, uncounted.
    pub(super) warm_up: Option<Duration>,
    pub(super) senders: u64,
    /// Messages in a second, of all senders together; none: each sends as soon as its last one got in.
    pub(super) per_second: Option<u64>,
}

impl Plan {
    pub(super) fn read(bench: &Bench) -> Result<Self, Problem> {
        let count = |flag: &str, typed: &Option<String>, max: u64| match typed {
            Some(typed) => read(flag, typed, number, 1..=max, |number| grouped(*number, ',')).map(Some),
            None => Ok(None),
        };
        let time = |flag: &str, typed: &Option<String>| match typed {
            Some(typed) => {
                let range = Duration::from_millis(1)..=limits::BENCH_DURATION_MAX;
                read(flag, typed, duration, range, |time| show_duration(*time)).map(Some)
            }
            None => Ok(None),
        };
        let messages = count("-n", &bench.count, limits::BENCH_MESSAGES_MAX)?;
        let elapsed = time("--duration", &bench.duration)?;
        Ok(Self {
            destination: bench.destination.clone(),
            mode: bench.mode,
            until: messages.map_or(Until::Elapsed(elapsed.unwrap_or(limits::BENCH_DURATION)), Until::Count),
            warm_up: time("--warmup", &bench.warmup)?,
            senders: count("--senders", &bench.senders, limits::BENCH_SENDERS_MAX)?.unwrap_or(1),
            per_second: count("--rate", &bench.rate, limits::BENCH_PER_SECOND_MAX)?,
            message: message(bench)?,
        })
    }

    /// Says what the destination would refuse in each message. What a guest makes while it runs is not known here.
    pub(super) fn check(&self, config: Option<&DestinationConfig>) -> Result<(), Problem> {
        let Some(config) = config else { return Ok(()) };
        let (bytes, bytes_max) = (self.message.size_bytes() as u64, config.message_bytes_max as u64);
        if bytes > bytes_max {
            let (shown, shown_max) = (show_size(bytes), show_size(bytes_max));
            let text = format!(
                "each message has {shown} of payload and values; `{}` takes {shown_max}",
                config.name
            );
            return Err(Problem::new(Code::TooLarge, text).with_usual_help());
        }
        if config.paused {
            let text = format!("destination `{}` starts paused: nothing would be delivered", config.name);
            let help = format!("add `--set 'destinations.\"{}\".paused=false'`", config.name);
            return Err(Problem::new(Code::Paused, text).with_help(help));
        }
        Ok(())
    }
}

fn message(bench: &Bench) -> Result<Outgoing, Problem> {
    let payload = match (&bench.payload, &bench.size) {
        (Some(typed), _) => Payload::read(typed)?,
        (None, typed) => {
            let bytes = match typed {
                // Whatever a destination may be told to take, it is at most an address space; it says so itself.
                Some(typed) => read("--size", typed, size, 0..=SIZE_MAX, |size| show_size(*size))?,
                None => limits::BENCH_PAYLOAD_BYTES,
            };
            Payload {
                bytes: vec![b'x'; usize::try_from(bytes).unwrap_or(usize::MAX)],
                content_type: "text/plain; charset=utf-8",
            }
        }
    };
    let mut message = payload.message(bench.content_type.as_deref());
    put_values(&mut message, &bench.values)?;
    Ok(message)
}

/// As much as a manifest can have a destination take in one message.
const SIZE_MAX: u64 = 1 << 30;

fn read<T: PartialOrd>(
    flag: &str,
    typed: &str,
    parse: impl Fn(&str) -> Option<T>,
    range: RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, Problem> {
    let within = parse(typed).filter(|value| range.contains(value));
    within.ok_or_else(|| {
        let (least, most) = (show(range.start()), show(range.end()));
        Problem::new(Code::Usage, format!("{flag} `{}` is not from {least} to {most}", typed.escape_debug()))
            .with_help(example(flag))
    })
}

fn example(flag: &str) -> String {
    let value = match flag {
        "-n" => "-n 100k",
        "--duration" => "--duration 10s",
        "--warmup" => "--warmup 1s",
        "--size" => "--size 1KiB",
        "--senders" => "--senders 8",
        _ => "--rate 1000",
    };
    format!("write a value such as `{value}`")
}
