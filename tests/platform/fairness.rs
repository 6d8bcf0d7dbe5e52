//! U2: a guest that burns a core lets its neighbours work. What is asserted is that they complete; how quickly is measured by
//! hand: `cargo test --release -p platform-tests --test platform -- --ignored --nocapture u2`.

use std::time::{Duration, Instant};

use sandbus::GuestSettings;
use sandbus::bus::Outgoing;
use sandbus::harness::Harness;

use crate::support::{Asking, harness, serial, zoo, zoo_that};

/// A guest that no limit of its own stops for as long as a test takes.
fn burning(name: &str) -> GuestSettings {
    let mut settings = zoo(name, &[&format!("t/{name}")]);
    settings.limits.fuel = sandbus::limits::FUEL_UNLIMITED;
    settings.limits.deadline = Duration::from_secs(3_600);
    settings
}

async fn started(burning_guests: &[&str]) -> Harness {
    let mut builder = harness().destination(serial("t/good")).guest(zoo_that("noop", "good", &["t/good"]));
    for name in burning_guests {
        builder = builder.destination(serial(&format!("t/{name}"))).guest(burning(name));
    }
    let harness = builder.start().await.unwrap();
    for name in burning_guests {
        let destination = format!("t/{name}");
        harness.tell(&destination, "loop").await;
        let began = Instant::now();
        while harness.figures(&destination).running == 0 {
            assert!(began.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    harness
}

async fn completed(harness: &Harness, messages: u64) {
    let began = Instant::now();
    while harness.figures("t/good").completed < messages {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", harness.figures("t/good"));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ended(harness: Harness, burning_guests: &[&str]) {
    for name in burning_guests {
        let destination = format!("t/{name}");
        assert_eq!(harness.figures(&destination).running, 1, "{name} still burns");
        harness.bus().close_now(&destination).await.unwrap();
    }
    harness.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn u2_h1_a_neighbour_completes_a_thousand_messages_beside_guests_that_burn_its_only_thread() {
    // One thread for all: they go on only because the others give it back, again and again.
    let harness = started(&["one", "two"]).await;
    for _ in 0..1_000 {
        harness.tell("t/good", "work").await;
    }
    completed(&harness, 1_000).await;
    assert_eq!(harness.figures("t/good").failed_total(), 0);
    ended(harness, &["one", "two"]).await;
}

/// Messages a second through the neighbour, and the 99th percentile of a request.
async fn measured(burning_guests: &[&str]) -> (f64, Duration) {
    const MESSAGES: u32 = 50_000;
    const REQUESTS: usize = 500;
    let harness = started(burning_guests).await;
    let sender = harness.bus().clone();
    let began = Instant::now();
    let sent = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            while sender.send("t/good", Outgoing::text("x")).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    });
    sent.await.unwrap();
    completed(&harness, MESSAGES.into()).await;
    let rate = f64::from(MESSAGES) / began.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let _ = harness.ask("t/good", "x").await;
        times.push(began.elapsed());
    }
    times.sort();
    ended(harness, burning_guests).await;
    (rate, times[REQUESTS * 99 / 100])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; for a quiet machine and a release build"]
async fn u2_measured_what_a_neighbour_keeps_beside_one_burning_guest() {
    let mut ratios = Vec::new();
    for round in 1..=5 {
        let (solo, solo_p99) = measured(&[]).await;
        let (beside, beside_p99) = measured(&["one"]).await;
        ratios.push(beside / solo);
        println!(
            "round {round}: solo {solo:.0}/s p99 {solo_p99:?}; beside {beside:.0}/s p99 {beside_p99:?}; keeps {:.0} %",
            100.0 * beside / solo
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median: keeps {:.0} % (45 % wanted)", 100.0 * ratios[ratios.len() / 2]);
}
