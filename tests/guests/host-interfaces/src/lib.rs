//! A listener that uses what the host offers beside the bus, in every spelling: the first word of the payload says what.
//! The commands stand in `tests/guests/README.md`.
#![allow(unsafe_code, reason = "generated")]

use sandbus_guest::{Failure, Listener, Message, Outcome, Reply};

wit_bindgen::generate!({
    path: "wit",
    world: "uses-them-all",
    generate_all,
});

use wasi::keyvalue::{atomics, batch, store};

#[derive(Default)]
struct Uses {
    /// Kept open over calls, so that a handle is used in a later one.
    bucket: Option<store::Bucket>,
}

impl Listener for Uses {
    fn receive(&mut self, message: &Message) -> Outcome {
        let words: Vec<&str> = message.text()?.split(' ').collect();
        let answer = match *words.as_slice() {
            ["log", level, context, ref text @ ..] => log(level, context, &text.join(" ")),
            ["log-unversioned", ref text @ ..] => {
                wasi::logging::logging::log(wasi::logging::logging::Level::Info, "", &text.join(" "));
                "logged".to_owned()
            }
            ["log-endless"] => loop {
                log("info", "", "x");
            },
            ["config", spelling, key] => config(spelling, key)?,
            ["config-all", spelling] => config_all(spelling)?,
            ["open", name] => self.open(name),
            ["open-many", count] => open_many(count),
            ["set", key, value] => {
                shown(self.bucket()?.set(key, value.as_bytes()).map(|()| "set".to_owned()))
            }
            ["set-big", key, bytes] => {
                let value = vec![b'x'; bytes.parse().unwrap_or(0)];
                shown(self.bucket()?.set(key, &value).map(|()| "set".to_owned()))
            }
            ["set-keys", count] => self.set_keys(count)?,
            ["get", key] => shown(self.bucket()?.get(key).map(|value| match value {
                Some(value) => String::from_utf8_lossy(&value).into_owned(),
                None => "none".to_owned(),
            })),
            ["delete", key] => shown(self.bucket()?.delete(key).map(|()| "deleted".to_owned())),
            ["exists", key] => shown(self.bucket()?.exists(key).map(|there| there.to_string())),
            ["keys"] => shown(self.bucket()?.list_keys(None).map(|found| found.keys.join(","))),
            ["increment", key, delta] => {
                let delta = delta.parse().unwrap_or(0);
                shown(atomics::increment(self.bucket()?, key, delta).map(|sum| sum.to_string()))
            }
            ["batch"] => self.in_batches()?,
            _ => return Err(Failure::refused("unknown command")),
        };
        Ok(Some(Reply::text(answer)))
    }
}

sandbus_guest::listener!(Uses);

fn log(level: &str, context: &str, text: &str) -> String {
    use wasi::logging0_1_0_draft::logging::{Level, log};
    let level = match level {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        "critical" => Level::Critical,
        _ => Level::Info,
    };
    log(level, context, text);
    "logged".to_owned()
}

fn config(spelling: &str, key: &str) -> Result<String, Failure> {
    let found = match spelling {
        "runtime" => wasi::config0_2_0_draft::runtime::get(key).ok(),
        "draft" => wasi::config0_2_0_draft::store::get(key).ok(),
        "dated" => wasi::config0_2_0_draft_2024_09_27::store::get(key).ok(),
        "rc" => wasi::config0_2_0_rc_1::store::get(key).ok(),
        _ => return Err(Failure::refused("unknown spelling")),
    };
    found.map(|value| value.unwrap_or_else(|| "none".to_owned())).ok_or_else(|| Failure::refused("no answer"))
}

fn config_all(spelling: &str) -> Result<String, Failure> {
    let found = match spelling {
        "runtime" => wasi::config0_2_0_draft::runtime::get_all().ok(),
        "draft" => wasi::config0_2_0_draft::store::get_all().ok(),
        "dated" => wasi::config0_2_0_draft_2024_09_27::store::get_all().ok(),
        "rc" => wasi::config0_2_0_rc_1::store::get_all().ok(),
        _ => return Err(Failure::refused("unknown spelling")),
    };
    let pairs = found.ok_or_else(|| Failure::refused("no answer"))?;
    let shown: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(shown.join(" "))
}

fn shown(result: Result<String, store::Error>) -> String {
    match result {
        Ok(text) => text,
        Err(store::Error::NoSuchStore) => "error no-such-store".to_owned(),
        Err(store::Error::AccessDenied) => "error access-denied".to_owned(),
        Err(store::Error::Other(text)) => format!("error other: {text}"),
    }
}

fn open_many(count: &str) -> String {
    for number in 0..count.parse().unwrap_or(0) {
        if let Err(error) = store::open(&format!("bucket-{number}")) {
            return format!("{number} opened, then {}", shown(Err(error)));
        }
    }
    format!("{count} opened")
}

impl Uses {
    fn open(&mut self, name: &str) -> String {
        shown(store::open(name).map(|bucket| {
            self.bucket = Some(bucket);
            "opened".to_owned()
        }))
    }

    fn bucket(&mut self) -> Result<&store::Bucket, Failure> {
        if self.bucket.is_none() {
            self.bucket = store::open("default").ok();
        }
        self.bucket.as_ref().ok_or_else(|| Failure::refused("no bucket"))
    }

    fn set_keys(&mut self, count: &str) -> Result<String, Failure> {
        let bucket = self.bucket()?;
        for number in 0..count.parse().unwrap_or(0) {
            if let Err(error) = bucket.set(&format!("key-{number}"), b"") {
                return Ok(format!("{number} set, then {}", shown(Err(error))));
            }
        }
        Ok(format!("{count} set"))
    }

    fn in_batches(&mut self) -> Result<String, Failure> {
        let bucket = self.bucket()?;
        let entries = [("b1".to_owned(), b"one".to_vec()), ("b2".to_owned(), b"two".to_vec())];
        let keys = ["b1", "none", "b2"].map(str::to_owned);
        let many = batch::set_many(bucket, &entries)
            .and_then(|()| batch::get_many(bucket, &keys))
            .and_then(|found| batch::delete_many(bucket, &keys).map(|()| found));
        Ok(shown(many.map(|found| {
            let text = |(key, value): (String, Vec<u8>)| format!("{key}={}", String::from_utf8_lossy(&value));
            let shown: Vec<String> =
                found.into_iter().map(|entry| entry.map_or_else(|| "none".to_owned(), text)).collect();
            shown.join(" ")
        })))
    }
}
