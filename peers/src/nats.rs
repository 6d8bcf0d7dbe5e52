//! NATS: a server of this machine alone, a subscriber that answers, and those who ask. The server ends with this program.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;

use crate::harness::Failure;

const SUBJECT: &str = "bench.echo";
const PAYLOAD_BYTES: usize = 64;
/// How long the server may take to begin.
const START_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Nats {
    pub(crate) version: String,
    asks: Client,
    server: Server,
}

/// The server's process; it ends when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to save. One that is gone already cannot be ended, and need not.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nats {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let version = match Command::new("nats-server").arg("--version").output() {
            Ok(said) => String::from_utf8_lossy(&said.stdout).trim().replace("nats-server: v", ""),
            Err(error) => return Err(format!("there is no `nats-server` in PATH ({error})").into()),
        };
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server(server);
        let began = Instant::now();
        let answers = loop {
            match async_nats::connect(&address).await {
                Ok(client) => break client,
                Err(error) if began.elapsed() > START_TIME_MAX => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let mut questions = answers.subscribe(SUBJECT).await?;
        answers.flush().await?;
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let Some(reply) = question.reply else { continue };
                if answers.publish(reply, question.payload).await.is_err() {
                    break;
                }
            }
        });
        // A connection of its own, as another process would have.
        Ok(Self { version, asks: async_nats::connect(&address).await?, server })
    }

    /// What a request takes when so many senders ask so often, one after the other.
    pub(crate) async fn requests(&self, senders: u32, count: u32) -> Result<Duration, Failure> {
        let started = Instant::now();
        let all: Vec<_> = (0..senders)
            .map(|_| {
                let asks = self.asks.clone();
                tokio::spawn(async move {
                    for _ in 0..count {
                        let question = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
                        let answer = asks.request(SUBJECT, question).await?;
                        if answer.payload.len() != PAYLOAD_BYTES {
                            return Err("the answer is not the question".into());
                        }
                    }
                    Ok::<(), Failure>(())
                })
            })
            .collect();
        for sender in all {
            sender.await??;
        }
        Ok(started.elapsed() / (senders * count))
    }

    pub(crate) fn end(self) -> Result<(), Failure> {
        let Self { mut server, .. } = self;
        // Whoever measured a server that had died measured nothing.
        match server.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("nats-server ended early: {status}").into()),
        }
    }
}
