//! A component for Spin's `inbound-redis` that knows nothing of this platform. It cannot be asked for an answer, so that it publishes
//! its answers on the channel `t/answers`. The commands stand in `tests/guests/README.md`.
#![allow(unsafe_code, reason = "generated")]

#[path = "../../foreign/commands.rs"]
mod commands;

use exports::fermyon::spin::inbound_redis::{Error, Guest, Payload};
use fermyon::spin::redis as redis_1;
use fermyon::spin2_0_0::redis as redis_2;
use fermyon::spin2_0_0::variables;

wit_bindgen::generate!({ path: "wit", world: "guest", generate_all });

const ADDRESS: &str = "redis://nowhere:6379";

struct Component;

impl commands::Host for Component {
    fn publish(&self, to: &str, _: Option<&str>, payload: &[u8]) -> Result<(), String> {
        redis_1::publish(ADDRESS, to, payload).map_err(|error| format!("{error:?}"))
    }

    fn request(&self, _: &str, _: u32, _: &[u8]) -> Result<String, String> {
        Err("this interface has no requests".to_owned())
    }

    fn answer(&self, text: &str) -> Result<(), String> {
        self.publish("t/answers", None, text.as_bytes())
    }

    fn describe(&self) -> String {
        "a payload and nothing else".to_owned()
    }
}

impl Guest for Component {
    fn handle_message(message: Payload) -> Result<(), Error> {
        use commands::Host as _;
        let text = String::from_utf8_lossy(&message);
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        let done = match *words.as_slice() {
            ["connection", channel, text] => Component.answer(&over_a_connection(channel, text)),
            ["no-redis"] => Component.answer(&no_redis()),
            ["variable", name] => Component.answer(&match variables::get(name) {
                Ok(value) => value,
                Err(error) => format!("error {error:?}"),
            }),
            _ => commands::run(&message, &Component),
        };
        done.map_err(|_| Error::Error)
    }
}

fn over_a_connection(channel: &str, text: &str) -> String {
    let connection = match redis_2::Connection::open(ADDRESS) {
        Ok(connection) => connection,
        Err(error) => return format!("not open: {error:?}"),
    };
    commands::sent(connection.publish(channel, text.as_bytes()).map_err(|error| format!("{error:?}")))
}

/// Every other function, in both forms: each must say that it cannot.
fn no_redis() -> String {
    let key = || vec!["key".to_owned()];
    let old = [
        redis_1::get(ADDRESS, "key").is_err(),
        redis_1::set(ADDRESS, "key", b"x").is_err(),
        redis_1::incr(ADDRESS, "key").is_err(),
        redis_1::del(ADDRESS, &key()).is_err(),
        redis_1::sadd(ADDRESS, "key", &key()).is_err(),
        redis_1::smembers(ADDRESS, "key").is_err(),
        redis_1::srem(ADDRESS, "key", &key()).is_err(),
        redis_1::execute(ADDRESS, "PING", &[]).is_err(),
    ];
    let Ok(connection) = redis_2::Connection::open(ADDRESS) else { return "not open".to_owned() };
    let new = [
        connection.get("key").is_err(),
        connection.set("key", b"x").is_err(),
        connection.incr("key").is_err(),
        connection.del(&key()).is_err(),
        connection.sadd("key", &key()).is_err(),
        connection.smembers("key").is_err(),
        connection.srem("key", &key()).is_err(),
        connection.execute("PING", &[redis_2::RedisParameter::Int64(1)]).is_err(),
    ];
    let refused = |all: &[bool]| all.iter().filter(|refused| **refused).count();
    format!("{} and {} refused", refused(&old), refused(&new))
}

export!(Component);
