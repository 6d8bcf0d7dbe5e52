//! U2, H5: what a neighbour keeps beside a guest that burns a core, and how long a guest holds a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sandbus::bus::{Outgoing, RejectedExecution};
use sandbus::harness::Harness;

use crate::Table;
use crate::support::{Asking, harness, parallel, serial, zoo, zoo_that};

const MEASURED: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;

/// A neighbour of its own destination and listener; and a guest that burns a core whenever it has a message.
async fn place() -> Harness {
    let mut good = parallel("t/good");
    good.rejected_execution = RejectedExecution::Block(Duration::from_secs(3_600));
    let mut burner = zoo("burner", &["t/burn"]);
    burner.limits.fuel = sandbus::limits::FUEL_UNLIMITED;
    burner.circuit_breaker = None;
    let mut burn = serial("t/burn");
    burn.retry.attempts_max = 1;
    harness()
        .destination(good)
        .destination(burn)
        .guest(zoo_that("noop", "good", &["t/good"]))
        .guest(burner)
        .start()
        .await
        .unwrap()
}

/// Messages of the neighbour in a second, sent as fast as there is room.
async fn throughput(harness: &Harness) -> f64 {
    let (began, before) = (Instant::now(), harness.figures("t/good").completed);
    while began.elapsed() < MEASURED {
        for _ in 0..100 {
            harness.send("t/good", Outgoing::text("x")).await.unwrap();
        }
    }
    let done = harness.figures("t/good").completed - before;
    let rate = done as f64 / began.elapsed().as_secs_f64();
    harness.bus().resume("t/good").unwrap();
    while harness.figures("t/good").pending > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    rate
}

/// The 99th percentile of requests at a rate that is far from what the neighbour could do.
async fn latency(harness: &Harness) -> Duration {
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < MEASURED {
        let asked = Instant::now();
        let _ = harness.bus().request("t/good", Outgoing::text("x"), None).await;
        took.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    took.sort();
    took[took.len() * 99 / 100]
}

/// Runs `work` while the burner burns.
async fn burning<T>(harness: &Harness, work: impl Future<Output = T>) -> T {
    let (bus, stop) = (harness.bus().clone(), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let feeding = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            let _ = bus.send("t/burn", Outgoing::text("loop")).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let done = work.await;
    stop.store(true, Ordering::Relaxed);
    feeding.await.unwrap();
    harness.bus().close_now("t/burn").await.unwrap();
    harness.bus().reopen("t/burn").unwrap();
    done
}

pub(crate) async fn neighbour_beside_a_burner(table: &mut Table) {
    let harness = place().await;
    throughput(&harness).await;
    // In turn, so that what else the machine does falls on both; the best of each.
    let (mut shares, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let solo = throughput(&harness).await;
        shares.push(burning(&harness, throughput(&harness)).await / solo);
        alone.push(latency(&harness).await);
        beside.push(burning(&harness, latency(&harness)).await);
    }
    let share = shares.iter().copied().fold(0.0, f64::max);
    let (alone, beside) = (alone.into_iter().min().unwrap(), beside.into_iter().min().unwrap());
    table.row(
        "U2 share of solo throughput beside a burner",
        format!("{:.0} %", share * 100.0),
        "≥ 45 %",
        share >= 0.45,
    );
    let bound = alone + Duration::from_millis(50);
    table.row(
        "U2 p99 beside a burner",
        format!("{beside:.1?}"),
        format!("≤ {alone:.1?} + 50 ms"),
        beside <= bound,
    );
    harness.end().await;
}

/// The longest time between two turns of a task that shares one thread with a guest doing this.
fn slice(command: &str) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut guest = zoo("guest", &["t/a"]);
        guest.limits.deadline = Duration::from_secs(20);
        guest.circuit_breaker = None;
        let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
        let mut asked = Box::pin(harness.ask("t/a", command));
        let (mut longest, mut last) = (Duration::ZERO, Instant::now());
        loop {
            let ended = futures_poll_once(asked.as_mut()).await;
            tokio::task::yield_now().await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if ended {
                break;
            }
        }
        drop(asked);
        harness.end().await;
        longest
    })
}

/// Polls once, and says whether it has ended.
async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

pub(crate) async fn longest_slice(table: &mut Table) {
    let measured = tokio::task::spawn_blocking(|| {
        ["loop", "fill", "spam-clock", "spam-log", "spam-random 65536", "recurse-engine", "abort-memory"].map(
            |command| {
                let best = (0..ROUNDS).map(|_| slice(command)).min().unwrap();
                (command, best)
            },
        )
    });
    for (command, longest) in measured.await.unwrap() {
        let case = match command {
            "loop" => "longest slice of a loop",
            "fill" => "H5 longest slice of `memory.fill` of 40 MiB",
            "spam-clock" => "H8 longest slice of looks at the clock",
            "spam-log" => "H8 longest slice of log lines",
            "spam-random 65536" => "H8 longest slice of random bytes",
            "recurse-engine" => "H4 longest slice of recursion",
            _ => "H12 longest slice of growing memory",
        };
        table.row(case, format!("{longest:.1?}"), "≤ 50 ms", longest <= Duration::from_millis(50));
    }
}
