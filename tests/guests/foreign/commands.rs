//! What the guests of other messaging interfaces do when they are told: the first word of a message is the command. The file is
//! part of each of them.

/// What such a guest can do, in the words of its own interface.
pub(crate) trait Host {
    fn publish(&self, to: &str, reply_to: Option<&str>, payload: &[u8]) -> Result<(), String>;
    fn request(&self, to: &str, timeout_ms: u32, payload: &[u8]) -> Result<String, String>;
    /// Answers the message in hand, if it asks for an answer.
    fn answer(&self, text: &str) -> Result<(), String>;
    /// The message in hand.
    fn describe(&self) -> String;
}

/// Does what the payload says; an error is what the handler returns.
pub(crate) fn run(payload: &[u8], host: &impl Host) -> Result<(), String> {
    let text = String::from_utf8_lossy(payload);
    let (command, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
    match command {
        "noop" => Ok(()),
        "echo" => host.answer(rest),
        "echo-twice" => host.answer(rest).and_then(|()| host.answer(rest)),
        "describe" => host.answer(&host.describe()),
        "forward" => host.publish(first, None, payload),
        "refuse" => Err(rest.to_owned()),
        #[allow(clippy::panic, reason = "a trap is what the test asked for")]
        "panic" => panic!("{rest}"),
        "publish" => host.answer(&sent(host.publish(first, None, behind.as_bytes()))),
        "publish-as" => {
            let (reply_to, text) = behind.split_once(' ').unwrap_or((behind, ""));
            host.answer(&sent(host.publish(first, Some(reply_to), text.as_bytes())))
        }
        "publish-big" => {
            let payload = vec![b'x'; behind.parse().unwrap_or(0)];
            host.answer(&sent(host.publish(first, None, &payload)))
        }
        "publish-many" => {
            let count = behind.parse().unwrap_or(0);
            let refused = (0..count).find_map(|n: u32| Some((n, host.publish(first, None, b"x").err()?)));
            host.answer(&match refused {
                Some((n, text)) => format!("{n} sent, then error {text}"),
                None => format!("{count} sent"),
            })
        }
        "request" => {
            let (timeout_ms, text) = behind.split_once(' ').unwrap_or((behind, ""));
            let answered = host.request(first, timeout_ms.parse().unwrap_or(0), text.as_bytes());
            host.answer(&match answered {
                Ok(text) => format!("reply {text}"),
                Err(text) => format!("error {text}"),
            })
        }
        _ => Err(format!("unknown command `{command}`")),
    }
}

pub(crate) fn sent(result: Result<(), String>) -> String {
    match result {
        Ok(()) => "sent".to_owned(),
        Err(text) => format!("error {text}"),
    }
}
