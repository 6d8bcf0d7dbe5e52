//! What the system says of this process.

use std::time::Duration;

pub(crate) const MEBIBYTE: i64 = 1 << 20;

/// Resident memory in bytes.
pub(crate) fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system says");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse::<i64>().expect("a number of KiB") * 1_024
}

/// Processor time of this process so far.
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the system says");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    // The system counts it in hundredths of a second, whatever its own clock does.
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|text| text.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// The share of one processor that this process uses within so long.
pub(crate) async fn share(within: Duration) -> f64 {
    let (began, before) = (std::time::Instant::now(), processor_time());
    tokio::time::sleep(within).await;
    (processor_time() - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// Waits at most 10 s for resident memory to come down to this; what it is then.
pub(crate) async fn comes_down_to(bytes: i64) -> i64 {
    for _ in 0..100 {
        if resident() <= bytes {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    resident()
}
