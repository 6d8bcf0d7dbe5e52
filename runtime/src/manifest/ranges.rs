//! What each setting may be, as named ranges. Defaults stand in `crate::limits` and `sandbus_bus::limits`; the ranges keep
//! slips of the pen (a memory of 64 bytes, a deadline of a year) from being taken seriously. Nothing is enforced here.

use std::ops::RangeInclusive;
use std::time::Duration;

use sandbus_bus::limits as bus;

use crate::limits;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const HOUR: Duration = Duration::from_secs(3_600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Fuel of one call; the most is what "unlimited" is.
pub(super) const FUEL: RangeInclusive<u64> = 1..=limits::FUEL_UNLIMITED;
/// A call's deadline and a request's timeout; beyond an hour it is a job, not a message.
pub(super) const DEADLINE: RangeInclusive<Duration> = MILLISECOND..=HOUR;
/// Linear memory of an instance: one page to all that 32 bits reach.
pub(super) const MEMORY: RangeInclusive<u64> = 64 * KIB..=4 * GIB;
/// Tables of an instance.
pub(super) const TABLES: RangeInclusive<u64> = 1..=10_000;
/// Elements of all its tables.
pub(super) const TABLE_ELEMENTS: RangeInclusive<u64> = 1..=10_000_000;
/// What the host allocates during a call.
pub(super) const HOST_MEMORY: RangeInclusive<u64> = 64 * KIB..=GIB;
/// Messages that a call may receive together; 1 turns that off.
pub(super) const BATCH_MESSAGES: RangeInclusive<u64> = 1..=limits::BATCH_MESSAGES_MAX as u64;
/// Messages that a call may send; none is a legal choice.
pub(super) const SENDS: RangeInclusive<u64> = 0..=1_000_000;
/// Bytes that a call may send.
pub(super) const SEND_BYTES: RangeInclusive<u64> = 0..=GIB;
/// Bytes of log lines that a call may write.
pub(super) const LOG_BYTES: RangeInclusive<u64> = 0..=64 * MIB;
/// Bytes that a guest may keep as keys and values; none is a legal choice: then it has no store.
pub(super) const KEYVALUE_BYTES: RangeInclusive<u64> = 0..=GIB;
/// Live instances, of a guest and of all.
pub(super) const INSTANCES: RangeInclusive<u64> = 1..=100_000;
/// Calls that an instance may have; beyond it "unlimited" says it better.
pub(super) const INSTANCE_USES: RangeInclusive<u64> = 1..=i64::MAX as u64;
/// How long an instance may be idle.
pub(super) const INSTANCE_IDLE: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(7 * 24 * 3_600);
/// How long a drain may take; nothing is a legal choice.
pub(super) const GRACE: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
/// Messages that cause messages.
pub(super) const HOPS: RangeInclusive<u64> = 1..=1_000;
/// Synchronous senders that wait at once.
pub(super) const WAITING_REQUESTS: RangeInclusive<u64> = 1..=1_000_000;
/// Linear memory of all instances of a guest, and of all guests.
pub(super) const TOTAL_MEMORY: RangeInclusive<u64> = MIB..=TIB;
/// Bytes of a component's file.
pub(super) const COMPONENT: RangeInclusive<u64> = KIB..=GIB;
/// WebAssembly stack; the fibre that it lives on leaves the host room beside 1 MiB.
pub(super) const STACK: RangeInclusive<u64> = 64 * KIB..=MIB;
/// Queue entries that may wait.
pub(super) const QUEUE_ENTRIES: RangeInclusive<u64> = 1..=u32::MAX as u64;
/// Bytes that may wait, in a queue or as dead letters.
pub(super) const QUEUE_BYTES: RangeInclusive<u64> = 1..=TIB;
/// Bytes of one message.
pub(super) const MESSAGE_BYTES: RangeInclusive<u64> = 1..=GIB;
/// After what time a message may expire at a destination.
pub(super) const EXPIRY: RangeInclusive<Duration> = MILLISECOND..=bus::SEND_DELAY_MAX;
/// How long a dedup key may be remembered; the keys themselves are bounded, too.
pub(super) const DEDUP_WINDOW: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(7 * 24 * 3_600);
/// The interval of a schedule.
pub(super) const INTERVAL: RangeInclusive<Duration> = bus::SCHEDULE_INTERVAL_MIN..=bus::SEND_DELAY_MAX;
/// Workers of a destination.
pub(super) const WORKERS: RangeInclusive<u64> = 1..=bus::WORKERS_CEILING as u64;
/// How long a worker stays without work, and the longest delay of a retry.
pub(super) const WEEK: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 24 * 3_600);
/// Deliveries of a message to a listener.
pub(super) const ATTEMPTS: RangeInclusive<u64> = 1..=bus::ATTEMPTS_CEILING as u64;
/// By what the delay of a retry grows.
pub(super) const MULTIPLIER: RangeInclusive<f64> = 1.0..=100.0;
/// Faults that open a circuit breaker.
pub(super) const BREAKER_FAULTS: RangeInclusive<u64> = 1..=bus::BREAKER_FAULTS_CEILING as u64;
/// The share of the calls that they must be.
pub(super) const RATIO: RangeInclusive<f64> = 0.0..=1.0;
/// How long a fault counts for a circuit breaker, and how long an open one waits.
pub(super) const BREAKER_TIME: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(24 * 3_600);
/// Dead letters that are kept.
pub(super) const DEAD_LETTERS: RangeInclusive<u64> = 1..=10_000_000;
/// How long dead letters are kept.
pub(super) const DEAD_LETTER_AGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_650 * 24 * 3_600);
